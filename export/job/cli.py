"""The command line of ``cnn-export``. Only parsing and calling; torch loads when a job starts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnn_export import __version__
from cnn_export.command_line.job_trail import TRAIL
from cnn_export.errors import InputRefused, OperatorRefused, UsageError
from cnn_export.job.int8.options import int8_options
from cnn_export.targets import TARGETS, require_targets, target_names

if TYPE_CHECKING:
    from fractions import Fraction

    from cnn_export.job.request import ExportResult, Step

_PRECISIONS = ("fp32", "fp16", "int8", "int8-weights", "int8-dynamic")
_LAYOUTS = ("nchw", "nhwc")
_GIVEN = "cnn_export.given"
_VERSION = click.IntRange(1, 999)


class _Command(click.Command):
    """Remembers what was typed, for options that show something and exit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as always."""
        ctx.meta[_GIVEN] = tuple(args)
        return super().parse_args(ctx, args)


def _list_models(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from cnn_export.source.networks import listed_models

        as_json = "--json" in context.meta[_GIVEN]
        click.echo(listed_models.as_json() if as_json else listed_models.as_text())
        context.exit()


def _list_targets(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        for name, entry in TARGETS.items():
            click.echo(f"{name:<12}{entry.suffix:<13}{entry.summary}")
        context.exit()


def _flag(name: str, callback: Callable[..., None], text: str) -> Callable[[Any], Any]:
    return click.option(
        name, is_flag=True, is_eager=True, expose_value=False, callback=callback, help=text
    )


@click.command(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--target",
    "-t",
    "targets",
    multiple=True,
    metavar="NAME",
    help="onnx, tflite, coreml, executorch or all; repeatable.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File or folder to write. Default: this folder.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Network, instead of detection: a name of --list-models, timm:NAME or module:callable.",
)
@click.option(
    "--model-arg",
    "model_args",
    multiple=True,
    metavar="K=V",
    help="Argument of the network's constructor; repeatable.",
)
@click.option(
    "--weights-key",
    metavar="KEY",
    help="Which tensors, where a file holds several sets: keys joined by dots, e.g. model.",
)
@click.option("--input-size", metavar="N|HxW", help="Height and width of the image input.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=SHAPE",
    help="Shape of one input, e.g. x=1x3x192x256, label=1:int64, dict.key=1x3x9x9.",
)
@click.option("--batch", default="1", show_default=True, metavar="N|dynamic", help="Batch size.")
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    metavar="|".join(_PRECISIONS),
    help="Weights and, where the format has it, arithmetic.",
)
@int8_options
@click.option(
    "--layout",
    default="nchw",
    show_default=True,
    metavar="|".join(_LAYOUTS),
    help="Channel order of image inputs and outputs (tflite).",
)
@click.option("--opset", type=_VERSION, help="ONNX opset (onnx).")
@click.option("--ir-version", type=_VERSION, help="ONNX IR version (onnx).")
@click.option(
    "--minimum-deployment-target", metavar="NAME", help="For example iOS16 or macOS13 (coreml)."
)
@click.option(
    "--normalize",
    metavar="imagenet|MEAN/STD",
    help="Take raw pixels, 0 to 255, and normalize them inside, e.g. 0.5,0.5,0.5/0.25,0.25,0.25.",
)
@click.option("--image-input", is_flag=True, help="Take an image instead of a tensor (coreml).")
@click.option(
    "--sample",
    "samples",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Image, .npy or .npz that the artifact is also proven on; repeatable.",
)
@click.option(
    "--tolerance",
    type=float,
    metavar="ERROR",
    help="Accept this error over an output's RMS where less cannot be proven; recorded as such.",
)
@click.option(
    "--identity-tensor-multiplier",
    metavar="1|1/2|1/3|1/6",
    help="What a MobileNeXt was trained with; with --approximate, what shortcuts get instead.",
)
@click.option(
    "--approximate",
    is_flag=True,
    help="Let --identity-tensor-multiplier change the function, and measure how far.",
)
@click.option("--no-reparam", is_flag=True, help="Export the graph as traced.")
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Run the code inside a pickled checkpoint. Only for files you made.",
)
@click.option("--dry-run", is_flag=True, help="Do the whole job, and keep nothing.")
@click.option("--explain", is_flag=True, help="Show what each rewrite did and refused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="Show errors only.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@_flag("--list-models", _list_models, "Show the networks known by name, with size and accuracy.")
@_flag("--list-targets", _list_targets, "Show the formats.")
@click.version_option(__version__, message="cnn-export %(version)s")
def command(debug: bool, quiet: bool, as_json: bool, explain: bool, **given: Any) -> None:
    """Export a trained CNN CHECKPOINT to mobile formats, each proven equal to it or not written."""
    del debug  # the edge reads it
    _require_choices(given)
    require_targets(target_names(given["targets"]))
    given |= _parsed(given)
    from cnn_export import export
    from cnn_export.job import display

    step = _noted(display.steps(hidden=quiet or as_json))
    source, targets = given.pop("checkpoint"), given.pop("targets")
    result = _silently(lambda: export(source, targets, step=step, **given))
    if as_json:
        click.echo(display.as_json(result))
    elif not quiet:
        display.show(result, explain=explain)
    if any(result.refusals.values()):
        click.get_current_context().exit(OperatorRefused.exit_code)


def _noted(step: Step) -> Step:
    """Leave each step's name for the process that watches this one."""

    def noted(name: str) -> contextlib.AbstractContextManager[None]:
        TRAIL.step(name)
        return step(name)

    return noted


