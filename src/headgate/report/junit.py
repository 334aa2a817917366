"""A verdict as JUnit XML: one test case for each gate and cell."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Final

from headgate.decide.table import one_line
from headgate.decide.verdict import MetricRow, Verdict, Word
from headgate.report.rows import NamedRow, named_rows

_ELEMENTS: Final[dict[Word, str]] = {"fail": "failure", "inconclusive": "skipped", "invalid": "error"}
_COUNTS: Final = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def verdict_junit(verdict: Verdict, *, suite: str = "headgate") -> bytes:
    """Return the verdict as a JUnit report.

    Parameters
    ----------
    verdict : Verdict
        What was judged.
    suite : str
        Name of the suite, where it is known.

    Returns
    -------
    bytes
        UTF-8 XML. A blocking row that fails is a ``failure``, one that is inconclusive is ``skipped``, one that is
        invalid is an ``error``. A row that cannot fail the verdict (tiers ``warning`` and ``monitor``) is at most
        ``skipped``, so that a reader that counts failures comes to the verdict's own word. A verdict that is worse than
        its rows, or has none, has a test case of its own.

    Notes
    -----
    Names hold nothing that was measured, so that a reader can compare two reports. Untrusted text is one printable
    line; the writer escapes the rest.
    """
    group = ET.Element("testsuite", name=one_line(suite), timestamp=verdict.created)
    group.extend(_cases(verdict))
    totals = {"tests": str(len(group))}
    totals |= {name: str(len(group.findall(f"testcase/{element}"))) for name, element in _COUNTS.items()}
    group.attrib |= totals
    root = ET.Element("testsuites", {"name": "headgate", **totals})
    root.append(group)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _cases(verdict: Verdict) -> Iterable[ET.Element]:
    explained = {row.verdict for row in verdict.metrics if row.tier == "blocking"}
    if verdict.verdict not in explained:
        case = ET.Element("testcase", classname="headgate", name="verdict")
        _add(case, verdict.verdict, one_line(verdict.reason, limit=400))
        yield case
    yield from map(_case, named_rows(verdict.metrics))


def _case(named: NamedRow) -> ET.Element:
    gate, cell, row = named
    case = ET.Element("testcase", classname=f"headgate.{row.tier}", name=f"{gate} [{cell}]" if cell else gate)
    if row.tier == "blocking":
        _add(case, row.verdict, _facts(row))
    elif row.verdict != "pass":
        _add(case, "inconclusive", f"{row.tier}, {row.verdict}: {_facts(row)}")
    return case


def _add(case: ET.Element, word: Word, said: str) -> None:
    if word in _ELEMENTS:
        # Some readers show the attribute, others the text.
        ET.SubElement(case, _ELEMENTS[word], message=said, type=word).text = said


def _facts(row: MetricRow) -> str:
    shown = [("baseline", row.baseline_mean), ("candidate", row.candidate_mean), ("estimate", row.estimate)]
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in shown if value is not None)
    limits = "" if row.low is None and row.high is None else f", limits {_limit(row.low)} to {_limit(row.high)}"
    items = f"{row.n_items} items"
    return f"{one_line(row.reason, limit=400)} ({', '.join(filter(None, [numbers + limits, items]))})"


def _limit(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
