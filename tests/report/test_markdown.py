from __future__ import annotations

import re

import msgspec
import pytest

import headgate as hg
from headgate.report.inert import markdown
from headgate.report.markdown import drift_markdown, looks_markdown, verdict_markdown
from made_verdicts import attacked

ATTACKS = [
    "```\n# heading",
    "::error::boom",
    "@org/team please",
    "<!-- headgate --> <b>x</b>",
    "${{ secrets.TOKEN }}",
    "\x1b[2J\x1b]0;title\x07",
    "| a | b |",
    "[click](https://evil.test) ![x](y)",
    "#123 www.evil.test",
    "\u202etxt.exe",
]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    suite = hg.Suite(
        name="sums",
        items=[{"q": f"{n} + 1", "target": n + 1} for n in range(60)],
        prompts={"old": "{{ q }}", "new": "Sum: {{ q }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        scorers=[{"name": "correct", "type": "numeric"}],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "correct", "margin": 0.2}, {"metric": "latency_s", "max_ratio": 2, "tier": "warning"}],
    )
    return hg.gate(hg.run(suite, out=tmp_path_factory.mktemp("run") / "run"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_untrusted_text_is_letters_and_references_only(attack):
    assert re.fullmatch(r"(?:[\w ]|&#\d+;)*", markdown(attack))


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_untrusted_acts_on_the_page(verdict, attack):
    rows = [msgspec.structs.replace(row, name=attack, cell={"model": attack}, reason=attack) for row in verdict.metrics]
    arm = msgspec.structs.replace(verdict.errors.candidate, kinds={attack: 1})
    errors = msgspec.structs.replace(verdict.errors, candidate=arm)
    page = verdict_markdown(msgspec.structs.replace(verdict, metrics=rows, errors=errors, reason=attack))
    assert attack not in page
    for sign in ("```", "<", "@", "${{", "\x1b", "](", "\u202e", "::"):
        assert sign not in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [11] * (2 + len(rows))


def test_the_page_names_the_verdict_the_rows_and_the_jobs(verdict):
    page = verdict_markdown(verdict)
    assert page.startswith(f"## ✅ headgate: {verdict.verdict}")
    assert "(warning)" in page
    assert "- candidate: 60 jobs, 60 ok, 0 refused, 0 errored, 0 not run, 0 unscored" in page
    assert "- baseline: 60 jobs" in page


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_untrusted_acts_on_a_terminal(verdict, attack):
    rows = [msgspec.structs.replace(row, name=attack, cell={"model": attack}, reason=attack) for row in verdict.metrics]
    shown = str(msgspec.structs.replace(verdict, metrics=rows, reason=attack))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.count("\n") < 20


def test_looks_and_drift_are_told_where_there_are_any(verdict):
    assert (looks_markdown(verdict), drift_markdown(verdict)) == ("", "")
    told = attacked(verdict, "x")
    assert looks_markdown(told).splitlines()[-1] == "| 1 | 9 | 1 | x | x | fail | -1 … 1 |"
    assert drift_markdown(told).splitlines()[-1] == "- x on x, 9 items: 0.5 → 0.4 (-0.2 … 0), has drifted"


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_untrusted_acts_in_looks_and_drift(verdict, attack):
    told = attacked(verdict, attack)
    table = [line for line in looks_markdown(told).splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [8] * 3
    for page in (looks_markdown(told), drift_markdown(told)):
        assert not {"`", "<", "@", "\x1b", "\u202e"} & set(page)
        assert "](" not in page
