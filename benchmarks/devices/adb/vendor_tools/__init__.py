"""The runtimes' own measuring tools, run on the phone beside ours: a cross-check.

A tool's figures are its own: other inputs, another warm-up, mostly an average and no samples. They
are recorded as such (``Opinion`` in ``results/record_types.py``) and never enter statistics.
"""
