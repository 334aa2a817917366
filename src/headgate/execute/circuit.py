"""A circuit breaker: while an endpoint fails, it is asked once in a while, not by every job."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

_FEWEST: Final = 20
_SHARE: Final = 0.8
_MOST_OPEN_S: Final = 60.0
_PROBING_S: Final = 1.0


class Circuit:
    """Watches the last attempts at an endpoint.

    It opens when four of five of the last attempts failed (of the last 20, or of as many as may be under way at once
    where that is more). While it is open no attempt goes out; then one does, as a probe. If that succeeds the circuit
    closes, else it opens again for twice as long, up to a minute.

    Parameters
    ----------
    concurrency : int
        Attempts that may be under way at once.
    first_s : float
        Seconds for which it opens first.
    clock : callable
        Seconds, monotonic.

    Notes
    -----
    Half of the attempts, as breakers between services have it, would close off an endpoint that has lost half of its
    replicas: an evaluation still gets its answers there, each at the second try.

    Examples
    --------
    >>> circuit = Circuit(8, clock=lambda: 0.0)
    >>> for attempt in range(16):
    ...     opens = circuit.failed(attempt)
    >>> opens, circuit.admit("next"), 0.5 <= circuit.wait_s <= 1
    (True, False, True)

    References
    ----------
    Nygard (2018), Release It!, 2nd edition, "Circuit Breaker".
    """

    def __init__(
        self,
        concurrency: int,
        *,
        first_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        window = max(_FEWEST, concurrency)
        self._mask, self._limit = (1 << window) - 1, _SHARE * window
        self._first_s, self._clock, self._rng = first_s, clock, rng or random.Random()
        self._recent = 0  # one bit per attempt, 1 where it failed
        self._open_until: float | None = None
        self._opened = 0
        self._probe: object = None

    @property
    def closed(self) -> bool:
        """Whether attempts go out freely."""
        return self._open_until is None

    @property
    def wait_s(self) -> float:
        """Seconds after which it is worth asking again; 0 when an attempt may go now."""
        until = self._open_until  # any thread may ask
        if until is None:
            return 0.0
        left = until - self._clock()
        return max(left, _PROBING_S if self._probe is not None else 0.0)

    def admit(self, attempt: object) -> bool:
        """Say whether an attempt may go out; the first one after the open time is the probe, and may ask again."""
        if self._open_until is None or self._probe is attempt:
            return True
        if self._probe is not None or self._clock() < self._open_until:
            return False
        self._probe = attempt
        return True

    def succeeded(self, attempt: object) -> bool:
        """Take in an attempt that reached a working server, whatever it answered; return whether the circuit closes."""
        if self._open_until is None:
            if self._recent:
                self._recent = (self._recent << 1) & self._mask
        elif self._probe is attempt:
            self._recent, self._open_until, self._probe, self._opened = 0, None, None, 0
            return True
        return False

    def failed(self, attempt: object) -> bool:
        """Take in an attempt that got no answer, or a server's error; return whether the circuit opens."""
        if self._open_until is None:
            self._recent = (self._recent << 1 | 1) & self._mask
            if self._recent.bit_count() < self._limit:
                return False
        elif self._probe is not attempt:
            return False
        self._open()
        return True

    def abandoned(self, attempt: object) -> None:
        """Take in an attempt that was cancelled: it says nothing, and another may be the probe."""
        if self._probe is attempt:
            self._probe = None

    def trip(self) -> None:
        """Open, if it is closed: the endpoint was found to be out of reach before its circuit was."""
        if self._open_until is None:
            self._open()

    def _open(self) -> None:
        seconds = min(_MOST_OPEN_S, self._first_s * 2.0**self._opened)
        self._opened, self._probe = min(self._opened + 1, 10), None
        self._open_until = self._clock() + seconds * self._rng.uniform(0.5, 1.0)
