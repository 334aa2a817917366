"""Rows to items: the values of one metric in one cell, averaged per item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts, item_numbers
from headgate.decide.metric import Metric
from headgate.errors import StatisticsError
from headgate.stats.intervals import binary_rows
from headgate.stats.passes import pass_at_k, pass_noise
from headgate.stats.seeds import SeedNoise
from headgate.stats.sums import group_sums
from headgate.stats.values import UNIT, Bounds, Floats, Ints
from headgate.suite.model import STATUS_RATES
from headgate.suite.scorers import PassAtK

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmItems:
    """Item means of one arm.

    Attributes
    ----------
    low, high : ndarray, shape (n_items,)
        Means with what is missing at the lower and at the upper bound; the same array where nothing is missing.
    seen : ndarray, shape (n_items,)
        Means of what is there; nan for an item without any value.
    noise : SeedNoise
        What the seeds of each item say about their spread.
    n_rows : int
        Jobs behind them.
    n_missing : int
        Jobs without a value.
    binary : bool
        Whether every value stands at a bound.
    human : ndarray, shape (n_items,), optional
        Means of the labels by humans; nan for an item without one. None where there are none.
    """

    low: Floats
    high: Floats
    seen: Floats
    noise: SeedNoise
    n_rows: int
    n_missing: int
    binary: bool
    human: Floats | None = None

    @property
    def mean(self) -> float:
        """Mean over the items that have a value; nan without any."""
        return float(np.nanmean(self.seen)) if np.isfinite(self.seen).any() else float("nan")

    @property
    def binary_rows(self) -> int | None:
        """The rows, where they are binary."""
        return self.n_rows if self.binary else None

    def flipped(self, bounds: Bounds | None) -> ArmItems:
        """Return the arm with the other end of the metric as the good one."""
        mirror = 0.0 if bounds is None else bounds[0] + bounds[1]
        return ArmItems(
            low=mirror - self.high,
            high=mirror - self.low,
            seen=mirror - self.seen,
            noise=self.noise,
            n_rows=self.n_rows,
            n_missing=self.n_missing,
            binary=self.binary,
            human=None if self.human is None else mirror - self.human,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Both arms on the items they share.

    Attributes
    ----------
    cluster : array of int, optional
        None where the items are independent.
    endpoint : array of int, optional
        Which endpoint served each item's candidate, -1 where it was several; None where one served all.
    """

    candidate: ArmItems
    baseline: ArmItems | None
    cluster: Ints | None
    endpoint: Ints | None = None

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.candidate.seen.size

    @property
    def n_clusters(self) -> int | None:
        """Number of clusters."""
        return None if self.cluster is None else int(self.cluster.max()) + 1

    @property
    def n_labels(self) -> int:
        """Items with a label by humans in every arm."""
        arms = [arm.human for arm in (self.candidate, self.baseline) if arm is not None]
        known = [np.isfinite(human) for human in arms if human is not None]
        return int(np.logical_and.reduce(known).sum()) if len(known) == len(arms) else 0

    @property
    def n_missing(self) -> int:
        """Jobs without a value, of both arms."""
        return self.candidate.n_missing + (0 if self.baseline is None else self.baseline.n_missing)

    @property
    def n_jobs(self) -> int:
        """Jobs behind the row, of both arms."""
        return self.candidate.n_rows + (0 if self.baseline is None else self.baseline.n_rows)


def items_of(
    candidate: RunFacts, baseline: RunFacts | None, *, metric: Metric, cells: tuple[Cell, Cell | None]
) -> Items:
    """Return the item means of a metric in a cell and its baseline, on the items that both have.

    Unbounded metrics keep complete items only: those with a value in every arm.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds (naming item and seed), or no item has a value.
    """
    pairs = [(candidate, cells[0])]
    if baseline is not None and cells[1] is not None:
        pairs.append((baseline, cells[1]))
    arms = [_Arm.of(facts, metric, cell) for facts, cell in pairs]
    size = max(arm.rows.size for arm in arms)
    arms = [arm.widened(size) for arm in arms]
    shared = np.logical_and.reduce([arm.rows > 0 for arm in arms])
    missing = [int((arm.rows - arm.n)[shared].sum()) for arm in arms]
    if metric.bounds is None:
        shared &= np.logical_and.reduce([arm.n > 0 for arm in arms])
    if not all(int(arm.n[shared].sum()) for arm in arms):
        raise StatisticsError("no item has a value")
    found = [arm.items(shared, metric=metric, missing=lost) for arm, lost in zip(arms, missing, strict=True)]
    return Items(
        candidate=found[0],
        baseline=found[1] if len(found) > 1 else None,
        cluster=_clusters(cell_rows(candidate.results, cells[0], "item_id", "cluster"), shared),
        endpoint=_endpoints(candidate, cells[0], shared),
    )


def cell_rows(frame: pl.DataFrame, cell: Cell, *columns: str | pl.Expr, scorer: str | None = None) -> pl.DataFrame:
    """Return columns of the rows of a cell, and of a scorer where one is named."""
    import polars as pl

    wanted = (pl.col("prompt") == cell.prompt) & (pl.col("model") == cell.model)
    if scorer is not None:
        wanted &= pl.col("scorer") == scorer
    return frame.lazy().filter(wanted).select(columns).collect()


def checked_values(facts: RunFacts, metric: Metric, cell: Cell) -> pl.DataFrame:
    """Return item_id, seed and value of the rows that have one; StatisticsError if one cannot be."""
    values = _values(facts, metric, cell)
    _refuse(values, metric, cell)
    return values


def _values(facts: RunFacts, metric: Metric, cell: Cell) -> pl.DataFrame:
    """Return item_id, seed and value of the rows that have one."""
    import polars as pl

    if not metric.built_in:
        found = cell_rows(facts.scores, cell, "item_id", "seed", "value", scorer=metric.rows)
        return found.drop_nulls("value")
    failed = pl.col("status") == "error"
    status = STATUS_RATES.get(metric.name)
    value = pl.col(metric.name) if status is None else pl.col("status") == status
    value = value if metric.name == "error_rate" else pl.when(~failed).then(value)
    return cell_rows(facts.results, cell, "item_id", "seed", value.cast(pl.Float64).alias("value")).drop_nulls("value")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """Sums of one arm by item number: rows (jobs), values, their sum, their squared deviations; means of labels."""

    rows: Ints
    n: Ints
    total: Floats
    squares: Floats
    binary: bool
    human: Floats | None = None

    @classmethod
    def of(cls, facts: RunFacts, metric: Metric, cell: Cell) -> _Arm:
        rows = np.bincount(item_numbers(cell_rows(facts.results, cell, "item_id")))
        values = checked_values(facts, metric, cell)
        numbers, scores = item_numbers(values), values["value"].to_numpy()
        n = np.bincount(numbers, minlength=rows.size)
        binary = scores.size > 0 and binary_rows(scores, metric.bounds) is not None
        total, squares = _totals(scores, numbers, n, levels=metric.bounds if binary else None)
        human = _humans(facts, metric, cell, size=rows.size) if metric.judged else None
        return cls(rows=rows, n=n, total=total, squares=squares, binary=binary, human=human)

    def widened(self, size: int) -> _Arm:
        """Return the sums with room for more item numbers."""
        more = (0, size - self.rows.size)
        rows, n = np.pad(self.rows, more), np.pad(self.n, more)
        human = None if self.human is None else np.pad(self.human, more, constant_values=np.nan)
        total, squares = np.pad(self.total, more), np.pad(self.squares, more)
        return replace(self, rows=rows, n=n, total=total, squares=squares, human=human)

    def items(self, shared: NDArray[np.bool_], *, metric: Metric, missing: int) -> ArmItems:
        """Return the means of some items, or what the metric makes of their scores in their place."""
        if metric.passes is not None:
            return self._passing(metric.passes, shared, missing=missing)
        total, squares = self.total[shared], self.squares[shared]
        n, rows = self.n[shared].astype(np.float64), self.rows[shared].astype(np.float64)
        seen = np.full(total.size, np.nan)
        np.divide(total, n, out=seen, where=n > 0)
        low = high = seen
        if metric.bounds is not None:
            low, high = ((total + (rows - n) * bound) / rows for bound in metric.bounds)
            low, high = (np.clip(side, *metric.bounds) for side in (low, high))
        return ArmItems(
            low=low,
            high=high,
            seen=seen,
            noise=SeedNoise(squares=squares, seeds=self.n[shared]),
            n_rows=int(rows.sum()),
            n_missing=missing,
            binary=self.binary,
            human=None if self.human is None else self.human[shared],
        )

    def _passing(self, spec: PassAtK, shared: NDArray[np.bool_], *, missing: int) -> ArmItems:
        """Return each item's chance to pass: what is missing passes at worst in none of its seeds, at best in all."""
        if not self.binary and self.n.any():
            raise StatisticsError(
                f"{spec.name} asks for scores of 0 and 1 and nothing between, and {spec.of} has others"
            )
        n, rows, passed = self.n[shared], self.rows[shared], np.rint(self.total[shared])
        seen = _chance(spec, n, passed)
        ends = _chance(spec, rows, passed), _chance(spec, rows, passed + (rows - n).astype(np.float64))
        low, high = (
            np.where(np.isfinite(end), end, bound)
            for end, bound in zip((np.fmin(*ends), np.fmax(*ends)), UNIT, strict=True)
        )
        return ArmItems(
            low=low,
            high=high,
            seen=seen,
            noise=pass_noise(n, passed, spec.k, every=spec.all),
            n_rows=int(rows.sum()),
            n_missing=missing,
            binary=False,
        )


