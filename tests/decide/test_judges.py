"""What judges are worth: made labels of known agreement, order and noise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts
from headgate.decide.judges import grade_variance, most_useful, rate_judges, shares
from headgate.suite.scorers.judge import Judge

CELL = Cell(prompt="p", model="m")


def facts(labels, values=None, human=None):
    rows = len(labels)
    keys = {"prompt": ["p"] * rows, "model": ["m"] * rows, "seed": [1] * rows, "scorer": ["j"] * rows}
    scores = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(rows)],
            **keys,
            "value": [0.0] * rows if values is None else values,
            "label": labels,
            "human": [None] * rows if human is None else human,
        },
        schema_overrides={"human": pl.Float64},
    )
    empty = pl.DataFrame()
    digests = {"suite_digest": "", "plan_digest": "", "items_digest": ""}
    return RunFacts(
        run="r",
        **digests,
        n_items=rows,
        seeds=1,
        prompts={},
        models={},
        scorers={},
        git=None,
        results=empty,
        scores=scores,
    )


def judge(**changes):
    return Judge(**{"name": "j", "type": "judge", "kind": "closed_qa", "model": "a", **changes})


def row(found, spec):
    [only] = rate_judges([(found, [CELL])], [spec], {"j"})
    return only


def test_sensitivity_specificity_and_kappa_are_those_of_the_table():
    """The textbook: 20 and 15 agreed, 5 and 10 not; kappa is 0.4."""
    values = [1.0] * 25 + [0.0] * 25
    human = [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    found = row(facts(["yes"] * 50, values, human), judge())
    assert (found.n_graded, found.n_labels) == (50, 50)
    assert found.kappa == pytest.approx(0.4)
    assert found.kappa_low < 0.4 < found.kappa_high
    assert (found.sensitivity, found.specificity) == (pytest.approx(20 / 30), pytest.approx(15 / 20))
    assert found.bias == pytest.approx(-0.1)


def test_without_labels_nothing_is_said_of_them():
    found = row(facts(["yes"] * 5), judge())
    assert (found.n_labels, found.kappa, found.sensitivity, found.bias, found.panel_kappa) == (
        0,
        None,
        None,
        None,
        None,
    )


def test_a_panel_that_agrees_and_one_that_tosses_coins():
    rng = np.random.default_rng(0)
    panel = judge(model=None, models=["a", "b", "c"])
    truth = rng.random(400) < 0.5
    same = row(facts([" ".join(["yes" if right else "no"] * 3) for right in truth]), panel)
    coins = row(facts([" ".join(rng.choice(["yes", "no"], 3)) for _ in truth]), panel)
    assert same.panel_kappa == 1
    assert coins.panel_kappa_low < 0 < coins.panel_kappa_high


@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_the_place_of_an_answer_shows_in_both_orders(bias):
    rng = np.random.default_rng(1)
    labels = []
    for _ in range(2000):
        better = rng.choice(["first", "second"])
        orders = [better, "second" if better == "first" else "first"]
        labels.append(" ".join("first" if rng.random() < bias else order for order in orders))
    found = row(facts(labels), judge(kind="pairwise"))
    assert found.position_bias_low <= bias <= found.position_bias_high
    assert (found.position_bias_low > 0) == (bias > 0)
    # One order says first whatever it is, the other says it by itself.
    assert found.flips == pytest.approx(bias, abs=0.05)


def test_the_variance_of_repeats_is_found_and_divided_by_their_number():
    rng = np.random.default_rng(2)
    spec = judge(kind="rubric", rubric="x", repeats=4, scale=(0, 100))
    means = rng.integers(30, 70, 3000)
    grades = means[:, None] + np.round(rng.normal(0, 5, (3000, 4))).astype(int)
    labels = [" ".join(map(str, one)) for one in grades]
    variance = 25 + 1 / 12  # rounding adds its own
    assert grade_variance(facts(labels), CELL, spec) == pytest.approx(variance / 4, rel=0.05)


def test_a_judge_that_is_stricter_throughout_is_no_noise():
    spec = judge(kind="rubric", rubric="x", model=None, models=["a", "b"], scale=(0, 100))
    labels = [f"{n} {n + 10}" for n in range(50)]
    assert grade_variance(facts(labels), CELL, spec) == pytest.approx(0)


def test_one_grade_says_nothing_of_its_noise():
    assert grade_variance(facts(["yes", "no"]), CELL, judge()) is None
    assert grade_variance(facts(["yes -", "no yes"]), CELL, judge(repeats=2)) is None


def test_a_share_is_that_of_the_estimates_variance():
    assert shares([4.0, 4.0], se=0.5, n_items=100, seeds=[2, 2]) == pytest.approx((2 + 2) / 100 / 0.25)
    assert shares([4.0, None], se=0.5, n_items=100, seeds=[2, 2]) is None
    assert shares([4.0], se=0.0, n_items=100, seeds=[1]) is None
    assert most_useful(0.16, None) == "items"
