"""The page: valid, self-contained, escaped, and complete."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import report_records as made
from click.testing import CliRunner

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.commands.report import command
from cnn_export.benchmarks.report.judging import BudgetRow
from cnn_export.benchmarks.report.page import Inputs, render
from cnn_export.benchmarks.report.writing import Sources, page_of, write_page
from cnn_export.benchmarks.results.record_types import Level, Opinion, Traffic
from cnn_export.errors import DestinationError, InputRefused

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Structure(HTMLParser):
    """Checks nesting; keeps tags, attributes and the text of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data


@pytest.fixture
def html() -> str:
    rows = (BudgetRow("fast.tflite", "latency_ms", "3 ms", "2.1 ms", "met"),)
    return render(Inputs(made.shown(made.records()), "r.jsonl", budgets=rows))


def test_every_tag_is_closed_and_every_drawing_parses(html: str) -> None:
    found = Structure(html)
    drawings = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert len(drawings) == found.tags.count("svg") == 1 + 4 + 1 + 2, (
        "ratios, distributions of two artifacts and of both sides, timeline, scatters"
    )
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314  (our own page)


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    found = Structure(html)
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in ("src", "href", "srcset")]
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_phones_and_dark_screens_are_served(html: str) -> None:
    metas = dict(re.findall(r'<meta name="([\w-]+)" content="([^"]+)"', html))
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"
    assert "@media (prefers-color-scheme: dark)" in html


def test_dark_defines_every_colour_that_light_does(html: str) -> None:
    light, dark = (set(re.findall(r"(--[\w]+):", block)) for block in _palettes(html))
    assert light == dark
    assert set(re.findall(r"var\((--\w+)\)", html)) <= light | {"--c"}


def _palettes(html: str) -> list[str]:
    return re.findall(r":root \{(.*?)\}", html, re.DOTALL)


def test_the_table_states_units_intervals_and_true_confidence(html: str) -> None:
    cells = Structure(html).cells
    # Six process medians 2.00, 2.02 … 2.10 ms: their range has 1 − 2·(1/2)^6 = 96.9 %.
    assert "2.05 ms" in cells
    assert "2.00 to 2.10 ms (96.9 %)" in cells
    assert "61.0 MB" in cells
    assert "301 M MACs" in cells
    assert "27.0 MB" in cells
    fast = cells[cells.index("fast.tflite", 3) :]
    assert fast[6:9] == ["6", "30", "6"], "processes, inferences, outliers"
    assert fast[9] == "ai-edge-litert 2.3.0, 1 thread"


def test_the_run_and_the_budget_are_there(html: str) -> None:
    assert "seed 3" in html
    assert "Test CPU" in html
    assert '<td class="met" data-heading="result">met</td>' in html


def test_headings_of_numbers_stand_above_the_numbers(html: str) -> None:
    assert '<th scope="col" class="n">median</th>' in html
    assert '<th scope="col">artifact</th>' in html
    # On a phone a cell stands alone, with its heading beside it.
    assert html.count("<td") == html.count("data-heading=")


def test_tables_and_wide_charts_can_be_reached_by_keyboard(html: str) -> None:
    scrolling = re.findall(
        r'<div class="scroll" tabindex="0" role="region" aria-label="([^"]+)"', html
    )
    assert scrolling == [
        *("Budgets: table", "Latency: table", "Artifacts: table", "Comparison: table"),
        f"Run {made.RUN_ID}: chart",
    ]


def test_colours_are_explained_beside_the_charts(html: str) -> None:
    # The timeline and both scatters.
    for colour, text in ((1, "1 fast.tflite, 1 thread"), (2, "2 slow.tflite, 1 thread")):
        assert html.count(f'<li class="key s{colour}">{text}</li>') == 3


def test_control_characters_are_written_out() -> None:
    html = render(
        Inputs(made.shown(made.records(fast_name="a\x1b[2J\u202eb.tflite")), "r\x00.jsonl")
    )
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", html)
    assert "a\\x1b[2J\\u202eb.tflite" in Structure(html).cells


def test_names_are_escaped_everywhere() -> None:
    evil = "<script>alert(1)</script>\"&'.tflite"
    html = render(Inputs(made.shown(made.records(fast_name=evil)), f"{evil}.jsonl"))
    found = Structure(html)
    assert "script" not in found.tags
    assert evil in found.cells


