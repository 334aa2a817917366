"""Fisher's exact test of two shares."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from headgate.errors import StatisticsError


def fisher_exact(events_1: int, n_1: int, events_2: int, n_2: int) -> float:
    """Return the two-sided p-value that two shares are equal.

    Parameters
    ----------
    events_1, n_1, events_2, n_2 : int
        Events among so many jobs, in each arm.

    Returns
    -------
    float
        Total probability of all tables that are no more likely than this one, given its margins.

    Examples
    --------
    >>> round(fisher_exact(8, 10, 1, 6), 6)
    0.034965
    """
    if not (0 <= events_1 <= n_1 and 0 <= events_2 <= n_2):
        raise StatisticsError(f"{events_1} of {n_1} and {events_2} of {n_2} are no shares")
    total = events_1 + events_2
    first = np.arange(max(0, total - n_2), min(n_1, total) + 1)
    log_p = _log_choose(n_1, first) + _log_choose(n_2, total - first)
    p = np.exp(log_p - log_p.max())
    here = p[events_1 - first[0]]
    return min(1.0, float(p[p <= here * (1 + 1e-9)].sum() / p.sum()))


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    found: np.ndarray = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return found
