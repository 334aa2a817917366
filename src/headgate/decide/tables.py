"""Rows to items: the values of one metric in one cell, averaged per item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headgate.decide.arms import ArmItems, Items
from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts, item_numbers
from headgate.decide.labels import Labels, linearised, rarest
from headgate.decide.metric import Metric
from headgate.errors import StatisticsError
from headgate.stats.intervals import binary_rows
from headgate.stats.passes import pass_at_k, pass_noise
from headgate.stats.seeds import SeedNoise
from headgate.stats.sums import group_sums
from headgate.stats.values import UNIT, Bounds, Floats, Ints
from headgate.suite.gate import STATUS_RATES
from headgate.suite.scorers import OverLabels, PassAtK

if TYPE_CHECKING:
    import polars as pl


def items_of(
    candidate: RunFacts, baseline: RunFacts | None, *, metric: Metric, cells: tuple[Cell, Cell | None]
) -> Items:
    """Return the item means of a metric in a cell and its baseline, on the items that both have.

    Unbounded metrics keep complete items only: those with a value in every arm. Metrics of all labels leave out items
    whose target is none of them.

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
    cluster = _clusters(cell_rows(candidate.results, cells[0], "item_id", "cluster"), shared)
    labels = [arm.labels for arm in arms if arm.labels is not None]
    return Items(
        candidate=found[0],
        baseline=found[1] if len(found) > 1 else None,
        cluster=cluster,
        endpoint=_endpoints(candidate, cells[0], shared),
        rarest=rarest(metric, labels, shared, cluster) if labels else None,
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
        columns = ["item_id", "seed", "value", *(["label"] if metric.whole else [])]
        found = cell_rows(facts.scores, cell, *columns, scorer=metric.rows)
        return found.drop_nulls("value")
    failed = pl.col("status") == "error"
    status = STATUS_RATES.get(metric.name)
    value = pl.col(metric.name) if status is None else pl.col("status") == status
    value = value if metric.name == "error_rate" else pl.when(~failed).then(value)
    return cell_rows(facts.results, cell, "item_id", "seed", value.cast(pl.Float64).alias("value")).drop_nulls("value")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """Sums of one arm by item number: rows (jobs), values, their sum, their squared deviations; means of labels.

    ``labels`` are given where the metric is made of them.
    """

    rows: Ints
    n: Ints
    total: Floats
    squares: Floats
    binary: bool
    human: Floats | None = None
    labels: Labels | None = None

    @classmethod
    def of(cls, facts: RunFacts, metric: Metric, cell: Cell) -> _Arm:
        rows = np.bincount(item_numbers(cell_rows(facts.results, cell, "item_id")))
        values, labels = checked_values(facts, metric, cell), None
        if metric.whole is not None:
            labels, values = Labels.of(facts, metric, values, size=rows.size)
            rows = np.where(labels.true >= 0, rows, 0)
        numbers, scores = item_numbers(values), values["value"].to_numpy()
        n = np.bincount(numbers, minlength=rows.size)
        binary = scores.size > 0 and binary_rows(scores, metric.bounds) is not None
        total, squares = _totals(scores, numbers, n, levels=metric.bounds if binary else None)
        human = _humans(facts, metric, cell, size=rows.size) if metric.judged else None
        return cls(rows=rows, n=n, total=total, squares=squares, binary=binary, human=human, labels=labels)

    def widened(self, size: int) -> _Arm:
        """Return the sums with room for more item numbers."""
        more = (0, size - self.rows.size)
        rows, n = np.pad(self.rows, more), np.pad(self.n, more)
        human = None if self.human is None else np.pad(self.human, more, constant_values=np.nan)
        total, squares = np.pad(self.total, more), np.pad(self.squares, more)
        labels = None if self.labels is None else self.labels.widened(more)
        return replace(self, rows=rows, n=n, total=total, squares=squares, human=human, labels=labels)

    def items(self, shared: NDArray[np.bool_], *, metric: Metric, missing: int) -> ArmItems:
        """Return the means of some items, or what the metric makes of their scores in their place."""
        if metric.passes is not None:
            return self._passing(metric.passes, shared, missing=missing)
        if metric.whole is not None and self.labels is not None:
            return self._labelled(self.labels, metric.whole, shared, missing=missing)
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

    def _labelled(self, labels: Labels, spec: OverLabels, shared: NDArray[np.bool_], *, missing: int) -> ArmItems:
        """Return what the answers to each item count; what is missing counts what is worst, or best, for its label."""
        item, true, given = labels.among(shared)
        n, rows = self.n[shared], self.rows[shared].astype(np.float64)
        linear = linearised(spec, true[item], given, 1 / n[item], labels=labels.names)
        values = linear.values[true[item], given]  # -1: the last column, that of no label
        total, squares = _totals(values, item, n, levels=None)
        seen = np.full(total.size, np.nan)
        np.divide(total, n, out=seen, where=n > 0)
        lost = rows - n
        low, high = (
            (total + lost * end[true]) / rows for end in (linear.values.min(axis=1), linear.values.max(axis=1))
        )
        return ArmItems(
            low=low if missing else seen,
            high=high if missing else seen,
            seen=seen,
            noise=SeedNoise(squares=squares, seeds=n),
            n_rows=int(rows.sum()),
            n_missing=missing,
            binary=False,
            linear=linear,
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
