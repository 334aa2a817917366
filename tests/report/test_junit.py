"""The JUnit report, read back by junitparser and by the strict XML parser of the standard library."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from junitparser import Error, Failure, JUnitXml, Skipped

from hand_made_verdicts import hostile, hostile_verdict, make_row, make_verdict
from headgate.report.junit import verdict_junit

RESULTS = {"pass": [], "fail": [Failure], "inconclusive": [Skipped], "invalid": [Error]}


def read(verdict, **options):
    (suite,) = JUnitXml.fromstring(verdict_junit(verdict, **options))
    return suite, list(suite)


@pytest.mark.parametrize("word", RESULTS)
def test_a_blocking_row_is_a_case_with_the_result_of_its_word(word):
    suite, (case,) = read(make_verdict(make_row(word)), suite="support-bot")
    assert [type(result) for result in case.result] == RESULTS[word]
    assert (suite.name, suite.tests, case.classname) == ("support-bot", 1, "headgate.blocking")
    assert case.name == "correct margin 0.1 [model=small]"
    assert (suite.failures, suite.skipped, suite.errors) == tuple(
        int(word == other) for other in ("fail", "inconclusive", "invalid")
    )


def test_a_failure_says_estimate_and_limits():
    _, (case,) = read(make_verdict(make_row("fail", reason="it is worse")))
    said = "it is worse (baseline 0.9, candidate 0.8877, estimate -0.01235, limits -0.0456 to 0.0211, 60 items)"
    assert (case.result[0].message, case.result[0].text, case.result[0].type) == (said, said, "fail")


@pytest.mark.parametrize("tier", ["warning", "monitor"])
@pytest.mark.parametrize("word", ["fail", "inconclusive", "invalid"])
def test_a_row_that_cannot_fail_the_verdict_is_at_most_skipped(tier, word):
    suite, cases = read(make_verdict(make_row("pass"), make_row(word, tier=tier)))
    assert (suite.failures, suite.errors, suite.skipped) == (0, 0, 1)
    assert cases[1].result[0].message.startswith(f"{tier}, {word}: ")


def test_a_verdict_worse_than_its_rows_has_a_case_of_its_own():
    suite, cases = read(make_verdict(make_row("pass"), verdict="invalid", reason="too many errors"))
    assert [case.name for case in cases] == ["verdict", "correct margin 0.1 [model=small]"]
    assert (suite.errors, cases[0].result[0].message) == (1, "too many errors")


def test_a_verdict_without_rows_is_not_empty():
    suite, (case,) = read(make_verdict(verdict="invalid", reason="no verdict"))
    assert (suite.tests, suite.errors, case.name) == (1, 1, "verdict")


def test_limits_that_are_not_known():
    _, (case,) = read(make_verdict(make_row("fail", low=None, estimate=None)))
    assert "limits none to 0.0211" in case.result[0].text


def test_two_cases_never_share_a_name():
    _, cases = read(make_verdict(make_row(), make_row(), make_row()))
    assert len({(case.classname, case.name) for case in cases}) == 3


@given(hostile)
def test_untrusted_text_stays_text(text):
    verdict = hostile_verdict(text)
    root = ET.fromstring(verdict_junit(verdict, suite=text))
    assert [len(list(root.iter(name))) for name in ("testsuite", "testcase", "failure", "skipped")] == [1, 2, 1, 1]
    shown = [*root.itertext(), *(value for element in root.iter() for value in element.attrib.values())]
    assert all(character.isprintable() or character == "\n" for value in shown for character in value)
    assert len(verdict_junit(verdict, suite=text)) < 20_000
