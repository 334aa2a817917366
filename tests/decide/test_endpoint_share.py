"""What of a row's variance is between the endpoints that served its items, and what is said of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from headgate.decide.judge import decide
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import SCORERS, arms, changed, gate

PROMPTS = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
N = 60
HALF = np.arange(N) < N // 2


def row(facts, *, margin=0.02):
    policy = Policy()
    verdict = decide(facts, None, gates=[gate(margin=margin)], scorers=SCORERS, compare=PROMPTS, policy=policy)
    return verdict.metrics[0]


def served(candidate, baseline, names):
    """Return a run whose items were served by endpoints, the same in both arms."""
    facts = arms(candidate, baseline)
    known = pl.DataFrame({"item_id": [f"i{i:05d}" for i in range(N)], "endpoint": names})
    known = known.with_columns(pl.col("item_id").cast(facts.results["item_id"].dtype))
    return changed(facts, results=facts.results.join(known, on="item_id", maintain_order="left"))


def test_an_endpoint_that_answers_worse_is_seen_and_named_as_what_to_spend_on():
    candidate = np.where(HALF, 1.0, np.arange(N) % 8 > 0)
    baseline = np.where(HALF, np.arange(N) % 8 > 0, 1.0)  # better with the first, worse with the second
    found = row(served(candidate, baseline, np.where(HALF, "a", "b")))
    assert found.verdict == "inconclusive"
    assert 0.1 < found.endpoint_share < 0.5
    sharp = row(served(np.where(HALF, 1.0, 0.0), np.where(HALF, 0.0, 1.0), np.where(HALF, "a", "b")))
    assert sharp.endpoint_share == pytest.approx(1)
    assert "what differs most is the endpoints: ask one of them alone" in sharp.reason


def test_endpoints_that_answer_alike_have_no_share():
    values = (np.arange(N) % 4 > 0).astype(float)
    found = row(served(values, np.roll(values, 1), np.where(np.arange(N) // 4 % 2 == 0, "a", "b")))
    assert found.endpoint_share < 0.15


@pytest.mark.parametrize("names", [["a"] * N, ["a"] + ["b"] * (N - 1)], ids=["one", "one item alone"])
def test_one_endpoint_tells_nothing(names):
    values = (np.arange(N) % 4 > 0).astype(float)
    assert row(served(values, values, names)).endpoint_share is None


def test_a_run_that_does_not_say_who_served_it_has_none():
    values = (np.arange(N) % 4 > 0).astype(float)
    assert row(arms(values, values)).endpoint_share is None


def test_items_that_several_endpoints_served_are_left_out():
    candidate, baseline = np.where(HALF, 1.0, 0.0), np.where(HALF, 0.0, 1.0)
    facts = served(np.column_stack([candidate] * 2), np.column_stack([baseline] * 2), np.where(HALF, "a", "b"))
    moved = (pl.col("item_id").cast(pl.String) < "i00010") & (pl.col("seed") == 2)
    endpoint = pl.when(moved).then(pl.lit("b")).otherwise("endpoint")
    mixed = changed(facts, results=facts.results.with_columns(endpoint=endpoint))
    assert row(mixed).endpoint_share == pytest.approx(1)
