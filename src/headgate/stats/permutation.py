"""Whether one small group of values is lower than another: by all ways to divide them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from headgate.errors import StatisticsError
from headgate.stats.values import Floats, as_values

_MOST: Final = 20_000
"""Divisions that are tried; where there are more, Welch's test stands in, which is then close to it."""

_EQUAL: Final = 1e-9


def drop_p_values(candidate: Sequence[ArrayLike], baseline: Sequence[ArrayLike]) -> tuple[Floats, Floats]:
    """Return one-sided p-values that the candidate's values are lower, item by item.

    Parameters
    ----------
    candidate, baseline : sequence of array_like
        The values of each item's seeds; arms may have different numbers of them.

    Returns
    -------
    p_values : ndarray, shape (n_items,)
        Share of all divisions of an item's values in which the candidate's sum is as low, or lower.
    least : ndarray, shape (n_items,)
        The smallest that it could have been with these values: 1 where all are the same.

    Raises
    ------
    StatisticsError
        If a value is not finite, an item has none, or the arms differ in length.

    Notes
    -----
    R. A. Fisher (1935), The Design of Experiments, on permutation tests. Seeds of one item are exchangeable where
    nothing changed, so the level is exact. Three seeds against three can reach 0.05, five against five 0.004.

    Examples
    --------
    >>> drop_p_values([[0, 0, 0], [1, 0, 1]], [[1, 1, 1], [1, 1, 0]])
    (array([0.05, 0.8 ]), array([0.05, 0.2 ]))
    """
    if len(candidate) != len(baseline):
        raise StatisticsError(f"candidate has {len(candidate)} items and baseline {len(baseline)}; pairs need both")
    seen: dict[tuple[bytes, bytes], tuple[float, float]] = {}
    found = np.empty((2, len(candidate)))
    for index, (one, other) in enumerate(zip(candidate, baseline, strict=True)):
        ours = np.sort(as_values(one, name=f"candidate[{index}]").astype(np.float64))
        theirs = np.sort(as_values(other, name=f"baseline[{index}]").astype(np.float64))
        key = ours.tobytes(), theirs.tobytes()
        if key not in seen:  # most items answer like another one
            seen[key] = _test(ours, theirs)
        found[:, index] = seen[key]
    return found[0], found[1]


def _test(ours: Floats, theirs: Floats) -> tuple[float, float]:
    if comb(ours.size + theirs.size, ours.size) > _MOST:
        return _welch(ours, theirs), 0.0
    values = np.concatenate([ours, theirs])
    sums = values[_divisions(values.size, ours.size)].sum(axis=1)
    slack = _EQUAL * max(1.0, float(np.abs(values).max()))
    return float(np.mean(sums <= ours.sum() + slack)), float(np.mean(sums <= sums.min() + slack))


@lru_cache(maxsize=16)
def _divisions(n: int, k: int) -> NDArray[np.intp]:
    return np.array(list(combinations(range(n), k)), dtype=np.intp)


def _welch(ours: Floats, theirs: Floats) -> float:
    v1, v2 = float(ours.var(ddof=1)) / ours.size, float(theirs.var(ddof=1)) / theirs.size
    difference = float(ours.mean() - theirs.mean())
    if v1 + v2 == 0:
        return 0.0 if difference < 0 else 1.0
    df = (v1 + v2) ** 2 / (v1**2 / (ours.size - 1) + v2**2 / (theirs.size - 1))
    return float(stdtr(df, difference / (v1 + v2) ** 0.5))
