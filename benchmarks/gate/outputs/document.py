"""The gate as one JSON document."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from cnn_export.benchmarks.gate.judge import STATUSES, Judgement, Verdict
from cnn_export.benchmarks.gate.outputs.wording import remark
from cnn_export.benchmarks.results.setting import Setting


def as_json(verdict: Verdict) -> str:
    """Return the verdict; times are ms, regressions percent, the rest bytes or counts."""
    document = {
        "verdict": verdict.status,
        "counts": {each: verdict.count(each) for each in STATUSES},
        "judgements": [_record(judgement) for judgement in verdict.judgements],
        "unmatched": list(verdict.unmatched),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def setting_record(setting: Setting | None) -> dict[str, Any] | None:
    """Return device, runtime, arguments, threads and affinity as JSON values."""
    if setting is None:
        return None
    return {
        "device": setting.device.id,
        "device_model": setting.device.model,
        "runtime": setting.runtime,
        "runtime_version": setting.runtime_version,
        "runtime_args": dict(setting.runtime_args),
        "threads": setting.threads,
        "cpus": list(setting.cpus),
    }


def _record(judgement: Judgement) -> dict[str, Any]:
    candidate, comparison = judgement.candidate, judgement.estimate.comparison
    artifact = candidate.artifact
    return {
        "artifact": artifact.name,
        "sha256": artifact.sha256,
        "model": artifact.model,
        "target": artifact.target,
        "precision": artifact.precision,
        "setting": setting_record(candidate.setting),
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
