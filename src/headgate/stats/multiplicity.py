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
    p = np.asarray(p_values, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise StatisticsError(f"p_values[{int(np.argmax(wrong))}] is not between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted
