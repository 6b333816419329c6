"""The page in a real browser: light and dark, on a desktop and on a phone."""

from __future__ import annotations

from pathlib import Path

import browser
import pytest
import report_records as made

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.profiles.document import OpTime, Profile, Roofline
from cnn_export.benchmarks.report.judging import BudgetRow
from cnn_export.benchmarks.report.page import Inputs, render

DESKTOP, PHONE = 1280, 390
HOSTILE = (
    "<img src=x onerror=ran=1><script>window.ran=parent.ran=1</script>\x1b[31m\u202egnp.tflite"
)
LONG = "WWWMMM_Convolution (NHWC, F32) IGEMM with a long name"


def profile() -> Profile:
    ops = [
        OpTime(
            name=f"{LONG} #{index}" if index % 2 else HOSTILE,
            kind="CONV_2D",
            covers=[],
            median_ns=1_000_000.0 / (index + 1),
            share=0.25 / (index + 1),
            macs=10_000_000 >> index % 7,
            mac_bytes=500_000 << index % 5,
        )
        for index in range(30)
    ]
    return Profile(
        artifact=HOSTILE,
        artifact_sha256="a" * 64,
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        threads=1,
        inferences=10,
        sum_ns=3e6,
        ops=ops,
        untimed=[],
        notes=[HOSTILE],
        roofline=Roofline(mac_per_s=1e11, bytes_per_s=2e10, kernel="product; triad"),
    )


def cost() -> ArtifactCost:
    ops = [
        OpCost(f"{LONG}_{n}", "CONV", "contraction", 10**6 + n, 4000, 4000, 4000, 2000, "float32")
        for n in range(30)
    ]
    return ArtifactCost(HOSTILE, "tflite", 1, ops, 4000, 9000, None)


@pytest.fixture(scope="module")
def page() -> str:
    """Every section, with names that want to be more than text."""
    row = BudgetRow(f"{HOSTILE} (fp32, host)", "latency_ms", "3 ms", "2.1 to 2.2 ms", "met")
    inputs = Inputs(
        made.shown(made.records(fast_name=HOSTILE, processes=12)),
        HOSTILE,
        notes=(HOSTILE,),
        budgets=(row,),
        profiles=(profile(),),
        costs=(cost(),),
    )
    return render(inputs)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_readable(page: str, width: int, dark: bool, tmp_path: Path) -> None:
    found = browser.looked_at(page, tmp_path, width=width, dark=dark)
    assert (found["width"], found["dark"]) == (width, dark)
    # Ratios, two distributions and two of turns, the timeline, two scatters, bars and roofline,
    # two of cost.
    assert found["drawings"] == 1 + 4 + 1 + 2 + 2 + 2
    assert found["overflow"] == 0, f"the page scrolls sideways: {found['wide']}"
    assert found["clipped"] == []
    assert found["covered"] == []
    assert found["faint"] == [], "contrast below WCAG's 4.5"
    assert found["cut"] == [], "what scrolls must take the keyboard's focus"
    assert found["smallest"] > 9, "letters of less than 7 CSS pixels"
    assert found["table_overflow"] == 0, "a table needs scrolling"
    assert found["loaded"] == []


def test_names_run_nothing(page: str, tmp_path: Path) -> None:
    found = browser.looked_at(page, tmp_path, width=DESKTOP, dark=False)
    assert not found["ran"]
    assert found["outer"] == "untouched"
    assert found["title"].startswith("<img src=x")
    assert "\\x1b[31m\\u202e" in found["title"]


def test_the_browser_would_tell(tmp_path: Path) -> None:
    """The measurements can fail: a page with every fault they look for."""
    bad = (
        '<!doctype html><body style="margin:0;background:#fff"><p style="color:#999">faint</p>'
        '<div style="width:2000px">wide</div><script>parent.ran = 1</script>'
        '<svg viewBox="0 0 100 20" width="100"><text x="60" y="15">clipped text</text>'
        '<text x="62" y="15">over</text></svg>'
        '<div class="scroll" style="overflow-x:auto"><table><tr><td style="min-width:1500px">x'
    )
    found = browser.looked_at(bad, tmp_path, width=PHONE, dark=False)
    assert found["ran"]
    assert found["overflow"] > 0
    assert found["clipped"] == ["clipped text"]
    assert found["covered"] == [["clipped text", "over"]]
    assert [text for text, _ in found["faint"]] == ["faint"]
    assert len(found["cut"]) == 1
    assert found["table_overflow"] > 0
