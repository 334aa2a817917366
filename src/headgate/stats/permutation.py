"""Whether a few values are lower than a few others: by all ways to divide them."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from headgate.errors import StatisticsError
from headgate.stats.values import Floats

_MOST: Final = 2_000
"""Divisions that are tried, such as of six seeds and six; where there are more, Welch's test stands in."""

_CELLS: Final = 1 << 22  # of a block's sums: 32 MB
_EQUAL: Final = 1e-9


def drop_p_values(candidate: ArrayLike, baseline: ArrayLike) -> tuple[Floats, Floats]:
    """Return one-sided p-values that the candidate's values are lower, item by item.

    Parameters
    ----------
    candidate, baseline : array_like, shape (n_items, n_seeds)
        The values of each item's seeds; the arms may have different numbers of them.

    Returns
    -------
    p_values : ndarray, shape (n_items,)
        Share of all divisions of an item's values in which the candidate's sum is as low, or lower.
    least : ndarray, shape (n_items,)
        The smallest that it could have been with these values: 1 where all are the same.

    Raises
    ------
    StatisticsError
        If a value is not finite, or the arms have different items.

    Notes
    -----
    R. A. Fisher (1935), The Design of Experiments, on permutation tests. Seeds of one item are exchangeable where
    nothing changed, so the level is exact. Three seeds against three can reach 0.05, five against five 0.004.

    Examples
    --------
    >>> drop_p_values([[0, 0, 0], [1, 0, 1]], [[1, 1, 1], [1, 1, 0]])
    (array([0.05, 0.8 ]), array([0.05, 0.2 ]))
    """
    ours, theirs = _as_matrix(candidate, "candidate"), _as_matrix(baseline, "baseline")
    if ours.shape[0] != theirs.shape[0]:
        raise StatisticsError(f"candidate has {ours.shape[0]} items and baseline {theirs.shape[0]}; pairs need both")
    if comb(ours.shape[1] + theirs.shape[1], ours.shape[1]) > _MOST:
        return _welch(ours, theirs), np.zeros(ours.shape[0])
    values = np.hstack([ours, theirs])
    levels = values.min(), values.max()
    if not ((values == levels[0]) | (values == levels[1])).all():
        return _permuted(values, ours.shape[1])
    # Right or wrong: all items with as many right answers in both arms are one.
    counts = (ours == levels[1]).sum(axis=1) * (theirs.shape[1] + 1) + (theirs == levels[1]).sum(axis=1)
    some = np.full(int(counts.max()) + 1, -1)
    some[counts] = np.arange(counts.size)
    there = some >= 0
    found = np.empty((2, some.size))
    found[:, there] = _permuted(values[some[there]], ours.shape[1])
    return found[0, counts], found[1, counts]


def _permuted(values: Floats, n_ours: int) -> tuple[Floats, Floats]:
    """Compare each row's sum of its first values with the sums of all divisions."""
    divisions = _divisions(values.shape[1], n_ours)
    found = np.empty((2, values.shape[0]))
    rows = max(1, _CELLS // divisions.shape[1])
    for start in range(0, values.shape[0], rows):
        block = values[start : start + rows]
        sums = block @ divisions
        slack = _EQUAL * np.maximum(1.0, np.abs(block).max(axis=1, keepdims=True))
        own = block[:, :n_ours].sum(axis=1, keepdims=True)
        found[0, start : start + rows] = (sums <= own + slack).mean(axis=1)
        found[1, start : start + rows] = (sums <= sums.min(axis=1, keepdims=True) + slack).mean(axis=1)
    return found[0], found[1]


@lru_cache(maxsize=8)
def _divisions(n: int, k: int) -> Floats:
    """Return one column per way to choose ``k`` of ``n``: 1 where chosen."""
    chosen = np.array(list(combinations(range(n), k)))
    columns = np.zeros((n, chosen.shape[0]))
    columns[chosen.T, np.arange(chosen.shape[0])] = 1.0
    return columns


def _welch(ours: Floats, theirs: Floats) -> Floats:
    v1, v2 = ours.var(axis=1, ddof=1) / ours.shape[1], theirs.var(axis=1, ddof=1) / theirs.shape[1]
    difference, variance = ours.mean(axis=1) - theirs.mean(axis=1), v1 + v2
    known = variance > 0
    p_values = np.where(difference < 0, 0.0, 1.0)
    df = variance[known] ** 2 / (v1[known] ** 2 / (ours.shape[1] - 1) + v2[known] ** 2 / (theirs.shape[1] - 1))
    p_values[known] = stdtr(df, difference[known] / np.sqrt(variance[known]))
    return p_values


def _as_matrix(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise StatisticsError(f"{name} must have a row per item and a column per seed, not shape {array.shape}")
    wrong = ~np.isfinite(array)
    if wrong.any():
        item, seed = np.argwhere(wrong)[0]
        raise StatisticsError(f"{name}[{item}, {seed}] is {array[item, seed]:g}; a score is a finite number")
    return array
