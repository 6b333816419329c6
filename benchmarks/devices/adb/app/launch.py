"""From a job to the command that runs it on a phone. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from cnn_export.benchmarks.devices.adb.app.app_package import PACKAGE
from cnn_export.benchmarks.devices.adb.clusters import mask
from cnn_export.benchmarks.devices.adb.connection.phone import script_words
from cnn_export.benchmarks.devices.adb.watch.watcher import PID_FILE
from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.results.protocol import PROTOCOL_VERSION

Launch = Literal["app_process", "activity"]
"""A process of the shell user with nothing installed, or the installed app in the foreground."""

MAIN = f"{PACKAGE}.Main"
ACTIVITY = f"{PACKAGE}/.RunActivity"
_WIDE = ("arm64-v8a", "x86_64")
_REPORT = f"/sdcard/Android/media/{PACKAGE}/cnn-bench-report.jsonl"
"""In the one folder that the app may write and the shell may read on every version of Android: the
app's private folder is not the shell's, and its folder in Android/data is, on some phones, neither.
"""

# $1 libraries, $2 code, $3 mask of CPUs or "", $4 bits of the libraries, then the runner's own
# options. A phone of both widths has a program for each; `app_process` alone is one of the two.
# `exec` leaves no shell between adbd and the runner: the connection's end ends the runner.
_APP_PROCESS = r"""
cd "$1" || exit
export LD_LIBRARY_PATH="$1" CLASSPATH="$2"
cpus=$3 program=app_process$4
command -v "$program" >/dev/null || program=app_process
shift 4
exec ${cpus:+taskset "$cpus"} "$program" / """

# $1 package, $2 component, $3 the report, $4 options, $5 where its process id goes. The app writes
# its report under another name, renames it, and ends: a file that is there is whole, and after the
# process none will come. While the app may be measuring, the shell starts nothing but `sleep`.
# Another user than the first has an /sdcard of his own, which this shell does not see.
_ACTIVITY = r"""
package=$1 report=$3
trap 'am force-stop "$package"; exit 1' HUP INT TERM
fail() { echo "$1" >&2; am force-stop "$package"; exit 1; }
case $(am get-current-user) in
  0 | *[!0-9]* | "") ;;
  *) fail "another user than the phone's first is in front: switch to the first, who owns it" ;;
esac
am force-stop "$package"
rm -f "$report" "$report.partial"
[ ! -e "$report" ] || fail "cannot remove $report, of an earlier run: remove it on the phone"
said=$(am start -n "$2" --es options "$4" 2>&1)
case $said in *Error* | *Exception*) fail "$said" ;; esac
tries=0
until pid=$(pidof "$package") || [ -f "$report" ]; do
  [ $((tries += 1)) -lt 50 ] || break
  sleep 0.1
done
{ echo "$pid" >"$5"; } 2>/dev/null
missing=0
until [ -f "$report" ]; do
  [ -n "$pid" ] && [ -d "/proc/$pid" ] || missing=$((missing + 1))
  [ $missing -lt 2 ] || break
  sleep 1
done
if [ ! -f "$report" ]; then
  said=$([ -n "$pid" ] && logcat -d -v raw --pid="$pid" -s cnn-bench:I 2>/dev/null | tail -n 2)
  echo "the app ended without a report: it crashed or was killed; see 'adb logcat -d -b crash'" >&2
  fail "$said"
fi
cat "$report" || fail "the shell may not read $report: this phone takes --launch app_process only"
rm -f "$report"
am force-stop "$package"
"""


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where an artifact and its probe file lie on the phone."""

    artifact: str
    probe: str


def options(job: Job, placed: Sequence[Placed]) -> list[str]:
    """Return the runner's command line."""
    pairs = {"protocol": str(PROTOCOL_VERSION), "kind": job.kind}
    for suffix, each in zip(("", ".b"), placed, strict=False):
        pairs |= {f"artifact{suffix}": each.artifact, f"probe{suffix}": each.probe}
    pairs |= {"threads": str(job.threads), "min_time_s": f"{job.min_time_s:.6f}"}
    if job.kind == "pair":
        pairs |= {"b_first": str(job.b_first).lower(), "block": str(job.block)}
    pairs |= {f"runtime_arg.{key}": value for key, value in job.runtime_args.items()}
    return [f"{key}={value}" for key, value in pairs.items()]


def app_process_command(
    libraries: str, code: str, abi: str, cpus: Sequence[int], runner_options: Sequence[str]
) -> list[str]:
    """Return the command that runs the app's ``Main`` as the shell user, nothing installed."""
    text = f'{_APP_PROCESS}{MAIN} "$@"\n'
    bits = "64" if abi in _WIDE else "32"
    return script_words(text, libraries, code, mask(cpus) if cpus else "", bits, *runner_options)


def activity_command(runner_options: Sequence[str]) -> list[str]:
    """Return the command that runs the installed app in the foreground, and prints its report."""
    text = "\n".join([*runner_options, f"out={_REPORT}"])
    return script_words(_ACTIVITY, PACKAGE, ACTIVITY, _REPORT, text, PID_FILE)
