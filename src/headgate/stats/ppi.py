"""A mean from few human labels and many judge scores: prediction-powered inference, tuned (PPI++)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.clusters import Spread
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import Limits, MeanLimits, student
from headgate.stats.paired import SPARSE, PairedLimits, differing
from headgate.stats.values import UNIT, Bounds, Floats, as_alpha, as_bounds, as_values

Sum: TypeAlias = tuple[tuple[MeanLimits | PairedLimits, float], ...]

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
    limits = PpiLimits.of(labels, judged, unlabelled, bounds=bounds)
    below, above = limits.at(as_alpha(confidence))
    return Estimate(
        value=limits.value,
        low=below,
        high=above,
        se=limits.spread.se,
        n_items=limits.n_items,
        n_clusters=None,
        confidence=confidence,
        method=limits.method,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PpiLimits:
    """What the limits of a calibrated mean need, at any level: made once, asked often.

    Attributes
    ----------
    spread : Spread
        Estimate and its standard error, in the units of the metric; the units are the labels.
    weight : float
        Of the judge, from 0 to 1.
    sums : tuple of Sum
        On the scale of 0 to 1: parts whose weighted sum is the estimate, with limits of their own.
    bounds : tuple of float or None
        The metric's bounds.
    n_items : int
        Items, labelled or not.
    """

    spread: Spread
    weight: float
    sums: tuple[Sum, ...]
    bounds: Bounds | None
    n_items: int

    @classmethod
    def of(cls, labels: ArrayLike, judged: ArrayLike, unlabelled: ArrayLike, *, bounds: Bounds | None) -> PpiLimits:
        """Summarise labels and scores; parameters and errors as for :func:`ppi_mean`."""
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
        return cls(
            spread=Spread(mean=low + scale * value, se=scale * se, df=y.size - 1.0, units=float(y.size)),
            weight=weight,
            sums=() if bounds is None else _sums(y, f, rest, weight),
            bounds=None if bounds is None else (low, high),
            n_items=y.size + rest.size,
        )

    @property
    def value(self) -> float:
        """The estimate."""
        return self.spread.mean

    @property
    def method(self) -> str:
        """Name of the method."""
        return f"PPI++ (judge weight {self.weight:.3g})"

    def scaled(self, factor: float) -> PpiLimits:
        """Return the limits that ``factor`` times as many items like these would have, as many of them labelled."""
        sums = tuple(tuple((part.scaled(factor), weight) for part, weight in parts) for parts in self.sums)
        return replace(self, spread=self.spread.scaled(factor), sums=sums)

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        half = student(alpha, self.spread.df) * self.spread.se
        plain = self.value - half, self.value + half
        if self.bounds is None:
            return plain
        low, high = self.bounds
        scale, unit = high - low, (self.value - low) / (high - low)
        found = [_around(unit, alpha, parts) for parts in self.sums]
        lows, highs = zip(plain, *((low + scale * one, low + scale * other) for one, other in found), strict=True)
        return max(min(lows), low), min(max(highs), high)


def _sums(y: Floats, f: Floats, rest: Floats, weight: float) -> tuple[Sum, ...]:
    judge = (MeanLimits.of(rest), weight)
    sums: list[Sum] = [(judge, (PairedLimits.of(y, weight * f), 1.0))]
    if differing(y, f, None) < SPARSE:
        sums.append((judge, (PairedLimits.of(y, f), weight), (MeanLimits.of(y), 1 - weight)))
    return tuple(sums)


def _weight(y: Floats, f: Floats, rest: Floats) -> float:
    """Return the weight of the judge that makes the variance smallest, within 0 to 1."""
    variance = float(np.concatenate([f, rest]).var(ddof=1))
    if variance == 0:
        return 0.0
    covariance = float((y - y.mean()) @ (f - f.mean())) / y.size
    return min(max(covariance / (variance * (1 + y.size / rest.size)), 0.0), 1.0)


def _around(value: float, alpha: float, parts: Sum) -> Limits:
    """Return the limits of a weighted sum, from those of its parts."""
    limits = [(part.value, part.at(alpha), weight) for part, weight in parts]
    return (
        value - math.hypot(*(weight * (mean - low) for mean, (low, _), weight in limits)),
        value + math.hypot(*(weight * (high - mean) for mean, (_, high), weight in limits)),
    )
