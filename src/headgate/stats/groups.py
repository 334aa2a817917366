"""How much of what varies is between groups: the intraclass correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError


def between_share(values: ArrayLike, groups: ArrayLike) -> float | None:
    """Estimate the share of the variance of values that is between groups.

    Parameters
    ----------
    values : array_like, shape (n,)
        Finite numbers.
    groups : array_like, shape (n,)
        What each belongs to: whole numbers, or anything that can be sorted.

    Returns
    -------
    float or None
        From 0 to 1; None where fewer than two groups have two values, or all values are the same.

    Raises
    ------
    StatisticsError
        If a value is not finite, or the lengths differ.

    Notes
    -----
    The intraclass correlation of one-way random effects, ICC(1), with groups of unequal size: Donner (1986), "A review
    of inference procedures for the intraclass correlation coefficient in the one-way random effects model",
    International Statistical Review 54. An estimate below zero is told as zero. Groups of one value tell nothing, and
    are left out.

    Examples
    --------
    >>> round(between_share([1, 2, 1, 2, 5, 6, 5, 6], ["a", "a", "a", "a", "b", "b", "b", "b"]), 3)
    0.96
    """
    x = np.asarray(values, np.float64)
    labels = np.asarray(groups)
    if x.shape != labels.shape or x.ndim != 1:
        raise StatisticsError(f"values has the shape {x.shape} and groups {labels.shape}; both are of the same items")
    if not np.isfinite(x).all():
        raise StatisticsError("a value is not finite")
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = counts[codes] > 1
    x, codes, sizes = x[kept], codes[kept], counts[counts > 1].astype(np.float64)
    if sizes.size < 2:
        return None
    codes = np.unique(codes, return_inverse=True)[1]
    means = np.bincount(codes, x) / sizes
    within = float(np.sum((x - means[codes]) ** 2)) / (x.size - sizes.size)
    between = float(np.sum(sizes * (means - x.mean()) ** 2)) / (sizes.size - 1)
    size = (x.size - float(np.sum(sizes**2)) / x.size) / (sizes.size - 1)
    total = between + (size - 1) * within
    return None if total <= 0 else max((between - within) / total, 0.0)
