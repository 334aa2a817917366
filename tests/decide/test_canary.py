"""Gates on live traffic: their words, and how often they are wrong while one looks at every request."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy.special import ndtri

from headgate.decide.canary import Evidence, questions_of
from headgate.errors import ConfigError
from headgate.suite.gate import Gate, Policy
from headgate.suite.scorers import Contains
from headgate.traffic.units import Units

GOOD = Contains(name="good", type="contains")
ALPHA = 0.05


def question(metric="good", *, policy=None, min_units=1, **rule):
    (made,) = questions_of([Gate(metric=metric, **rule)], [GOOD], policy or Policy(), min_units=min_units)
    return made


def units(canary, values, metric="good"):
    return Units(canary=np.asarray(canary, bool), values={metric: np.asarray(values, float)})


def traffic(rng, n, *, stable=0.9, drop=0.0):
    canary = rng.random(n) < 0.5
    return canary, (rng.random(n) < stable - drop * canary).astype(float)


def judged(asked, n, *, seed=0, metric="good", **truth):
    canary, values = traffic(np.random.default_rng(seed), n, **truth)
    return asked.row(asked.update(asked.open(), units(canary, values, metric)))


@pytest.mark.parametrize(("drop", "word"), [(0.0, "pass"), (0.2, "fail")])
def test_a_margin_passes_and_fails(drop, word):
    row = judged(question(margin=0.05), 6000, drop=drop)
    assert (row.verdict, row.against, row.cell, row.method) == (word, "baseline", {"arm": "canary"}, "betting")
    assert row.estimate == pytest.approx(-drop, abs=0.03)
    assert row.low <= row.estimate <= row.high


def test_a_drop_that_the_margin_forgives_fails_unless_told_otherwise():
    assert judged(question(margin=0.2), 6000, drop=0.15).verdict == "fail"
    strict = question(margin=0.2, policy=Policy(fail_rule="beyond_margin"))
    assert judged(strict, 6000, drop=0.15).verdict == "pass"


@pytest.mark.parametrize(("bound", "word"), [(0.8, "pass"), (0.97, "fail")])
def test_a_threshold_judges_the_canary_alone(bound, word):
    row = judged(question(min=bound), 3000)
    assert (row.verdict, row.against, row.baseline_mean) == (word, None, None)


@pytest.mark.parametrize(("rate", "word"), [(0.01, "pass"), (0.2, "fail")])
def test_lower_is_better_for_rates(rate, word):
    rng = np.random.default_rng(1)
    canary = rng.random(6000) < 0.5
    asked = question("error_rate", margin=0.05)
    values = (rng.random(6000) < np.where(canary, rate, 0.01)).astype(float)
    assert asked.row(asked.update(asked.open(), units(canary, values, "error_rate"))).verdict == word


@pytest.mark.parametrize(("ratio", "word"), [(1.0, "pass"), (2.0, "fail")])
def test_a_ratio_of_latencies(ratio, word):
    rng = np.random.default_rng(2)
    canary = rng.random(4000) < 0.5
    values = rng.lognormal(0, 0.4, 4000) * np.where(canary, ratio, 1)
    values[:40] = [0, math.nan] * 20  # no ratio to nothing
    asked = question("latency_s", max_ratio=1.3)
    row = asked.row(asked.update(asked.open(), units(canary, values, "latency_s")))
    assert (row.verdict, row.method) == (word, "asymptotic sequence")
    assert row.estimate == pytest.approx(ratio, rel=0.1)


def test_zero_tolerance_fails_at_once_and_passes_after_enough():
    asked = question(zero_tolerance=True, min_units=10)
    few = asked.update(asked.open(), units([True] * 9 + [False], [1] * 9 + [0]))
    assert asked.row(few).verdict == "inconclusive"
    many = asked.update(few, units([True], [1]))
    assert asked.row(many).verdict == "pass"
    assert asked.row(asked.update(many, units([True], [0]))).verdict == "fail"


def test_no_data_is_inconclusive():
    for rule in ({"margin": 0.05}, {"min": 0.5}, {"zero_tolerance": True}):
        asked = question(**rule)
        row = asked.row(asked.open())
        assert (row.verdict, row.flags) == ("inconclusive", ["no_data"])
    one_armed = question(margin=0.05)
    row = one_armed.row(one_armed.update(one_armed.open(), units([True] * 500, [1] * 500)))
    assert (row.verdict, row.reason) == ("inconclusive", "stable has no values yet")


def test_few_units_do_not_pass():
    asked = question(min=0.5, min_units=1000)
    seen = asked.update(asked.open(), units([True] * 500, [1] * 500))
    row = asked.row(seen)
    assert (row.verdict, "fewer than 1000" in row.reason) == ("inconclusive", True)


def test_a_word_stays():
    asked = question(margin=0.05)
    canary, values = traffic(np.random.default_rng(0), 6000)
    seen = asked.update(asked.open(), units(canary, values))
    assert seen.word == "pass"
    canary, values = traffic(np.random.default_rng(1), 200, drop=0.05)
    assert asked.update(seen, units(canary, values)).word == "pass"


def test_what_got_better_on_the_way_has_drifted_and_is_inconclusive():
    asked = question(min=0.5)
    values = np.random.default_rng(3).random(4000) < np.repeat([0.7, 0.99], 2000)
    row = asked.row(asked.update(asked.open(), units([True] * 4000, values)))
    assert (row.verdict, row.flags) == ("inconclusive", ["drift"])


def test_a_collapse_after_a_pass_is_rolled_back():
    asked = question(margin=0.05)
    rng = np.random.default_rng(3)
    before, after = traffic(rng, 4000), traffic(rng, 4000, drop=0.5)
    seen = asked.update(asked.open(), units(*before))
    assert asked.row(seen).verdict == "pass"
    row = asked.row(asked.update(seen, units(*after)))
    assert (row.verdict, row.flags) == ("fail", ["drift"])


def test_a_bound_that_cannot_be_kept_or_broken_is_refused():
    with pytest.raises(ConfigError, match="strictly between"):
        question(margin=1.0).open()
    with pytest.raises(ConfigError, match="nothing is its best value"):
        question("latency_s", zero_tolerance=True).open()


@pytest.mark.parametrize("rule", [{"margin": 0.05}, {"min": 0.8}, {"zero_tolerance": True}])
def test_cuts_and_stored_evidence_change_nothing(rule):
    asked = question(**rule)
    canary, values = traffic(np.random.default_rng(4), 400, drop=0.1)
    whole = asked.update(asked.open(), units(canary, values))
    seen = asked.open()
    for index in range(400):  # looked at after every request, and stored in between
        seen = asked.update(seen, units(canary[index : index + 1], values[index : index + 1]))
        if index % 37 == 0:
            seen = msgspec.msgpack.decode(msgspec.msgpack.encode(seen), type=Evidence)
    assert seen == whole


# --- how often it is wrong; a word stays once it was said, so the last word is that of every look ---


def words(asked, *, trials, n, seed, **truth):
    found = []
    for trial in range(trials):
        canary, values = traffic(np.random.default_rng([seed, trial]), n, **truth)
        found.append(asked.update(asked.open(), units(canary, values)).word)
    return found


def most(trials):
    """Return the count of errors at rate alpha that more than this would be a surprise of 1 in 1,000."""
    return ALPHA * trials + 3.1 * math.sqrt(ALPHA * (1 - ALPHA) * trials)


def peeks(canary, values):
    """Fail as soon as a test at 5 % says worse, looked at after every request: what one must not do."""
    n1, n0 = np.cumsum(canary), np.cumsum(~canary)
    s1, s0 = np.cumsum(values * canary), np.cumsum(values * ~canary)
    there = (n1 >= 30) & (n0 >= 30)
    p1, p0 = s1[there] / n1[there], s0[there] / n0[there]
    se = np.sqrt(p1 * (1 - p1) / n1[there] + p0 * (1 - p0) / n0[there])
    return bool(((p1 - p0) < ndtri(ALPHA) * se).any())


def test_false_rollbacks_and_promotions_are_rare_and_peeking_is_not():
    asked, trials = question(margin=0.05), 40
    unchanged = words(asked, trials=trials, n=2000, seed=1)
    assert unchanged.count("fail") <= most(trials)
    assert unchanged.count("pass") > trials / 2
    at_margin = words(asked, trials=trials, n=2000, seed=2, drop=0.05)
    assert at_margin.count("pass") <= most(trials)
    peeked = [peeks(*traffic(np.random.default_rng([1, trial]), 2000)) for trial in range(10 * trials)]
    assert sum(peeked) > 2 * most(10 * trials)  # the control: it does not hold


@pytest.mark.slow
@pytest.mark.parametrize("stable", [0.6, 0.9, 0.99])
def test_rates_over_the_whole_horizon(stable):
    asked, trials = question(margin=0.05), 400
    unchanged = words(asked, trials=trials, n=6000, seed=3, stable=stable)
    at_margin = words(asked, trials=trials, n=6000, seed=4, stable=stable, drop=0.05)
    print(f"p {stable}: {unchanged.count('fail')} false rollbacks, {at_margin.count('pass')} false promotions")
    assert unchanged.count("fail") <= most(trials)
    assert at_margin.count("pass") <= most(trials)


@pytest.mark.slow
def test_several_gates_share_alpha():
    gates = [
        Gate(metric="good", margin=0.05),
        Gate(metric="error_rate", margin=0.05),
        Gate(metric="latency_s", max_ratio=1.2),
    ]
    asked, trials, wrong = questions_of(gates, [GOOD], Policy()), 500, 0
    for trial in range(trials):
        rng = np.random.default_rng([5, trial])
        canary, good = traffic(rng, 5000)
        values = {"good": good, "error_rate": (rng.random(5000) < 0.03) * 1.0, "latency_s": rng.lognormal(0, 0.5, 5000)}
        made = Units(canary=canary, values=values)
        wrong += any(one.update(one.open(), made).word == "fail" for one in asked)
    print(f"three gates: {wrong} of {trials} falsely rolled back")
    assert wrong <= most(trials)
