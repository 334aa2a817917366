"""Estimates of many slices, drawn towards their common mean: for display, never for a gate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.values import Floats, as_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """Estimates after shrinkage.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Posterior means, in the order of the input.
    ses : ndarray, shape (n,)
        Posterior standard deviations, with the uncertainty of ``mean`` but not that of ``sd``: too small where there
        are few slices.
    mean : float
        The common mean.
    sd : float
        Standard deviation of the true values about it; 0 where the estimates differ less than their errors explain.
    """

    values: Floats
    ses: Floats
    mean: float
    sd: float


def shrink(estimates: ArrayLike, ses: ArrayLike) -> Shrunk:
    """Shrink estimates towards their common mean, the less certain ones the more.

    Parameters
    ----------
    estimates : array_like, shape (n,)
        One estimate per slice.
    ses : array_like, shape (n,)
        Their standard errors, all above 0. A slice in which nothing varies has none: give it the half-width of its
        interval over the normal quantile.

    Returns
    -------
    Shrunk

    Raises
    ------
    StatisticsError
        If a value is not finite, a standard error is not above 0, or the lengths differ.

    Notes
    -----
    Empirical Bayes, normal-normal; the variance of the true values after Paule and Mandel (1982). The winner among
    many slices is over-estimated by its own estimate and not by the shrunk one, but a shrunk value is biased for its
    own slice, so that no error rate holds for it.

    Examples
    --------
    >>> found = shrink([0.5, 0.7, 0.9], [0.1, 0.1, 0.1])
    >>> found.values.round(3).tolist(), round(found.mean, 3), round(found.sd, 3)
    ([0.55, 0.7, 0.85], 0.7, 0.173)
    """
    x, errors = as_values(estimates, name="estimates"), as_values(ses, name="ses")
    if x.size != errors.size:
        raise StatisticsError(f"estimates has {x.size} values and ses {errors.size}")
    if (errors <= 0).any():
        index = int(np.argmax(errors <= 0))
        raise StatisticsError(f"ses[{index}] is {errors[index]:g}; a standard error is above 0")
    between = _between(x, errors**2)
    weights = 1 / (between + errors**2)
    mean = _centre(x, weights)
    kept = between * weights
    variances = errors**2 * kept + (1 - kept) ** 2 / float(weights.sum())
    return Shrunk(values=mean + kept * (x - mean), ses=np.sqrt(variances), mean=mean, sd=math.sqrt(between))


def _centre(x: Floats, weights: Floats) -> float:
    return float(weights @ x) / float(weights.sum())


def _between(x: Floats, variances: Floats) -> float:
    """Return the variance of the true values that makes the weighted sum of squares what it should be, n - 1."""

    def excess(between: float) -> float:
        weights = 1 / (between + variances)
        return float(weights @ (x - _centre(x, weights)) ** 2) - (x.size - 1)

    if excess(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.ptp(x)) ** 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high
