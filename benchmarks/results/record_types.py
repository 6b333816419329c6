"""Lines of a results file: everything measured, one JSON object a line.

A file is appended to, never rewritten: ``run`` opens a run, ``artifact`` says once per run what a
file is, ``repeat``, ``pair`` and ``memory`` are one worker process each, and ``ending`` says how a
part of the plan came out. Times are raw nanoseconds of a monotonic clock; whatever is shown is
derived from them. On phones, ``opinion`` is what another tool says, and ``traffic`` what the CPU's
counters do. Schema changes raise :data:`SCHEMA_VERSION`.

Types are strict and every number has bounds: a line that no run could have written is no record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cnn_export.manifest.fields import Sha256
from cnn_export.proof.tolerances import ACCEPTED_MAX, EXACT_MAX

SCHEMA_VERSION = 3
READABLE_VERSIONS = (2, SCHEMA_VERSION)
"""Version 2 has no ``ending``: what is missing of its plans is told by what is there."""

MAX_NS = 10**15
"""No process measures longer than these eleven days, so sums of times fit 64 bits."""

FIXED_PERFORMANCE = "fixed_performance"
"""The setting of Android's fixed-performance mode."""

Nanoseconds = Annotated[int, Field(gt=0, le=MAX_NS)]
"""Zero is no time: the clock did not tell it."""
Bytes = Annotated[int, Field(gt=0, le=EXACT_MAX)]
Count = Annotated[int, Field(ge=0, le=EXACT_MAX)]
Threads = Annotated[int, Field(ge=1, le=10_000)]
Cpu = Annotated[int, Field(ge=0, le=1_000_000)]
Kilohertz = Annotated[int, Field(ge=0, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1_000_000)]
ToolNanoseconds = Annotated[float, Field(ge=0.001, le=MAX_NS)]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Part = Literal["time", "pair", "memory"]
"""What the processes of a part of a plan do."""


class _Strict(BaseModel):
    # Strict: neither ``true`` nor ``1.0`` is a count.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        strict=True,
        # A copy with other values was never looked at.
        revalidate_instances="always",
    )


class _Record(_Strict):
    def to_line(self) -> str:
        """Return the record as one line, with its newline."""
        return self.model_dump_json(exclude_none=True) + "\n"


class Device(_Record):
    """The machine, as far as results on it may be compared with one another.

    ``id`` names the unit (``host``, or an adb serial); ``memory_bytes`` and ``cpus`` are what a
    container limit leaves. Phones have the facts of the second half: ``soc`` the chip, ``build``
    the system image's fingerprint, ``launch`` how the worker is started, for a shell's process is
    scheduled otherwise than a foreground app.
    """

    id: str
    kind: Literal["host", "adb"]
    model: str
    cpus: int = Field(ge=1, le=1_000_000)
    memory_bytes: Count
    system: str
    governor: str | None = None
    soc: str | None = None
    abi: str | None = None
    api_level: int | None = Field(default=None, ge=1, le=100_000)
    build: str | None = None
    launch: Literal["app_process", "activity"] | None = None


class SettingChange(_Strict):
    """A setting of the device, changed for the time of a run and put back after it.

    ``before`` is ``unknown`` where the system tells nobody.
    """

    name: str
    before: str
    during: str


class Run(_Record):
    """One call of ``cnn-bench run`` on one device: its plan, so that it can be completed later.

    ``artifacts`` are the SHA-256 of the files in the order given; every one is timed ``repeats``
    times at each number of ``threads``, or, with ``compare``, each interleaved with the first. Runs
    of one call on several devices share a ``group``, and each names all of ``group_devices``, so
    that none is lost without a word. ``settings`` were changed on the device as the run began.
    """

    cnn_bench: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    run_id: RunId
    producer: str
    started_at: str
    device: Device
    seed: int = Field(ge=0, lt=2**63)
    repeats: int = Field(ge=1, le=1_000_000)
    min_time_s: float = Field(gt=0, le=1_000_000)
    artifacts: list[Sha256] = Field(min_length=1, max_length=10_000)
    threads: list[Threads] = Field(default=[1], min_length=1, max_length=64)
    cpus: list[Cpu] = []
    runtime_args: dict[str, str] = {}
    compare: bool = False
    block: int = Field(default=1, ge=1, le=1_000_000)
    group: str | None = None
    group_devices: list[str] | None = Field(default=None, min_length=1, max_length=1000)
    settings: list[SettingChange] | None = None

    @property
    def fixed_performance(self) -> bool:
        """Whether the device held its clocks at what it can sustain."""
        return any(change.name == FIXED_PERFORMANCE for change in self.settings or ())

    @model_validator(mode="after")
    def _is_a_plan(self) -> Self:
        if len(set(self.threads)) != len(self.threads):
            raise ValueError("a number of threads is planned twice")
        if self.compare and len(self.artifacts) < 2:
            raise ValueError("a comparison needs two artifacts")
        if self.schema_version > 2 and (self.group is None) != (self.group_devices is None):
            raise ValueError("exactly a run of several devices names them")
        if self.group_devices is not None and self.device.id not in self.group_devices:
            raise ValueError("a run on several devices is on none of them")
        twins = self.compare and len(self.artifacts) == 2
        if not twins and len(set(self.artifacts)) != len(self.artifacts):
            raise ValueError("an artifact is planned twice")
        return self


