"""Which of several sets of weights is the network's, and under which names."""
