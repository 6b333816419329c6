"""``cnn-bench devices``: what there is to measure on, and in what condition it is."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(as_json: bool) -> None:
    """List devices: processor, memory, system, governor, what disturbs them right now."""
    found = [_facts(name) for name in _names()]
    if as_json:
        click.echo(json.dumps({"devices": found, "runtimes": _runtimes()}, indent=2))
        return
    for facts in found:
        _show(facts)
    for package, version in _runtimes().items():
        click.echo(f"{package:<15} {version or 'not installed'}")


def _names() -> list[str]:
    from cnn_export.benchmarks.devices import device_names

    return device_names()


def _facts(name: str) -> dict[str, Any]:
    from cnn_export.benchmarks.devices import find_device

    device = find_device(name)
    return device.describe().model_dump() | {"flags": device.unfit(1, ())}


def _show(facts: dict[str, Any]) -> None:
    from cnn_export.benchmarks.conditions import EXPLANATIONS

    click.echo(f"{facts['id']:<15} {facts['model']}, {facts['cpus']} CPUs")
    click.echo(f"{'':<15} {facts['memory_bytes'] / 1e9:.1f} GB, {facts['system']}")
    if facts["governor"]:
        click.echo(f"{'':<15} governor {facts['governor']}")
    for flag in facts["flags"]:
        click.echo(f"{'':<15} {flag}: {EXPLANATIONS.get(flag, '')}")


def _runtimes() -> dict[str, str | None]:
    from cnn_export.benchmarks.runtimes import RUNTIMES, runtime_version
    from cnn_export.errors import TargetUnavailable

    versions: dict[str, str | None] = {}
    for kind in RUNTIMES.values():
        try:
            versions[kind.package] = runtime_version(kind())
        except TargetUnavailable:
            versions[kind.package] = None
    return versions
