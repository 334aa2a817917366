"""How many attempts may be under way at once: as many as the server has shown that it can take."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

START: Final = 20
"""Attempts allowed at first."""


class Concurrency:
    """Additive increase, multiplicative decrease, for a server that says 429.

    It grows only on evidence: on answers to attempts that went out after the last cut, and only where at least 80 % of
    what is allowed was in use. Until the first cut each such answer allows one more (twice as many a round);
    afterwards each round, as many answers as are allowed, allows 5 % more, at least one. A 429 cuts to 80 %, once for
    all attempts that were under way. Other failures say nothing, and a Retry-After changes nothing here.

    Parameters
    ----------
    most : int
        Never more than this.
    start : int
        Allowed at first.

    Attributes
    ----------
    allowed : int
        How many may have entered at once.
    in_flight : int
        How many have.
    episode : int
        Cuts so far. Read it when an attempt goes out, and give it back with the outcome.

    Examples
    --------
    >>> concurrency = Concurrency(64)
    >>> concurrency.try_enter(), concurrency.allowed
    (True, 20)
    >>> concurrency.limited(concurrency.episode)
    >>> concurrency.leave()
    >>> concurrency.allowed, concurrency.in_flight
    (16, 0)

    References
    ----------
    Chiu and Jain (1989), Analysis of the increase and decrease algorithms for congestion avoidance.
    """

    __slots__ = ("_clean", "_peak", "_slow_start", "_waiting", "allowed", "episode", "in_flight", "most")

    def __init__(self, most: int, *, start: int = START) -> None:
        self.most, self.allowed = most, min(start, most)
        self.in_flight = 0
        self.episode = 0
        self._slow_start = True
        self._clean = self._peak = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Workers that wait to enter."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Enter if there is room; whoever waits has entered first."""
        if self.in_flight >= self.allowed:
            return False
        self.in_flight += 1
        return True

    async def enter(self) -> None:
        """Wait for room, first come first served."""
        if self.try_enter():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # let in, and cancelled before it knew
                self.leave()
            raise

    def leave(self) -> None:
        """Make room for the next."""
        self.in_flight -= 1
        if self._waiting:
            self._admit()

    def succeeded(self, episode: int, under_way: int | None = None) -> None:
        """Say that an attempt was answered; call it before :meth:`leave`.

        Parameters
        ----------
        episode : int
            As read when the attempt went out; an answer from before the last cut says nothing.
        under_way : int, optional
            Attempts that the server had at that moment, this one included. By default all that have entered; who
            entered but is held back by a lane does not show what the server can take.
        """
        if episode != self.episode or self.allowed == self.most:
            return
        self._clean += 1
        busy = self.in_flight if under_way is None else under_way
        if busy > self._peak:
            self._peak = busy
        round_over = self._clean >= self.allowed
        if (self._slow_start or round_over) and 5 * self._peak >= 4 * self.allowed:
            self._grow()
        if round_over:
            self._clean = self._peak = 0

    def limited(self, episode: int) -> None:
        """Say that an attempt was refused with 429; those of one episode cut once."""
        if episode != self.episode:
            return
        self.episode += 1
        self.allowed = max(1, self.allowed * 4 // 5)
        self._slow_start = False
        self._clean = self._peak = 0

    def _grow(self) -> None:
        more = 1 if self._slow_start else max(1, self.allowed // 20)
        self.allowed = min(self.most, self.allowed + more)
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.allowed:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else cancelled
                self.in_flight += 1
                waiter.set_result(None)