def test_bad_and_repeated_lines_are_counted_on_the_page(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    lines = path.read_text().splitlines()
    repeated = next(line for line in lines if '"repeat"' in line[:24])
    with path.open("a", encoding="utf-8") as opened:
        opened.write(f'{repeated}\nhello\n{{"cnn_bench": "repeat", "run_id"')
    html = page_of(Sources(path))
    assert "Left out, as no records: 2 lines" in html
    assert f"line {len(lines) + 2}:" in html
    assert "as they do not count: 1 lines of the results (run 00112233445566aa has two" in html
    assert "35 inferences" not in html
    assert "30 inferences" in html


def test_figures_of_other_tools_are_neither_samples_nor_repeats(tmp_path: Path) -> None:
    lines = made.records()
    plain = page_of(Sources(made.write(tmp_path / "r.jsonl", lines)))
    of_file = {"run_id": made.RUN_ID, "artifact": made.FAST, "threads": 1}
    binary = {"tool_sha256": "d" * 64, "count": 50, "average_ns": 1e6}
    lines += [Opinion(**of_file, **binary, tool=tool) for tool in ("one", "other")]
    lines += [Traffic(**of_file, reason="no counters")]
    html = page_of(Sources(made.write(tmp_path / "r.jsonl", lines)))
    own = re.sub(
        r"<section>\n<h2>(Cross-check|Memory traffic)</h2>.*?</section>\n", "", html, flags=re.S
    )
    assert html != own == plain


def test_figures_of_other_tools_stand_beside_ours(tmp_path: Path) -> None:
    """Our median is 2.05 ms; the tool's name comes from outside."""
    of_file = {"run_id": made.RUN_ID, "artifact": made.FAST, "threads": 1}
    told = {"tool_sha256": "d" * 64, "count": 50, "average_ns": 9e6, "median_ns": 4.1e6}
    level = Level(level="l3", event="raw", per_inference=1e6, bytes_per_event=64)
    looks = [
        Opinion(**of_file, **told, tool="<b>other"),
        Traffic(**of_file, inferences=200, levels=[level]),
        Traffic(**of_file | {"artifact": made.SLOW}, reason="no counters"),
    ]
    html = page_of(Sources(made.write(tmp_path / "r.jsonl", [*made.records(), *looks])))
    cells = Structure(html).cells
    for text in ("4.10 ms", "+100.0 %", "64.0 MB", "not counted: no counters", "<b>other"):
        assert any(text in cell for cell in cells), text
    assert "<b>other" not in html
    path = made.write(tmp_path / "r.jsonl", made.records())
    stray = looks[0].model_copy(update={"artifact": "e" * 64})
    path.write_text(path.read_text() + stray.to_line())
    assert "a measurement is of artifact eeeeeeeeeeee…, which no" in page_of(Sources(path))


def test_pairs_alone_make_a_page_too(tmp_path: Path) -> None:
    lines = [line for line in made.records() if line.cnn_bench not in ("repeat", "memory")]
    html = page_of(Sources(made.write(tmp_path / "r.jsonl", lines)))
    assert "slow.tflite / fast.tflite: slower" in html
    assert "<h2>Latency</h2>" not in html
    assert html.count("<svg ") == 1 + 2
    assert "<h3>1 · fast.tflite, 1 thread, interleaved with slow.tflite</h3>" in html
    assert html.count("70 inferences in 10 processes, a row each") == 2


def test_command_writes_beside_the_results_and_says_so(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    done = CliRunner().invoke(command, [str(path), "--json"])
    assert done.exit_code == 0, done.output
    page = tmp_path / "r.html"
    assert f'"bytes": {page.stat().st_size}' in done.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


def test_the_page_never_replaces_what_it_shows(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    before = path.read_bytes()
    assert main(["report", str(path), "-o", str(path)]) == 2
    page = made.write(tmp_path / "results.html", made.records())
    assert main(["report", str(page)]) == 2
    assert path.read_bytes() == page.read_bytes() == before


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    assert page_of(Sources(path)) == page_of(Sources(path))


@pytest.mark.parametrize("content", ["", "not a line of ours\n"])
def test_a_file_without_measurements_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputRefused, match="no measurement"):
        page_of(Sources(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"none\.jsonl does not exist"):
        page_of(Sources(tmp_path / "none.jsonl"))


def test_a_missing_folder_for_the_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="change -o"):
        write_page(tmp_path / "none" / "r.html", "<p>")


def test_budgets_are_judged_on_the_page(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    budgets = tmp_path / "budgets.toml"
    budgets.write_text(
        """[[budget]]
        model = "net"
        latency_ms = 3.0
        file_bytes = 1_234_000
        [[budget]]
        model = "other*"
        macs = 5
        """,
        encoding="utf-8",
    )
    html = page_of(Sources(path, budgets=budgets))
    # fast takes 2.1 ms at most, slow 5 ms at least; both files have exactly what is allowed.
    assert html.count(">met</td>") == 3
    assert html.count(">missed</td>") == 1
    assert "1,234,000 bytes" in html
    assert "Not judged: budget 2 (model other*) selects no result (there are model: " in html


def test_a_regression_is_judged_as_by_the_gate(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r.jsonl", made.records())
    budgets = tmp_path / "budgets.toml"
    budgets.write_text("[[budget]]\nregression_percent = 3\n", encoding="utf-8")
    # The second took 2.5 times as long in every process.
    assert ">150 to 150 %</td>" in page_of(Sources(path, budgets=budgets))
    lines = made.records()
    lines[2] = made.artifact(made.SLOW, "slow.tflite", precision="int8")
    html = page_of(Sources(made.write(path, lines), budgets=budgets))
    assert "150 to 150 %" not in html
    assert (
        "Not judged: slow.tflite was interleaved with fast.tflite, which is no version of it"
        in html
    )
