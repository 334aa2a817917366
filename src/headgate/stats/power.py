"""What a paired gate can show, before anything is run: from variances alone, or through the rule itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from headgate.errors import StatisticsError
from headgate.stats.bisection import first_whole
from headgate.stats.intervals import ROUNDING, student
from headgate.stats.paired import PairedLimits
from headgate.stats.seeds import PairedComponents
from headgate.stats.values import UNIT, Floats, as_values

_MOST: Final = 2**24


def mde(sd: float, n_items: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the minimum detectable effect: the true difference that a one-sided test finds so often.

    Parameters
    ----------
    sd : float
        Standard deviation of an item's difference; see :meth:`PairedComponents.sd_with`.
    n_items : int
        Items; two or more.
    alpha : float
        One-sided level.
    power : float
        Share of runs in which the effect is found.

    Returns
    -------
    float
        In the units of ``sd``.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Notes
    -----
    ``(t + z) sd / sqrt(n)`` with Student's quantile of ``alpha`` and the normal one of ``power``: within 1 % of the
    exact value of the t test from 20 items on.

    Examples
    --------
    >>> round(mde(0.3, 200), 4)
    0.0529
    """
    return _quantiles(n_items, alpha, power) * _positive("sd", sd, zero=True) / math.sqrt(n_items)


