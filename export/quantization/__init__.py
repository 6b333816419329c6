"""int8: one decision on the graph, the integers it means, and the arithmetic of each runtime."""
