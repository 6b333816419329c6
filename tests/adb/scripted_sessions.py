"""Sessions that a runner might have reported."""

from __future__ import annotations

from cnn_export.benchmarks.results.protocol import End, Hello, Sample
from cnn_export.benchmarks.results.session import Session


def session_of(seconds: float, *, settled: bool = True) -> Session:
    """Return a session whose two samples took ``seconds`` together."""
    half = round(seconds * 5e8)
    hello = Hello(runtime="onnxruntime", version="1", threads=1, load_ns=1, first_ns=1)
    samples = (Sample(ns=half), Sample(ns=half + 1))
    return Session((hello,), samples, End(count=2, warm_up=1, settled=settled))
