"""A refusal that is the same on a real run and on a dry run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from cnn_export import export
from cnn_export.errors import ExportError, OperatorRefused


def refused(module: nn.Module, target: str, out: Path, **settings: Any) -> ExportError:
    """Return what an export into the empty folder ``out`` raises, after a dry run has said it too.

    A dry run collects the operators that are refused; anything else it raises as a real run does.
    """
    with pytest.raises(ExportError) as caught:
        export(module, target, output=out, **settings)
    real = caught.value
    assert list(out.iterdir()) == []
    dry: ExportError | None = None
    try:
        reasons = export(module, target, dry_run=True, **settings).refusals[target]
    except ExportError as error:
        dry, reasons = error, ()
    if isinstance(real, OperatorRefused) and dry is None:
        assert reasons == real.reasons != ()
    else:
        assert (type(dry), str(dry)) == (type(real), str(real))
    return real
