"""The labels behind a metric that is one of all answers: which are true, which are given, and what they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headgate.decide.arms import ArmItems, Items, Rarest
from headgate.decide.decision import FEW_CLUSTERS
from headgate.decide.facts import RunFacts, item_numbers
from headgate.decide.metric import Metric
from headgate.stats.classification import Linear, LinearLimits, confusion, f1_values, matthews_values
from headgate.stats.clusters import effective_clusters
from headgate.stats.estimate import Estimate
from headgate.stats.seeds import SeedNoise
from headgate.stats.values import Bounds, Floats, Ints, difference_bounds
from headgate.suite.scorers import F1, MatthewsCorrelation, OverLabels

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the answers of one arm were taken for, and what they were.

    Attributes
    ----------
    names : sequence of str
        The labels; below they are numbers.
    true : ndarray of int, shape (n_items,)
        By item number; -1: the target is none of them.
    item, given : ndarray of int, shape (n_answers,)
        Number of the item, and what was answered to it; -1: none of the labels.
    """

    names: Sequence[str]
    true: Ints
    item: Ints
    given: Ints

    @classmethod
    def of(cls, facts: RunFacts, metric: Metric, values: pl.DataFrame, *, size: int) -> tuple[Labels, pl.DataFrame]:
        """Return the labels of an arm and its values, of items with a true label; ``size``: of item numbers."""
        import polars as pl

        assert facts.true_labels is not None
        numbers = {name: number for number, name in enumerate(metric.labels)}
        number = pl.col(metric.rows).replace_strict(numbers, default=None, return_dtype=pl.Int64)
        item = pl.col("item_id").cast(pl.String).cast(values.schema["item_id"], strict=False)
        known = facts.true_labels.select(item, number.alias("true")).drop_nulls()
        place = item_numbers(known)
        true = np.full(size, -1)
        true[place[place < size]] = known["true"].to_numpy()[place < size]
        values = values.filter(pl.Series(true[item_numbers(values)] >= 0))
        given = values["label"].replace_strict(numbers, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
        return cls(names=metric.labels, true=true, item=item_numbers(values), given=given), values

    def widened(self, more: tuple[int, int]) -> Labels:
        """Return the labels with room for more item numbers."""
        return replace(self, true=np.pad(self.true, more, constant_values=-1))

    def among(self, shared: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
        """Return item, true and given for some of the items, which are numbered anew."""
        chosen = shared[self.item]
        return (np.cumsum(shared) - 1)[self.item[chosen]], self.true[shared], self.given[chosen]


def linearised(spec: OverLabels, true: Ints, given: Ints, weights: Floats, *, labels: Sequence[str]) -> Linear:
    """Return the metric of some answers, and what each answer counts in it."""
    shares = confusion(true, given, weights, n_classes=len(labels))
    if isinstance(spec, F1):
        found = f1_values(shares, None if spec.label is None else labels.index(spec.label))
    else:
        assert isinstance(spec, MatthewsCorrelation)
        found = matthews_values(shares)
    return found.negated() if spec.negate else found


def rarest(metric: Metric, arms: Sequence[Labels], shared: NDArray[np.bool_], cluster: Ints | None) -> Rarest:
    """Return the label that fewest independent items have, of those that count.

    In a correlation it also counts how many items an arm gives another label than the one that it gives most.
    """
    true = arms[0].true[shared]
    spec, names = metric.whole, arms[0].names
    counted = names if not isinstance(spec, F1) or spec.label is None else [spec.label]
    found = [Rarest(name, _units(true == names.index(name), cluster)) for name in counted]
    if isinstance(spec, MatthewsCorrelation):
        found += [Rarest(None, _units(other, cluster)) for other in _minorities(arms, shared)]
    return min(found, key=lambda one: one.units)


def _minorities(arms: Sequence[Labels], shared: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Yield the items that have an answer other than the most common one, for each arm."""
    for arm in arms:
        item, true, given = arm.among(shared)
        most = int(np.bincount(given + 1).argmax()) - 1
        yield np.bincount(item[given != most], minlength=true.size) > 0


def _units(chosen: NDArray[np.bool_], cluster: Ints | None) -> float:
    if cluster is None or not chosen.any():
        return float(np.count_nonzero(chosen))
    return effective_clusters(cluster[chosen])


def difference_limits(
    candidate: ArmItems,
    baseline: ArmItems,
    ours: Floats,
    theirs: Floats,
    *,
    cluster: Ints | None,
    apart: Bounds,
    within: tuple[SeedNoise, SeedNoise] | None = None,
) -> LinearLimits:
    """Return the limits of the difference of two arms in a metric of all labels; ``ours``, ``theirs``: item values."""
    assert candidate.linear is not None
    assert baseline.linear is not None
    reach = max(candidate.linear.reach, baseline.linear.reach)
    return LinearLimits.of(ours - theirs, reach=reach, bounds=apart, cluster=cluster, within=within)


def estimate_labels(items: Items, metric: Metric, *, confidence: float) -> Estimate | None:
    """Estimate a metric of all labels, or the difference of two arms; None where a label has too few items."""
    c, b, bounds, rare = items.candidate, items.baseline, metric.bounds, items.rarest
    if c.linear is None or bounds is None or rare is None or rare.units < FEW_CLUSTERS[0]:
        return None
    known = np.isfinite(c.seen) & (True if b is None else np.isfinite(b.seen))
    cluster = None if items.cluster is None else np.unique(items.cluster[known], return_inverse=True)[1]
    if b is None:
        limits = LinearLimits.of(c.seen[known], reach=c.linear.reach, bounds=bounds, cluster=cluster)
    else:
        apart = difference_bounds(bounds)
        limits = difference_limits(c, b, c.seen[known], b.seen[known], cluster=cluster, apart=apart)
    if not limits.spread.known:
        return None
    low, high = limits.at((1 - confidence) / 2)
    return Estimate(
        value=limits.value,
        low=low,
        high=high,
        se=limits.spread.se,
        n_items=int(known.sum()),
        n_clusters=None if cluster is None else int(cluster.max()) + 1,
        confidence=confidence,
        method=limits.method,
    )
