"""Several decisions, one error rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.values import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm-adjusted p-values: those at most alpha may be rejected with a family-wise error of alpha.

    Parameters
    ----------
    p_values : array_like, shape (n,)
        May be empty.

    Returns
    -------
    ndarray, shape (n,)
        In the order of the input.

    Notes
    -----
    S. Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = _as_p_values(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for false discovery: among those at most q, a share of q is false on average.

    Parameters
    ----------
    p_values : array_like, shape (n,)
        May be empty; independent, or positively dependent.

    Returns
    -------
    ndarray, shape (n,)
        In the order of the input.

    Notes
    -----
    Y. Benjamini and Y. Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    p = _as_p_values(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty(p.size)
    scaled = p[order] * p.size / np.arange(p.size, 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted


def discoveries(p_values: ArrayLike, least: ArrayLike, *, q: float) -> Floats:
    """Return adjusted p-values of discrete tests: what could never be found does not weigh on what could.

    Parameters
    ----------
    p_values, least : array_like, shape (n,)
        p-values, and the smallest that each test could have had, given its margins.
    q : float
        Share of false finds among those at most ``q``, on average.

    Returns
    -------
    ndarray, shape (n,)
        Adjusted as by :func:`benjamini_hochberg` among the tests that could be found; 1 for the others.

    Notes
    -----
    R. E. Tarone (1990), A modified Bonferroni method for discrete data; P. B. Gilbert (2005), A modified false
    discovery rate multiple-comparisons procedure for discrete data.

    Examples
    --------
    >>> discoveries([0.04, 1.0, 1.0], [0.01, 1.0, 1.0], q=0.1)
    array([0.04, 1.  , 1.  ])
    """
    p, smallest = _as_p_values(p_values), _as_p_values(least)
    counts = np.arange(1, p.size + 1)
    reachable = np.searchsorted(np.sort(smallest), q / counts, side="right")
    fits = np.flatnonzero(reachable <= counts)
    adjusted = np.ones(p.size)
    if fits.size:
        could = smallest <= q / counts[fits[0]]
        adjusted[could] = benjamini_hochberg(p[could])
    return adjusted


def _as_p_values(p_values: ArrayLike) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise StatisticsError(f"p_values[{int(np.argmax(wrong))}] is not between 0 and 1")
    return p
