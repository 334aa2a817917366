"""What a run does with the response cache: which answers it takes, which it asks for anew, and which it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from headgate.execute.answer import Answer

if TYPE_CHECKING:
    from headgate.execute.cache import CacheKeys, ResponseCache
    from headgate.execute.queue import Ticket

REDRAWN_MARK = '{"redrawn":true'
"""How the metadata of an answer begin that was asked for although the cache had one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """The cache, as the jobs of one run use it.

    Attributes
    ----------
    keys : mapping of str to CacheKeys
        By the ids of models, or of their places; what is not there, such as a callable, is always asked.
    redraws : callable
        A job's index to whether its item is one of those that are asked again, to see whether answers have drifted.
    """

    cache: ResponseCache
    keys: Mapping[str, CacheKeys]
    redraws: Callable[[int], bool]

    async def look_up(self, ticket: Ticket) -> Answer | None:
        """Return the cached answer of a job, if it is to be taken."""
        keys = self.keys.get(ticket.asked.model.id)
        if keys is None:
            return None
        answer = await self.cache.get(keys.key(ticket.asked))
        if answer is None:
            return None
        if self.redraws(ticket.job.index):
            ticket.reuse = "redrawn"
            return None
        ticket.reuse = "hit"
        return answer

    def keep(self, ticket: Ticket, answer: Answer) -> None:
        """Keep a new answer."""
        keys = self.keys.get(ticket.asked.model.id)
        if keys is not None:
            self.cache.put(keys.key(ticket.asked), answer)


def redraw_items(share: float, key_of: Callable[[int], bytes], *, run_id: str) -> Callable[[int], bool]:
    """Return which jobs belong to the share of items that a run asks again: other ones in every run.

    Examples
    --------
    >>> redraws = redraw_items(0.1, lambda index: index.to_bytes(4, "big"), run_id="a")
    >>> 60 < sum(map(redraws, range(1000))) < 140
    True
    """
    below = round(share * 2**32)

    def redraws(index: int) -> bool:
        drawn = blake2b(key_of(index), key=run_id.encode()[:64], digest_size=4).digest()
        return int.from_bytes(drawn, "big") < below

    return redraws


def mark_redrawn(metadata_json: str | None) -> str:
    """Return the metadata of an answer that was asked for although the cache had one.

    Examples
    --------
    >>> mark_redrawn(None), mark_redrawn('{"x-litellm-model-id":"eu"}')
    ('{"redrawn":true}', '{"redrawn":true,"x-litellm-model-id":"eu"}')
    """
    rest = "" if metadata_json is None or metadata_json == "{}" else f",{metadata_json[1:-1]}"
    return f"{REDRAWN_MARK}{rest}}}"
