"""Made verdicts for the tests of what is told of them, and text that tries to act."""

from __future__ import annotations

import msgspec
import numpy as np

from headgate.decide.judge import decide
from headgate.decide.verdict import DriftRow, ItemRow, Look, LookRow, Verdict
from headgate.store.provenance import Git
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import SCORERS, arms, broken, gate

PROMPTS = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))

ATTACKS = [
    "```\n# heading",
    "::error::boom",
    "\n::error file=a.py::boom\n",
    "\r::add-mask::e\r",
    "x ##[set-env name=PATH]/evil",
    "headgate<<EOF\nverdict=pass\nEOF",
    "\nverdict=pass\n",
    "@org/team please",
    "<!-- headgate 0123456789abcdef --> <b>x</b>",
    "--><script>alert(1)</script><img src=x onerror=alert(1)>",
    "${{ secrets.TOKEN }}",
    "$(touch /tmp/owned) `id` ; rm -rf ~ # '\"",
    "\x1b[2J\x1b]0;title\x07",
    "| a | b |",
    "[click](https://evil.test) ![x](y) https://evil.test",
    "#123 www.evil.test GH-1 org/repo#1",
    "\u202etxt.exe\u2028\x85\x0b",
    "%0A::error::x %25",
    "a" * 100_000,
    "::add-mask::x",
    "<!-- headgate --> <b>x</b>",
    "$[[ inputs.suite ]] ${HOME} $(id) `id`",
    "section_start:1:x\r\x1b[0Kx",
    "[click](https://evil.test) ![x](y)",
    "#123 !5 ~label %milestone &7 $9 www.evil.test :smile: JIRA-12",
    "/merge\n/approve",
    "\u202etxt.exe",
    "]]></failure><testcase name='x'/>",
    "a\x00b\x0bc\x1fd\x7f\x85\ufffe\uffff\ud7ff\u2028e",
    'quote" back\\slash\nline',
]


def made_verdict(n: int = 60, *, worse: int = 0, errored: int = 0) -> Verdict:
    """Judge ``n`` items, of which the candidate fails some, and some have no answer."""
    run = broken(
        arms((np.arange(n) >= worse).astype(float), np.ones(n), git=Git(commit="c" * 40, branch=None, dirty=True)),
        [f"new/m/i{i:05d}/1" for i in range(errored)],
    )
    gates = [gate(margin=0.05), gate("cost_usd", max=1.0, tier="monitor"), gate(zero_tolerance=True, tier="warning")]
    return decide(run, None, gates=gates, scorers=SCORERS, compare=PROMPTS, policy=Policy())


VERDICTS = {
    "pass": made_verdict(),
    "fail": made_verdict(worse=20),
    "inconclusive": made_verdict(20),
    "invalid": made_verdict(errored=10),
}


def attacked(verdict: Verdict, text: str) -> Verdict:
    """Return the verdict with the text in every place that a stranger can write to."""
    replace = msgspec.structs.replace
    cell = {"model": text}
    look = LookRow(
        name=text, rule="margin", cell=cell, against="baseline", estimate=0.0, low=-1.0, high=1.0, confidence=0.9,
        verdict="fail",
    )  # fmt: skip
    drift = DriftRow(
        name=text,
        cell=cell,
        stored_mean=0.5,
        drawn_mean=0.4,
        low=-0.2,
        high=0.0,
        confidence=0.9,
        n_items=9,
        drifted=True,
    )
    item = ItemRow(name=text, cell=cell, item_id=text, baseline_mean=1.0, candidate_mean=0.0, p_value=0.01)
    counts = replace(verdict.errors.candidate, kinds={text: 1})
    arm = replace(
        verdict.candidate, run=text, prompt_digests={text: text}, served_models=[text], suite_digest=text,
        plan_digest=text, git=Git(commit=text, branch=text, dirty=True),
    )  # fmt: skip
    return replace(
        verdict,
        reason=text,
        created=text,
        metrics=[replace(row, name=text, cell=cell, reason=text, method=text, flags=[text]) for row in verdict.metrics],
        errors=replace(verdict.errors, candidate=counts, baseline=counts),
        candidate=arm,
        baseline=arm,
        items=[item],
        looks=[Look(look=1, n_items=9, seeds=1, fraction=0.5, rows=[look])],
        drift=[drift],
    )
