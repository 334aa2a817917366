"""The chance that of k draws one passes, or all do, from n seeds of which some passed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.seeds import SeedNoise
from headgate.stats.values import Floats


def pass_at_k(n: ArrayLike, passed: ArrayLike, k: int, *, every: bool = False) -> Floats:
    """Estimate without bias the chance that at least one of k seeds of an item passes.

    Parameters
    ----------
    n, passed : array_like, shape (n_items,)
        Seeds of each item, and how many of them passed.
    k : int
        How many are drawn.
    every : bool
        The chance that all of them pass (pass^k), in place of at least one.

    Returns
    -------
    ndarray, shape (n_items,)
        From 0 to 1; nan for an item with fewer than k seeds.

    Raises
    ------
    StatisticsError
        If k is not positive, or more seeds passed than there are.

    Notes
    -----
    ``1 - C(n - c, k) / C(n, k)`` (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", section 2.1),
    and ``C(c, k) / C(n, k)`` (Yao et al. 2024, "tau-bench", section 4).

    Examples
    --------
    >>> pass_at_k([4, 4, 1], [1, 4, 1], 2).tolist(), pass_at_k([4], [2], 2, every=True).round(6).tolist()
    ([0.5, 1.0, nan], [0.166667])
    """
    seeds, right = np.asarray(n, np.float64), np.asarray(passed, np.float64)
    if k < 1 or (right < 0).any() or (right > seeds).any():
        raise StatisticsError("k is at least 1, and no more seeds pass than there are")
    found = _all_of(right, seeds, k) if every else 1 - _all_of(seeds - right, seeds, k)
    return np.where(seeds >= k, found, np.nan)


def pass_noise(n: ArrayLike, passed: ArrayLike, k: int, *, every: bool = False) -> SeedNoise:
    """Return what the seeds of each item say about the noise of its :func:`pass_at_k`, by the jackknife over seeds.

    The pseudo-values have that estimate as their mean, as it is a U-statistic. An item with no more than k seeds says
    nothing: it counts as one with a single seed.

    Examples
    --------
    >>> pass_noise([4], [2], 1).sampling().round(6).tolist()  # that of a mean
    [0.083333]
    """
    seeds, right = np.asarray(n, np.int64), np.asarray(passed, np.float64)
    enough = seeds > k
    of, c = np.where(enough, seeds, k + 1), np.where(enough, right, 0.0)
    whole = pass_at_k(of, c, k, every=every)
    squares = np.zeros(whole.shape)
    for seen, left in (
        (c, np.maximum(c - 1, 0)),
        (of - c, np.minimum(c, of - 1)),
    ):  # one that passed is left out; one that did not
        squares += seen * ((of - 1) * (whole - pass_at_k(of - 1, left, k, every=every))) ** 2
    return SeedNoise(squares=np.where(enough, squares, 0.0), seeds=np.where(enough, seeds, 1))


def _all_of(some: Floats, n: Floats, k: int) -> Floats:
    """Return the chance that k of n, drawn without replacement, are all among some of them; n is at least 1."""
    found = np.ones(np.broadcast(some, n).shape)
    for drawn in range(k):
        found *= np.maximum(some - drawn, 0.0) / np.maximum(n - drawn, 1.0)
    return found
