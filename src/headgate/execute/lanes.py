"""A lane: what one quota allows, requests and tokens a minute, kept by virtual time."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from headgate.execute.bucket import Bucket, Weights
from headgate.execute.quota import Quota, Window

DIMENSIONS: Final[Mapping[str, tuple[float, Weights]]] = {
    "requests": (0.97, (1, 0, 0)),
    "tokens": (0.95, (0, 1, 1)),
    "input_tokens": (0.95, (0, 1, 0)),
    "output_tokens": (0.95, (0, 0, 1)),
}
"""The share of each limit that is used, and what a request weighs in it."""

_TIMER_S: Final = 0.001
"""uvloop rounds timers to milliseconds and keeps its clock for a whole turn: a timer that fires early would spin."""

_NOTHING: Final = (0.0, 0.0)

_Waiter = tuple[asyncio.Future[None], float, float]


class Lane:
    """Admits attempts in the order in which they came, as fast as the quota allows in every dimension.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute : float, optional
        The declared limits; all of them hold. headgate uses 97 % of the requests and 95 % of the tokens.
    request_burst_s : float
        Seconds of rate that may go at once, beside one request. Requests are paced evenly, because several providers
        enforce a minute's limit by the second: 0.97 of the limit and a burst of 0.01 s fit into every second with 20 ms
        to spare for the way there.
    token_burst_s : float
        The same for tokens.
    clock : callable
        Seconds, monotonic.

    Attributes
    ----------
    admitted : int
        Attempts let in so far.
    counts_tokens : bool
        Whether tokens are limited, and an estimate is needed.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        input_tokens_per_minute: float | None = None,
        output_tokens_per_minute: float | None = None,
        request_burst_s: float = 0.01,
        token_burst_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._clock, self._rng = clock, rng or random.Random()
        self._request_burst_s, self._token_burst_s = request_burst_s, token_burst_s
        self._buckets: tuple[Bucket, ...] = ()
        self._limited: dict[str, Bucket] = {}
        self._limits: dict[str, float] = {}
        self._paused_until = -math.inf
        self._waiting: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._unlimited = True  # until a limit is declared, or a server says so
        self.admitted = 0
        self.counts_tokens = False
        limits = (requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute)
        self._declared = {name: limit for name, limit in zip(DIMENSIONS, limits, strict=True) if limit is not None}
        for name, limit in self._declared.items():
            self._limit(name, limit, now=self._clock())

    @property
    def waiting(self) -> int:
        """Attempts that wait."""
        return len(self._waiting)

    @property
    def paused_s(self) -> float:
        """Seconds for which the lane is still paused."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def requests_per_minute(self) -> float | None:
        """The limit as it stands: as declared, or less where the server said so."""
        return self._limits.get("requests")

    @property
    def tokens_per_minute(self) -> float | None:
        """The limit as it stands, input and output together."""
        return self._limits.get("tokens")

    @property
    def input_tokens_per_minute(self) -> float | None:
        """The limit as it stands."""
        return self._limits.get("input_tokens")

    @property
    def output_tokens_per_minute(self) -> float | None:
        """The limit as it stands."""
        return self._limits.get("output_tokens")

    def ready_at(self, input_tokens: float, output_tokens: float, now: float) -> float:
        """Return the earliest time at which an attempt may go."""
        ready = self._paused_until if self._paused_until > now else now
        for bucket in self._buckets:
            due = bucket.ready_at(input_tokens, output_tokens, now)
            if due > ready:
                ready = due
        return ready

    def try_acquire(self, input_tokens: float = 0, output_tokens: float = 0) -> bool:
        """Let an attempt go if it may go at once."""
        if self._unlimited:
            self.admitted += 1
            return True
        now = self._clock()
        if self._waiting or self.ready_at(input_tokens, output_tokens, now) > now:
            return False
        self._commit(input_tokens, output_tokens, now)
        return True

    async def acquire(self, input_tokens: float = 0, output_tokens: float = 0) -> None:
        """Wait until an attempt may go."""
        if self.try_acquire(input_tokens, output_tokens):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, input_tokens, output_tokens))
        if len(self._waiting) == 1:
            self._admit()
        await waiter

    def settle(self, reserved: tuple[float, float], used: tuple[float, float]) -> None:
        """Say what an attempt really used of the input and output tokens that it had reserved.

        An attempt that reserved nothing went before tokens were counted, and is not counted afterwards.
        """
        if not self.counts_tokens or reserved in (used, _NOTHING):
            return
        now, more_input, more_output = self._clock(), used[0] - reserved[0], used[1] - reserved[1]
        for bucket in self._buckets:
            bucket.settle(more_input, more_output, now)
        self._admit()

    def observe(self, quota: Quota) -> None:
        """Heed what a response's headers say: less than declared is obeyed, more is not taken.

        A limit becomes the rate where it :attr:`~headgate.execute.quota.Window.binds`, a higher one again at once.
        """
        now = self._clock()
        for name in DIMENSIONS:
            window: Window | None = getattr(quota, name)
            if window is not None:
                self._heed(name, window, now)
        self._admit()

    def pause(self, seconds: float) -> None:
        """Admit nothing for a while: the server said so."""
        until = self._clock() + seconds + self._rng.uniform(0, min(0.1 * seconds, 5))
        if until > self._paused_until:
            self._paused_until, self._unlimited = until, False

    def waits_for(self) -> str:
        """Return what holds the attempts back, in words; empty when none waits. Any thread may ask."""
        waiting, now = list(self._waiting), self._clock()
        head = next((waiter for waiter in waiting if not waiter[0].done()), None)
        if head is None:
            return ""
        if self._paused_until > now or not self._limits:
            return f"a pause of {self.paused_s:.1f} s that the server asked for"
        _, input_tokens, output_tokens = head
        name = max(self._limits, key=lambda name: self._limited[name].ready_at(input_tokens, output_tokens, now))
        return f"the limit of {self._limits[name]:,.12g} {name.replace('_', ' ')} a minute ({self.waiting} wait)"

    def close(self) -> None:
        """Drop the timer; nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit(self, input_tokens: float, output_tokens: float, now: float) -> None:
        self.admitted += 1
        for bucket in self._buckets:
            bucket.commit(input_tokens, output_tokens, now)

    def _limit(self, name: str, per_minute: float, *, now: float) -> None:
        """Set what one dimension allows."""
        share, weights = DIMENSIONS[name]
        rate = share * per_minute / 60
        if name in self._limited:
            self._limited[name].retune(rate, now=now)
        else:
            burst_s = self._request_burst_s if name == "requests" else self._token_burst_s
            self._limited[name] = Bucket(rate=rate, burst_s=burst_s, weights=weights)
            self._buckets = tuple(self._limited.values())
            self._unlimited = False
            self.counts_tokens = self.counts_tokens or name != "requests"
        self._limits[name] = per_minute

    def _heed(self, name: str, window: Window, now: float) -> None:
        limit = min(window.limit, self._declared.get(name, math.inf))
        present = self._limits.get(name, math.inf)
        if limit > present or (limit < present and window.binds):
            self._limit(name, limit, now=now)
        if name in self._limited and window.remaining is not None:
            most_s = math.inf if window.reset_s is None else window.reset_s
            self._limited[name].drain(window.remaining, now=now, most_s=most_s)

    def _head(self) -> _Waiter | None:
        """Return who is next; those that were cancelled are none."""
        while self._waiting and self._waiting[0][0].done():
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def _admit(self) -> None:
        """Let in all that are due, and set a timer for the next: one for the whole lane."""
        if not self._waiting:
            return
        now = self._clock()
        while (head := self._head()) is not None:
            waiter, input_tokens, output_tokens = head
            ready = self.ready_at(input_tokens, output_tokens, now)
            if ready > now:
                self._wake_at(ready, now)
                return
            self._waiting.popleft()
            self._commit(input_tokens, output_tokens, now)
            waiter.set_result(None)

    def _wake_at(self, ready: float, now: float) -> None:
        """Come back then; a timer that is due earlier stays, and finds out."""
        if self._timer is None or ready < self._due:
            self.close()
            self._due = ready
            self._timer = asyncio.get_running_loop().call_later(ready - now + _TIMER_S, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._admit()
