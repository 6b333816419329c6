"""What a person sees of an int8 job: what is int8, on which samples, and how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cnn_export.command_line.terminal import printable
from cnn_export.manifest.manifest import Manifest
from cnn_export.manifest.quantization_fields import Accuracy, Quantization, SampleSet

if TYPE_CHECKING:
    from cnn_export.quantization.stage.quantize import Quantized

_EXPLAINED_SAMPLES = 16


def layer_table(quantized: Quantized) -> Table:
    """Return what each layer's integers reach, clip and lose."""
    return _weight_table(quantized) if quantized.statistics is None else _range_table(quantized)


def _weight_table(quantized: Quantized) -> Table:
    title = Text("int8 weights, layer by layer")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("layer")
    for heading in ("channels", "weights reach", "SNR dB", "bytes", "as float"):
        table.add_column(heading, justify="right")
    for each in quantized.weight_errors():
        table.add_row(
            Text(printable(each.name)),
            str(each.channels),
            f"{each.largest:.4g}",
            "float" if each.snr_db is None else f"{each.snr_db:.1f}",
            f"{each.bytes:,}",
            f"{each.float_bytes:,}",
        )
    return table


def _range_table(quantized: Quantized) -> Table:
    title = Text(f"int8, layer by layer, on {_EXPLAINED_SAMPLES} calibration samples at most")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("layer")
    for heading in ("int8 reaches", "samples reach", "saturated", "SNR dB"):
        table.add_column(heading, justify="right")
    for each in quantized.layer_errors(_EXPLAINED_SAMPLES):
        reached = "float" if each.range is None else _interval(each.range)
        table.add_row(
            Text(printable(each.name)),
            reached,
            _interval(each.seen),
            f"{each.saturated:.2%}",
            f"{each.snr_db:.1f}",
        )
    return table


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}"


def int8_summary(manifest: Manifest) -> Iterator[str]:
    """Yield the lines about an artifact's quantization; none of a float one."""
    record = manifest.quantization
    if record is None:
        return
    yield f"{manifest.target}: {_what_is_rounded(record, manifest)}"
    if record.calibration is not None:
        corrected = ", biases corrected" if record.bias_correction else ""
        yield f"  ranges {record.ranges} of {_samples(record.calibration)}{corrected}"
    else:
        yield f"  judged on {_samples(record.evaluation)}"
    for figure in record.accuracy:
        if figure.bound is not None or not record.judged:
            yield f"  {_figure(figure)}"
    if not record.judged:
        yield "  not judged: what would judge is synthetic; give real samples (--evaluation)"
    elif record.synthetic:
        yield "  ranges are those of synthetic samples"


def _what_is_rounded(record: Quantization, manifest: Manifest) -> str:
    layers = f"{record.int8_layers} layer{'' if record.int8_layers == 1 else 's'}"
    match manifest.precision:
        case "int8" | "int8-dynamic":
            share = _share(record, manifest)
            return f"{layers} in int8, {share} of the multiply-accumulates; {_kept(record)}"
        case "int8-weights":
            return f"weights of {layers} in int8, computed in float32; {_kept(record)}"
        case _:
            return f"{manifest.precision}, run in {record.arithmetic}"


def _share(record: Quantization, manifest: Manifest) -> str:
    return f"{record.int8_macs / manifest.macs:.1%}" if manifest.macs else "all"


def _kept(record: Quantization) -> str:
    """Count what stays float by its reason; where it is by node the manifest says."""
    if not record.kept_float:
        return "nothing stays float"
    reasons = Counter(each.reason for each in record.kept_float)
    said = ", ".join(f"{count} as {reason}" for reason, count in reasons.most_common())
    count = len(record.kept_float)
    return f"{count} operator{' stays' if count == 1 else 's stay'} float ({said})"


def _samples(samples: SampleSet) -> str:
    left_out = f", {len(samples.skipped)} left out" if samples.skipped else ""
    return f"{samples.count} samples ({samples.kind}{left_out})"


def _figure(figure: Accuracy) -> str:
    if figure.low is None or figure.high is None:
        value = f"{figure.value:.4g}"
    else:
        value = f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"
    bound = "" if figure.bound is None else f", bound {figure.bound:g}"
    return f"{figure.output}: {figure.figure} {value} of {figure.samples} samples{bound}"
