"""What a server's headers say of its quota; what they do not say, or say as nonsense, is left out."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

_MINUTE_S: Final = (30.0, 120.0)
_EPOCH: Final = 1e9
"""A larger number of seconds is a date, not a duration."""

_OPENAI: Final[Mapping[str, tuple[str, str, str]]] = {
    field: (f"x-ratelimit-limit-{field}", f"x-ratelimit-remaining-{field}", f"x-ratelimit-reset-{field}")
    for field in ("requests", "tokens")
}
_ANTHROPIC: Final[Mapping[str, tuple[str, str, str]]] = {
    field.replace("-", "_"): (
        f"anthropic-ratelimit-{field}-limit",
        f"anthropic-ratelimit-{field}-remaining",
        f"anthropic-ratelimit-{field}-reset",
    )
    for field in ("requests", "tokens", "input-tokens", "output-tokens")
}
_LIMITS: Final = frozenset(names[0] for family in (_OPENAI, _ANTHROPIC) for names in family.values())
_GO: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:h|ms|m|s|us|µs|ns))+")
_GO_PART: Final = re.compile(r"([\d.]+)([a-zµ]+)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class Window(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One dimension of a quota.

    Attributes
    ----------
    limit : float
        What the server allows in its window, at least 1; how long that is, it does not say.
    remaining : float, optional
        What is left of it.
    reset_s : float, optional
        Seconds until all of it is back, or until the window ends: servers differ.
    """

    limit: float
    remaining: float | None = None
    reset_s: float | None = None

    @property
    def binds(self) -> bool:
        """Whether at least half is used, and it is the quota of a minute.

        Servers send limits of a minute and of a day under one name; ``reset_s * limit / used`` tells which it is: the
        window itself where a quota refills evenly, less than two of them where it comes back at once.
        """
        if self.remaining is None or self.reset_s is None or 2 * self.remaining > self.limit:
            return False
        shortest, longest = _MINUTE_S
        return shortest <= self.reset_s * self.limit / (self.limit - self.remaining) <= longest


class Quota(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the headers of one response say; a dimension that they leave out is None."""

    requests: Window | None = None
    tokens: Window | None = None
    input_tokens: Window | None = None
    output_tokens: Window | None = None


def read_quota(headers: Mapping[str, str]) -> Quota | None:
    """Return what the headers of a response say of the quota; None where they do not speak of it.

    Parameters
    ----------
    headers : mapping
        Names in lower case.

    Examples
    --------
    >>> read_quota({"x-ratelimit-limit-requests": "500", "x-ratelimit-reset-requests": "1m30s"}).requests
    Window(limit=500.0, remaining=None, reset_s=90.0)
    >>> read_quota({"x-ratelimit-limit-tokens": "-1", "content-type": "application/json"})
    """
    if _LIMITS.isdisjoint(headers):
        return None
    for names in (_OPENAI, _ANTHROPIC):
        found = {field: _window(headers, *three) for field, three in names.items()}
        if found.get("input_tokens") or found.get("output_tokens"):
            del found["tokens"]  # Anthropic: a copy of whichever of these is the tightest
        if any(found.values()):
            return Quota(**found)
    return None


def _window(headers: Mapping[str, str], limit: str, remaining: str, reset: str) -> Window | None:
    """Read one dimension; without a limit that can be one, the rest of it means nothing."""
    allowed = _number(headers.get(limit, ""))
    if allowed is None or allowed < 1:
        return None
    return Window(limit=allowed, remaining=_number(headers.get(remaining, "")), reset_s=_seconds(headers.get(reset)))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds(text: str | None) -> float | None:
    """Return how far away a reset is; one that is past says that the clocks differ, and nothing else."""
    if text is None or (when := _reset(text)) is None:
        return None
    seconds, absolute = when
    if absolute:
        seconds -= time.time()
    return seconds if seconds >= 0 else None


@lru_cache(maxsize=1024)
def _reset(text: str) -> tuple[float, bool] | None:
    """Read seconds, a Go duration, RFC 3339 or epoch seconds; true says that it is a date."""
    number = _number(text)
    if number is not None:
        return number, number > _EPOCH
    if _GO.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _GO_PART.findall(text)), False
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp(), True
