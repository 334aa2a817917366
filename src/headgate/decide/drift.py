"""Whether a stored baseline still stands: some of its items are asked again, and both answers are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from headgate.decide.arms import Items
from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts, number_items
from headgate.decide.labels import difference_limits
from headgate.decide.metric import Metric
from headgate.decide.paired import sign_test
from headgate.decide.tables import items_of
from headgate.decide.verdict import DriftRow
from headgate.errors import StatisticsError
from headgate.stats.paired import PairedLimits
from headgate.stats.values import difference_bounds

DRIFT_ALPHA: Final = 0.01
"""How often a baseline that has not drifted is said to have: over all its metrics, cells and looks."""


def drift_rows(
    drawn: RunFacts, stored: RunFacts, *, cells: Sequence[Cell], metrics: Sequence[Metric], level: float
) -> list[DriftRow]:
    """Compare what was drawn again with what is stored, on the items that both have.

    Parameters
    ----------
    level : float
        Two-sided, of each row: its share of :data:`DRIFT_ALPHA`.
    """
    drawn, stored = number_items([drawn, stored])
    pairs = [(cell, metric) for cell in cells for metric in metrics]
    return [row for cell, metric in pairs for row in _row(drawn, stored, cell=cell, metric=metric, level=level)]


def _row(drawn: RunFacts, stored: RunFacts, *, cell: Cell, metric: Metric, level: float) -> Iterator[DriftRow]:
    try:
        items = items_of(drawn, stored, metric=metric, cells=(cell, cell))
    except StatisticsError:  # nothing was drawn so far that has a value in both
        return
    assert items.baseline is not None
    low, high = _limits(items, metric, level=level)
    yield DriftRow(
        name=metric.name,
        cell={"prompt": cell.prompt, "model": cell.model},
        stored_mean=items.baseline.mean,
        drawn_mean=items.candidate.mean,
        low=low,
        high=high,
        confidence=1 - level,
        n_items=items.n_items,
        drifted=low > 0 or high < 0,
    )


def _limits(items: Items, metric: Metric, *, level: float) -> tuple[float, float]:
    """Return limits of the difference; missing values at their worst and at their best."""
    assert items.baseline is not None
    arms, bounds = (items.candidate, items.baseline), metric.bounds
    rows = (arms[0].binary_rows, arms[1].binary_rows)
    if bounds is not None and arms[0].linear is not None:
        apart = difference_bounds(bounds)
        pairs = ((arms[0].low, arms[1].high), (arms[0].high, arms[1].low))
        found = [difference_limits(*arms, *pair, cluster=items.cluster, apart=apart).at(level / 2) for pair in pairs]
        return min(low for low, _ in found), max(high for _, high in found)
    lows, highs = [], []
    for ours, theirs in ((arms[0].low, arms[1].high), (arms[0].high, arms[1].low)):
        low, high = PairedLimits.of(ours, theirs, cluster=items.cluster, bounds=bounds, n_rows=rows).at(level / 2)
        if sign_test(ours, theirs, bounds=bounds) > level / 2:
            high = max(high, 0.0)
        if sign_test(theirs, ours, bounds=bounds) > level / 2:
            low = min(low, 0.0)
        lows.append(low)
        highs.append(high)
    return min(lows), max(highs)
