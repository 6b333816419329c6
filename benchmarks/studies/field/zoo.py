"""``python -m cnn_export.benchmarks.studies.field.zoo [NAME…]``: any network, to every target.

Each network is a process of its own and a row of ``--results``; what is there is not made again.
What kills its process leaves no row: ask for its targets one by one then. Without a NAME the whole
list is made, hours of it; ``--write`` puts the table of all rows into the README beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cnn_export.benchmarks.studies.field.jobs import Job, carry_out
from cnn_export.benchmarks.studies.field.pages import page_with
from cnn_export.benchmarks.studies.field.rows import Row
from cnn_export.benchmarks.studies.field.table import markdown, shares
from cnn_export.targets import TARGETS

WRITTEN = (
    "yolo", "unet", "blazeface", "pfld", "fsrcnn", "tc_resnet",
    "crnn", "style", "hourglass", "siamese", "depth_decoder", "five_heads",
)  # fmt: skip
TIMM = (
    "mobilenetv2_050", "mobilenetv3_small_050", "mobilenetv4_conv_small_050", "efficientnet_lite0",
    "ghostnetv2_100", "mixnet_s", "densenet121", "hrnet_w18_small", "repvit_m0_9", "mobileone_s0",
    "starnet_s1", "regnetx_002", "res2net50_14w_8s", "poolformerv2_s12", "convnext_atto",
    "edgenext_xx_small", "mobilevit_xxs@128", "efficientvit_b0", "shvit_s1@128",
    "vit_tiny_patch16_224", "fastvit_t8", "lcnet_035", "dla46_c", "ese_vovnet19b_dw",
    "skresnet18", "rexnet_100", "cs3darknet_s", "hgnetv2_b0", "nf_regnet_b0", "inception_v3@128",
    "gernet_s", "visformer_tiny@224", "mambaout_femto", "mobilevitv2_050@128",
    "efficientformerv2_s0@224", "levit_128s@224", "pvt_v2_b0", "resmlp_12_224", "xception41",
    "coatnet_pico_rw_224@224",
)  # fmt: skip
TORCHVISION = ("squeezenet1_1", "googlenet", "shufflenet_v2_x0_5", "mnasnet0_5", "vgg11_bn@64")
WHOLE = (
    *WRITTEN,
    *(f"timm:{name}" for name in TIMM),
    *(f"torchvision:{name}" for name in TORCHVISION),
)

README = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).with_name("zoo.jsonl")
_WORKER = "cnn_export.benchmarks.studies.field.zoo_job"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--target", "targets", multiple=True, type=click.Choice(sorted(TARGETS)))
@click.option("--write", is_flag=True, help="Put the table into the README as well.")
def main(names: tuple[str, ...], results: Path, targets: tuple[str, ...], write: bool) -> None:
    """Export every NAME, and print the table of all rows in the results file."""
    wanted = targets or tuple(sorted(TARGETS))
    jobs = [_job(name, wanted) for name in names or WHOLE]
    text = table(carry_out(jobs, results, "Exporting"))
    click.echo(text, nl=False)
    if write:
        README.write_text(readme_with(text), "utf-8")


def table(rows: list[Row]) -> str:
    """Return what the rows come to: a line a target, and a line a network."""
    return f"{shares(rows)}\n{markdown(rows, ('network', 'from'))}"


def readme_with(text: str) -> str:
    """Return the README with this text between its marks."""
    return page_with(README, "cnn_export.benchmarks.studies.field.zoo --write", text)


def _job(name: str, targets: tuple[str, ...]) -> Job:
    package, _, _ = name.rpartition(":")
    origin = package or "written here"
    return Job(name, targets, (sys.executable, "-m", _WORKER, name, *targets), lambda: origin)


if __name__ == "__main__":
    main()
