"""``cnn-bench devices``: what there is to measure on, and in what condition it is."""

from __future__ import annotations

import json

import click


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(as_json: bool) -> None:
    """List this host and the phones that adb sees: what they are, what disturbs them right now."""
    from cnn_export.benchmarks.devices import device_listing
    from cnn_export.command_line.terminal import printable

    found, why_none = device_listing.devices()
    if as_json:
        document = {"devices": found, "runtimes": device_listing.runtimes(), "no_phones": why_none}
        click.echo(json.dumps(document, indent=2))
        return
    for device in found:
        for line in device_listing.lines(device):
            click.echo(line)
    if why_none:
        click.echo(f"{'phones':<15} none: {printable(why_none)}")
    for package, version in device_listing.runtimes().items():
        click.echo(f"{package:<15} {version or 'not installed'}")