class Accuracy(_Record):
    """One figure that an artifact was judged by when it was made, as its manifest has it.

    ``low`` and ``high`` bound a share of ``samples`` with 95 % confidence. Without ``bound`` are
    the two shares of true classes that a loss, which has one, is the difference of.
    """

    output: str
    figure: str
    value: float
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    samples: Count


class Checkpoint(_Record):
    """What a file was made from: two with equal ones compute the same function in float32.

    ``sha256`` is ``None`` where a module, not a file, was exported. ``approximated`` files compute
    something else than the checkpoint, as asked for. ``inputs`` are the sizes of one sample, in
    NCHW order: the network answers otherwise to images of another size.
    """

    sha256: Sha256 | None = None
    arguments: dict[str, str] = {}
    inputs: list[list[Count]] = []
    approximated: bool


class Artifact(_Record):
    """A planned file; figures come from the file and its manifest, ``None`` where unknown.

    ``accuracy`` has the figures that were judged, none where nothing was: no samples, or only
    noise. ``source`` is what they are of: figures compare a file with its own network in float32,
    not with another's. ``accepted`` is there where the file is not proven equal: the error, over
    an output's RMS, that whoever made it accepted.
    """

    cnn_bench: Literal["artifact"] = "artifact"
    run_id: RunId
    sha256: Sha256
    name: str
    model: str
    target: Literal["tflite", "onnx", "executorch", "coreml"]
    precision: str
    file_bytes: Bytes
    macs: Count | None = None
    mac_bytes: Count | None = None
    delegate: str | None = None
    partitions: Count | None = None
    ops_outside: Count | None = None
    accuracy: list[Accuracy] | None = Field(default=None, max_length=10_000)
    source: Checkpoint | None = None
    accepted: float | None = Field(default=None, gt=0, le=ACCEPTED_MAX)

    @property
    def acceptance(self) -> str:
        """Say that the file is not proven, and up to which error; empty where it is."""
        if self.accepted is None:
            return ""
        return f"not proven: an error of up to {self.accepted:g} of the RMS was accepted"

    def is_reference_of(self, other: Artifact) -> bool:
        """Whether this is the float32 file of the very network that ``other`` was judged beside."""
        source = self.source
        known = source is not None and source.sha256 is not None and not source.approximated
        proven = known and self.accepted is None
        return proven and self.precision == "fp32" and source == other.source


class Conditions(_Record):
    """The machine around one worker process. ``clock_khz`` are samples during the timing.

    ``others_load`` is the share of all CPUs that other processes used meanwhile; ``flags`` name
    each unfit condition (``throttled``, ``others_busy``, ``clock_moved``, …). ``temperature_c``
    are samples as well, of the hottest sensor in °C, empty where the device has none.
    ``cluster_khz`` has the samples of each cluster of CPUs (``0-3``) where there are several.
    ``watcher_load`` is the share of one CPU that the watching itself took on the device.
    ``thermal_headroom`` is what Android told the process right after it measured, 1.0 where severe
    throttling begins; ``available_memory_bytes`` what was left of memory then.
    """

    cpus: list[Cpu] = []
    clock_khz: list[Kilohertz] = []
    temperature_c: list[Annotated[float, Field(ge=-274, le=10_000)]] = []
    others_load: Share | None = None
    flags: list[str] = []
    cluster_khz: dict[str, list[Kilohertz]] | None = None
    watcher_load: Share | None = None
    thermal_headroom: Share | None = None
    available_memory_bytes: Count | None = None


class Repeat(_Record):
    """One artifact in one process. ``position`` is its place in the run's order."""

    cnn_bench: Literal["repeat"] = "repeat"
    run_id: RunId
    artifact: Sha256
    repeat: Count
    position: Count
    threads: Threads
    runtime: str
    runtime_version: str
    runtime_args: dict[str, str] = {}
    load_ns: Nanoseconds
    first_ns: Nanoseconds
    warm_up: Count
    samples_ns: list[Nanoseconds] = Field(min_length=1)
    conditions: Conditions = Conditions()

    @model_validator(mode="after")
    def _fits_its_days(self) -> Self:
        _require_finite(self.samples_ns)
        return self


