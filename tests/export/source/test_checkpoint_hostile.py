"""A kilobyte is refused in seconds, in one line, and in bounded memory, whatever it describes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command_checks import REFUSED, one_line
from hostile_checkpoints import CHECKPOINTS, EXPRESSIONS, exported, replaced, with_expression

from cnn_export.errors import CheckpointError
from cnn_export.source import load_model
from cnn_export.source.files.formats import sniff
from cnn_export.source.files.reading import describe
from cnn_export.untrusted.snapshot import taken
from cnn_export.untrusted.tensor_files.programs.expressions import is_arithmetic

READER_CPU_S = 12


def _refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 1500
    return message


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_refused_within_bounds(kind: str, tmp_path: Path) -> None:
    path = CHECKPOINTS[kind](tmp_path / "net.pt")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _refusal(path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < READER_CPU_S


def test_what_repeats_its_bytes_is_named(tmp_path: Path) -> None:
    message = _refusal(CHECKPOINTS["repeated_number"](tmp_path / "net.pt"))
    assert "w of shape [1750000000]" in message


def test_what_holds_itself_is_cut_there(tmp_path: Path) -> None:
    """The weights beside it are still found."""
    path = CHECKPOINTS["mapping_within_itself"](tmp_path / "net.pt")
    with taken(path) as snapshot:
        tree = describe(snapshot, sniff(snapshot))["tree"]
    assert "itself" in str(tree)
    assert len(str(tree)) < 1000


@pytest.mark.parametrize("kind", ["repeated_number", "codec_chain"])
def test_the_command_as_a_whole(kind: str, tmp_path: Path, out: Path) -> None:
    """Exit 4, one line, and not much more memory than torch takes to be imported."""
    path = CHECKPOINTS[kind](tmp_path / "net.pt")
    program = (
        "import resource, sys; from cnn_export.__main__ import main; code = main(sys.argv[1:]);"
        "print(max(resource.getrusage(each).ru_maxrss for each in"
        " (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), "-t", "onnx", "-o", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == REFUSED, done.stderr
    one_line(done.stderr)
    assert int(done.stdout) * 1024 < 2500 * 2**20  # importing torch and its friends: 1300


@pytest.mark.parametrize("text", EXPRESSIONS, ids=lambda text: text[:20])
def test_expressions_that_never_end(text: str) -> None:
    assert not is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "s0**2",
        "Pow(Symbol('s77', positive=True, integer=True), Integer(2))",
        "Pow(s0, Integer(-1))",
        "FloorDiv(Add(Mul(Integer(-1), Symbol('s1', integer=True)), Integer(8)), Integer(2))",
        "((s27 - 1)//2 + 1)*((s77 - 1)//2 + 1)",
        "Float('0.5')",
        "Max(1, Min(s0, 64))",
    ],
)
def test_expressions_of_real_programs(text: str) -> None:
    assert is_arithmetic(text)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("program") / "net.pt2")


@pytest.mark.parametrize(
    "expression", ["9**9**9**9", "Symbol('a'*10**9)", "Rational(1,3)**(10**9)", "Pow(9, 10**10)"]
)
def test_an_exported_program_that_never_ends(
    expression: str, program: Path, tmp_path: Path
) -> None:
    path = with_expression(program, tmp_path / "net.pt2", expression)
    assert "expr_str" in _refusal(path)


def test_a_small_expression_still_loads(program: Path, tmp_path: Path) -> None:
    """The edit itself is no reason to refuse."""
    path = with_expression(
        program, tmp_path / "net.pt2", "Symbol('s77', positive=True, integer=True)"
    )
    assert load_model(path).name == "pt2"


@pytest.mark.parametrize(
    ("ending", "change", "said"),
    [
        ("weights/weight_0", lambda _: b"", "a tensor of shape [4, 3, 3, 3]"),
        ("weights/weight_0", lambda c: c[:-4], "that needs 108 elements of 107"),
        ("weights/weight_0", lambda c: c[:-1], "431 bytes"),
        ("weights_config.json", lambda c: c.replace(b'"weight_1"', b'"weight_99"'), "is missing"),
        (
            "weights_config.json",
            lambda c: c.replace(b'"dtype": 7', b'"dtype": 8', 1),
            "elements of",
        ),
        ("weights_config.json", lambda c: c.replace(b'"as_int": 3', b'"as_int": 3e99', 1), "shape"),
        ("weights_config.json", lambda c: b"[" * 10**6, "damaged"),
        ("models/model.json", lambda c: c[:-9], "damaged"),
    ],
)
def test_records_that_do_not_fit(
    ending: str, change: object, said: str, program: Path, tmp_path: Path
) -> None:
    assert callable(change)
    assert said in _refusal(replaced(program, tmp_path / "net.pt2", ending, change))


def test_a_flipped_bit_of_a_weight(program: Path, tmp_path: Path) -> None:
    content = bytearray(program.read_bytes())
    content[content.index(b"weights/weight_0") + 200] ^= 1
    (tmp_path / "net.pt2").write_bytes(content)
    assert "weight_0 has other bytes than were saved" in _refusal(tmp_path / "net.pt2")