def _chance(spec: PassAtK, n: Ints, passed: Floats) -> Floats:
    found = pass_at_k(n, passed, spec.k, every=spec.all)
    return 1 - found if spec.negate else found


def _humans(facts: RunFacts, metric: Metric, cell: Cell, *, size: int) -> Floats | None:
    """Return the mean label of every item, nan where it has none; None where there are no labels."""
    if "human" not in facts.scores.columns:
        return None
    rows = cell_rows(facts.scores, cell, "item_id", "human", scorer=metric.name).drop_nulls("human")
    if rows.is_empty():
        return None
    codes, labels = item_numbers(rows), rows["human"].to_numpy()
    n = np.bincount(codes, minlength=size)
    means = np.full(n.size, np.nan)
    np.divide(group_sums(labels, codes, n), n, out=means, where=n > 0)
    return means[:size]


def _totals(values: Floats, codes: Ints, counts: NDArray[np.intp], *, levels: Bounds | None) -> tuple[Floats, Floats]:
    """Return the sum of every item, and its squared deviations; no order of the rows changes a bit of them.

    ``levels`` are given where each value is one of two.
    """
    if not values.size:
        return np.zeros(counts.size), np.zeros(counts.size)
    totals, some = group_sums(values, codes, counts), np.maximum(counts, 1)
    if counts.max() < 2:
        return totals, np.zeros(counts.size)
    if levels is not None:
        low, high = levels
        return totals, (totals - low * counts) * (high * counts - totals) / some
    deviations = values - (totals / some)[codes]
    return totals, group_sums(deviations * deviations, codes, counts)


def _refuse(values: pl.DataFrame, metric: Metric, cell: Cell) -> None:
    import polars as pl

    wrong = ~pl.col("value").is_finite()
    if metric.bounds is not None:
        wrong = wrong | (pl.col("value") < metric.bounds[0]) | (pl.col("value") > metric.bounds[1])
    found = values.filter(wrong).head(1)
    if not found.is_empty():
        item, seed, value = found.row(0)
        where = "" if metric.bounds is None else f" inside {metric.bounds[0]:g} to {metric.bounds[1]:g}"
        raise StatisticsError(
            f"{metric.name} of item {item!r}, seed {seed}, {cell.prompt} on {cell.model} is {value}; "
            f"a score is a finite number{where}"
        )


def _clusters(rows: pl.DataFrame, shared: NDArray[np.bool_]) -> Ints | None:
    """Return the number of each item's cluster; an item without one is its own."""
    if rows["cluster"].null_count() == rows.height:
        return None
    numbers = item_numbers(rows)
    place = np.zeros(shared.size, np.int64)
    place[numbers] = np.arange(numbers.size)
    return number_clusters(rows[place[shared]])


def _endpoints(facts: RunFacts, cell: Cell, shared: NDArray[np.bool_]) -> Ints | None:
    """Return the number of the endpoint that served each item; None where one served all, or it is not known."""
    import polars as pl

    if "endpoint" not in facts.results.columns:
        return None
    code = pl.col("endpoint").rank("dense").cast(pl.Int64).alias("code")
    rows = cell_rows(facts.results, cell, "item_id", code)
    codes = rows["code"].to_numpy()
    if codes.size == 0 or codes.min() == codes.max():
        return None
    numbers = item_numbers(rows)
    low, high = np.full(shared.size, codes.max()), np.full(shared.size, -1)
    np.minimum.at(low, numbers, codes)
    np.maximum.at(high, numbers, codes)
    found: Ints = np.where(low == high, low, -1)[shared]
    return found


def number_clusters(items: pl.DataFrame) -> Ints:
    """Return the number of each item's cluster, from columns item_id and cluster; without one it is its own."""
    import polars as pl

    labels = pl.struct(pl.col("cluster"), pl.when(pl.col("cluster").is_null()).then(pl.col("item_id").to_physical()))
    codes: Ints = items.select(labels.rank("dense") - 1).to_series().to_numpy().astype(np.int64)
    return codes
