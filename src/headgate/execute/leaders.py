"""One request with a long prefix ahead of the others, so that these find it in the provider's cache."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from headgate.execute.answer import Answer, Failure
from headgate.execute.health import Health
from headgate.execute.queue import Ticket

_MOST_LEADERS: Final = 3
"""Leaders that may fail one after the other; then nobody waits any more."""

Prefix = tuple[str, str]
"""Where a prompt goes: the id of a model or of its place, and the name of the prompt."""


class Leaders:
    """Lets the first request of each prefix go alone: the others wait until it is answered, once in a run.

    Requests that go out together race: all of them miss a cache that is filled when the first one is answered.

    Parameters
    ----------
    prefixes : iterable of (str, str)
        Those that are long enough to be cached.
    """

    def __init__(self, prefixes: Iterable[Prefix]) -> None:
        self.cold = set(prefixes)
        self._leading: dict[Prefix, asyncio.Event] = {}
        self._failed: Counter[Prefix] = Counter()

    async def lead(
        self, attempt: Callable[[Ticket, Health], Awaitable[Answer | Failure | None]], ticket: Ticket, health: Health
    ) -> Answer | Failure | None:
        """Make an attempt when it is its turn: at once, or when the one that leads has been answered."""
        prefix, asked = (ticket.asked.model.id, ticket.job.prompt.name), time.monotonic()
        while prefix in self.cold and (leading := self._leading.get(prefix)) is not None:
            await leading.wait()
        ticket.held_s += time.monotonic() - asked
        if prefix not in self.cold:
            return await attempt(ticket, health)
        self._leading[prefix], outcome = asyncio.Event(), None
        try:
            outcome = await attempt(ticket, health)
        finally:
            self._follow(prefix, outcome)
        return outcome

    def _follow(self, prefix: Prefix, outcome: Answer | Failure | None) -> None:
        """Let the others go if the leader was answered; else the next one leads."""
        self._failed[prefix] += isinstance(outcome, Failure)
        if isinstance(outcome, Answer) or self._failed[prefix] >= _MOST_LEADERS:
            self.cold.discard(prefix)
        self._leading.pop(prefix).set()
