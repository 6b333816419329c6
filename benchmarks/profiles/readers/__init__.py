"""One reader per runtime's own profiler."""
