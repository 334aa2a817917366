from __future__ import annotations

import json

from hypothesis import given

from hand_made_verdicts import hostile, hostile_verdict, make_row, make_verdict
from headgate.report.codequality import Place, verdict_codequality

REQUIRED = {"description", "check_name", "fingerprint", "severity", "location"}
SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


def issues(verdict, place=lambda row: Place("prompts/candidate.txt", 3), **options):
    return json.loads(verdict_codequality(verdict, place=place, **options))


def test_a_row_that_fails_stands_on_the_line_of_its_prompt():
    (issue,) = issues(make_verdict(make_row("fail", reason="it is worse"), make_row("pass", name="brief")))
    assert set(issue) == REQUIRED
    assert issue["location"] == {"path": "prompts/candidate.txt", "lines": {"begin": 3}}
    assert issue["description"] == "correct margin 0.1 [model=small]: it is worse"
    assert issue["severity"] == "critical"


def test_a_fingerprint_is_the_same_whatever_was_measured():
    first = issues(make_verdict(make_row("fail")), suite="a")
    again = issues(make_verdict(make_row("fail", estimate=-0.2, reason="else", n_items=9)), suite="a")
    others = [
        issues(make_verdict(make_row("fail", name="brief")), suite="a"),
        issues(make_verdict(make_row("fail", cell={"model": "b"})), suite="a"),
        issues(make_verdict(make_row("fail")), suite="b"),
    ]
    assert first[0]["fingerprint"] == again[0]["fingerprint"]
    assert len({found[0]["fingerprint"] for found in [first, *others]}) == 4


def test_a_warning_is_minor_and_a_monitor_row_is_none():
    rows = [make_row("pass"), make_row("fail", tier="warning"), make_row("fail", tier="monitor", name="slice")]
    assert [issue["severity"] for issue in issues(make_verdict(*rows))] == ["minor"]


def test_without_a_place_or_a_failure_the_report_is_an_empty_array():
    assert issues(make_verdict(make_row("fail")), place=lambda row: None) == []
    assert issues(make_verdict(make_row("inconclusive"))) == []


@given(hostile)
def test_untrusted_text_is_one_short_line(text):
    found = issues(hostile_verdict(text), suite=text)
    assert len({issue["fingerprint"] for issue in found}) == len(found) == 2
    for issue in found:
        assert issue["severity"] in SEVERITIES
        assert issue["description"].isprintable()
        assert len(issue["description"]) <= 500
