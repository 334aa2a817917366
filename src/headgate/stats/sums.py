"""Sums in which the order of the values plays no part, to the last bit.

Floating-point sums depend on the order in which they are made: on how rows were stored, on threads, on the build of a
library. Values that were rounded to one grid have exact sums, and exact sums have no order.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headgate.stats.values import Floats, Ints, Numbers

_BLOCK: Final = 1 << 20


def steady_sum(values: Floats) -> float:
    """Return the sum of values, the same for every order of them.

    What the rounding to a grid leaves over is summed on a finer one: together they lose less than a sum made in an
    order may.

    Examples
    --------
    >>> steady_sum(np.array([0.1, 0.2, 0.3])) == steady_sum(np.array([0.3, 0.1, 0.2]))
    True
    """
    coarse, fine = _on_grids(values, values.size)
    return float(coarse.sum()) + float(fine.sum())


def steady_mean(values: Floats) -> float:
    """Return the mean of values, the same for every order; a large common offset costs no digits."""
    least = float(values.min())
    return least + steady_sum(values - least) / values.size


def steady_square(values: Floats) -> float:
    """Return the sum of squares, the same for every order."""
    return steady_sum(values * values)


def group_sums(values: Numbers, codes: Ints, counts: NDArray[np.intp], *, offset: float = 0.0) -> Floats:
    """Return the sum of ``values - offset`` in every group, the same for every order.

    Parameters
    ----------
    values, codes : ndarray, shape (n,)
        Values, and the number of each one's group. They are read in blocks: nothing of their size is made.
    counts : ndarray, shape (n_groups,)
        Values in each group.
    """
    most = max(abs(float(values.max()) - offset), abs(float(values.min()) - offset))
    shift = _shift(most, int(counts.max()))
    finer = _shift(float(np.spacing(shift)), int(counts.max()))
    sums, rest = np.zeros(counts.size), np.zeros(counts.size)
    for start in range(0, values.size, _BLOCK):
        block, places = values[start : start + _BLOCK].astype(np.float64) - offset, codes[start : start + _BLOCK]
        coarse = (block + shift) - shift
        sums += np.bincount(places, weights=coarse, minlength=counts.size)
        block -= coarse
        if block.any():
            rest += np.bincount(places, weights=(block + finer) - finer, minlength=counts.size)
    return sums + rest


def _on_grids(values: Floats, n: int) -> tuple[Floats, Floats]:
    """Split values into two summands, each on a grid on which sums of ``n`` of them are exact."""
    shift = _shift(float(np.abs(values).max()), n)
    coarse = (values + shift) - shift
    finer = _shift(float(np.spacing(shift)), n)
    return coarse, ((values - coarse) + finer) - finer


def _shift(most: float, n: int) -> float:
    """Return what, added and taken away again, rounds values to a grid on which ``n`` of them sum without rounding.

    No value may be larger than ``most``. Beyond 2^900 there is no such grid, and nothing is rounded.
    """
    exponent = math.frexp(most)[1] + n.bit_length() + 1
    return math.ldexp(1.5, exponent) if most > 0 and exponent < 900 else 0.0
