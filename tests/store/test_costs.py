"""What runs have cost: over parts and a journal, one row per job, and for runs older than the columns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.store.costs import Costs, sum_costs
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from store_rows import fill, make_run, plan_results

GOLDEN = Path(__file__).parents[1] / "golden" / "run-v1"


@pytest.fixture
def store(tmp_path):
    plan, manifest = make_run(tmp_path / "run")
    with RunStore.create(tmp_path / "run", manifest) as store:
        yield store, plan


def money(files):
    """Return the sums without the tokens, which the tests of caps look at."""
    return dataclasses.replace(sum_costs(files), tokens=0)


def test_known_costs_are_summed_and_unknown_ones_counted(store):
    store, plan = store
    rows = plan_results(plan)
    priced = [replace(row, cost_usd=0.25) for row in rows[:12]]
    unknown = [replace(row, cost_usd=None) for row in rows[12:15]]
    errors = [replace(row, status="error", error_kind="timeout", cost_usd=None) for row in rows[15:]]
    fill(store, [*priced, *unknown, *errors])
    expected = Costs(cost_usd=3.0, unpriced=3, settled_usd=3.0)
    assert money(store.files) == expected  # from the journal
    store.compact()
    assert money(store.files) == expected  # and from parts


def test_what_was_settled_goes_before_what_it_cost(store):
    store, plan = store
    rows = plan_results(plan)
    capped = [replace(row, cost_usd=None, settled_usd=0.5) for row in rows[:4]]
    both = [replace(row, cost_usd=0.25, settled_usd=0.75) for row in rows[4:8]]
    before = [replace(row, cost_usd=0.25, settled_usd=None) for row in rows[8:]]
    fill(store, [*capped, *both, *before])
    store.compact()
    assert money(store.files) == Costs(cost_usd=4.0, unpriced=4, settled_usd=2.0 + 3.0 + 3.0)


def test_a_job_that_was_run_again_counts_once(store):
    store, plan = store
    row = plan_results(plan)[0]
    again = replace(row, cost_usd=0.5, generation=2)
    fill(store, [replace(row, status="error", cost_usd=None, settled_usd=8.0), again])
    assert money(store.files) == Costs(cost_usd=0.5, unpriced=0, settled_usd=0.5)


def test_a_run_without_rows_has_no_cost(store):
    assert money(store[0].files) == Costs(cost_usd=None, unpriced=0, settled_usd=0.0)


def test_a_run_of_version_1_has_what_it_cost():
    costs = sum_costs(RunFolder(GOLDEN))
    assert costs.cost_usd == pytest.approx(18 * 0.00025)  # and one answer of the cache, which cost nothing
    assert (costs.unpriced, costs.settled_usd) == (1, costs.cost_usd)
