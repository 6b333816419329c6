"""The list of models and the table in ``models/README.md``, from the families' own tables.

    python -m cnn_export.benchmarks.studies.recognition.list_of_models

Every published variant is counted on the meta device, a fifth of a second each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torchvision import models

import cnn_export.models
from cnn_export.benchmarks.studies.field.jobs import rows_in
from cnn_export.benchmarks.studies.field.pages import page_with
from cnn_export.benchmarks.studies.field.published import RESULTS, columns
from cnn_export.benchmarks.studies.field.rows import Row
from cnn_export.models.listing.figures import Figures, figures
from cnn_export.models.published import Published
from cnn_export.models.registry import Architecture, architectures
from cnn_export.source.networks.listed_models import ListedModel, written
from cnn_export.source.networks.torchvision_families import torchvision_names

Count = Callable[[Architecture, Published], Figures]
README = Path(cnn_export.models.__file__).parent / "README.md"
_HEADS = ("network", "parameters", "published", "multiply-accumulates", "published")


def own_rows() -> Iterator[tuple[Architecture, Published]]:
    """Yield every published variant; of a family without any, what its builder makes by itself."""
    for name, each in architectures().items():
        alone = Published(name, {}, each.source, input_size=each.input_size)
        yield from ((each, row) for row in each.published or (alone,))


def counted(architecture: Architecture, row: Published) -> Figures:
    """Count one variant."""
    return figures(architecture.build, row.arguments, row.input_size)


def list_of_models(count: Count = counted) -> list[ListedModel]:
    """Return the families of this package, sorted as they register, then torchvision's."""
    own = [_own(architecture, row, count(architecture, row)) for architecture, row in own_rows()]
    taken = {row.model for row in own}
    return own + [_torchvision(name) for name in torchvision_names() if name not in taken]


def table(count: Count = counted, exported: Sequence[Row] | None = None) -> str:
    """Return the rows of published variants as a Markdown table.

    ``exported`` is what became of them, by default what ``studies.field.published`` has kept.
    """
    measured = columns(rows_in(RESULTS) if exported is None else exported)
    heads = (*_HEADS, *measured, "why")
    rows = [(row, count(a, row)) for a, row in own_rows() if row.counted]
    lines: list[tuple[str, ...]] = [heads, ("---",) * len(heads)]
    for row, counts in rows:
        found = (cells.get(row.name, "") for cells in measured.values())
        lines.append((*_counts(row, counts), *found, row.note))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def readme_with(table: str) -> str:
    """Return ``models/README.md`` with this table between its marks."""
    command = "cnn_export.benchmarks.studies.recognition.list_of_models"
    return page_with(README, command, table)


def _own(architecture: Architecture, row: Published, measured: Figures) -> ListedModel:
    return ListedModel(
        name=row.name,
        model=architecture.name,
        arguments={k: list(v) if isinstance(v, tuple) else v for k, v in row.arguments.items()},
        source=row.source,
        params_m=measured.params / 1e6,
        macs_m=measured.macs / 1e6,
        input_size=list(row.input_size),
        top1_percent=row.top1_percent,
    )


def _torchvision(name: str) -> ListedModel:
    known = name in models.list_models(module=models)
    weights: Any = next(iter(models.get_model_weights(name)), None) if known else None
    meta: dict[str, Any] = weights.meta if weights else {}
    side = weights.transforms.keywords.get("crop_size", 224) if weights else 224
    return ListedModel(
        name=name,
        model=name,
        arguments={},
        source=f"torchvision {weights.name}" if weights else "torchvision",
        params_m=meta["num_params"] / 1e6 if meta else None,
        macs_m=round(1000 * meta["_ops"], 3) if meta else None,
        input_size=[3, side, side],
        top1_percent=meta["_metrics"]["ImageNet-1K"]["acc@1"] if meta else None,
    )


def _counts(row: Published, measured: Figures) -> tuple[str, ...]:
    return (
        row.name,
        f"{measured.params / 1e6:.3f} M",
        _stated(row.params_m),
        f"{measured.macs / 1e6:.1f} M",
        _stated(row.macs_m),
    )


def _stated(millions: float | None) -> str:
    return "" if millions is None else f"{millions:g} M"


def main() -> None:
    """Write both."""
    measured = {row.name: counted(architecture, row) for architecture, row in own_rows()}
    written(list_of_models(lambda _, row: measured[row.name]))
    README.write_text(readme_with(table(lambda _, row: measured[row.name])), "utf-8")


if __name__ == "__main__":
    main()
