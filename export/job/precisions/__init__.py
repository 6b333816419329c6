"""What each precision makes of a proven network: its graph, what it has to answer, its record."""
