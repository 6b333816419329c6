"""The process that measures: one artifact or two, loaded, checked, timed."""
