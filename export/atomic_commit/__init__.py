"""Put finished files where they belong, all or none, whenever and however the process ends.

Files are made in a hidden private folder inside the destination (one file system, so that a
rename suffices), whose lock says that its process lives:

    .cnn-export-0123456789abcdef/
        lock        held by the living owner
        new/NAME    the finished files
        old/NAME    what they replace
        redo        the journal: from its rename into place on, all of ``new`` belongs outside
        undo        the journal of a commit that failed and takes back what it did

A process that ends without saying so (``kill -9``, a power cut) loses the lock. The next one that
works in the destination completes what was decided, takes back what was being taken back, and
removes the rest: see :func:`settle`.
"""

from __future__ import annotations

from cnn_export.atomic_commit.one_file import append_text, replaced, require_apart, save_text
from cnn_export.atomic_commit.recovery import settle
from cnn_export.atomic_commit.replacing import require_replaceable
from cnn_export.atomic_commit.staged_files import (
    Staging,
    discard_unfinished,
    remove_empty,
    staging,
)

__all__ = [
    "Staging",
    "append_text",
    "discard_unfinished",
    "remove_empty",
    "replaced",
    "require_apart",
    "require_replaceable",
    "save_text",
    "settle",
    "staging",
]
