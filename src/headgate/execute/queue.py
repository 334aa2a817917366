"""What a lane's workers take next: a due retry, else a new job; retries wait on a bounded heap, not in a worker."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from headgate.plan import Job

_TIMER_S: Final = 0.001
"""uvloop rounds timers to milliseconds: one that fires early would find nothing due."""


@dataclass(slots=True)
class Ticket:
    """A job under way, over all its attempts.

    Attributes
    ----------
    attempts : int
        Made so far.
    charged : int
        Of these, those that count against ``max_attempts``.
    busy_s : float
        Seconds spent in attempts; the rest of the job's time is queueing.
    held_s : float
        Seconds for which its lane held it back; they do not count against its deadline.
    """

    job: Job
    pulled: float = field(default_factory=time.monotonic)
    started_at: int = field(default_factory=lambda: time.time_ns() // 1000)
    attempts: int = 0
    charged: int = 0
    busy_s: float = 0.0
    held_s: float = 0.0


class JobQueue:
    """Hands out the jobs of one lane, each until it is done.

    Parameters
    ----------
    jobs : iterator of Job
        Pulled one at a time, never ahead.
    capacity : int
        Retries that may wait; when as many do, no new job is started.
    """

    def __init__(self, jobs: Iterator[Job], *, capacity: int) -> None:
        self._jobs, self._capacity = jobs, capacity
        self._retries: list[tuple[float, int, Ticket]] = []
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._open = 0
        self._count = 0
        self._exhausted = False

    @property
    def in_backoff(self) -> int:
        """Jobs that wait for their next attempt."""
        return len(self._retries)

    async def take(self) -> Ticket | None:
        """Return the next job to attempt; None when all are done."""
        while True:
            ticket = self._due() or self._pull()
            if ticket is not None:
                return ticket
            if self._open == 0:
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            self._arm()
            await waiter

    def put_back(self, ticket: Ticket, *, after_s: float) -> None:
        """Let a job be attempted again after some seconds."""
        self._count += 1
        heapq.heappush(self._retries, (time.monotonic() + after_s, self._count, ticket))
        self._arm()

    def done(self) -> None:
        """Say that a job taken is finished."""
        self._open -= 1
        while self._idle and self._open == 0:
            self._wake()

    def close(self) -> None:
        """Drop the timer; nobody takes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> Ticket | None:
        """Take the retry that is due, and see to it that idle workers take what that leaves to do."""
        if not self._retries or self._retries[0][0] > time.monotonic():
            return None
        ticket = heapq.heappop(self._retries)[2]
        if self._idle:
            self._arm()
            if not self._exhausted:
                self._wake()  # a place is free for a new job
        return ticket

    def _pull(self) -> Ticket | None:
        if self._exhausted or len(self._retries) >= self._capacity:
            return None
        job = next(self._jobs, None)
        if job is None:
            self._exhausted = True
            return None
        self._open += 1
        return Ticket(job)

    def _arm(self) -> None:
        """Wake an idle worker when the next retry is due: one timer for all of them."""
        self.close()
        if self._idle and self._retries:
            wait = max(0.0, self._retries[0][0] - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait + _TIMER_S, self._wake)

    def _wake(self) -> None:
        """Wake the idle worker that has waited longest."""
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():  # else cancelled
                waiter.set_result(None)
                return
