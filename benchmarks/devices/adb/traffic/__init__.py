"""The CPU's counters of memory traffic."""
