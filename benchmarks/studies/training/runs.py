"""One network trained once: what it answers on the held-out images, merged and as trained."""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import fx

from cnn_export.benchmarks.studies.training.variants import NETWORKS, VARIANTS, asymmetric
from cnn_export.models.training.digits import Digits, Part, normalize
from cnn_export.models.training.trainer import Classifier, Config, start, train_epoch
from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph


@dataclasses.dataclass(frozen=True)
class Job:
    """What determines a run next to the images; two of one seed start from the same weights."""

    network: str
    variant: str
    seed: int
    epochs: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to.

    ``correct`` of ``images`` held-out images are classified correctly by the trained network;
    ``merged_differing`` get another class where its blocks are merged, as exports merge them, and
    None where it has none.
    """

    job: Job
    correct: int
    images: int
    merged_differing: int | None
    cpu_seconds: float

    @property
    def accuracy(self) -> float:
        """The share of held-out images that are classified correctly."""
        return self.correct / self.images


def outcome(job: Job, parts: dict[Part, Digits]) -> Outcome:
    """Train on the ``train`` part alone, then ask for the classes of ``held-out``, once."""
    started = time.process_time()
    network = trained(job, parts["train"])
    held_out = parts["held-out"]
    images = normalize(held_out.images)
    with torch.inference_mode():
        answers = network(images).argmax(dim=1)
    cpu_seconds = time.process_time() - started
    differing: int | None = None
    if VARIANTS[job.variant].asymmetric:
        with torch.inference_mode():
            merged_answers = merged(network, images[:2])(images)[0].argmax(dim=1)
        differing = int((answers != merged_answers).sum())
    correct = int((answers == held_out.labels).sum())
    return Outcome(job, correct, len(held_out), differing, cpu_seconds)


def trained(job: Job, data: Digits) -> Classifier:
    """Return the network in evaluation mode."""
    variant, build = VARIANTS[job.variant], NETWORKS[job.network]
    config = Config(loss=variant.loss, seed=job.seed, epochs=job.epochs)
    run = start(config, (lambda: asymmetric(build())) if variant.asymmetric else build)
    for _ in range(job.epochs):
        train_epoch(run, data)
    return run.model.eval()


def merged(network: Classifier, images: torch.Tensor) -> fx.GraphModule:
    """Return the graph that artifacts are made of, for any number of images like these.

    Its one output is the first of a tuple.
    """
    graph_module = capture(network, [images], dynamic_batch=True).graph_module
    reparameterize_graph(graph_module)
    return graph_module