def _silently(job: Callable[[], ExportResult]) -> ExportResult:
    """Run the job with everything held back that torch or the network's own code prints."""
    from cnn_export.job.quiet import VendorLog, quiet

    log = VendorLog()
    try:
        with quiet(log):
            return job()
    except BaseException as error:
        if log.text:
            error.add_note(log.text)
        if isinstance(error, Exception):
            raise
        # Nothing of ours or the converters' raises such, and signals end the process at once.
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise InputRefused(
            f"the network's own code raised {said}; nothing was written (--debug shows where)"
        ) from error


def _require_choices(given: dict[str, Any]) -> None:
    """Check names before torch loads, so that a typing error answers at once.

    Raises:
        UsageError: names the option and the values it takes.
    """
    from cnn_export.errors import nearest

    choices = (*TARGETS, "all")
    if not given["targets"]:
        raise UsageError(f"give at least one --target: {', '.join(choices)}")
    checks = [("--target", name, choices) for name in given["targets"]]
    checks += [
        ("--precision", given["precision"], _PRECISIONS),
        ("--layout", given["layout"], _LAYOUTS),
    ]
    for option, value, allowed in checks:
        if value not in allowed:
            raise UsageError(
                f"{option} {value!r} does not exist; choose {', '.join(allowed)}."
                f"{nearest(value, allowed)}"
            )


def _parsed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options whose text has a form of its own, parsed, under the API's names."""
    from cnn_export.source.inputs import parse_shape, parse_size

    size = given["input_size"]
    inputs = {k: parse_shape(v) for k, v in _pairs("--input", given.pop("inputs")).items()}
    return {
        "model_args": _pairs("--model-arg", given["model_args"]),
        "input_size": parse_size(size) if size else None,
        "shapes": {name: shape for name, (shape, _) in inputs.items()},
        "dtypes": {name: dtype for name, (_, dtype) in inputs.items() if dtype},
        "batch": _batch(given["batch"]),
        "reparam": not given.pop("no_reparam"),
        "identity_tensor_multiplier": _multiplier(given["identity_tensor_multiplier"]),
    }


def _multiplier(text: str | None) -> Fraction | None:
    from cnn_export.models.identity_tensor_multiplier import parse_multiplier

    try:
        return None if text is None else parse_multiplier(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key or key in pairs:
            raise UsageError(f"{option} {text!r} must be NAME=VALUE, each name once")
        pairs[key] = value
    return pairs


def _batch(text: str) -> int | str:
    from cnn_export.source.inputs import positive_number

    if text == "dynamic":
        return text
    number = positive_number(text)
    if number is None:
        raise UsageError(f"--batch {text!r} is neither a number from 1 nor 'dynamic'")
    return number
