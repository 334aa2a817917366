"""What a lane's workers take next: a due retry, else a new job, else what was deferred; waiting holds no worker."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from headgate.plan import Job

if TYPE_CHECKING:
    from headgate.execute.routing import Place

_TIMER_S: Final = 0.001
"""uvloop rounds timers to milliseconds: one that fires early would find nothing due."""


class Ticket(msgspec.Struct, eq=False, gc=False):
    """A job under way, over all its attempts; times are seconds of the monotonic clock.

    Attributes
    ----------
    pulled : float
        When the job was taken from its source.
    started_at : int
        The same moment, in microseconds since the epoch.
    attempts : int
        Made so far.
    charged : int
        Of these, those that count against ``max_attempts``.
    sent : float
        When the latest attempt went out.
    busy_s : float
        Spent in attempts; the rest of the job's time is queueing.
    latency_s : float
        Of the latest attempt.
    held_s : float
        For which the job could not have gone out: its lane, its endpoint, the budget of retries or busy workers held it
        back. They do not count against its deadline.
    settled_usd : float, optional
        What its attempts took from the run's cap; None without one.
    parked_at : float, optional
        From when on it is held back now.
    asked : Job
        As it is sent: to one of several endpoints, its model is the one at that place.
    place, home : Place, optional
        Where it goes of several endpoints, and where it went first of all.
    reuse : {"", "hit", "redrawn"}
        Whether its answer came from the cache, or is a new one although the cache had one.
    """

    job: Job
    asked: Job
    pulled: float
    started_at: int
    attempts: int = 0
    charged: int = 0
    sent: float = 0.0
    busy_s: float = 0.0
    latency_s: float = 0.0
    held_s: float = 0.0
    parked_at: float | None = None
    settled_usd: float | None = None
    place: Place | None = None
    home: Place | None = None
    reuse: Literal["", "hit", "redrawn"] = ""

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the ticket of a job that is pulled now."""
        return cls(job, job, time.monotonic(), time.time_ns() // 1000)

    def park(self, *, after_s: float = 0.0) -> None:
        """Start the time for which the job is held back, now or when it is due again."""
        self.parked_at = time.monotonic() + after_s

    def unpark(self) -> None:
        """End that time."""
        if self.parked_at is not None:
            self.held_s += time.monotonic() - self.parked_at
            self.parked_at = None

    def direct(self, place: Place, home: Place) -> None:
        """Let the next attempt go to one of several endpoints."""
        if self.place is not place:
            self.place, self.home = place, self.home or home
            self.asked = msgspec.structs.replace(self.job, model=place.model)

    def start(self, asked: float, sent: float) -> None:
        """Start an attempt that had asked its lane and goes out now."""
        self.attempts, self.sent = self.attempts + 1, sent
        self.held_s += sent - asked

    def end(self, now: float) -> None:
        """End the attempt."""
        self.latency_s = now - self.sent
        self.busy_s += self.latency_s

    def left_s(self, now: float) -> float:
        """Return what is left of the job's deadline."""
        return self.job.model.deadline_s - (now - self.pulled - self.held_s)


class _Family:
    """Queues whose jobs may move from one to another, and which end together."""

    __slots__ = ("open", "queues")

    def __init__(self, *queues: JobQueue) -> None:
        self.open, self.queues = 0, queues

    @property
    def finished(self) -> bool:
        return not self.open and all(queue.exhausted for queue in self.queues)


class JobQueue:
    """Hands out the jobs of one lane, each until it is done.

    Parameters
    ----------
    jobs : iterator of Job
        Pulled one at a time, never ahead.
    capacity : int
        Retries that may wait, and as many deferred jobs: when that many wait, they go before new jobs.
    """

    def __init__(self, jobs: Iterator[Job], *, capacity: int) -> None:
        self._jobs, self._capacity = jobs, capacity
        self._retries: list[tuple[float, int, Ticket]] = []
        self._deferred: deque[tuple[float, Ticket]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._family = _Family(self)
        self._count = 0
        self.exhausted = False

    @property
    def in_backoff(self) -> int:
        """Jobs that wait for their next attempt."""
        return len(self._retries) + len(self._deferred)

    @property
    def deferred(self) -> int:
        """Of these, jobs that were put behind the others."""
        return len(self._deferred)

    @property
    def next_s(self) -> float | None:
        """Seconds until the next retry is due."""
        heads = self._retries[:1]  # any thread may ask
        return max(0.0, heads[0][0] - time.monotonic()) if heads else None

    @property
    def finished(self) -> bool:
        """Whether every job was pulled and is done."""
        return self._family.finished

    @property
    def has_room(self) -> bool:
        """Whether a job of another queue may come."""
        return len(self._retries) < self._capacity

    def join(self, other: JobQueue) -> None:
        """Let jobs move between two queues, before any is taken: neither ends before the other."""
        if other._family is not self._family:
            family = _Family(*self._family.queues, *other._family.queues)
            for queue in family.queues:
                queue._family = family  # noqa: SLF001

    def take_now(self) -> Ticket | None:
        """Return the next job to attempt if there is one now."""
        if not self._retries and not self._deferred and (job := next(self._jobs, None)) is not None:
            self._family.open += 1
            return Ticket.of(job)
        return self._take_among_others()

    def _take_among_others(self) -> Ticket | None:
        if self._retries and (ticket := self._due()) is not None:
            return ticket
        while True:
            if not self.exhausted and len(self._retries) < self._capacity and len(self._deferred) < self._capacity:
                if (job := next(self._jobs, None)) is not None:
                    self._family.open += 1
                    return Ticket.of(job)
                self.exhausted = True
            if not self._deferred:
                return None
            due, ticket = self._deferred.popleft()
            if due <= time.monotonic():
                return ticket
            self._push(due, ticket)

    async def take(self) -> Ticket | None:
        """Return the next job to attempt; None when all are done."""
        while (ticket := self.take_now()) is None:
            if self._family.finished:
                self._end()
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            self._arm()
            await waiter
        return ticket

    def put_back(self, ticket: Ticket, *, after_s: float) -> None:
        """Let a job be attempted again after some seconds."""
        self._push(time.monotonic() + after_s, ticket)
        self._arm()

    def give(self, ticket: Ticket) -> None:
        """Take over a job of a queue that was joined."""
        self._push(time.monotonic(), ticket)
        self._wake()

    def defer(self, ticket: Ticket, *, after_s: float) -> None:
        """Let a job be attempted again when no new job is left, and not before some seconds have passed."""
        self._deferred.append((time.monotonic() + after_s, ticket))
        self._wake()

    def done(self) -> None:
        """Say that a job taken is finished."""
        self._family.open -= 1
        if not self._family.open:
            self._end()

    def close(self) -> None:
        """Drop the timer; nobody takes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        """Wake all that are idle, here and in joined queues: perhaps nothing is left to do."""
        for queue in self._family.queues:
            while queue._idle:  # noqa: SLF001 - of this class
                queue._wake()  # noqa: SLF001

    def _push(self, due: float, ticket: Ticket) -> None:
        self._count += 1
        heapq.heappush(self._retries, (due, self._count, ticket))

    def _due(self) -> Ticket | None:
        """Take the retry that is due, and see to it that idle workers take what that leaves to do."""
        if self._retries[0][0] > time.monotonic():
            return None
        ticket = heapq.heappop(self._retries)[2]
        if self._idle:
            self._arm()
            if not self.exhausted or self._deferred:
                self._wake()  # a place is free for another job
        return ticket

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
