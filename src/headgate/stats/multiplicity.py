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
    """Return Benjamini-Hochberg-adjusted p-values: of those at most q, an expected share of q at most is false.

    Parameters
    ----------
    p_values : array_like, shape (n,)
        Independent, or positively dependent; may be empty.

    Returns
    -------
    ndarray, shape (n,)
        In the order of the input.

    Raises
    ------
    StatisticsError
        If a value is not between 0 and 1; the message names its index.

    Notes
    -----
    Y. Benjamini and Y. Hochberg (1995), Controlling the false discovery rate. It tells which metrics to look at; it
    does not keep the family-wise error of a gate, which is what :func:`holm` does.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.02])
    array([0.03, 0.04, 0.03])
    """
    p = _as_p_values(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return adjusted


def _as_p_values(p_values: ArrayLike) -> Floats:
    p = np.asarray(p_values, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise StatisticsError(f"p_values[{int(np.argmax(wrong))}] is not between 0 and 1")
    return p
