"""What ``--runtime-arg K=V`` may say, and to which runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cnn_export.benchmarks.runtimes.runtime_registry import RUNTIMES
from cnn_export.errors import UsageError, nearest

CHOICES: Mapping[str, Mapping[str, Sequence[str]]] = {
    kind.package: kind.arguments for kind in RUNTIMES.values()
}
"""Runtime → key → values."""

RUNTIME_OF_TARGET: Mapping[str, str] = {kind.target: kind.package for kind in RUNTIMES.values()}
"""Which runtime measures a target's artifacts; Core ML's run on Apple's systems only."""


def parse_arguments(given: Iterable[str], runtimes: Iterable[str]) -> dict[str, str]:
    """Return ``K=V`` pairs as a dict, each known to at least one of ``runtimes``.

    Raises:
        UsageError: not of the form, given twice, or a key or value that does not exist; the
            nearest is offered.
    """
    arguments: dict[str, str] = {}
    known = {key: values for name in runtimes for key, values in CHOICES[name].items()}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--runtime-arg {text!r} is not of the form K=V")
        if key in arguments:
            raise UsageError(f"--runtime-arg {key} is given twice; give it once")
        _require_known(key, value, known)
        arguments[key] = value
    return arguments


def _require_known(key: str, value: str, known: Mapping[str, Sequence[str]]) -> None:
    if key not in known:
        choices = ", ".join(known) or "none"
        raise UsageError(
            f"no runtime of these artifacts has an argument {key!r} (known: {choices})."
            f"{nearest(key, known)}"
        )
    if value not in known[key]:
        raise UsageError(f"--runtime-arg {key} is one of {', '.join(known[key])}, not {value!r}")


def arguments_of(runtime: str, arguments: Mapping[str, str]) -> dict[str, str]:
    """Return those of ``arguments`` that ``runtime`` has."""
    return {key: value for key, value in arguments.items() if key in CHOICES[runtime]}


def kept_arguments(runtime: str, arguments: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return sorted pairs without the arguments of other runtimes; all of an unknown runtime."""
    known = CHOICES.get(runtime, arguments)
    return tuple(sorted((key, value) for key, value in arguments.items() if key in known))
