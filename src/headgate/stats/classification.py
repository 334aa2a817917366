"""Metrics of a classifier from its confusion matrix, and what each answer counts in them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from headgate.stats.clusters import Spread, spread
from headgate.stats.intervals import Limits, student
from headgate.stats.seeds import SeedNoise, noise_spread
from headgate.stats.sums import group_sums, steady_mean
from headgate.stats.values import Bounds, Floats, Ints


@dataclass(frozen=True, slots=True)
class Linear:
    """A function of a confusion matrix, and the values whose mean over the answers it is.

    Attributes
    ----------
    value : float
        The function itself.
    values : ndarray, shape (n_classes, n_classes + 1)
        What an answer counts, by its true label and the given one (last: none): the function plus its derivative
        towards such answers. Their mean is ``value``, and their spread over items that of its error.
    smooth : bool
        Whether there is such a derivative.

    Notes
    -----
    Woodruff 1971, "A simple method for approximating the variance of a complicated estimate"; it is also the influence
    function, and the jackknife's pseudo-values but for what is of order 1 / n.
    """

    value: float
    values: Floats
    smooth: bool = True

    @property
    def reach(self) -> float:
        """How far the value of an item can move with its answers, whichever its true label is."""
        return float(np.ptp(self.values, axis=1).max())

    def negated(self) -> Linear:
        """Return 1 less the function."""
        return replace(self, value=1 - self.value, values=1 - self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLimits:
    """What the limits of such a function, or of a difference of two, need at any level.

    Attributes
    ----------
    spread : Spread
        The value and its standard error, that of the mean of the items' values.
    n_items : float
        Items behind it.
    reach : float
        How far the value of an item can move; see :attr:`Linear.reach`.
    bounds : tuple of float
        Its smallest and largest value.

    Notes
    -----
    A standard error knows nothing of what was not seen: of ten items of a rare label none has changed, and a tenth of
    such items may. At a level with Student's quantile t, ``t^2 / (n + t^2)`` of the items may be of kinds that none of
    n was (Wilson's limit at 0), and move the value by ``reach`` at most: u. Both make the half-width as they do in
    Wilson's interval of a rare event: ``u / 2 + sqrt((t se)^2 + (u / 2)^2)``. What u adds falls with 1 / n.
    """

    spread: Spread
    n_items: float
    reach: float
    bounds: Bounds

    @classmethod
    def of(
        cls,
        values: Floats,
        *,
        reach: float,
        bounds: Bounds,
        cluster: Ints | None = None,
        within: tuple[SeedNoise, ...] | None = None,
    ) -> LinearLimits:
        """Summarise the values of items; ``within`` is given where the items are fixed."""
        fixed = within is not None and all(noise.known for noise in within)
        found = noise_spread(steady_mean(values), within) if within is not None and fixed else spread(values, cluster)
        return cls(spread=found, n_items=float(values.size), reach=reach, bounds=bounds)

    @property
    def method(self) -> str:
        """Name of the method."""
        return "linearised t + unseen"

    @property
    def value(self) -> float:
        """The value."""
        return self.spread.mean

    def scaled(self, factor: float) -> LinearLimits:
        """Return the limits that ``factor`` times as many items like these would have."""
        return replace(self, spread=self.spread.scaled(factor), n_items=self.n_items * factor)

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        if not self.spread.known:
            return self.bounds
        half = self._half(alpha)
        return max(self.value - half, self.bounds[0]), min(self.value + half, self.bounds[1])

    def pass_probability(self, margin: float, *, alpha: float) -> float:
        """Return the chance that the lower limit lies above ``-margin`` where the true value is 0."""
        room, se = margin - self._half(alpha), self.spread.se
        return float(ndtr(room / se)) if se > 0 else float(room > 0)

    def mde(self, *, alpha: float, power: float) -> float:
        """Return the smallest true change that the limits leave 0 out for, with this power."""
        return self._half(alpha) + float(ndtri(power)) * self.spread.se

    def _half(self, alpha: float) -> float:
        t = student(alpha, self.spread.df)
        unseen = self.reach * t * t / (self.n_items + t * t)
        return unseen / 2 + math.hypot(t * self.spread.se, unseen / 2)


def confusion(true: Ints, given: Ints, weights: Floats, *, n_classes: int) -> Floats:
    """Return the shares of answers by their true label and the given one; no order of the answers changes a bit.

    Parameters
    ----------
    true, given : ndarray of int, shape (n_answers,)
        Numbers of the classes from 0 on; of ``given``, -1: none of them.
    weights : ndarray, shape (n_answers,)
        What each answer weighs.

    Returns
    -------
    ndarray, shape (n_classes, n_classes + 1)
        The last column is that of no label; the sum is 1.

    Examples
    --------
    >>> confusion(np.array([0, 0, 1, 1]), np.array([0, 1, 1, -1]), np.ones(4), n_classes=2).tolist()
    [[0.25, 0.25, 0.0], [0.0, 0.25, 0.25]]
    """
    codes = cell_codes(true, given, n_classes=n_classes)
    counts = np.bincount(codes, minlength=n_classes * (n_classes + 1))
    sums = group_sums(weights, codes, counts)
    shares: Floats = (sums / sums.sum()).reshape(n_classes, n_classes + 1)
    return shares


def cell_codes(true: Ints, given: Ints, *, n_classes: int) -> Ints:
    """Return the number of each answer's cell in a confusion matrix that is read row by row."""
    codes: Ints = true * (n_classes + 1) + np.where(given < 0, n_classes, given)
    return codes


def f1_values(shares: Floats, label: int | None = None) -> Linear:
    """Return the F1 of one class, or the mean F1 of all of them; that of a class which is nowhere is 0.

    Examples
    --------
    >>> shares = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), n_classes=2)
    >>> round(f1_values(shares).value, 6), round(f1_values(shares, 1).value, 6)
    (0.666667, 0.666667)
    """
    right, both = _marginals(shares)
    whole = both[0] + both[1][:-1]
    there = whole > 0
    weight = np.full(len(whole), 1 / len(whole)) if label is None else np.eye(len(whole))[label]
    f1 = np.divide(2 * right, whole, out=np.zeros_like(whole), where=there)
    per_share = np.divide(weight, whole, out=np.zeros_like(whole), where=there)
    lost = per_share * f1
    slope = -lost[:, None] - np.append(lost, 0.0)[None, :]
    slope[np.diag_indices(len(whole))] += 2 * per_share
    value = float(weight @ f1)
    return Linear(value, value + slope)


def matthews_values(shares: Floats) -> Linear:
    """Return Matthews' correlation coefficient; 0 where one side is of one class. No label counts as a class.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".

    Examples
    --------
    >>> matthews_values(confusion(np.array([0, 1]), np.array([0, 1]), np.ones(2), n_classes=2)).value
    1.0
    """
    right, (true, given) = _marginals(shares)
    total = float(right.sum())
    spread_true, spread_given = 1 - float(true @ true), 1 - float(given @ given)
    product = spread_true * spread_given
    if product <= 1e-12:
        return Linear(0.0, np.zeros_like(shares), smooth=False)
    root = np.sqrt(product)
    value = (total - float(true @ given[:-1])) / root
    slope = total - given[:-1][:, None] - np.append(true, 0.0)[None, :]
    slope[np.diag_indices(len(true))] += 1
    slope = slope / root - value * ((1 - true)[:, None] / spread_true + (1 - given)[None, :] / spread_given)
    return Linear(float(value), value + slope)


def _marginals(shares: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """Return the shares of right answers by class, of true labels, and of given ones (last: none)."""
    return np.diagonal(shares).copy(), (shares.sum(axis=1), shares.sum(axis=0))
