"""Every output of the gate against a file that a person has read.

After a wanted change: look at the ``.got`` file that a failure leaves in the temporary folder,
and copy it over the golden one.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import made_results as made
import pytest

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.gate.outputs.markdown import escaped
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.errors import OverBudget

GOLDEN = Path(__file__).parent / "golden_gate"
MEDIANS = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2, 10.3]
BUDGETS = """
[[budget]]
model = "net"
latency_ms = 12
latency_p90_ms = 13.5
macs = 999
regression_percent = 3
[[budget]]
file_bytes = 4000
load_ms = 6
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Results with a met, a missed and several undecided bounds, and one name full of traps."""
    trap = "a|<b>&\x1b[31m\u2028.onnx"
    new = [*made.opened(), *made.repeats_ms(MEDIANS), made.memory(123_456)]
    new += [
        made.artifact(trap, model="trap", target="onnx", partitions=None),
        *made.repeats_ms(
            [2.0, 2.5],
            artifact=made.sha256(trap),
            runtime="onnxruntime",
            threads=2,
            conditions=Conditions(flags=["clock_moved"]),
        ),
    ]
    base = [*made.opened(), *made.repeats_ms([0.98 * each for each in MEDIANS])]
    (tmp_path / "budgets.toml").write_text(BUDGETS)
    return {
        "new": made.save(tmp_path / "new.jsonl", new),
        "base": made.save(tmp_path / "base.jsonl", base),
        "budgets": tmp_path / "budgets.toml",
    }


def gate(files: dict[str, Path], *options: object) -> int:
    given = [files["new"], "--budgets", files["budgets"], "--baseline", files["base"], *options]
    return main(["gate", *map(str, given)])


def require_golden(name: str, text: str, folder: Path) -> None:
    got = folder / f"{name}.got"
    got.write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"see {got}"


def require_golden_json(name: str, text: str, folder: Path) -> None:
    """As :func:`require_golden`, but processors differ in the last digit of a logarithm."""
    got = folder / f"{name}.got"
    got.write_text(text, encoding="utf-8")
    golden = (GOLDEN / name).read_text(encoding="utf-8")
    assert leaves(json.loads(text)) == pytest.approx(leaves(json.loads(golden))), f"see {got}"


def leaves(document: object, path: str = "") -> dict[str, object]:
    """Every value of a JSON document by its path, with the order of keys."""
    if isinstance(document, dict):
        children = [(f"{path}/{n}:{key}", value) for n, (key, value) in enumerate(document.items())]
    elif isinstance(document, list):
        children = [(f"{path}/{n}", value) for n, value in enumerate(document)]
    else:
        return {path: document}
    found = [leaves(value, below) for below, value in children]
    return {path: len(children)} | {key: value for each in found for key, value in each.items()}


def test_text(files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert gate(files) == OverBudget.exit_code
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    require_golden("gate.txt", "\n".join(lines) + "\n", tmp_path)


def test_json(files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert gate(files, "--json") == OverBudget.exit_code
    text = capsys.readouterr().out
    assert json.loads(text)["counts"] == {"missed": 1, "undecided": 3, "met": 4}
    require_golden_json("gate.json", text, tmp_path)


def test_junit(files: dict[str, Path], tmp_path: Path):
    gate(files, "--junit", tmp_path / "gate.xml")
    text = (tmp_path / "gate.xml").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 (the test's own document)
    cases = root.findall("testsuite/testcase")
    assert len(cases) == int(root.attrib["tests"]) == 8
    assert len(root.findall("testsuite/testcase/failure")) == int(root.attrib["failures"]) == 1
    assert len(root.findall("testsuite/testcase/error")) == int(root.attrib["errors"]) == 3
    require_golden("gate.xml", text, tmp_path)


def test_what_is_not_proven_is_remarked_in_every_output(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made.save(files["new"], [made.run(), made.artifact(accepted=2e-3), *made.repeats_ms(MEDIANS)])
    options = ("--allow-unmatched", "--allow-missing", "--junit", tmp_path / "gate.xml")
    gate(files, *options, "--markdown", tmp_path / "gate.md", "--json")
    said = "not proven: an error of up to 0.002 of the RMS was accepted"
    remarks = [each["remark"] for each in json.loads(capsys.readouterr().out)["judgements"]]
    assert all(said in remark for remark in remarks)
    assert len(remarks) > 1
    for name in ("gate.xml", "gate.md"):
        assert said in (tmp_path / name).read_text(encoding="utf-8").replace("\\", ""), name


# The grammar of Jenkins' xunit plugin (junit-10.xsd), which is also what pytest writes:
# element → (required attributes, others, children in their order).
GRAMMAR = {
    "testsuites": ((), ("name", "time", "tests", "failures", "errors", "skipped"), ("testsuite",)),
    "testsuite": (
        ("name", "tests"),
        ("failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"),
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": (
        ("name", "classname"),
        ("time", "file", "line"),
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    **dict.fromkeys(("skipped", "error", "failure"), ((), ("type", "message"), ())),
    "system-out": ((), (), ()),
}


def require_grammar(element: ElementTree.Element) -> None:
    required, others, children = GRAMMAR[element.tag]
    assert set(required) <= set(element.attrib) <= {*required, *others}, element.tag
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places), element.tag
    for child in element:
        require_grammar(child)


def test_junit_is_what_readers_of_it_expect(files: dict[str, Path], tmp_path: Path):
    files["budgets"].write_text(BUDGETS + '[[budget]]\nmodel = "a<b>\\u001b"\nmacs = 3\n')
    assert gate(files, "--allow-unmatched", "--junit", tmp_path / "gate.xml") == 10
    root = ElementTree.fromstring((tmp_path / "gate.xml").read_bytes())  # noqa: S314
    require_grammar(root)
    for counted in (root, root[0]):
        assert [counted.attrib[k] for k in ("tests", "failures", "errors", "skipped")] == [
            *("9", "1", "3", "1")
        ]
    assert len({(case.attrib["classname"], case.attrib["name"]) for case in root[0]}) == 9
    (skipped,) = root.iter("skipped")
    assert skipped.attrib["message"] == (
        "budget 3 (model a<b>\\x1b) selects no result (there are model: net, trap)"
    )


def test_markdown_is_added_to_a_summary(files: dict[str, Path], tmp_path: Path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    gate(files, "--markdown", path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    require_golden("gate.md", text.removeprefix("before\n"), tmp_path)


def test_bencher_metric_format(files: dict[str, Path], tmp_path: Path):
    gate(files, "--bmf", tmp_path / "bmf.json")
    text = (tmp_path / "bmf.json").read_text(encoding="utf-8")
    for measures in json.loads(text).values():
        for metric in measures.values():
            assert set(metric) <= {"value", "lower_value", "upper_value"}
            low, high = (metric.get(f"{end}_value", metric["value"]) for end in ("lower", "upper"))
            assert low <= metric["value"] <= high
    require_golden_json("bmf.json", text, tmp_path)


def test_two_results_of_one_name_are_not_made_one(tmp_path: Path):
    rebuilt = made.artifact(sha256=made.sha256("rebuilt"))
    records = [*made.opened(), rebuilt, *made.repeats_ms(MEDIANS)]
    records += made.repeats_ms(MEDIANS, artifact=rebuilt.sha256)
    (tmp_path / "budgets.toml").write_text("[[budget]]\nmacs = 1000")
    arguments = [made.save(tmp_path / "r.jsonl", records), "--budgets", tmp_path / "budgets.toml"]
    assert main(["gate", *map(str, arguments)]) == 0
    assert main(["gate", *map(str, arguments), "--bmf", str(tmp_path / "bmf.json")]) == 4
    assert not (tmp_path / "bmf.json").exists()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script&gt;"),
        ("[x](y)\n# z", r"\[x\]\(y\) \# z"),
        ("`@user`", r"\`\@user\`"),
    ],
)
def test_a_name_means_nothing_to_markdown(text: str, safe: str):
    assert escaped(text) == safe
