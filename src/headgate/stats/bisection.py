"""Where a condition starts to hold, by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_HALVINGS: Final = 44


def bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition starts to hold between two numbers, to 1e-13 of their distance.

    Parameters
    ----------
    holds : callable
        Number to condition; once true it stays true for larger numbers, and it is true at ``high``.

    Examples
    --------
    >>> round(bisect(lambda x: x * x >= 2, 0.0, 2.0), 9)
    1.414213562
    """
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return (low + high) / 2
