"""Intervals for the difference of two paired proportions, from the four counts."""

from __future__ import annotations

import math

from scipy.special import ndtri

from headgate.errors import StatisticsError
from headgate.stats.intervals import Limits, wilson
from headgate.stats.paired import hypotenuse
from headgate.stats.values import as_alpha


def tango_interval(
    both: int, candidate_only: int, baseline_only: int, neither: int, *, confidence: float = 0.95
) -> Limits:
    """Return Tango's score interval for the difference of two paired proportions, candidate - baseline.

    Parameters
    ----------
    both, candidate_only, baseline_only, neither : int
        Items that both arms get right, that only one does, and that none does.
    confidence : float
        Two-sided level.

    Returns
    -------
    tuple of float
        Lower and upper limit, on the scale of -1 to 1.

    Raises
    ------
    StatisticsError
        If a count is not a whole number of 0 or more, or all are 0.

    Notes
    -----
    T. Tango (1998), Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design: the differences at which the score test, with the share of discordant items at its restricted maximum of
    likelihood, does not reject. Where no item differs the half-width is ``z^2 / (n + z^2)``.

    Examples
    --------
    >>> low, high = tango_interval(50, 0, 0, 0)
    >>> round(low, 4), round(high, 4)
    (-0.0713, 0.0713)
    """
    n = _total(both, candidate_only, baseline_only, neither)
    z = -float(ndtri(as_alpha(confidence)))
    low = _lower(candidate_only, baseline_only, n, z)
    return low, -_lower(baseline_only, candidate_only, n, z)


def newcombe_paired_interval(
    both: int, candidate_only: int, baseline_only: int, neither: int, *, confidence: float = 0.95
) -> Limits:
    """Return Newcombe's interval for the difference of two paired proportions, candidate - baseline.

    Parameters
    ----------
    both, candidate_only, baseline_only, neither, confidence
        As for :func:`tango_interval`.

    Raises
    ------
    StatisticsError
        If a count is not a whole number of 0 or more, or all are 0.

    Notes
    -----
    R. G. Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on
    paired data, method 10: Wilson's intervals joined by the correlation of the arms, whose numerator is corrected for
    continuity where it is positive.

    Examples
    --------
    >>> low, high = newcombe_paired_interval(36, 12, 2, 0)
    >>> round(low, 4), round(high, 4)
    (0.0569, 0.3404)
    """
    n = _total(both, candidate_only, baseline_only, neither)
    right_c, right_b = both + candidate_only, both + baseline_only
    c, b = right_c / n, right_b / n
    (low_c, high_c), (low_b, high_b) = (wilson(right, n, confidence=confidence) for right in (right_c, right_b))
    product = both * neither - candidate_only * baseline_only
    spread = math.sqrt(right_c * (n - right_c) * right_b * (n - right_b))
    phi = 0.0 if spread == 0 else (max(product - n / 2, 0.0) if product > 0 else product) / spread
    return c - b - hypotenuse(c - low_c, high_b - b, phi), c - b + hypotenuse(high_c - c, b - low_b, phi)


def _lower(plus: int, minus: int, n: int, z: float) -> float:
    """Return the smallest difference that the score test does not reject, by bisection."""
    observed = (plus - minus) / n

    def rejected(difference: float) -> bool:
        # Half of the discordant share at the restricted maximum of likelihood, from Tango's quadratic equation.
        linear = (2 * n - plus + minus) * difference - plus - minus
        root = math.sqrt(max(linear * linear + 8 * n * minus * difference * (1 - difference), 0.0))
        variance = n * ((root - linear) / (2 * n) + difference * (1 - difference))
        return plus - minus - n * difference > z * math.sqrt(max(variance, 0.0))

    low, high = -1.0, observed
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return high


def _total(*counts: int) -> int:
    for name, count in zip(("both", "candidate_only", "baseline_only", "neither"), counts, strict=True):
        if not (0 <= count < math.inf and count == int(count)):
            raise StatisticsError(f"{name} is {count}; a count is a whole number of 0 or more")
    if sum(counts) == 0:
        raise StatisticsError("there are no items")
    return sum(counts)
