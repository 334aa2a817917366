"""The cap of a run's cost or tokens: an attempt reserves the most that it may take, and settles at what it took."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from headgate.execute.tokens import MOST_IMAGE_TOKENS, message_size, output_limit
from headgate.identity import canonical_json
from headgate.plan import Job
from headgate.prices import ModelPrice

_UNITS: Final = 10**12
"""Money is counted in millionths of a millionth of a dollar, so that sums are exact."""

_HIDDEN_TOKENS: Final = 64
"""What a chat template may add to a request beyond what its own bytes stand for."""


class Budget:
    """What a run may spend, shared by all its lanes: spent and reserved together never cross the cap.

    Reservations are made in the order in which they are asked for. One that does not fit waits until others have been
    settled; when none is left to be settled, the money is used up, and nobody is let in any more.

    Parameters
    ----------
    limit : float
        The cap: US dollars, or tokens.
    spent : float
        What earlier calls of the run have spent.
    on_used_up : callable
        Called once, when the next reservation does not fit and nothing is in flight.
    """

    def __init__(self, limit: float, *, spent: float = 0.0, on_used_up: Callable[[], object]) -> None:
        self.limit, self.used_up = limit, False
        self._cap, self._spent, self._reserved = round(limit * _UNITS), math.ceil(spent * _UNITS), 0
        self._open = 0
        self._on_used_up = on_used_up
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def spent(self) -> float:
        """What has been settled, in this call and before."""
        return self._spent / _UNITS

    @property
    def reserved(self) -> float:
        """The most that what is in flight may cost."""
        return self._reserved / _UNITS

    @property
    def waiting(self) -> int:
        """Attempts that wait for others to be settled."""
        return len(self._waiting)

    @property
    def following(self) -> float:
        """What the first of those that wait asks for."""
        heads = list(self._waiting)[:1]  # any thread may ask
        return heads[0][1] / _UNITS if heads else 0.0

    async def reserve(self, most: float) -> int:
        """Reserve for an attempt; wait until it fits, for ever when the money is used up.

        Returns
        -------
        int
            What :meth:`settle` takes.
        """
        amount = math.ceil(most * _UNITS)
        if not self._waiting and not self.used_up and self._fits(amount):
            self._take(amount)
            return amount
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((waiter, amount))
        self._admit()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._admit()  # it may have stood before one that fits
            else:  # it was let in, and will not go
                self.settle(amount, 0.0)
            raise
        return amount

    def settle(self, reserved: int, taken: float | None) -> float:
        """End a reservation with what the attempt cost, None if nobody knows: it then cost all of it.

        Returns
        -------
        float
            What it was settled at.
        """
        amount = reserved if taken is None else max(0, math.ceil(taken * _UNITS))
        self._open -= 1
        self._reserved -= reserved
        self._spent += amount
        self._admit()
        return amount / _UNITS

    def charge(self, amount: float) -> None:
        """Count what was spent on the run's behalf by others, while nothing of this is in flight."""
        self._spent += math.ceil(amount * _UNITS)

    def _fits(self, amount: int) -> bool:
        return self._spent + self._reserved + amount <= self._cap

    def _take(self, amount: int) -> None:
        self._open += 1
        self._reserved += amount

    def _admit(self) -> None:
        """Let in those who have waited longest, as far as it goes."""
        while self._waiting and not self.used_up:
            waiter, amount = self._waiting[0]
            if not waiter.done():  # else cancelled
                if not self._fits(amount):
                    break
                self._take(amount)
                waiter.set_result(None)
            self._waiting.popleft()
        if self._waiting and not self._open and not self.used_up:
            self.used_up = True
            self._on_used_up()


class CostBound:
    """The most that an attempt at a job can cost.

    A token of a byte-level tokenizer stands for at least one byte, so a request has no more of them than bytes (and a
    few that its chat template adds, and those of its images); and it brings no more than its declared ``max_tokens``,
    for each of ``n`` answers.

    Parameters
    ----------
    prices : mapping of str to ModelPrice
        Of every model; each job declares how much it may bring.
    """

    def __init__(self, prices: Mapping[str, ModelPrice]) -> None:
        self._prices = prices
        self._cells: dict[tuple[str, str], tuple[int, int]] = {}

    def usd(self, job: Job) -> float:
        """Return it in US dollars."""
        return self._prices[job.model.id].most_usd(*self.tokens(job))

    def tokens(self, job: Job) -> tuple[int, int]:
        """Return the most tokens that it can send and bring."""
        key = job.prompt.name, job.model.id
        if key not in self._cells:
            self._cells[key] = _beside({**job.prompt.params, **job.model.params})
        more, output_tokens = self._cells[key]
        size, images = message_size(job)
        return size + images * MOST_IMAGE_TOKENS + more, output_tokens


def _beside(params: dict[str, Any]) -> tuple[int, int]:
    """Return the tokens that all requests of a cell have beside their messages, and those that they may bring."""
    limit = output_limit(params)
    assert limit is not None  # without one no run with a cap begins
    return len(canonical_json(params)) + _HIDDEN_TOKENS, limit
