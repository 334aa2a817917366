"""Evidence that may be looked at after every request: e-values, and the test of two rates that makes them.

An e-value is a non-negative number whose mean is at most 1 while nothing is wrong. A running product of them exceeds
1 / alpha with probability at most alpha, ever (Ville). All are kept as logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.bisection import bisect

_PRIOR: Final = 0.5  # successes and failures that stand in each arm before anything is seen
_LEAST: Final = 1e-9  # rates are kept this far from 0 and 1, so that no outcome is impossible


def merge_log_e(log_e: ArrayLike) -> float:
    """Return the logarithm of the average of e-values, which is an e-value however they depend on each other.

    It is evidence that at least one of the hypotheses is wrong.

    Parameters
    ----------
    log_e : array_like, shape (n,)
        Logarithms of e-values; -inf is an e-value of 0.

    Raises
    ------
    StatisticsError
        If there is none, or one is nan or inf.

    Notes
    -----
    Vovk and Wang (2021), E-values: calibration, combination and applications.

    Examples
    --------
    >>> round(merge_log_e([math.log(30), math.log(10)]), 6) == round(math.log(20), 6)
    True
    """
    found = np.asarray(log_e, dtype=np.float64)
    if found.ndim != 1 or not found.size:
        raise StatisticsError(f"log_e must be a vector of at least one number, not of shape {found.shape}")
    wrong = ~(found < math.inf)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise StatisticsError(f"log_e[{index}] is {found[index]}; it must be a number below infinity")
    return float(np.logaddexp.reduce(found)) - math.log(found.size)


def log_e_threshold(alpha: float, *, n_tests: int = 1) -> float:
    """Return what a log e-value must reach for a decision at level alpha, where any of several tests may decide.

    Examples
    --------
    >>> round(math.exp(log_e_threshold(0.05, n_tests=3)), 6)
    60.0
    """
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha {alpha} is not between 0 and 1")
    if n_tests < 1:
        raise StatisticsError(f"n_tests is {n_tests}; it must be 1 or more")
    return math.log(n_tests / alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTest:
    """Evidence that one rate is higher than another by more than a shift, at any time.

    It tests the hypothesis ``rate of x <= rate of y + shift``. A canary is rolled back on evidence of x = stable,
    y = canary, shift 0; it is promoted on evidence of x = canary, y = stable, shift -margin. For two equal rates,
    average both directions with :func:`merge_log_e`.

    Attributes
    ----------
    shift : float
        Difference of the rates that the hypothesis still allows, in (-1, 1).
    x_successes, x_trials, y_successes, y_trials : int
        What was seen so far.
    log_e : float
        Logarithm of the e-value now.
    peak : float
        Largest ``log_e`` so far: a decision at level alpha stands once it reaches ``log_e_threshold(alpha)``.

    Notes
    -----
    Turner, Ly and Gruenwald (2024), Generic E-variables for exact sequential k-sample tests that allow for optional
    stopping; Turner and Gruenwald (2023), Exact anytime-valid confidence intervals for contingency tables and beyond.
    Each block is bet on the rates of the blocks before it, against the rates of the hypothesis that are closest in
    relative entropy. Where the rates so far agree with the hypothesis, nothing is bet.

    Examples
    --------
    >>> test = RateTest()
    >>> for _ in range(100):
    ...     test = test.update(10, 10, 8, 10)
    >>> test.peak >= log_e_threshold(0.01)
    True
    """

    shift: float = 0.0
    x_successes: int = 0
    x_trials: int = 0
    y_successes: int = 0
    y_trials: int = 0
    log_e: float = 0.0
    peak: float = 0.0

    def __post_init__(self) -> None:
        if not -1 < self.shift < 1:
            raise StatisticsError(f"shift {self.shift} is not between -1 and 1")

    @property
    def p_value(self) -> float:
        """An anytime-valid p-value: it may be looked at whenever one likes."""
        return math.exp(-self.peak)

    def update(self, x_successes: int, x_trials: int, y_successes: int, y_trials: int) -> RateTest:
        """Return the state after one more block.

        Parameters
        ----------
        x_successes, x_trials, y_successes, y_trials : int
            What the block shows. How many trials it has must not depend on how they turn out.

        Raises
        ------
        StatisticsError
            If an arm has no trials, or its successes are not among them.
        """
        for name, hits, trials in (("x", x_successes, x_trials), ("y", y_successes, y_trials)):
            if not 0 <= hits <= trials or not trials:
                raise StatisticsError(f"{name} has {hits} successes in {trials} trials; a block has both arms")
        log_e = self.log_e
        x, y = self._rate(self.x_successes, self.x_trials), self._rate(self.y_successes, self.y_trials)
        if x > y + self.shift:
            x_null, y_null = nearest_rates(x, y, x_weight=x_trials, y_weight=y_trials, shift=self.shift)
            log_e += _gain(x_successes, x_trials, x, x_null) + _gain(y_successes, y_trials, y, y_null)
        return replace(
            self,
            x_successes=self.x_successes + x_successes,
            x_trials=self.x_trials + x_trials,
            y_successes=self.y_successes + y_successes,
            y_trials=self.y_trials + y_trials,
            log_e=log_e,
            peak=max(self.peak, log_e),
        )

    @staticmethod
    def _rate(successes: int, trials: int) -> float:
        return (successes + _PRIOR) / (trials + 2 * _PRIOR)


def nearest_rates(x: float, y: float, *, x_weight: float, y_weight: float, shift: float) -> tuple[float, float]:
    """Return the rates with ``x = y + shift`` that are closest to two rates in relative entropy.

    The bet on x and y against these is fair for every pair of rates with ``x <= y + shift``: with u and v the
    relative gains of an outcome's mean in each arm, ``weight_x u + weight_y v <= 0`` there by convexity, and then
    ``(1 + u)^weight_x (1 + v)^weight_y <= 1`` by the inequality of the means.

    Examples
    --------
    >>> x, y = nearest_rates(0.9, 0.7, x_weight=1, y_weight=3, shift=0.0)
    >>> round(x, 6), round(y, 6)
    (0.75, 0.75)
    """
    if shift == 0:
        both = (x_weight * x + y_weight * y) / (x_weight + y_weight)
        return both, both

    def beyond(rate: float) -> bool:
        """Tell whether the entropy rises at this rate of y."""
        high = rate + shift
        return x_weight * (high - x) / (high * (1 - high)) + y_weight * (rate - y) / (rate * (1 - rate)) >= 0

    low, high = max(0.0, -shift), min(1.0, 1.0 - shift)
    nearest = bisect(beyond, low + _LEAST * (high - low), high - _LEAST * (high - low))
    return nearest + shift, nearest


def _gain(successes: int, trials: int, rate: float, null: float) -> float:
    """Return the log-likelihood ratio of two rates."""
    return successes * math.log(rate / null) + (trials - successes) * math.log((1 - rate) / (1 - null))
