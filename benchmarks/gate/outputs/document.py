"""The gate as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from cnn_export.benchmarks.gate.judge import STATUSES, Judgement, Verdict
from cnn_export.benchmarks.gate.outputs.wording import remark


def as_json(verdict: Verdict) -> str:
    """Return the verdict; times are ms, regressions percent, the rest bytes or counts."""
    document = {
        "verdict": verdict.status,
        "counts": {each: verdict.count(each) for each in STATUSES},
        "judgements": [_record(judgement) for judgement in verdict.judgements],
        "unmatched": list(verdict.unmatched),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _record(judgement: Judgement) -> dict[str, Any]:
    candidate, comparison = judgement.candidate, judgement.estimate.comparison
    artifact, setting = candidate.artifact, candidate.setting
    return {
        "artifact": artifact.name,
        "sha256": artifact.sha256,
        "model": artifact.model,
        "target": artifact.target,
        "precision": artifact.precision,
        "setting": setting.as_record() if setting else None,
        "flags": list(judgement.estimate.flags),
        "bound": judgement.bound,
        "limit": judgement.limit,
        **dataclasses.asdict(judgement.estimate.interval),
        "processes": judgement.estimate.processes,
        "verdict": judgement.status,
        "repeats_needed": judgement.repeats_needed,
        "remark": remark(judgement),
        "comparison": comparison.verdict if comparison else None,
    }
