"""Checkpoint files read without torch: what they hold is described, nothing of theirs is run.

Runs in a process with limits (:mod:`cnn_export.untrusted.bounded_process`) and therefore imports
little. :mod:`.reader` is the way in, ``cnn_export.source.files.described`` makes torch tensors of
what comes out.
"""
