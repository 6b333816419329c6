"""One call of ``cnn-bench run``: plan, invocations, appended results."""
