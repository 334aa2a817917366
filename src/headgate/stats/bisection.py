"""Where a condition starts to hold, by doubling and halving."""

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


def first_whole(holds: Callable[[int], bool], *, most: int) -> int | None:
    """Return the smallest whole number, from two, at which a condition holds; it does at every larger one too.

    Parameters
    ----------
    most : int
        Where it holds at no power of two up to this, or the first beyond it, the result is None.

    Examples
    --------
    >>> first_whole(lambda n: n * n >= 50, most=100), first_whole(lambda n: False, most=100)
    (8, None)
    """
    high = 2
    while not holds(high):
        if high > most:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
