"""Speaks for the app's Main class where no inference is needed: options, probe file, lines.

Run by the phone as ``stand_in_runner.py CLASS key=value…``. Started with ``python -I -S``, so that
it is there in 20 ms: standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

KEYS = {
    *("protocol", "kind", "artifact", "probe", "artifact.b", "probe.b", "threads"),
    *("min_time_s", "b_first", "block", "out"),
}
INFERENCE_NS = 1_000_000
SAMPLES_MIN = 12


class Refused(Exception):
    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Report:
    def __init__(self, out: str | None) -> None:
        self._out = Path(out) if out else None
        self._lines: list[str] = []

    def say(self, name: str, **values: object) -> None:
        line = json.dumps({"cnn_bench": name, **values}, separators=(",", ":"))
        self._lines.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def keep(self) -> None:
        if self._out is None:
            return
        partial = Path(f"{self._out}.partial")
        partial.write_text("".join(line + "\n" for line in self._lines))
        partial.rename(self._out)


def main(words: list[str]) -> int:
    report = Report(next((w[4:] for w in words if w.startswith("out=")), None))
    try:
        run(options_of(words), report)
        code = 0
    except Refused as refusal:
        code = refusal.exit_code
        report.say("failure", exit_code=code, message=str(refusal)[:1000])
    try:
        report.keep()
    except OSError as error:
        sys.stderr.write(f"cannot write the report: {error.strerror}\n")
        return 4
    return code


def options_of(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    options = {key: value for key, equals, value in pairs if equals}
    if not words or words[0] != "protocol=3":
        raise Refused(2, "the first option has to be protocol=3")
    unknown = [k for k, _, _ in pairs if k not in KEYS and not k.startswith("runtime_arg.")]
    if unknown or len(options) != len(words):
        raise Refused(2, f"unknown, repeated or malformed options: {' '.join(unknown)}")
    return options


def run(options: dict[str, str], report: Report) -> None:
    suffixes = ("", ".b") if options["kind"] == "pair" else ("",)
    for suffix in suffixes:
        hello(options["artifact" + suffix], options["probe" + suffix], options, report)
    state(report)
    time.sleep(float(options["min_time_s"]))
    for line in measurements(options):
        report.say(**line)
    state(report)
    count = 1 if options["kind"] == "memory" else samples(options)
    report.say("end", count=count, warm_up=5, settled=True)


def hello(artifact: str, probe: str, options: dict[str, str], report: Report) -> None:
    facts = probe_of(probe)
    try:
        digest = hashlib.sha256(Path(artifact).read_bytes()).hexdigest()
    except OSError as error:
        raise Refused(4, f"{artifact}: {error.strerror}") from None
    if digest != facts.get("sha256"):
        raise Refused(3, f"{facts.get('name')} is not the proven file: its SHA-256 differs")
    report.say(
        "hello",
        protocol=3,
        runtime=facts["runtime"],
        version="0.stand-in",
        threads=int(options["threads"]),
        load_ns=5_000_000,
        first_ns=2_000_000,
    )


def probe_of(path: str) -> dict[str, str]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        raise Refused(4, f"{path}: {error.strerror}") from None
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def state(report: Report) -> None:
    report.say(
        "state",
        launch=os.environ.get("PHONE_LAUNCH", "app_process"),
        thermal_status=0,
        thermal_headroom=0.4,
        cpus_allowed=os.environ.get("PHONE_CPUS", "0-7"),
        available_memory_bytes=4_000_000_000,
    )


def samples(options: dict[str, str]) -> int:
    """Return how many inferences of a millisecond fill the measuring time."""
    return max(SAMPLES_MIN, round(float(options["min_time_s"]) * 1000))


def measurements(options: dict[str, str]) -> list[dict[str, object]]:
    if options["kind"] == "memory":
        sizes = {"peak_rss_bytes": 90_000_000, "peak_pss_bytes": 80_000_000}
        return [{"name": "memory", **sizes, "baseline_rss_bytes": 60_000_000}]
    draw = random.Random()  # noqa: S311 - times, not secrets
    count = samples(options)
    times = [round(INFERENCE_NS * (1 + draw.uniform(0, 0.02))) for _ in range(2 * count)]
    if options["kind"] == "pair":
        halves = zip(times[:count], times[count:], strict=True)
        return [{"name": "pair", "a_ns": a, "b_ns": b} for a, b in halves]
    return [{"name": "sample", "ns": ns} for ns in times[:count]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
