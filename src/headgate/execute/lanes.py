"""A lane: what one quota allows, requests and tokens a minute, kept by virtual time."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_REQUEST_SHARE: Final = 0.97
_TOKEN_SHARE: Final = 0.95
_REQUEST_BURST_S: Final = 0.01
_TOKEN_BURST_S: Final = 1.5
_TIMER_S: Final = 0.001
"""uvloop rounds timers to milliseconds and keeps its clock for a whole turn: a timer that fires early would spin."""


class Bucket:
    """One dimension of a quota: a rate and a burst, held as a single virtual time (GCRA).

    In every window the admitted amount is at most ``rate * window + burst`` (one oversize amount may exceed the burst;
    it waits for a full bucket and leaves a debt).

    Parameters
    ----------
    rate : float
        Amount per second.
    burst : float
        Amount admitted at once when idle.

    Examples
    --------
    >>> bucket = Bucket(rate=10, burst=1)
    >>> bucket.commit(1, now=0.0)
    >>> round(bucket.ready_at(1, now=0.0), 3)
    0.1

    References
    ----------
    ATM Forum (1996), Traffic Management 4.0, the generic cell rate algorithm.
    """

    __slots__ = ("_theoretical", "burst", "rate")

    def __init__(self, *, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._theoretical = float("-inf")

    def ready_at(self, amount: float, *, now: float) -> float:
        """Return the earliest time at which ``amount`` may go."""
        return max(now, self._theoretical) + (min(amount, self.burst) - self.burst) / self.rate

    def commit(self, amount: float, *, now: float) -> None:
        """Take ``amount``."""
        self._theoretical = max(now, self._theoretical) + amount / self.rate

    def settle(self, excess: float, *, now: float) -> None:
        """Correct an earlier commit by what was really used: less is refunded, more is a debt."""
        start = self._theoretical if excess <= 0 else max(now, self._theoretical)
        self._theoretical = start + excess / self.rate


class Lane:
    """Admits attempts in the order in which they came, as fast as the quota allows.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : float, optional
        The declared limits; headgate uses 97 % and 95 % of them. Requests are paced evenly (a burst of one and 0.01 s
        of rate), because several providers enforce a minute's limit by the second: 0.97 of the limit and the burst fit
        into every second with 20 ms to spare for the way there. Tokens have a burst of 1.5 s.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._clock, self._rng = clock, rng or random.Random()
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self._requests = _bucket(requests_per_minute, _REQUEST_SHARE, lambda rate: 1 + _REQUEST_BURST_S * rate)
        self._tokens = _bucket(tokens_per_minute, _TOKEN_SHARE, lambda rate: max(1.0, _TOKEN_BURST_S * rate))
        self._paused_until = float("-inf")
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._unlimited = self._requests is None and self._tokens is None  # until a server says otherwise
        self.admitted = 0

    @property
    def waiting(self) -> int:
        """Attempts that wait."""
        return len(self._waiting)

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited, and an estimate is needed."""
        return self._tokens is not None

    @property
    def paused_s(self) -> float:
        """Seconds for which the lane is still paused."""
        return max(0.0, self._paused_until - self._clock())

    def ready_at(self, tokens: float, *, now: float) -> float:
        """Return the earliest time at which an attempt of ``tokens`` may go."""
        ready = max(now, self._paused_until)
        if self._requests is not None:
            ready = max(ready, self._requests.ready_at(1, now=now))
        if self._tokens is not None:
            ready = max(ready, self._tokens.ready_at(tokens, now=now))
        return ready

    def try_acquire(self, tokens: float = 0.0) -> bool:
        """Let an attempt of ``tokens`` go if it may go at once."""
        if self._unlimited:
            self.admitted += 1
            return True
        now = self._clock()
        if self._waiting or self.ready_at(tokens, now=now) > now:
            return False
        self._commit(tokens, now)
        return True

    async def acquire(self, tokens: float = 0.0) -> None:
        """Wait until an attempt of ``tokens`` may go."""
        if self.try_acquire(tokens):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, tokens))
        if len(self._waiting) == 1:
            self._arm()
        await waiter

    def settle(self, reserved: float, used: float) -> None:
        """Say what an attempt really used of the tokens it had reserved."""
        if self._tokens is not None and used != reserved:
            self._tokens.settle(used - reserved, now=self._clock())
            self._arm()

    def pause(self, seconds: float) -> None:
        """Admit nothing for a while: the server said so."""
        until = self._clock() + seconds + self._rng.uniform(0, min(0.1 * seconds, 5))
        if until > self._paused_until:
            self._paused_until, self._unlimited = until, False
            self._arm()

    def close(self) -> None:
        """Drop the timer; nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _commit(self, tokens: float, now: float) -> None:
        self.admitted += 1
        if self._requests is not None:
            self._requests.commit(1, now=now)
        if self._tokens is not None:
            self._tokens.commit(tokens, now=now)

    def _arm(self) -> None:
        """Let the head of the queue in when it is due: one timer for the whole lane."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            waiter, tokens = self._waiting[0]
            if waiter.done():  # cancelled
                self._waiting.popleft()
                continue
            now = self._clock()
            wait = self.ready_at(tokens, now=now) - now
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait + _TIMER_S, self._arm)
                return
            self._waiting.popleft()
            self._commit(tokens, now)
            waiter.set_result(None)


def _bucket(per_minute: float | None, share: float, burst: Callable[[float], float]) -> Bucket | None:
    if per_minute is None:
        return None
    rate = share * per_minute / 60
    return Bucket(rate=rate, burst=burst(rate))
