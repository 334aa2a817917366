"""Verdicts made by hand, and text that tries to act."""

from __future__ import annotations

from hypothesis import strategies as st

from headgate.decide.verdict import EXIT_CODES, ArmErrors, ArmFacts, Errors, MetricRow, Verdict
from made_verdicts import ATTACKS

hostile = st.one_of(st.sampled_from(ATTACKS), st.text(st.characters(exclude_categories=["Cs"])))


def make_row(verdict="pass", **changes):
    fields = {
        "name": "correct", "tier": "blocking", "rule": "margin", "cell": {"model": "small"}, "against": "baseline",
        "margin": 0.1, "estimate": -0.012345678, "low": -0.0456, "high": 0.0211, "confidence": 0.95,
        "baseline_mean": 0.9, "candidate_mean": 0.887654321, "n_items": 60, "n_clusters": None, "n_jobs": 360,
        "method": "paired t", "p_value": 0.2, "needed_items": None, "needed_seeds": None, "mde": 0.05,
        "seed_share": None, "flags": [], "reason": "the difference is within the margin",
    }  # fmt: skip
    return MetricRow(verdict=verdict, **{**fields, **changes})


def make_verdict(*rows, verdict=None, **changes):
    counts = ArmErrors(planned=180, ok=178, refused=1, errored=1, not_run=0, unscored=0, kinds={"timeout": 1})
    arm = ArmFacts(
        run="runs/a", suite_digest="ab" * 16, plan_digest="cd" * 16, prompt_digests={"candidate": "ef" * 16},
        served_models=["small"], git=None,
    )  # fmt: skip
    order = ("invalid", "fail", "inconclusive", "pass")
    word = verdict or min((row.verdict for row in rows if row.tier == "blocking"), key=order.index)
    fields = {
        "reason": "as the rows say", "exit_code": EXIT_CODES[word], "created": "2026-11-26T11:07:18+00:00",
        "alpha": 0.05, "errors": Errors(candidate=counts, baseline=counts), "candidate": arm, "baseline": arm,
    }  # fmt: skip
    return Verdict(verdict=word, metrics=list(rows), **{**fields, **changes})


def hostile_verdict(text, word="fail"):
    """A verdict whose every text is this one."""
    rows = [
        make_row(word, name=text, cell={text: text}, reason=text, method=text, flags=[text]),
        make_row("fail", name=text, cell={"prompt": text}, reason=text, tier="warning"),
    ]
    arm = ArmFacts(
        run=text, suite_digest=text, plan_digest=text, prompt_digests={text: text}, served_models=[text], git=None
    )
    counts = ArmErrors(planned=1, ok=0, refused=0, errored=1, not_run=0, unscored=0, kinds={text: 1})
    errors = Errors(candidate=counts, baseline=counts)
    return make_verdict(*rows, reason=text, candidate=arm, baseline=arm, errors=errors)
