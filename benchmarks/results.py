"""Lines of a results file: everything measured, one JSON object a line.

A file is appended to, never rewritten: ``run`` opens a run, ``artifact`` says once per run what a
file is, ``repeat``, ``pair`` and ``memory`` are one worker process each. Times are raw
nanoseconds of a monotonic clock; whatever is shown is derived from them. On phones, ``opinion`` is
what another tool says, and ``traffic`` what the CPU's counters do. Schema changes raise
:data:`SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2

FIXED_PERFORMANCE = "fixed_performance"
"""The setting of Android's fixed-performance mode."""

Nanoseconds = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
    cpus: int = Field(ge=1)
    memory_bytes: int = Field(ge=0)
    system: str
    governor: str | None = None
    soc: str | None = None
    abi: str | None = None
    api_level: int | None = None
    build: str | None = None
    launch: Literal["app_process", "activity"] | None = None


class SettingChange(BaseModel):
    """A setting of the device, changed for the time of a run and put back after it.

    ``before`` is ``unknown`` where the system tells nobody.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    before: str
    during: str


class Run(_Record):
    """One call of ``cnn-bench run`` on one device: its plan, so that it can be completed later.

    ``artifacts`` are the SHA-256 of the files in the order given. Runs of one call on several
    devices share a ``group``. ``settings`` were changed on the device as the run began.
    """

    cnn_bench: Literal["run"] = "run"
    schema_version: int = SCHEMA_VERSION
    run_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    producer: str
    started_at: str
    device: Device
    seed: int
    repeats: int = Field(ge=1)
    min_time_s: float = Field(gt=0)
    artifacts: list[Sha256] = []
    threads: list[int] = [1]
    cpus: list[int] = []
    runtime_args: dict[str, str] = {}
    compare: bool = False
    block: int = Field(default=1, ge=1)
    group: str | None = None
    settings: list[SettingChange] | None = None

    @property
    def fixed_performance(self) -> bool:
        """Whether the device held its clocks at what it can sustain."""
        return any(change.name == FIXED_PERFORMANCE for change in self.settings or ())


class Artifact(_Record):
    """A measured file; figures come from the file and its manifest, ``None`` where unknown."""

    cnn_bench: Literal["artifact"] = "artifact"
    run_id: str
    sha256: Sha256
    name: str
    model: str
    target: Literal["tflite", "onnx", "executorch", "coreml"]
    precision: str
    file_bytes: int = Field(ge=0)
    macs: int | None = None
    mac_bytes: int | None = None
    delegate: str | None = None
    partitions: int | None = None
    ops_outside: int | None = None


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

    cpus: list[int] = []
    clock_khz: list[int] = []
    temperature_c: list[float] = []
    others_load: float | None = None
    flags: list[str] = []
    cluster_khz: dict[str, list[int]] | None = None
    watcher_load: float | None = None
    thermal_headroom: float | None = None
    available_memory_bytes: int | None = None


class Repeat(_Record):
    """One artifact in one process. ``position`` is its place in the run's order."""

    cnn_bench: Literal["repeat"] = "repeat"
    run_id: str
    artifact: Sha256
    repeat: int = Field(ge=0)
    position: int = Field(ge=0)
    threads: int = Field(ge=1)
    runtime: str
    runtime_version: str
    runtime_args: dict[str, str] = {}
    load_ns: Nanoseconds
    first_ns: Nanoseconds
    warm_up: int = Field(ge=0)
    samples_ns: list[Nanoseconds] = Field(min_length=1)
    conditions: Conditions = Conditions()


class Pair(_Record):
    """Two artifacts in one process, ``block`` inferences in turns; ``b_first`` swaps their order.

    ``b_loaded_first`` swaps the order in which they were loaded. ``a_ns`` and ``b_ns`` are of
    equal length; the i-th of both ran in adjacent blocks.
    """

    cnn_bench: Literal["pair"] = "pair"
    run_id: str
    a: Sha256
    b: Sha256
    repeat: int = Field(ge=0)
    position: int = Field(ge=0)
    b_first: bool
    b_loaded_first: bool
    block: int = Field(default=1, ge=1)
    threads: int = Field(ge=1)
    runtimes: tuple[str, str]
    runtime_versions: tuple[str, str]
    runtime_args: dict[str, str] = {}
    a_ns: list[Nanoseconds] = Field(min_length=1)
    b_ns: list[Nanoseconds] = Field(min_length=1)
    conditions: Conditions = Conditions()


class Memory(_Record):
    """Peak memory of one process that loads and runs an artifact, timing nothing.

    ``baseline_rss_bytes`` is the same process with the runtime imported and no artifact loaded.
    """

    cnn_bench: Literal["memory"] = "memory"
    run_id: str
    artifact: Sha256
    threads: int = Field(ge=1)
    runtime: str
    runtime_version: str
    peak_rss_bytes: int = Field(ge=0)
    peak_pss_bytes: int | None = None
    baseline_rss_bytes: int = Field(ge=0)


class Opinion(_Record):
    """What a runtime's own tool says of an artifact: its figures, by its own method.

    Never a sample of ours: its inputs, its warm-up and its clock are others. ``average_ns`` is over
    ``count`` inferences, which ``warm_up`` others preceded; ``None`` is what it does not tell.
    ``raw_ns`` are single inferences where it lists them. The tools tell no version, so
    ``tool_sha256`` names the binary.
    """

    cnn_bench: Literal["opinion"] = "opinion"
    run_id: str
    artifact: Sha256
    threads: int = Field(ge=1)
    tool: str
    tool_sha256: Sha256
    runtime_args: dict[str, str] = {}
    count: int = Field(ge=1)
    warm_up: int | None = None
    average_ns: float = Field(gt=0)
    median_ns: float | None = None
    minimum_ns: float | None = None
    maximum_ns: float | None = None
    load_ns: float | None = None
    first_ns: float | None = None
    raw_ns: list[Nanoseconds] | None = None
    conditions: Conditions = Conditions()


class Level(_Record):
    """Bytes that an inference moves into a level of the memory system, by a counter of the CPU.

    ``level`` is ``l2``, ``l3`` or ``bus``; one count of ``event`` stands for ``bytes_per_event``.
    """

    level: str
    event: str
    per_inference: float = Field(ge=0)
    bytes_per_event: int = Field(ge=1)

    @property
    def moved_bytes(self) -> float:
        """Bytes per inference."""
        return self.per_inference * self.bytes_per_event


class Traffic(_Record):
    """What the CPU's counters say that one inference moves, or the ``reason`` why they do not.

    The difference of two processes that ran ``inferences`` more and fewer: loading cancels out.
    """

    cnn_bench: Literal["traffic"] = "traffic"
    run_id: str
    artifact: Sha256
    threads: int = Field(ge=1)
    inferences: int | None = None
    levels: list[Level] = []
    reason: str | None = None


Record = Annotated[
    Run | Artifact | Repeat | Pair | Memory | Opinion | Traffic, Field(discriminator="cnn_bench")
]
