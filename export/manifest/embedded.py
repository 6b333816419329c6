"""What an artifact says of itself, written from the same fields as its manifest.

Each holds the other: the manifest the SHA-256 of the artifact's bytes, and these bytes what the
manifest says of origin, interface and size. A manifest that was edited, or that is another one's,
then contradicts the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cnn_export.errors import InputRefused
from cnn_export.manifest.fields import Approximation, Source, Tensor
from cnn_export.manifest.manifest import Manifest
from cnn_export.manifest.quantization_fields import Quantization

_OURS = "cnn-export "
_ALWAYS = ("producer", "model", "source_sha256", "precision", "inputs")
"""What every version has embedded. ``manifest`` came later: older files lack it."""

_DOCUMENTS = ("inputs", "manifest")
"""Pairs that are JSON."""

_UNTOLD = "nothing"


def metadata(
    *,
    producer: str,
    source: Source,
    precision: str,
    layout: str,
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    target: str,
    macs: int,
    parameter_bytes: int,
    approximation: Approximation | None,
    quantization: Quantization | None = None,
    accepted: float | None = None,
) -> dict[str, str]:
    """Return the string pairs that go inside the artifact; no figure of a machine is in them.

    ``accepted`` is what the user accepted, not what was measured.
    """
    told: dict[str, Any] = {
        "arguments": source.arguments,
        "container": source.container,
        "macs": macs,
        "outputs": _tensors(outputs),
        "parameter_bytes": parameter_bytes,
        "target": target,
    }
    if quantization is not None:
        told["quantization"] = quantization.model_dump(exclude={"accuracy"}, exclude_none=True)
    return {
        "producer": producer,
        "model": source.model,
        "source_sha256": source.sha256 or "",
        "precision": precision,
        "layout": layout,
        "inputs": json.dumps(_tensors(inputs), sort_keys=True),
        "manifest": json.dumps(told, sort_keys=True),
        **_approximated(approximation),
        **({} if accepted is None else {"accepted": f"tolerance={accepted!r}"}),
    }


def require_same_story(manifest: Manifest, found: Mapping[str, str]) -> None:
    """Check a manifest against the metadata ``found`` in its artifact.

    Raises:
        InputRefused: a field of both differs, or the manifest is ours and the file is not; names
            the field and both values.
    """
    expected = _expected(manifest)
    if manifest.producer.startswith(_OURS) and (missing := _ALWAYS - found.keys()):
        raise InputRefused(
            f"{manifest.artifact} does not hold its {sorted(missing)[0]!r}, as every file of"
            f" {manifest.producer} does; export again"
        )
    for key in expected.keys() & found.keys() | {"approximation", "accepted"}:
        said, held = expected.get(key, _UNTOLD), found.get(key, _UNTOLD)
        if difference := _difference(key, said, held):
            field, ours, theirs = difference
            raise InputRefused(
                f"the manifest of {manifest.artifact} says {field} {_short(ours)}, the file itself"
                f" {_short(theirs)}; export again"
            )


def _expected(manifest: Manifest) -> dict[str, str]:
    layouts = {tensor.layout for tensor in (*manifest.inputs, *manifest.outputs)} - {None}
    pairs = metadata(
        producer=manifest.producer,
        source=manifest.source,
        precision=manifest.precision,
        layout="nhwc" if "nhwc" in layouts else "nchw",
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        target=manifest.target,
        macs=manifest.macs,
        parameter_bytes=manifest.parameter_bytes,
        approximation=manifest.approximation,
        quantization=manifest.quantization,
        accepted=manifest.parity.accepted,
    )
    if not layouts:  # of tensors that are no images the option says nothing
        del pairs["layout"]
    return pairs


def _difference(key: str, said: str, held: str) -> tuple[str, object, object] | None:
    """Return the field that differs and both its values; of a document, the first one in it."""
    if said == held:
        return None
    if key not in _DOCUMENTS:
        return key, said, held
    try:
        ours, theirs = json.loads(said), json.loads(held)
    except (ValueError, RecursionError):
        return key, said, held
    if ours == theirs:
        return None
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return key, ours, theirs
    fields: dict[str, Any] = ours
    others: dict[str, Any] = theirs
    for name in sorted(fields.keys() | others.keys()):
        one, other = fields.get(name, _UNTOLD), others.get(name, _UNTOLD)
        if one != other:
            return name, one, other
    return None


def _short(value: object, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _tensors(tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
    return [tensor.model_dump(exclude_none=True) for tensor in tensors]


def _approximated(approximation: Approximation | None) -> dict[str, str]:
    if approximation is None:
        return {}
    multiplier = approximation.identity_tensor_multiplier
    return {"approximation": f"identity_tensor_multiplier={multiplier}"}
