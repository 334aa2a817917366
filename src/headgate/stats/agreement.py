"""Agreement of judges beyond chance: Cohen's kappa of two, Fleiss' kappa of many."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headgate.errors import StatisticsError
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import ROUNDING, MeanLimits, student
from headgate.stats.values import Floats, Ints, as_alpha

Weights = Literal["none", "linear", "quadratic"]


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    categories: ArrayLike | None = None,
    weights: Weights = "none",
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the agreement of two judges beyond chance.

    Parameters
    ----------
    first, second : array_like, shape (n_items,)
        The category that each judge gave to each item: numbers or strings.
    categories : array_like, optional
        All categories, in order; weights count their steps. Default: those that were given, sorted.
    weights : str
        ``none``: every disagreement counts the same. ``linear`` or ``quadratic``: by its steps, or their square.
    confidence : float
        Two-sided level.

    Returns
    -------
    Estimate
        From -1 to 1; 0 is chance.

    Raises
    ------
    StatisticsError
        If a label is no category, the lengths differ, there are fewer than two items, or both judges gave one and the
        same category throughout: agreement by chance is then certain, and kappa not defined.

    Notes
    -----
    Large-sample standard error of Fleiss, Cohen and Everitt (1969). The limits are the envelope of Student's and of
    Wilson's for the observed agreement at the chance agreement that was seen, so that judges who always agree are not
    known to be perfect.

    Examples
    --------
    >>> estimate = cohen_kappa(["good", "good", "bad", "bad", "good"], ["good", "good", "bad", "good", "good"])
    >>> round(estimate.value, 4), round(estimate.se, 4)
    (0.5455, 0.3621)
    """
    ours, theirs, size = _labels(first, second, categories)
    steps = _agreement(size, weights)
    shares = np.bincount(ours * size + theirs, minlength=size * size).reshape(size, size) / ours.size
    rows, columns = shares.sum(1), shares.sum(0)
    seen, chance = float((shares * steps).sum()), float(rows @ steps @ columns)
    if 1 - chance < ROUNDING:
        raise StatisticsError("both judges gave one category to every item, so kappa is not defined")
    # The share of each cell in the variance: its weight against the mean weights of its row and its column.
    pull = steps * (1 - chance) - ((steps @ columns)[:, None] + (rows @ steps)[None, :]) * (1 - seen)
    spread = float((shares * pull**2).sum()) - (seen * chance - 2 * chance + seen) ** 2
    se = math.sqrt(max(spread, 0.0) / ours.size) / (1 - chance) ** 2
    method = f"Cohen's kappa, weights {weights}"
    return _estimate(steps[ours, theirs], chance, se, confidence=confidence, method=method)


def fleiss_kappa(counts: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate the agreement of several judges beyond chance.

    Parameters
    ----------
    counts : array_like, shape (n_items, n_categories)
        How many judges gave each category to each item; every item has the same number of judges, two or more.
    confidence : float
        Two-sided level.

    Returns
    -------
    Estimate
        Up to 1; 0 is chance.

    Raises
    ------
    StatisticsError
        If a count is not a whole number of 0 or more, the items differ in judges, there are fewer than two items or
        judges, or every judge gave the same category throughout.

    Notes
    -----
    J. L. Fleiss (1971), Measuring nominal scale agreement among many raters. The standard error is the delete-one-item
    jackknife: the published one holds only where there is no agreement. It is nan where without one item a single
    category is left. Limits as for :func:`cohen_kappa`.

    Examples
    --------
    >>> round(fleiss_kappa([[3, 0], [0, 3], [2, 1], [3, 0]]).value, 4)
    0.625
    """
    table = _ratings(counts)
    n, judges = table.shape[0], float(table[0].sum())
    agreed = ((table * table).sum(1) - judges) / (judges * (judges - 1))
    chance = float(((table.sum(0) / (n * judges)) ** 2).sum())
    if 1 - chance < ROUNDING:
        raise StatisticsError("all judges gave one category to every item, so kappa is not defined")
    without_seen = (agreed.sum() - agreed) / (n - 1)
    without_chance = (((table.sum(0) - table) / ((n - 1) * judges)) ** 2).sum(1)
    se = math.nan
    if (1 - without_chance >= ROUNDING).all():
        without = (without_seen - without_chance) / (1 - without_chance)
        se = math.sqrt(float(((without - without.mean()) ** 2).sum()) * (n - 1) / n)
    return _estimate(agreed, chance, se, confidence=confidence, method="Fleiss' kappa, jackknife")


def _estimate(agreed: Floats, chance: float, se: float, *, confidence: float, method: str) -> Estimate:
    """Return kappa with the envelope of Student's limits and of Wilson's for the observed agreement of the items."""
    seen, alpha = MeanLimits.of(agreed), as_alpha(confidence)
    value = (seen.value - chance) / (1 - chance)
    half = student(alpha, agreed.size - 1) * se if math.isfinite(se) else 0.0
    low, high = ((limit - chance) / (1 - chance) for limit in seen.at(alpha))
    return Estimate(
        value=value,
        low=max(min(low, value - half), -1.0),
        high=min(max(high, value + half), 1.0),
        se=se,
        n_items=agreed.size,
        n_clusters=None,
        confidence=confidence,
        method=method,
    )


def _agreement(size: int, weights: Weights) -> Floats:
    """Return how far each pair of categories agrees, from 0 to 1."""
    if weights == "none":
        return np.eye(size)
    if weights not in {"linear", "quadratic"}:
        raise StatisticsError(f"weights {weights!r} is none of 'none', 'linear', 'quadratic'")
    place = np.arange(size, dtype=np.float64)
    apart = np.abs(place[:, None] - place) / max(size - 1, 1)
    return 1 - (apart if weights == "linear" else apart**2)


def _labels(first: ArrayLike, second: ArrayLike, categories: ArrayLike | None) -> tuple[Ints, Ints, int]:
    """Return the place of each judge's label among the categories, and how many categories there are."""
    ours, theirs = np.asarray(first), np.asarray(second)
    if ours.ndim != 1 or ours.shape != theirs.shape or ours.size < 2:
        raise StatisticsError(
            f"first and second must be vectors of two or more items, not of shapes {ours.shape} and {theirs.shape}"
        )
    known = np.unique(np.concatenate([ours, theirs])) if categories is None else np.asarray(categories)
    place = {category: index for index, category in enumerate(known.tolist())}
    return _codes(ours, place, "first"), _codes(theirs, place, "second"), len(place)


def _codes(labels: NDArray[np.generic], place: dict[object, int], name: str) -> Ints:
    """Return the place of each label among the categories."""
    for index, label in enumerate(labels.tolist()):
        if label not in place or label != label:  # noqa: PLR0124  only nan differs from itself
            raise StatisticsError(f"{name}[{index}] is {label!r}, which is no category")
    return np.array([place[label] for label in labels.tolist()], dtype=np.int64)


def _ratings(counts: ArrayLike) -> Floats:
    """Return the table of counts, checked."""
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2:
        raise StatisticsError(f"counts must be a table of two or more items, not of shape {table.shape}")
    wrong = ~(np.isfinite(table) & (table >= 0) & (table == np.round(table)))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise StatisticsError(f"counts[{row}, {column}] is {table[row, column]:g}; a count is a whole number")
    judges = table.sum(1)
    astray = (judges != judges[0]) | (judges < 2)
    if astray.any():
        row = int(np.argmax(astray))
        raise StatisticsError(
            f"counts[{row}] has {judges[row]:g} judges; every item needs the same number, two or more"
        )
    return table
