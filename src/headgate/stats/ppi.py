"""A mean from few human labels and many judge scores: prediction-powered inference, tuned (PPI++)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.clusters import Spread
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import ROUNDING, Limits, MeanLimits, student
from headgate.stats.paired import Contrast
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
    ``lambda^2 var(f_u) / N + var(y - lambda f_l) / n``, at Student's quantile of the labels. Each label has the weight
    lambda that the other labels give: one that it helped to choose makes its own error look small, and leans to it.
    Judges err rarely, and to one side, so the spread of a few labels tells too little of the others. Within bounds the
    limits are the envelope with two MOVER intervals: of the corrected labels' mean gain and mean loss about their
    median, and the judge's mean; and of the judge's gains and losses against the labels, the labels, and the judge's
    mean, since with many items more than labels an error that no label has met counts in full. See
    :func:`headgate.stats.paired_interval` for gains and losses.

    Examples
    --------
    >>> estimate = ppi_mean([1] * 30 + [0] * 20, [1] * 35 + [0] * 15, [1] * 700 + [0] * 300)
    >>> round(estimate.value, 3), estimate.method
    (0.594, 'PPI++ (judge weight 0.816)')
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
    corrected : Contrast
        Gains of the corrected labels against their losses, about their median, on the scale of 0 to 1.
    errors : Contrast
        Of the labels against the judge's scores of the same items, on that scale.
    labels, judge : MeanLimits
        The labels, and the judge's scores of the other items, on that scale.
    bounds : tuple of float or None
        The metric's bounds.
    n_items : int
        Items, labelled or not.
    """

    spread: Spread
    weight: float
    corrected: Contrast
    errors: Contrast
    labels: MeanLimits
    judge: MeanLimits
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
        weights = _weights(y, f, rest)
        weight = float(weights.mean())
        corrected = y - weights * (f - rest.mean())
        variance = weight**2 * float(rest.var(ddof=1)) / rest.size + float(corrected.var(ddof=1)) / y.size
        value = low + scale * float(corrected.mean())
        return cls(
            spread=Spread(mean=value, se=scale * math.sqrt(variance), df=y.size - 1.0, units=float(y.size)),
            weight=weight,
            corrected=Contrast.of_parts(corrected - np.median(corrected)),
            errors=Contrast.of_parts(y - f),
            labels=MeanLimits.of(y),
            judge=MeanLimits.of(rest),
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
        return replace(
            self,
            spread=self.spread.scaled(factor),
            corrected=self.corrected.scaled(factor),
            errors=self.errors.scaled(factor),
            labels=self.labels.scaled(factor),
            judge=self.judge.scaled(factor),
        )

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        t = student(alpha, self.spread.df)
        low, high = self.value - t * self.spread.se, self.value + t * self.spread.se
        if self.bounds is None:
            return low, high
        scale, weight = self.bounds[1] - self.bounds[0], self.weight
        corrected, errors = (_reach(part.value, part.at(t)) for part in (self.corrected, self.errors))
        labels, judge = (_reach(part.value, part.at(alpha)) for part in (self.labels, self.judge))
        down, up = (
            scale * max(math.hypot(weight * j, c), math.hypot(weight * j, weight * e, (1 - weight) * y))
            for j, c, e, y in zip(judge, corrected, errors, labels, strict=True)
        )
        low, high = min(low, self.value - down), max(high, self.value + up)
        return max(low, self.bounds[0]), min(high, self.bounds[1])


def _reach(value: float, limits: Limits) -> tuple[float, float]:
    """Return how far the limits lie below and above."""
    return value - limits[0], limits[1] - value


def _weights(y: Floats, f: Floats, rest: Floats) -> Floats:
    """Return for each label the weight of the judge, within 0 to 1, that makes the variance of the others smallest."""
    everywhere = np.concatenate([f, rest])
    covariance = _of_others(y, f) / (y.size - 1)
    variance = _of_others(everywhere, everywhere)[: y.size] / (everywhere.size - 2)
    ratio = np.divide(covariance, variance, out=np.zeros_like(f), where=variance > ROUNDING**2)
    return np.clip(ratio / (1 + (y.size - 1) / rest.size), 0.0, 1.0)


def _of_others(x: Floats, y: Floats) -> Floats:
    """Return for each of n pairs the sum of ``(x - mean x) (y - mean y)`` over the others."""
    x, y = x - x.mean(), y - y.mean()
    return x @ y - x * y * (x.size / (x.size - 1))
