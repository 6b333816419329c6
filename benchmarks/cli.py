"""``cnn-bench``: one group, each subcommand in a file of its own that loads when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cnn_export import __version__
from cnn_export.command_line.edge import run_command
from cnn_export.errors import nearest

NAME = "cnn-bench"
_COMMANDS = Path(__file__).parent / "commands"
_ORDER = ("devices", "run", "compare", "gate", "report", "profile", "cost", "selfcheck")
"""As a user meets them; whatever else there is follows by name."""


class CommandFolder(click.Group):
    """A group whose subcommands are the modules of ``benchmarks/commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the files."""
        del ctx
        names = [file.stem for file in _COMMANDS.glob("[!_]*.py")]
        return sorted(names, key=lambda name: (_place(name), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"cnn_export.benchmarks.commands.{cmd_name}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, or offer the nearest."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f"there is no subcommand {args[0]!r}.{nearest(args[0], known)}")
        return super().resolve_command(ctx, args)


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME)
@click.option("--debug", is_flag=True, help="Show where an internal error came from.")
def command(debug: bool) -> None:
    """Measure exported networks on real devices: latency, memory, cost, budgets."""
    del debug  # the entry point reads it, for errors outside of any command too


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
