"""The retry budget of an endpoint: a failing server is not asked ever more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_FLOOR: Final = 50.0
_PER_WORKER: Final = 0.2
_PER_SUCCESS: Final = 0.2
_PER_SECOND: Final = 1.0


class RetryBudget:
    """A balance that answers fill and retries draw on; a retry that it cannot pay is deferred, not given up.

    It starts full, at ``50 + 0.2 * concurrency``; each answer adds 0.2, each second 1, a retry costs 1 (after a timeout
    2, which has held a place for long).

    Parameters
    ----------
    concurrency : int
        Attempts that may be under way at once.
    clock : callable
        Seconds, monotonic.

    Examples
    --------
    >>> budget = RetryBudget(0, clock=lambda: 0.0)
    >>> sum(budget.draw(1) for _ in range(100))
    50

    References
    ----------
    Twitter Finagle, "Retry Budgets": a share of the traffic and a floor per second.
    """

    def __init__(self, concurrency: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = _FLOOR + _PER_WORKER * concurrency
        self._clock, self._since = clock, clock()
        self._balance = self._most

    def succeeded(self) -> None:
        """Take in an answer."""
        if self._balance < self._most:
            self._balance += _PER_SUCCESS

    def draw(self, cost: float) -> bool:
        """Pay for a retry if the balance allows it."""
        now = self._clock()
        self._balance = min(self._most, self._balance + _PER_SECOND * (now - self._since))
        self._since = now
        if self._balance < cost:
            return False
        self._balance -= cost
        return True
