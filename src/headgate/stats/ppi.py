"""A mean from few human labels and many judge scores: prediction-powered inference, tuned (PPI++)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import Limits, MeanLimits, student
from headgate.stats.paired import SPARSE, PairedLimits, differing
from headgate.stats.values import UNIT, Bounds, Floats, as_alpha, as_bounds, as_values

LABELS: Final = 30
"""Fewer human labels than this say too little about the judge's bias."""


def ppi_mean(
    labels: ArrayLike,
    judged: ArrayLike,
    unlabelled: ArrayLike,
    *,
    bounds: Bounds | None = UNIT,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the mean that humans would give, from a labelled random subset and a judge's scores everywhere.

    A biased judge does not bias the estimate; a judge that agrees with the humans makes it sharper than the labels
    alone are. For two arms, give the differences candidate - baseline of the items, and ``bounds=(-1, 1)``.

    Parameters
    ----------
    labels : array_like, shape (n_labels,)
        Human scores of a random sample of the items; 30 or more.
    judged : array_like, shape (n_labels,)
        The judge's scores of the same items.
    unlabelled : array_like, shape (n_unlabelled,)
        The judge's scores of all other items; two or more.
    bounds : tuple of float or None
        Smallest and largest possible score; None: unbounded.
    confidence : float
        Two-sided level.

    Returns
    -------
    Estimate
        ``method`` tells the weight of the judge, from 0 (the labels alone) to 1.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds, the lengths differ, or there are fewer than 30 labels: the
        judge is then uncalibrated, and its mean is to be reported as such.

    Notes
    -----
    Angelopoulos, Duchi and Zrnic (2023), PPI++: ``lambda mean(f_u) + mean(y - lambda f_l)`` with variance
    ``lambda^2 var(f_u) / N + var(y - lambda f_l) / n``, at Student's quantile of the labels. Within bounds the envelope
    with MOVER intervals of the same sum; where fewer than 30 labels differ from the judge, also with one that bounds
    the judge's errors apart, as :func:`headgate.stats.paired_interval` does, since rare ones may not have been seen.
    The plain interval would miss 17 to 57 % on one side, of 5 %, where 30 labels of 90 to 98 % are nearly all right.

    Examples
    --------
    >>> estimate = ppi_mean([1] * 30 + [0] * 20, [1] * 35 + [0] * 15, [1] * 700 + [0] * 300)
    >>> round(estimate.value, 3), estimate.method
    (0.6, 'PPI++ (judge weight 0.816)')
    """
    y = as_values(labels, bounds=bounds, name="labels")
    f = as_values(judged, bounds=bounds, name="judged")
    rest = as_values(unlabelled, bounds=bounds, name="unlabelled")
    if y.size != f.size:
        raise StatisticsError(f"labels has {y.size} values and judged {f.size}; both are of the same items")
    if y.size < LABELS:
        raise StatisticsError(f"{y.size} labels are too few to calibrate a judge; {LABELS} or more are needed")
    if rest.size < 2:
        raise StatisticsError(f"unlabelled has {rest.size} value; two or more are needed")
    low, high = (0.0, 1.0) if bounds is None else as_bounds(bounds)
    scale = high - low
    y, f, rest = ((scores - low) / scale for scores in (y, f, rest))
    weight = _weight(y, f, rest)
    value = weight * float(rest.mean()) + float((y - weight * f).mean())
    se = math.sqrt(weight**2 * float(rest.var(ddof=1)) / rest.size + float((y - weight * f).var(ddof=1)) / y.size)
    alpha = as_alpha(confidence)
    half = student(alpha, y.size - 1) * se
    limits = [(value - half, value + half)]
    if bounds is not None:
        judge = (MeanLimits.of(rest), weight)
        limits.append(_around(value, alpha, judge, (PairedLimits.of(y, weight * f), 1.0)))
        if differing(y, f, None) < SPARSE:
            errors = (PairedLimits.of(y, f), weight)
            limits.append(_around(value, alpha, judge, errors, (MeanLimits.of(y), 1 - weight)))
    lows, highs = zip(*limits, strict=True)
    below, above = (min(lows), max(highs)) if bounds is None else (max(min(lows), 0.0), min(max(highs), 1.0))
    return Estimate(
        value=low + scale * value,
        low=low + scale * below,
        high=low + scale * above,
        se=scale * se,
        n_items=y.size + rest.size,
        n_clusters=None,
        confidence=confidence,
        method=f"PPI++ (judge weight {weight:.3g})",
    )


def _weight(y: Floats, f: Floats, rest: Floats) -> float:
    """Return the weight of the judge that makes the variance smallest, within 0 to 1."""
    variance = float(np.concatenate([f, rest]).var(ddof=1))
    if variance == 0:
        return 0.0
    covariance = float((y - y.mean()) @ (f - f.mean())) / y.size
    return min(max(covariance / (variance * (1 + y.size / rest.size)), 0.0), 1.0)


def _around(value: float, alpha: float, *parts: tuple[MeanLimits | PairedLimits, float]) -> Limits:
    """Return the limits of a weighted sum, from those of its parts."""
    limits = [(part.value, part.at(alpha), weight) for part, weight in parts]
    return (
        value - math.hypot(*(weight * (mean - low) for mean, (low, _), weight in limits)),
        value + math.hypot(*(weight * (high - mean) for mean, (_, high), weight in limits)),
    )
