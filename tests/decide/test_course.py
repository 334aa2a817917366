"""Gates judged look by look on made runs: both promises hold over all looks, and what is settled stays."""

from __future__ import annotations

import numpy as np
import pytest

import simulated
from headgate.decide.cells import Cell
from headgate.decide.course import Course, Declared
from headgate.decide.drift import DRIFT_ALPHA, drift_rows
from headgate.decide.looks import plan_looks
from headgate.decide.metric import metric_of
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import CORRECT, SCORERS, arms, changed, gate, made

PAIR = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
MARGIN = 0.05


def course(n, *gates, seeds=1, most_seeds=None, **policy):
    declared = Declared(gates=gates, scorers=SCORERS, compare=PAIR, policy=Policy(**policy))
    alpha = declared.policy.alpha / max(len(gates), 1)
    return Course(declared, plan_looks(n, key="plan", alpha=alpha, seeds=seeds, most_seeds=most_seeds))


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


@pytest.mark.parametrize("runs", [40, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
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


def watch_seeds(one, candidate, baseline):
    """Look until it is over at answers of shape (n_items, most_seeds); return the verdict."""
    for look in range(len(one.plan)):
        items, seeds = np.sort(one.plan.order[: one.plan.n_items(look)]), one.plan.n_seeds(look)
        run = arms(candidate[items, :seeds], baseline[items, :seeds])
        if seeds > one.plan.seeds:
            run = changed(run, seeds=one.plan.seeds, more_seeds={("new", "m"): seeds, ("old", "m"): seeds})
        one.look(run, None)
        if one.over:
            break
    return one.verdict(run, None)


@pytest.mark.parametrize("runs", [40, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("spread", [0.0, 1.6])
def test_both_promises_hold_over_looks_at_more_seeds(runs, spread):
    """Whether a row goes on is decided by what was seen of it; that it stops short spends nothing."""
    rng = np.random.default_rng(runs + round(10 * spread))
    slack = 3 * (0.05 * 0.95 / runs) ** 0.5

    def shares(drop):
        found = []
        for _ in range(runs):
            c, b = simulated.seeded_pair(rng, n=150, p=0.85, seeds=6, drop=drop, spread=spread)
            found.append(watch_seeds(course(150, gate(margin=MARGIN), seeds=2, most_seeds=6), c, b))
        words = [verdict.verdict for verdict in found]
        longest = np.mean([verdict.looks[-1].seeds for verdict in found])
        return {word: words.count(word) / runs for word in ("pass", "fail", "inconclusive")}, longest

    same, seeds = shares(0.0)
    worse, _ = shares(MARGIN)
    assert same["fail"] <= 0.05 + slack
    assert worse["pass"] <= 0.05 + slack
    assert seeds > 2.2  # they are used


def test_more_seeds_decide_more_where_seeds_are_what_varies():
    rng, runs = np.random.default_rng(5), 40
    said = {2: 0, 6: 0}
    for _ in range(runs):
        c, b = simulated.seeded_pair(rng, n=150, p=0.85, seeds=6, spread=0.0)
        for most in said:
            one = course(150, gate(margin=MARGIN), seeds=2, most_seeds=most)
            said[most] += watch_seeds(one, c, b).verdict == "pass"
    assert said[6] >= said[2] + runs / 8


def test_a_row_that_seeds_cannot_decide_is_left_open():
    """Items that each arm answers always alike: 4 of 150 have fallen, 2 have risen."""
    fallen = np.ones((150, 2))
    fallen[:4] = 0
    risen = np.ones((150, 2))
    risen[4:6] = 0
    one = course(150, gate(margin=0.03), seeds=2, most_seeds=8)
    verdict = watch_seeds(one, fallen, risen)
    assert verdict.verdict == "inconclusive"
    assert [look.seeds for look in verdict.looks] == [2, 2]
    assert one.cells_worth_seeds == []
    assert (verdict.metrics[0].seed_share, verdict.metrics[0].needed_seeds) == (0, None)


CELL = Cell(prompt="old", model="m")


def drift(drawn, stored, *, level):
    run, other = (made({("old", "m"): np.asarray(values)[:, np.newaxis]}) for values in (drawn, stored))
    return drift_rows(run, other, cells=[CELL], metrics=[metric_of("correct", [CORRECT])], level=level)


@pytest.mark.parametrize("runs", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize(("n", "p"), [(8, 0.9), (40, 0.7), (200, 0.95)])
def test_a_baseline_that_stands_is_seldom_said_to_have_drifted(runs, n, p):
    rng, level = np.random.default_rng(n), 0.05
    found = [drift(*simulated.pair(rng, n=n, p=p, seeds=1), level=level)[0].drifted for _ in range(runs)]
    assert np.mean(found) <= level + 3 * (level * (1 - level) / runs) ** 0.5


def test_a_baseline_that_has_drifted_is_found():
    rng = np.random.default_rng(1)
    pairs = [simulated.pair(rng, n=40, p=0.9, seeds=1, drop=0.3) for _ in range(60)]
    assert np.mean([drift(*pair, level=DRIFT_ALPHA / 5)[0].drifted for pair in pairs]) > 0.5
    better = [drift(*pair[::-1], level=DRIFT_ALPHA / 5)[0] for pair in pairs]
    assert all(row.low > 0 for row in better if row.drifted)
    assert any(row.drifted for row in better)


def test_what_was_not_drawn_again_says_nothing():
    run = made({("new", "m"): np.ones((5, 1))})
    stored = made({("old", "m"): np.ones((5, 1))})
    assert drift_rows(run, stored, cells=[CELL], metrics=[metric_of("correct", [CORRECT])], level=0.01) == []
