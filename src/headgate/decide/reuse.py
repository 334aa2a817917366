"""Whether answers of the response cache still stand: a share of the items was asked anew, and both are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from headgate.decide.cells import Cell
from headgate.decide.drift import DRIFT_ALPHA
from headgate.decide.facts import RunFacts, item_numbers
from headgate.decide.metric import Metric
from headgate.decide.tables import cell_rows, checked_values
from headgate.decide.verdict import DriftRow
from headgate.errors import StatisticsError
from headgate.stats.unpaired import unpaired_interval
from headgate.stats.values import UNIT

if TYPE_CHECKING:
    import polars as pl

_FLAGS: Final = ("cache_hit", "redrawn")


def reuse_rows(facts: RunFacts, cells: Sequence[Cell], metrics: Sequence[Metric]) -> list[DriftRow]:
    """Compare the answers that came from the cache with those that were asked anew although the cache had one.

    Which items are asked anew hangs on the run's id alone, so both are random parts of the items that were cached.

    Parameters
    ----------
    cells, metrics
        What the gates judge; all of them share :data:`headgate.decide.drift.DRIFT_ALPHA`.
    """
    if any(name not in facts.results.columns for name in _FLAGS) or not facts.results["cache_hit"].any():
        return []
    pairs = [(cell, metric) for cell in cells for metric in metrics if not metric.built_in]
    level = DRIFT_ALPHA / max(len(pairs), 1)
    return [row for cell, metric in pairs for row in _row(facts, cell, metric, level=level)]


def reuse_drifted(rows: Sequence[DriftRow]) -> str | None:
    """Return why cached answers may not be taken; None where they may."""
    row = next((row for row in rows if row.drifted), None)
    if row is None:
        return None
    where = " ".join(row.cell.values())
    return (
        f"cached answers have drifted: {row.name} on {where} is {row.drawn_mean:.3g} on {row.n_items} items asked "
        f"again, and {row.stored_mean:.3g} in the cache; run with --cache off"
    )


def _row(facts: RunFacts, cell: Cell, metric: Metric, *, level: float) -> Iterator[DriftRow]:
    rows = cell_rows(facts.results, cell, "item_id", "seed", "cluster", *_FLAGS)
    valued = checked_values(facts, metric, cell).join(rows, on=["item_id", "seed"])
    drawn, cached = (valued.filter(name) for name in ("redrawn", "cache_hit"))
    if drawn.is_empty() or cached.is_empty():
        return
    clustered = valued["cluster"].null_count() < valued.height
    arms = {"candidate": drawn, "baseline": cached}
    items = {f"{name}_items": item_numbers(arm) for name, arm in arms.items()}
    clusters = {f"{name}_cluster": _labels(arm) for name, arm in arms.items()} if clustered else {}
    try:
        found = unpaired_interval(
            drawn["value"].to_numpy(),
            cached["value"].to_numpy(),
            **items,
            **clusters,
            bounds=UNIT if metric.whole is not None else metric.bounds,
            confidence=1 - level,
        )
    except StatisticsError:
        return
    yield DriftRow(
        name=metric.rows if metric.whole is not None else metric.name,
        cell={"prompt": cell.prompt, "model": cell.model},
        stored_mean=_mean(cached),
        drawn_mean=_mean(drawn),
        low=found.low,
        high=found.high,
        confidence=1 - level,
        n_items=drawn["item_id"].n_unique(),
        drifted=found.low > 0 or found.high < 0,
    )


def _mean(rows: pl.DataFrame) -> float:
    """Return the mean over items."""
    import polars as pl

    return float(rows.group_by("item_id").agg(pl.col("value").mean())["value"].mean())  # type: ignore[arg-type]


def _labels(rows: pl.DataFrame) -> list[str]:
    """Return the cluster of each row; an item without one is its own."""
    pairs = rows.select("cluster", "item_id").iter_rows()
    return [f"c{cluster}" if cluster is not None else f"i{item}" for cluster, item in pairs]
