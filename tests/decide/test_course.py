"""Gates judged look by look on made runs: both promises hold over all looks, and what is settled stays."""

from __future__ import annotations

import numpy as np
import pytest

import simulated
from headgate.decide.course import Course, Declared
from headgate.decide.looks import plan_looks
from headgate.suite.model import Arm, Compare, Policy
from made_runs import SCORERS, arms, gate

PAIR = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
MARGIN = 0.05


def course(n, *gates, **policy):
    declared = Declared(gates=gates, scorers=SCORERS, compare=PAIR, policy=Policy(**policy))
    plan = plan_looks(n, key="plan", alpha=declared.policy.alpha / max(len(gates), 1))
    return Course(declared, plan)


def watch(one, candidate, baseline):
    """Look until it is over; return the verdict."""
    for size in one.plan.sizes:
        items = np.sort(one.plan.order[:size])
        run = arms(candidate[items], baseline[items])
        one.look(run, None)
        if one.over:
            break
    return one.verdict(run, None)


def outcomes(rng, *, runs, n, p, drop, gates):
    words, used = [], []
    for _ in range(runs):
        c, b = simulated.pair(rng, n=n, p=p, seeds=1, drop=drop)
        verdict = watch(course(n, *gates), c, b)
        words.append(verdict.verdict)
        used.append(verdict.looks[-1].n_items / n)
    return {word: words.count(word) / runs for word in ("pass", "fail", "inconclusive")}, float(np.mean(used))


@pytest.mark.parametrize("runs", [60, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("rows", [1, 3])
def test_both_promises_hold_over_all_looks(runs, rows):
    """Rows share alpha: with three of them, a false block of any must be as rare as with one."""
    rng = np.random.default_rng(runs + rows)
    slack = 3 * (0.05 * 0.95 / runs) ** 0.5
    gates = [gate(margin=MARGIN), gate(margin=0.06), gate(margin=0.07)][:rows]
    same, _ = outcomes(rng, runs=runs, n=400, p=0.85, drop=0.0, gates=gates)
    worse, _ = outcomes(rng, runs=runs, n=400, p=0.85, drop=MARGIN, gates=gates)
    assert same["fail"] <= 0.05 + slack
    assert worse["pass"] <= 0.05 + slack
    assert same["pass"] > 0.4


def test_a_drop_of_ten_points_takes_half_of_the_items():
    shares, used = outcomes(np.random.default_rng(3), runs=60, n=400, p=0.7, drop=0.10, gates=[gate(margin=MARGIN)])
    assert shares["fail"] >= 0.9
    assert used <= 0.62 + 0.06


def test_what_is_settled_stays_and_what_is_open_goes_on():
    n = 400
    one = course(n, gate(margin=0.3), gate(margin=0.02))
    candidate, baseline = np.ones(n), np.ones(n)
    first = one.look(arms(candidate[:80], baseline[:80]), None)
    assert [row.verdict for row in first.rows] == ["pass", "inconclusive"]
    assert not one.over
    fallen = candidate.copy()
    fallen[80:160] = 0  # a collapse after the wide margin has passed
    second = one.look(arms(fallen[:160], baseline[:160]), None)
    assert [row.verdict for row in second.rows] == ["pass", "fail"]
    assert one.over
    verdict = one.verdict(arms(fallen[:160], baseline[:160]), None)
    assert verdict.verdict == "fail"
    assert [row.n_items for row in verdict.metrics] == [80, 160]
    assert [look.n_items for look in verdict.looks] == [80, 160]


def test_warnings_and_monitors_do_not_hold_a_run_up():
    one = course(400, gate(margin=0.5), gate(margin=0.001, tier="warning"), gate(margin=0.001, tier="monitor"))
    one.look(arms(np.ones(80), np.ones(80)), None)
    assert one.over
    verdict = one.verdict(arms(np.ones(80), np.ones(80)), None)
    assert verdict.verdict == "pass"
    assert [row.verdict for row in verdict.metrics] == ["pass", "inconclusive", "inconclusive"]
