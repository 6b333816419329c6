"""Arithmetic and parsers of the adb device: quoting, addresses, facts, clusters, probe files."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of
from hypothesis import example, given
from hypothesis import strategies as st

from cnn_export.benchmarks.adb.addresses import Address, chosen, is_adb, parse_address
from cnn_export.benchmarks.adb.clusters import Core, clusters, cpus_of, mask, spans
from cnn_export.benchmarks.adb.device_text import clean
from cnn_export.benchmarks.adb.facts import parse_facts
from cnn_export.benchmarks.adb.launch import Placed, app_process_command, options
from cnn_export.benchmarks.adb.phone import script_words
from cnn_export.benchmarks.adb.phone_session import numbers
from cnn_export.benchmarks.adb.probe_file import probe_file
from cnn_export.benchmarks.adb.refusals import unfit
from cnn_export.benchmarks.adb.server import AdbServer, parse_listing
from cnn_export.benchmarks.device import Job
from cnn_export.errors import DeviceUnfit, InputRefused, UsageError

# What a command line can hold at all: no NUL, and no lone surrogates.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def _sh(line: str) -> bytes:
    """Run a line as adbd does: as the one argument of `sh -c`."""
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout


@given(st.lists(WORDS, max_size=5))
@example(["a b'c\"d$e;f`g\\h*\n", "", "~", "$(touch x)", "-n", "é\x1b"])
def test_words_arrive_in_a_real_shell_as_they_were(words: list[str]) -> None:
    line = shlex.join(["printf", r"%s\0", "first", *words])
    assert _sh(f"exec {line}") == b"".join(f"{word}\0".encode() for word in ["first", *words])


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_values_of_a_script_are_never_part_of_its_text(values: list[str]) -> None:
    line = shlex.join(script_words(r'printf "%s\0" "$@"', *values))
    assert _sh(line) == b"".join(f"{value}\0".encode() for value in values)


@given(WORDS)
def test_the_runners_command_keeps_its_words(value: str) -> None:
    command = app_process_command("/", "/a b/x.apk", "x86", [], [f"artifact=/{value}"])
    programs = 'app_process() { printf "%s\\0" "$CLASSPATH" "$LD_LIBRARY_PATH" "$@"; }\n'
    said = _sh(shlex.join([*command[:2], programs + command[2].replace("exec ", ""), *command[3:]]))
    wanted = ["/a b/x.apk", "/", "/", "org.cnnexport.bench.Main", f"artifact=/{value}"]
    assert said == b"".join(f"{word}\0".encode() for word in wanted)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("adb", Address()),
        ("adb:0A1B", Address(serial="0A1B")),
        ("adb:192.168.1.5:5555", Address(serial="192.168.1.5:5555")),
        ("adb:[fe80::1%25wlan0]:5555", Address(serial="[fe80::1%25wlan0]:5555")),
        ("adb:adb-1A-x._adb-tls-connect._tcp", Address(serial="adb-1A-x._adb-tls-connect._tcp")),
        ("adb:a b'c\"", Address(serial="a b'c\"")),
        ("adb:farm:5037/0A1B", Address(AdbServer("farm", 5037, remote=True), "0A1B")),
        ("adb:farm:5037/", Address(AdbServer("farm", 5037, remote=True))),
        ("adb:[::1]:99/h:5555", Address(AdbServer("::1", 99, remote=True), "h:5555")),
        ("adb:10.0.0.1:1/a/b c", Address(AdbServer("10.0.0.1", 1, remote=True), "a/b c")),
    ],
)
def test_addresses(name: str, address: Address) -> None:
    assert is_adb(name)
    assert parse_address(name) == address


@given(st.text(max_size=30))
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        address = parse_address(f"adb:{text}")
    except UsageError:
        return
    assert address.server is not None or address.serial == text


def test_a_server_is_named_as_it_is_written() -> None:
    assert [str(AdbServer("::1", 5037)), str(AdbServer("h", 1))] == ["[::1]:5037", "h:1"]


def test_a_listing_may_hold_odd_serials() -> None:
    text = (
        "0A1B\tdevice\na b'c\"$(id)\toffline\n\nx\ty\tno permissions (udev); see [url]\n\tdevice\n"
    )
    assert parse_listing(text) == [
        ("0A1B", "device"),
        ("a b'c\"$(id)", "offline"),
        ("x\ty", "no permissions (udev); see [url]"),
    ]


def test_choosing_a_phone() -> None:
    server = AdbServer()
    listing = [("a b", "device"), ("off", "offline")]
    assert chosen(listing, "a b", server) == "a b"
    assert chosen(listing[:1], None, server) == "a b"
    with pytest.raises(UsageError, match=r"a b, off \(offline\)"):
        chosen(listing, None, server)
    with pytest.raises(DeviceUnfit, match="off is offline"):
        chosen(listing, "off", server)
    with pytest.raises(DeviceUnfit, match=r"ab is not connected .there: a b, off.*'a b'\?"):
        chosen(listing, "ab", server)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", "accept"),
        ("no permissions (missing udev rules? user is in the plugdev group)", "udev rule"),
        ("device 'x' not found", "check the cable"),
        ("sideload", "adb reboot"),
        ("something \x1b[31mnew\x1b[0m", "adb says: something new"),
    ],
)
def test_a_phone_that_cannot_be_used_has_its_advice(reason: str, advice: str) -> None:
    error = unfit("s\x1b[2J1", reason)
    assert error.exit_code == 12
    assert str(error).isprintable()
    assert str(error).startswith("phone s1 ")
    assert advice in str(error)


@given(st.text(), st.integers(1, 50))
@example("\x1b]0;title\x07a\x9b31mb\x1b[1;31mc\x1b(Bd\x1bP x \x1b\\e", 50)
def test_cleaned_text_is_one_short_printable_line(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    assert clean(cleaned, limit) == cleaned


def test_cleaned_text_loses_commands_only() -> None:
    assert clean("\x1b]0;title\x07a\x9b31mb\x1b[1;31mc\x1b(Bd\x1bP x \x1b\\e\x08") == "abcde\\x08"
    assert clean(b"caf\xc3\xa9 \xff\n 1") == "café \ufffd 1"
    assert clean("x" * 300) == "x" * 199 + "…"


FACTS = """prop ro.product.manufacturer Paper
prop ro.product.model Paper 8 | Pro
prop ro.soc.manufacturer Chip
prop ro.soc.model C9
prop ro.board.platform c9
prop ro.product.cpu.abi arm64-v8a
prop ro.product.cpu.abilist arm64-v8a,armeabi-v7a
prop ro.build.version.sdk 34
prop ro.build.version.release 14
prop ro.build.fingerprint paper/p/8:14/X/1:user/keys
memory 7900000
kernel 6.1.0-android aarch64
cpu 0|280|1803000||schedutil
cpu 7|1024|2850000|1|performance
cpu 3|||0|
cpu 10|280|1803000|1|schedutil
"""


def test_facts() -> None:
    facts = parse_facts(FACTS)
    assert facts is not None
    assert (facts.model, facts.soc, facts.api_level) == ("Paper 8 | Pro", "Chip C9", 34)
    assert facts.abis == ("arm64-v8a", "armeabi-v7a")
    assert facts.memory_bytes == 7_900_000 * 1024
    assert facts.cpus == (0, 7, 10)
    assert facts.governor == "performance,schedutil"
    assert facts.kernel == "6.1.0-android aarch64"


@pytest.mark.parametrize(
    "missing", ["prop ro.build.version.sdk", "prop ro.product.cpu.abi", "cpu "]
)
def test_what_tells_too_little_is_no_phone(missing: str) -> None:
    assert (
        parse_facts("\n".join(x for x in FACTS.splitlines() if not x.startswith(missing))) is None
    )


def test_an_older_phone_names_its_board_and_a_single_abi() -> None:
    text = FACTS.replace("Chip\n", "\n").replace("C9\n", "\n")
    text = text.replace("arm64-v8a,armeabi-v7a", "")
    facts = parse_facts(text)
    assert facts is not None
    assert (facts.soc, facts.abis) == ("c9", ("arm64-v8a",))


@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from([*FACTS.splitlines(), "cpu", "x"])).map("\n".join)
)
def test_any_answer_is_read_or_not(text: str) -> None:
    facts = parse_facts(text)
    if facts is not None:
        assert facts.cores
        assert all(value.isprintable() for value in (facts.model, facts.release, facts.kernel))


def _cores(*ranks: tuple[int | None, int | None]) -> list[Core]:
    return [Core(number, *rank) for number, rank in enumerate(ranks)]


@pytest.mark.parametrize(
    ("cores", "groups"),
    [
        (_cores((280, 9), (280, 9), (760, 5), (1024, 7)), [(0, 1), (2,), (3,)]),
        (_cores((None, 3), (None, 2), (None, 3)), [(1,), (0, 2)]),
        (_cores((280, 3), (None, 2), (280, 3)), [(1,), (0, 2)]),
        (_cores((None, None), (None, 2)), [(0, 1)]),
    ],
    ids=["capacity", "clock", "capacity of some only", "nothing"],
)
def test_clusters_by_what_the_kernel_tells(cores: list[Core], groups: list[tuple[int]]) -> None:
    assert [tuple(core.number for core in group) for group in clusters(cores)] == groups


def test_a_core_that_is_off_is_in_no_cluster() -> None:
    cores = _cores((280, 1), (280, 1), (1024, 2), (1024, 2))
    cores[3] = dataclasses.replace(cores[3], online=False)
    assert cpus_of("big", cores) == (2,)
    assert cpus_of("little", cores) == (0, 1)
    with pytest.raises(UsageError, match="all of one kind"):
        cpus_of("big", cores[:2])


@given(st.sets(st.integers(0, 300), min_size=1))
def test_masks_and_spans_hold_exactly_the_cores(cpus: set[int]) -> None:
    assert {n for n in range(301) if int(mask(tuple(cpus)), 16) >> n & 1} == cpus
    assert numbers(spans(tuple(cpus))) == cpus


def test_spans() -> None:
    assert spans([6, 0, 1, 2, 3]) == "0-3,6"
    assert mask([4, 5, 6, 7]) == "f0"


def test_the_runners_options() -> None:
    job = Job("pair", (Path("a"), Path("b")), 2, 0.00001, (), {"spinning": "off"}, True, 7)
    assert options(job, [Placed("/a", "/pa"), Placed("/b", "/pb")]) == [
        "protocol=3",
        "kind=pair",
        "artifact=/a",
        "probe=/pa",
        "artifact.b=/b",
        "probe.b=/pb",
        "threads=2",
        "min_time_s=0.000010",
        "b_first=true",
        "block=7",
        "runtime_arg.spinning=off",
    ]


def _manifest(tmp_path: Path, **changes: Any) -> Any:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"m")
    return manifest_of(path, "onnx", **changes)


def test_a_probe_file_holds_the_manifests_probe(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    pairs = dict(line.split("=", 1) for line in probe_file(manifest, "onnxruntime").splitlines())
    expected = manifest.probe.outputs[0]
    assert next(iter(pairs)) == "protocol"
    assert pairs["sha256"] == manifest.artifact_sha256
    assert (pairs["runtime"], pairs["seed"], pairs["values"]) == ("onnxruntime", "77", "unit")
    assert float(pairs["tolerance"]) == 1e-5
    assert (pairs["input.0.shape"], pairs["input.0.layout"]) == ("1,2,3,5", "nchw")
    assert pairs["output.0.dtype"] == "float32"
    assert float(pairs["output.0.rms"]) == expected.rms
    assert [float(each) for each in pairs["output.0.values"].split(",")] == expected.values


def test_a_dynamic_batch_is_the_probes(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    inputs = [{"name": "x", "shape": [-1, 3, 5, 2], "dtype": "float32", "layout": "nhwc"}]
    probe = manifest.probe.model_dump() | {"batch": 4}
    text = probe_file(_manifest(tmp_path, inputs=inputs, probe=probe), "onnxruntime")
    assert "input.0.shape=4,3,5,2\ninput.0.dtype=float32\ninput.0.layout=nhwc\n" in text


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "x\nsha256=0"])
def test_a_name_that_would_break_a_line_is_refused(tmp_path: Path, name: str) -> None:
    inputs = [{"name": name, "shape": [1], "dtype": "float32"}]
    with pytest.raises(InputRefused, match=r"input\.0\.name .*line break"):
        probe_file(_manifest(tmp_path, inputs=inputs), "onnxruntime")


def test_outputs_go_in_the_artifacts_order_and_have_to_match(tmp_path: Path) -> None:
    outputs = [{"name": n, "shape": [1], "dtype": d} for n, d in (("b", "int64"), ("a", "bool"))]
    probes = [{"name": n, "shape": [1], "values": [v], "rms": v} for n, v in (("a", 1), ("b", 2))]
    probe = _manifest(tmp_path).probe.model_dump()
    both = _manifest(tmp_path, outputs=outputs, probe=probe | {"outputs": probes})
    text = probe_file(both, "onnxruntime")
    assert "output.0.name=b\noutput.0.shape=1\noutput.0.dtype=int64\noutput.0.rms=2.0" in text
    assert "output.1.name=a\noutput.1.shape=1\noutput.1.dtype=bool\noutput.1.rms=1.0" in text
    one = _manifest(tmp_path, outputs=outputs, probe=probe | {"outputs": probes[:1]})
    with pytest.raises(InputRefused, match="export it again"):
        probe_file(one, "onnxruntime")
