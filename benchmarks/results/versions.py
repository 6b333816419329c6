"""Which earlier series a new one may be compared with, and what forbids it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.results.series import PairedSeries, Series
from cnn_export.benchmarks.results.setting import Place, Setting
from cnn_export.errors import InputRefused

_T = TypeVar("_T")


def is_version(old: Artifact, new: Artifact) -> bool:
    """Whether both are of one model, target and precision."""
    kinds = [(each.model, each.target, each.precision) for each in (old, new)]
    return kinds[0] == kinds[1]


def versions(artifact: Artifact, base: Iterable[Series]) -> list[Series]:
    """Return the series of earlier versions of ``artifact``.

    Those of the same name, model, target and precision; else, of the last three, provided that
    they are of one file: two variants of a model are not versions of each other.
    """
    timed = [series for series in base if series.processes]
    return _versions(artifact, timed, lambda series: series.artifact)


def _versions(artifact: Artifact, base: Iterable[_T], of: Callable[[_T], Artifact]) -> list[_T]:
    alike = [each for each in base if is_version(of(each), artifact)]
    if named := [each for each in alike if of(each).name == artifact.name]:
        return named
    return alike if len({of(each).sha256 for each in alike}) == 1 else []


def counterpart(
    series: Series, base: Sequence[Series], ignored_flags: Sequence[str] = ()
) -> Series | None:
    """Return the one series of ``base`` that a regression may be judged by; ``None``: no version.

    Raises:
        InputRefused: there are versions, but each ran on another device, runtime version, number
            of threads, with other arguments or under other unfit conditions; names the fields of
            the nearest. Or several fit.
    """
    name = series.artifact.name
    found = versions(series.artifact, base)
    if not found:
        return None
    differing = {
        index: differences(each, series, ignored_flags) for index, each in enumerate(found)
    }
    index = min(differing, key=lambda each: len(differing[each]))
    if differing[index]:
        raise InputRefused(
            f"{name} cannot be compared with the baseline: {'; '.join(differing[index])}; "
            "measure the baseline again under the same conditions"
        )
    if sum(not each for each in differing.values()) > 1:
        raise InputRefused(
            f"the baseline has several versions of {name} under the same conditions; keep one"
        )
    return found[index]


def differences(old: Series, new: Series, ignored_flags: Sequence[str] = ()) -> list[str]:
    """Return ``"field old → new"`` for everything that differs but the artifact."""
    fields = old.setting.differences(new.setting)
    flags = [
        ", ".join(flag for flag in each.flags if flag not in ignored_flags) or "none"
        for each in (old, new)
    ]
    return fields if flags[0] == flags[1] else [*fields, f"flags {flags[0]} → {flags[1]}"]


def matched(
    base: Sequence[Series], new: Sequence[Series]
) -> tuple[list[tuple[Series, Series]], list[Series], list[Series]]:
    """Pair series for a look, not a judgement: same artifact, device, runtime and threads.

    Returns the pairs (base, new), and what is left over of base and of new. Where several
    settings fit, the one with the fewest differences is taken.
    """
    found = ((_nearest(series, base), series) for series in new)
    pairs = [(old, series) for old, series in found if old is not None]
    taken = {id(each) for each in chain.from_iterable(pairs)}
    rest = [[each for each in side if id(each) not in taken] for side in (base, new)]
    return pairs, rest[0], rest[1]


def gone(base: Sequence[Series], new: Sequence[Series]) -> list[Series]:
    """Return the timed series of which ``new`` has no version measured in the same way.

    On the same device with the same runtime, arguments and CPUs; versions of the system and of the
    runtime may have changed.
    """
    earlier, now = ([each for each in side if each.processes] for side in (base, new))
    return _lost(earlier, now, _of_series)


def gone_memory(base: Sequence[Series], new: Sequence[Series]) -> list[Series]:
    """Return those of which ``new`` has no peak memory, as :func:`gone`."""
    earlier, now = ([each for each in side if each.memories] for side in (base, new))
    return _lost(earlier, now, _of_series)


def gone_pairs(base: Sequence[PairedSeries], new: Sequence[PairedSeries]) -> list[PairedSeries]:
    """Return the pairs of whose new artifact ``new`` has none, as :func:`gone`."""
    return _lost(base, new, lambda paired: _of_series(paired.new))


def _of_series(series: Series) -> tuple[Artifact, Setting]:
    return series.artifact, series.setting


def _lost(
    base: Sequence[_T], new: Sequence[_T], told: Callable[[_T], tuple[Artifact, Setting]]
) -> list[_T]:
    now = [told(each) for each in new]
    kept = {
        id(old)
        for artifact, setting in now
        for old in _versions(artifact, base, lambda each: told(each)[0])
        if _way(told(old)[1]) == _way(setting)
    }
    return [each for each in base if id(each) not in kept]


def _nearest(series: Series, base: Sequence[Series]) -> Series | None:
    ran = _ran(series.setting)
    fitting = [each for each in versions(series.artifact, base) if _ran(each.setting) == ran]
    if not series.processes:
        return None
    return min(fitting, key=lambda old: len(differences(old, series)), default=None)


def _ran(setting: Setting) -> tuple[Place, str, str]:
    return setting.place, setting.device.kind, setting.runtime


def _way(setting: Setting) -> tuple[object, ...]:
    """Return how something ran, as somebody asked for it."""
    return (
        *_ran(setting),
        setting.runtime_args,
        setting.cpus,
        setting.fixed_performance,
        setting.device.launch,
    )
