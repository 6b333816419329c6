"""Time per operator as each runtime's own profiler tells it, joined with the file's cost.

One file per runtime yields :class:`~.trace.Event` values; :mod:`.joining` is pure. Only the
worker process (:mod:`.worker`) loads a runtime.
"""