class Pair(_Record):
    """Two artifacts in one process, ``block`` inferences at a time; ``b_first`` swaps their order.

    ``b_loaded_first`` swaps the order in which they were loaded. ``a_ns`` and ``b_ns`` are of
    equal length; the i-th of both ran in adjacent blocks.
    """

    cnn_bench: Literal["pair"] = "pair"
    run_id: RunId
    a: Sha256
    b: Sha256
    repeat: Count
    position: Count
    b_first: bool
    b_loaded_first: bool
    block: int = Field(default=1, ge=1, le=1_000_000)
    threads: Threads
    runtimes: tuple[str, str]
    runtime_versions: tuple[str, str]
    runtime_args: dict[str, str] = {}
    a_ns: list[Nanoseconds] = Field(min_length=1)
    b_ns: list[Nanoseconds] = Field(min_length=1)
    conditions: Conditions = Conditions()

    @model_validator(mode="after")
    def _is_of_turns(self) -> Self:
        _require_finite((*self.a_ns, *self.b_ns))
        if len(self.a_ns) != len(self.b_ns):
            raise ValueError("both sides of a pair have equally many times")
        return self


class Memory(_Record):
    """Peak memory of one process that loads and runs an artifact, timing nothing.

    ``baseline_rss_bytes`` is the same process with the runtime imported and no artifact loaded.
    """

    cnn_bench: Literal["memory"] = "memory"
    run_id: RunId
    artifact: Sha256
    threads: Threads
    runtime: str
    runtime_version: str
    peak_rss_bytes: Bytes
    peak_pss_bytes: Bytes | None = None
    baseline_rss_bytes: Bytes

    @model_validator(mode="after")
    def _is_a_peak(self) -> Self:
        if self.baseline_rss_bytes > self.peak_rss_bytes:
            raise ValueError("the peak is below what the process had before")
        return self


class Ending(_Record):
    """How a part of the plan came out in one call; a part that failed is whole or stays failed.

    A part is what ``kind`` of processes does with ``artifacts`` (two of a pair, base first) at
    ``threads``. ``processes`` of it are in the file by now; all of them where it is ``measured``.
    ``failed`` parts were given up, ``lost`` ones were never reached; ``reason`` says why, and
    ``exit_code`` is that of the failure, so that one word cannot turn the one into the other. A
    part that has no ending and too few processes is lost as well: its run was killed.
    """

    cnn_bench: Literal["ending"] = "ending"
    run_id: RunId
    kind: Part
    artifacts: list[Sha256] = Field(min_length=1, max_length=2)
    threads: Threads
    outcome: Literal["measured", "failed", "lost"]
    processes: Count
    reason: str | None = Field(default=None, max_length=1000)
    exit_code: int | None = Field(default=None, ge=1, le=255)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if (self.outcome == "failed") != (self.exit_code is not None):
            raise ValueError("exactly what failed has an exit code")
        return self


class Opinion(_Record):
    """What a runtime's own tool says of an artifact: its figures, by its own method.

    Never a sample of ours: its inputs, its warm-up and its clock are others. ``average_ns`` is over
    ``count`` inferences, which ``warm_up`` others preceded; ``None`` is what it does not tell.
    ``raw_ns`` are single inferences where it lists them. The tools tell no version, so
    ``tool_sha256`` names the binary.
    """

    cnn_bench: Literal["opinion"] = "opinion"
    run_id: RunId
    artifact: Sha256
    threads: Threads
    tool: str
    tool_sha256: Sha256
    runtime_args: dict[str, str] = {}
    count: int = Field(ge=1, le=EXACT_MAX)
    warm_up: Count | None = None
    average_ns: ToolNanoseconds
    median_ns: ToolNanoseconds | None = None
    minimum_ns: ToolNanoseconds | None = None
    maximum_ns: ToolNanoseconds | None = None
    load_ns: ToolNanoseconds | None = None
    first_ns: ToolNanoseconds | None = None
    raw_ns: list[Nanoseconds] | None = None
    conditions: Conditions = Conditions()


class Level(_Record):
    """Bytes that an inference moves into a level of the memory system, by a counter of the CPU.

    ``level`` is ``l2``, ``l3`` or ``bus``; one count of ``event`` stands for ``bytes_per_event``.
    """

    level: str
    event: str
    per_inference: float = Field(ge=0, le=EXACT_MAX)
    bytes_per_event: int = Field(ge=1, le=1_000_000)

    @property
    def moved_bytes(self) -> float:
        """Bytes per inference."""
        return self.per_inference * self.bytes_per_event


class Traffic(_Record):
    """What the CPU's counters say that one inference moves, or the ``reason`` why they do not.

    The difference of two processes that ran ``inferences`` more and fewer: loading cancels out.
    """

    cnn_bench: Literal["traffic"] = "traffic"
    run_id: RunId
    artifact: Sha256
    threads: Threads
    inferences: Count | None = None
    levels: list[Level] = []
    reason: str | None = None


Record = Annotated[
    Run | Artifact | Repeat | Pair | Memory | Ending | Opinion | Traffic,
    Field(discriminator="cnn_bench"),
]


def _require_finite(times_ns: Sequence[int]) -> None:
    if sum(times_ns) > MAX_NS:
        raise ValueError("the times of one process add up to days")
