"""How much of a score's spread lies between items and how much between the seeds of one item."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headgate.errors import StatisticsError
from headgate.stats.clusters import Spread
from headgate.stats.items import mean_of
from headgate.stats.sums import group_sums, steady_sum
from headgate.stats.values import Floats, Ints, Numbers, as_labels, as_values

NOISY: Final = 5
"""Where fewer items than this show seed noise, and others do not, they say too little about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNoise:
    """What the seeds of each item say about their own spread.

    Attributes
    ----------
    squares : ndarray, shape (n_items,)
        Sum of squares of an item's rows about their mean.
    seeds : ndarray of int64, shape (n_items,)
        Rows of each item.
    """

    squares: Floats
    seeds: Ints

    @property
    def known(self) -> bool:
        """Whether so many items show noise that its amount can be told: five, or all of them."""
        return int(np.count_nonzero(self.squares)) >= min(NOISY, self.squares.size)

    def pooled(self) -> float:
        """Return the mean square within items.

        Raises
        ------
        StatisticsError
            If no item has two rows.
        """
        df = int(self.seeds.sum()) - self.seeds.size
        if df == 0:
            raise StatisticsError(
                "no item has two rows, so nothing is known of the seeds; run two or more of each item"
            )
        return float(self.squares.sum()) / df

    def sampling(self) -> Floats:
        """Return the variance of each item's mean about its true mean.

        Raises
        ------
        StatisticsError
            If an item has one row.
        """
        if (self.seeds < 2).any():
            few = int(np.count_nonzero(self.seeds < 2))
            raise StatisticsError(
                f"{few} of {self.seeds.size} items have one row: the suite's own mean needs two or more seeds of every "
                "item in each arm; run more seeds, or ask for target='population'"
            )
        return self.squares / (self.seeds - 1) / self.seeds


def noise_spread(mean: float, arms: tuple[SeedNoise, ...]) -> Spread:
    """Return the standard error of a mean over fixed items, or of a difference of such means: seed noise only.

    The degrees of freedom are Satterthwaite's over the items of all arms.
    """
    n = arms[0].seeds.size
    variances = np.concatenate([arm.sampling() for arm in arms])
    df = np.concatenate([arm.seeds for arm in arms]) - 1
    total = steady_sum(variances)
    freedom = total**2 / steady_sum(variances**2 / df) if total > 0 else float(df.sum())
    return Spread(mean=mean, se=math.sqrt(total) / n, df=freedom, units=float(n))