def needed_items(sd: float, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the fewest items that find a true difference so often.

    Parameters
    ----------
    sd, alpha, power
        As for :func:`mde`.
    effect : float
        True difference from what is to be ruled out: a drop to be found, or the margin, where a candidate that is no
        worse shall pass.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Notes
    -----
    From the spread alone. Near a ceiling a bounded metric needs more; see :func:`fewest_items` and
    :func:`pass_probability`.

    Examples
    --------
    >>> needed_items(0.3, 0.05)
    224
    """
    _positive("effect", effect)
    return _fewest(lambda n: mde(sd, n, alpha=alpha, power=power) <= effect)


def needed_seeds(
    components: PairedComponents,
    n_items: int,
    effect: float,
    *,
    baseline_seeds: int | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Return the fewest seeds with which so many items find a true difference so often.

    Parameters
    ----------
    components : PairedComponents
        Variance between items and between seeds.
    n_items, effect, alpha, power
        As for :func:`needed_items`.
    baseline_seeds : int, optional
        Seeds of the baseline, where they are fixed. Default: as many as the candidate's.

    Returns
    -------
    int or None
        Seeds of the candidate; None where no number would do, because the items themselves differ too much.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Examples
    --------
    >>> found = PairedComponents(difference_variance=0.01, candidate_variance=0.09, baseline_variance=0.09, n_items=50)
    >>> needed_seeds(found, 100, 0.05), needed_seeds(found, 100, 0.02)
    (7, None)
    """
    sd = _positive("effect", effect) * math.sqrt(n_items) / _quantiles(n_items, alpha, power)
    allowed, noise = sd * sd - components.difference_variance, components.candidate_variance
    if baseline_seeds is None:
        noise += components.baseline_variance
    else:
        allowed -= components.baseline_variance / _positive("baseline_seeds", baseline_seeds)
    if noise == 0:
        return 1 if allowed >= 0 else None
    return max(1, math.ceil(noise / allowed)) if allowed > 0 else None


def fewest_items(margin: float, *, alpha: float = 0.05) -> int:
    """Return the fewest items with which two perfect arms pass a margin: with fewer, nothing can pass.

    Parameters
    ----------
    margin : float
        Accepted drop, above 0 and below 1, of a score in [0, 1].
    alpha : float
        One-sided level.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Examples
    --------
    >>> [fewest_items(margin) for margin in (0.1, 0.05, 0.02)]
    [27, 54, 135]
    """
    if not 0 < margin < 1:
        raise StatisticsError(f"margin {margin} is not between 0 and 1")
    _level("alpha", alpha, most=0.5)

    def passes(n: int) -> bool:
        perfect = np.ones(n)
        return PairedLimits.of(perfect, perfect, bounds=UNIT, n_rows=(n, n)).at(alpha)[0] > -margin

    return _fewest(passes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCurve:
    """Chances of each verdict, by the true effect.

    Attributes
    ----------
    effects : ndarray, shape (n,)
        True candidate - baseline, where higher is better.
    passes, fails, inconclusive : ndarray, shape (n,)
        Probability of each verdict; they add up to 1.
    """

    effects: Floats
    passes: Floats
    fails: Floats
    inconclusive: Floats


def power_curve(sd: float, n_items: int, margin: float, effects: ArrayLike, *, alpha: float = 0.05) -> PowerCurve:
    """Return the chances of each verdict of a margin gate on an unbounded metric, or on many items.

    Parameters
    ----------
    sd, n_items, alpha
        As for :func:`mde`.
    margin : float
        Accepted drop.
    effects : array_like, shape (n,)
        True differences.

    Raises
    ------
    StatisticsError
        If an argument is out of its range, or an effect not finite.

    Notes
    -----
    Normal approximation of the mean difference, held against Student's half-width. It passes where the lower limit
    lies above ``-margin``, else fails where the upper one lies below 0.

    Examples
    --------
    >>> found = power_curve(0.3, 200, 0.05, [0.0, -0.05])
    >>> found.passes.round(3).tolist(), found.fails.round(3).tolist()
    ([0.759, 0.049], [0.049, 0.759])
    """
    _positive("margin", margin, zero=True)
    true = as_values(effects, name="effects")
    se = _positive("sd", sd) / math.sqrt(n_items)
    half = se * student(_level("alpha", alpha, most=0.5), _units(n_items) - 1)
    passes = ndtr((true + margin - half) / se)
    fails = ndtr((min(-half, half - margin) - true) / se)
    return _curve(true, passes, fails)


def binary_power_curve(
    mean: float,
    n_items: int,
    margin: float,
    effects: ArrayLike,
    *,
    seeds: int = 1,
    icc: float = 0.5,
    alpha: float = 0.05,
    runs: int = 1000,
    seed: int = 0,
) -> PowerCurve:
    """Return the chances of each verdict of a margin gate on a 0/1 metric, through the rule itself.

    Parameters
    ----------
    mean : float
        True mean of the baseline.
    n_items, seeds : int
        Items, and rows of each item in each arm.
    margin : float
        Accepted drop.
    effects : array_like, shape (n,)
        True differences; ``mean`` plus each stays within 0 to 1.
    icc : float
        Share of a row's variance that lies between items; see :func:`headgate.stats.variance_components`. At 1 an item
        is always right or always wrong, as at temperature 0.
    alpha : float
        One-sided level.
    runs : int
        Made runs per effect; the standard error of a probability is at most ``0.5 / sqrt(runs)``.
    seed : int
        Of the random numbers: the same arguments give the same chances.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Notes
    -----
    Items' probabilities follow a beta distribution. A drop turns an equal share of every item's right answers wrong,
    and a gain an equal share of the wrong ones right. The further test that a failure needs where every item is simply
    right or wrong is left out; it makes failures a little rarer.

    Examples
    --------
    >>> found = binary_power_curve(0.9, 200, 0.05, [0.0, -0.1], seeds=3, runs=200)
    >>> found.passes[0] > 0.9, found.fails[1] > 0.9
    (np.True_, np.True_)
    """
    _positive("margin", margin, zero=True)
    _level("alpha", alpha, most=0.5)
    for name, share in (("mean", mean), ("icc", icc)):
        if not 0 <= share <= 1:
            raise StatisticsError(f"{name} {share} is not between 0 and 1")
    for name, count in (("seeds", seeds), ("runs", runs)):
        _positive(name, count)
    shape = (runs, _units(n_items))
    true = as_values(effects, name="effects", bounds=(-mean - ROUNDING, 1 - mean + ROUNDING))
    passes, fails = np.zeros((2, true.size))
    for index, effect in enumerate(true.tolist()):
        rng = np.random.default_rng([seed, index])
        right = _probabilities(rng, mean, icc, shape)
        turned = (
            right * (1 + effect / max(mean, ROUNDING))
            if effect < 0
            else right + (1 - right) * effect / max(1 - mean, ROUNDING)
        )
        arms = (rng.binomial(seeds, np.clip(p, 0, 1)) / seeds for p in (turned, right))
        for c, b in zip(*arms, strict=True):
            low, high = PairedLimits.of(c, b, n_rows=(c.size * seeds, b.size * seeds)).at(alpha)
            passes[index] += low > -margin
            fails[index] += high < 0 and low <= -margin
    return _curve(true, passes / runs, fails / runs)


def pass_probability(
    mean: float,
    n_items: int,
    margin: float,
    *,
    seeds: int = 1,
    icc: float = 0.5,
    alpha: float = 0.05,
    runs: int = 1000,
    seed: int = 0,
) -> float:
    """Return how often a candidate that is no worse passes a margin gate on a 0/1 metric.

    Below one half the gate is not worth running: it mostly ends inconclusive.

    Parameters
    ----------
    mean, n_items, margin, seeds, icc, alpha, runs, seed
        As for :func:`binary_power_curve`.

    Raises
    ------
    StatisticsError
        If an argument is out of its range.

    Examples
    --------
    >>> pass_probability(1.0, 53, 0.05), pass_probability(1.0, 54, 0.05)
    (0.0, 1.0)
    """
    curve = binary_power_curve(mean, n_items, margin, [0.0], seeds=seeds, icc=icc, alpha=alpha, runs=runs, seed=seed)
    return float(curve.passes[0])


def _probabilities(rng: np.random.Generator, mean: float, icc: float, shape: tuple[int, int]) -> Floats:
    """Draw the true means of items."""
    if icc == 0 or mean in {0.0, 1.0}:
        return np.full(shape, mean)
    if icc == 1:
        return (rng.random(shape) < mean).astype(np.float64)
    total = 1 / icc - 1
    return rng.beta(mean * total, (1 - mean) * total, shape)


def _curve(effects: Floats, passes: Floats, fails: Floats) -> PowerCurve:
    return PowerCurve(effects=effects, passes=passes, fails=fails, inconclusive=1 - passes - fails)


def _fewest(enough: Callable[[int], bool]) -> int:
    """Return the smallest number of items that is enough."""
    found = first_whole(enough, most=_MOST)
    if found is None:
        raise StatisticsError(f"not even {2 * _MOST} items would be enough")
    return found


def _quantiles(n_items: int, alpha: float, power: float) -> float:
    """Return how many standard errors lie between the decision point and the effect."""
    t = student(_level("alpha", alpha, most=0.5), _units(n_items) - 1)
    return t + float(ndtri(_level("power", power, most=1.0)))


def _units(n_items: int) -> int:
    if n_items < 2:
        raise StatisticsError(f"n_items {n_items} is not 2 or more")
    return n_items


def _level(name: str, level: float, *, most: float) -> float:
    if not 0 < level < most:
        raise StatisticsError(f"{name} {level} is not between 0 and {most:g}")
    return level


def _positive(name: str, value: float, *, zero: bool = False) -> float:
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise StatisticsError(f"{name} {value} is not a finite number {'of 0 or more' if zero else 'above 0'}")
    return value
