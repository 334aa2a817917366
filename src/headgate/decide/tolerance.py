"""Zero tolerance: a hard invariant, outside the statistical budget; it fails on what was seen."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.decide.cells import Cell
from headgate.decide.decision import Outcome
from headgate.decide.facts import RunFacts
from headgate.decide.metric import Metric
from headgate.decide.tables import cell_rows, checked_values
from headgate.errors import ConfigError, StatisticsError
from headgate.stats import clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrences:
    """What was seen of the forbidden thing.

    Attributes
    ----------
    items, jobs : int
        Items and jobs looked at.
    seen, possible : int
        Items that show it; and those that would if every missing value did.
    """

    items: int
    jobs: int
    seen: int
    possible: int

    @property
    def verdict(self) -> Outcome:
        """Fail on what was seen, pass when nothing can be hidden in what is missing."""
        if self.seen:
            return "fail"
        return "inconclusive" if self.possible else "pass"

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return exact one-sided limits of the share of such items."""
        confidence = 1 - 2 * alpha
        low, _ = clopper_pearson(self.seen, self.items, confidence=confidence)
        _, high = clopper_pearson(self.possible, self.items, confidence=confidence)
        return low, high


def occurrences(facts: RunFacts, *, metric: Metric, cell: Cell, reproduce: str | None) -> Occurrences:
    """Count the items with a score short of the best one, in ``k`` of their first ``r`` seeds (`reproduce: k/r`).

    Raises
    ------
    ConfigError
        If the metric has no best value, or ``r`` seeds were not asked for.
    StatisticsError
        If there is no row at all, or a value is out of bounds.
    """
    import polars as pl

    wanted, of = reproduction(reproduce, seeds=facts.seeds)
    looked_at = pl.col("seed") < facts.first_seed + of
    if metric.passes is not None or metric.whole is not None:
        raise ConfigError(
            "looks at single answers, and this metric has none",
            field="gates.zero_tolerance",
            value=metric.name,
            mend=f"name {metric.rows!r}, or give a `min`",
        )
    if metric.best is None:
        raise ConfigError(
            "has no bounds, so nothing is its best value", field="gates.zero_tolerance", value=metric.name
        )
    values = checked_values(facts, metric, cell).filter(looked_at)
    bad = values.group_by("item_id").agg(bad=(pl.col("value") != metric.best).sum(), n=pl.len())
    jobs = cell_rows(facts.results, cell, "item_id", "seed").filter(looked_at).group_by("item_id").agg(rows=pl.len())
    items = jobs.join(bad, on="item_id", how="left").with_columns(pl.col("bad", "n").fill_null(0))
    if items.is_empty():
        raise StatisticsError("no item has a row")
    worst = pl.col("bad").cast(pl.Int64) + pl.col("rows").cast(pl.Int64) - pl.col("n").cast(pl.Int64)
    seen, possible = items.select((pl.col("bad") >= wanted).sum(), (worst >= wanted).sum().alias("possible")).row(0)
    return Occurrences(items=items.height, jobs=int(items["rows"].sum()), seen=seen, possible=possible)


def reproduction(reproduce: str | None, *, seeds: int) -> tuple[int, int]:
    """Return (k, r) of ``k/r``; without it one occurrence in any seed counts.

    Examples
    --------
    >>> reproduction("2/3", seeds=3), reproduction(None, seeds=3)
    ((2, 3), (1, 3))
    """
    if reproduce is None:
        return 1, seeds
    wanted, of = map(int, reproduce.split("/"))
    if of > seeds:
        raise ConfigError(
            f"looks at {of} seeds and the run has {seeds}",
            field="gates.reproduce",
            value=reproduce,
            mend=f"set `seeds: {of}`, or look at fewer",
        )
    return wanted, of
