"""Judging figures against budgets and baselines."""
