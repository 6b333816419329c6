"""Reparameterization: rewrite a network's graph into a smaller, equal one.

The only entry most callers need is :func:`reparameterize_graph`; see ``README.md`` for the
contract of a pass and how to add one.
"""

from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.proof.probe import Probe, make_probes
from cnn_export.reparam.report import PassReport, Report
from cnn_export.reparam.stage import reparameterize_graph

__all__ = [
    "PassReport",
    "Probe",
    "ReparameterizationError",
    "Report",
    "make_probes",
    "reparameterize_graph",
]