def by_item(rows: Numbers, items: ArrayLike) -> tuple[NDArray[np.generic], Floats, SeedNoise]:
    """Return the items, sorted, their means, and the noise of their seeds."""
    ids, codes = as_labels(items, length=rows.size, name="items")
    seeds = np.bincount(codes)
    means = mean_of(rows, codes, seeds)
    deviations = rows - means[codes]
    # What is rounding on the scale of the rows is no noise.
    deviations[np.abs(deviations) <= 1e-12 * float(np.abs(rows).max())] = 0.0
    squares = group_sums(deviations * deviations, codes, seeds)
    return ids, means, SeedNoise(squares=squares, seeds=seeds.astype(np.int64, copy=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComponents:
    """Spread of a score between items and between seeds.

    Attributes
    ----------
    item_variance : float
        Variance of the items' true means; 0 where the items differ less than their seeds explain.
    seed_variance : float
        Variance of one row about its item's true mean; equal to ``msw``.
    icc : float
        Share of a row's variance that lies between items; nan where nothing varies.
    msb, msw : float
        Mean squares between and within items.
    n_items : int
        Number of items.
    seeds_min, seeds_max : int
        Fewest and most rows of an item.
    """

    item_variance: float
    seed_variance: float
    icc: float
    msb: float
    msw: float
    n_items: int
    seeds_min: int
    seeds_max: int


def variance_components(values: ArrayLike, items: ArrayLike) -> VarianceComponents:
    """Split the variance of rows into that between items and that between the seeds of one item.

    Parameters
    ----------
    values : array_like, shape (n_rows,)
        Scores.
    items : array_like, shape (n_rows,)
        The item of each row; items may have different numbers of rows.

    Returns
    -------
    VarianceComponents

    Raises
    ------
    StatisticsError
        If a value is not finite, there are fewer than two items, or no item has two rows.

    Notes
    -----
    One-way random effects by the method of moments, with ``n0 = (N - sum k^2 / N) / (n - 1)`` rows per item where
    their numbers differ; Searle, Casella and McCulloch (1992), Variance components, section 3.6.

    Examples
    --------
    >>> found = variance_components([1, 1, 1, 0, 0, 0], ["a", "a", "b", "b", "c", "c"])
    >>> round(found.item_variance, 4), round(found.seed_variance, 4), round(found.icc, 4)
    (0.1667, 0.1667, 0.5)
    """
    rows = as_values(values)
    _, means, noise = by_item(rows, items)
    n, total, k = means.size, rows.size, noise.seeds
    if n < 2:
        raise StatisticsError("all rows are of one item; the variance between items needs two")
    msw = noise.pooled()
    centre = float(means @ k) / total
    msb = float((means - centre) ** 2 @ k) / (n - 1)
    rows_per_item = (total - float(k @ k) / total) / (n - 1)
    between = max(0.0, (msb - msw) / rows_per_item)
    return VarianceComponents(
        item_variance=between,
        seed_variance=msw,
        icc=between / (between + msw) if between + msw > 0 else math.nan,
        msb=msb,
        msw=msw,
        n_items=n,
        seeds_min=int(k.min()),
        seeds_max=int(k.max()),
    )


def recommended_seeds(components: VarianceComponents, *, cost_item: float, cost_seed: float) -> int | None:
    """Return the number of seeds that knows the mean best for the money.

    Parameters
    ----------
    components : VarianceComponents
        Of this score.
    cost_item : float
        What one more item costs, without its rows.
    cost_seed : float
        What one row costs.

    Returns
    -------
    int or None
        The whole number next to ``sqrt(seed_variance / item_variance * cost_item / cost_seed)`` that makes variance
        times cost the smallest; None where the items do not differ and every seed is worth its price.

    Raises
    ------
    StatisticsError
        If a cost is not a finite number, ``cost_item`` is below 0 or ``cost_seed`` is not above 0.

    Examples
    --------
    >>> found = variance_components([1, 1, 1, 0, 0, 0], ["a", "a", "b", "b", "c", "c"])
    >>> recommended_seeds(found, cost_item=0, cost_seed=1), recommended_seeds(found, cost_item=9, cost_seed=1)
    (1, 3)
    """
    if not (math.isfinite(cost_item) and cost_item >= 0):
        raise StatisticsError(f"cost_item {cost_item} is not a finite number of 0 or more")
    if not (math.isfinite(cost_seed) and cost_seed > 0):
        raise StatisticsError(f"cost_seed {cost_seed} is not a finite number above 0")
    between, within = components.item_variance, components.seed_variance
    if within == 0 or cost_item == 0:
        return 1
    if between == 0:
        return None

    def price(seeds: int) -> float:
        return (between + within / seeds) * (cost_item + cost_seed * seeds)

    best = math.sqrt(within / between * cost_item / cost_seed)
    return min((max(1, math.floor(best)), math.ceil(best)), key=price)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComponents:
    """Spread of the difference of two arms on the same items.

    Attributes
    ----------
    difference_variance : float
        Variance over items of the true difference, omega squared; 0 where the seeds explain all of what differs.
    candidate_variance, baseline_variance : float
        Variance of one row about its item's true mean, in each arm.
    n_items : int
        Items that they were found on.
    """

    difference_variance: float
    candidate_variance: float
    baseline_variance: float
    n_items: int

    def sd_with(self, seeds_c: float, seeds_b: float) -> float:
        """Return the standard deviation of an item's difference with so many seeds in each arm."""
        if not (seeds_c >= 1 and seeds_b >= 1):
            raise StatisticsError(f"seeds_c {seeds_c} and seeds_b {seeds_b} must both be 1 or more")
        noise = self.candidate_variance / seeds_c + self.baseline_variance / seeds_b
        return math.sqrt(self.difference_variance + noise)

    def se_with(self, n_items: int, seeds_c: float, seeds_b: float) -> float:
        """Return the standard error of the mean difference over so many items, with so many seeds in each arm.

        Examples
        --------
        >>> found = PairedComponents(difference_variance=0.01, candidate_variance=0.09, baseline_variance=0.09,
        ...                          n_items=50)
        >>> found.se_with(100, 3, 9)
        0.022360679774997897
        """
        if n_items < 1:
            raise StatisticsError(f"n_items {n_items} is not 1 or more")
        return self.sd_with(seeds_c, seeds_b) / math.sqrt(n_items)


def paired_components(
    candidate: ArrayLike, baseline: ArrayLike, items: ArrayLike, *, baseline_items: ArrayLike | None = None
) -> PairedComponents:
    """Split the variance of a paired difference into that of the items and the seed noise of both arms.

    Parameters
    ----------
    candidate : array_like, shape (n_rows,)
        Scores of the candidate.
    baseline : array_like, shape (n_rows,) or (n_rows_b,)
        Scores of the baseline.
    items : array_like, shape (n_rows,)
        The item of each row.
    baseline_items : array_like, shape (n_rows_b,), optional
        The item of each row of the baseline, where it has more or fewer seeds. Default: ``items``.

    Returns
    -------
    PairedComponents

    Raises
    ------
    StatisticsError
        If a value is not finite, the arms have not the same items, there are fewer than two, or no item of an arm has
        two rows.

    Notes
    -----
    The observed variance of the items' differences, less the seed noise in it. Seeds of the two arms are taken to be
    independent.

    Examples
    --------
    >>> found = paired_components([1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0], ["a", "a", "b", "b", "c", "c"])
    >>> found.difference_variance, round(found.candidate_variance, 4)
    (0.0, 0.1667)
    """
    ids_c, c, noise_c = by_item(as_values(candidate, name="candidate"), items)
    ids_b, b, noise_b = by_item(
        as_values(baseline, name="baseline"), items if baseline_items is None else baseline_items
    )
    if not np.array_equal(ids_c, ids_b):
        raise StatisticsError("the arms have not the same items; pairs need both")
    if c.size < 2:
        raise StatisticsError("all rows are of one item; the variance between items needs two")
    within_c, within_b = noise_c.pooled(), noise_b.pooled()
    noise = float((within_c / noise_c.seeds + within_b / noise_b.seeds).mean())
    return PairedComponents(
        difference_variance=max(0.0, float((c - b).var(ddof=1)) - noise),
        candidate_variance=within_c,
        baseline_variance=within_b,
        n_items=c.size,
    )
