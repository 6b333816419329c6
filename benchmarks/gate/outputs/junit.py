"""The gate as JUnit XML: one test case per bound.

A missed bound is a failure, an undecided one an error, as nothing was shown either way; what was
left unjudged is skipped. Judging takes no time, and readers stumble over cases without one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from cnn_export.benchmarks.gate.judge import Judgement, Verdict
from cnn_export.benchmarks.gate.outputs.wording import limit_text, measured_text, remark
from cnn_export.command_line.terminal import printable

_SUITE = "cnn-bench gate"
_ELEMENTS = {"missed": "failure", "undecided": "error"}


def as_junit(verdict: Verdict) -> str:
    """Return the document, with its final newline."""
    counts = {
        "tests": str(len(verdict.judgements) + len(verdict.unmatched)),
        "failures": str(verdict.count("missed")),
        "errors": str(verdict.count("undecided")),
        "skipped": str(len(verdict.unmatched)),
    }
    root = ElementTree.Element("testsuites", {"name": _SUITE, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE, **counts})
    for judgement in verdict.judgements:
        _add_case(suite, judgement)
    for number, words in enumerate(verdict.unmatched, start=1):
        case = _case(suite, "not judged", str(number))
        ElementTree.SubElement(case, "skipped", {"message": printable(words)})
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_case(suite: ElementTree.Element, judgement: Judgement) -> None:
    # XML has no spelling at all for control characters, which a file name may hold.
    case = _case(suite, printable(judgement.candidate.label), judgement.bound)
    measured = f"{measured_text(judgement)}, limit {limit_text(judgement)}"
    message = "; ".join(filter(None, (measured, printable(remark(judgement)))))
    if element := _ELEMENTS.get(judgement.status):
        attributes = {"type": judgement.status, "message": message}
        ElementTree.SubElement(case, element, attributes)
    else:
        ElementTree.SubElement(case, "system-out").text = message


def _case(suite: ElementTree.Element, classname: str, name: str) -> ElementTree.Element:
    attributes = {"classname": classname, "name": name, "time": "0"}
    return ElementTree.SubElement(suite, "testcase", attributes)
