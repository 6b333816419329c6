"""One call of ``cnn-bench run``: plan, turns, appended results."""
