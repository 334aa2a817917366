"""A p-value from a decision: the smallest level at which it would be made."""

from __future__ import annotations

import math
from collections.abc import Callable

SMALLEST = 1e-12
"""Below this a p-value is reported as this."""


def smallest_alpha(decides: Callable[[float], bool], *, largest: float = 0.5) -> float:
    """Return the smallest level at which a decision is made, by bisection on the logarithm of alpha.

    Parameters
    ----------
    decides : callable
        Level to decision; once true it stays true for larger levels.
    largest : float
        Largest level that is tried; where even that does not decide, the result is 1.

    Examples
    --------
    >>> round(smallest_alpha(lambda alpha: alpha >= 0.03), 9)
    0.03
    >>> smallest_alpha(lambda alpha: False)
    1.0
    """
    if not decides(largest):
        return 1.0
    if decides(SMALLEST):
        return SMALLEST
    low, high = math.log(SMALLEST), math.log(largest)
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if decides(math.exp(middle)) else (middle, high)
    return math.exp(high)
