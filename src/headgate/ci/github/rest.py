"""GitHub's REST API: paced, retried, and never with the token to another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from headgate import __version__

_ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 60.0
_PAGES: Final = 100
_PER_PAGE: Final = 100

_T = TypeVar("_T")


class Refused(Exception):
    """GitHub said no; ``status`` is 0 where no answer came."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Busy(Refused):
    """GitHub said not now; ``after`` is the wait in seconds that it asked for."""

    def __init__(self, status: int, problem: str, *, after: float | None) -> None:
        super().__init__(status, problem)
        self.after = after


class Client:
    """Calls to one GitHub; use it as an asynchronous context manager.

    Parameters
    ----------
    api_url : str
        Such as ``https://api.github.com``.
    token : str
        Sent to that host and to no other: redirects are not followed, links to other hosts are refused.
    sleep : callable
        Waits so many seconds between attempts.
    """

    def __init__(self, api_url: str, token: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._url, self._sleep = api_url.rstrip("/"), sleep
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "User-Agent": f"headgate/{__version__}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._http = httpx.AsyncClient(headers=headers, timeout=30, follow_redirects=False)
        self._pace = AsyncLimiter(5, 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def retried(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        """Run an operation again while GitHub is busy, a few times.

        An answer that was lost may have been a success: the operation must look before it writes.

        Raises
        ------
        Refused
            What the last attempt ended with.
        """

        async def once() -> _T:  # tenacity does not wait for what a plain function returns
            return await operation()

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(Busy),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            reraise=True,
        )
        return await attempts(once)

    async def call(self, method: str, path: str, json: Mapping[str, Any] | None = None) -> Any:
        """Make one call and return the JSON of its answer.

        Raises
        ------
        Refused
            If it failed; :class:`Busy` where it is worth another attempt.
        """
        answer = await self._send(method, self._url + path, json=json)
        return answer.json()

    async def pages(self, path: str, params: Mapping[str, str] | None = None) -> AsyncIterator[Any]:
        """Yield the entries of a list, page after page, as GitHub's ``Link`` headers lead."""
        url, asked = self._url + path, {"per_page": str(_PER_PAGE), **(params or {})}
        for _ in range(_PAGES):
            answer = await self._send("GET", url, params=asked)
            for entry in answer.json():
                yield entry
            following = answer.links.get("next", {}).get("url")
            if following is None or _origin(following) != _origin(self._url):
                return
            url, asked = following, {}

    async def _send(self, method: str, url: str, *, params: Mapping[str, str] | None = None, json: Any = None) -> Any:
        async with self._pace:
            try:
                answer = await self._http.request(method, url, params=params or None, json=json)
            except httpx.TransportError as error:
                raise Busy(0, f"GitHub cannot be reached: {type(error).__name__}", after=None) from error
        if answer.is_success:
            return answer
        after = _asked_wait(answer)
        problem = f"GitHub answered {answer.status_code} to {method}"
        if answer.status_code == 429 or answer.status_code >= 500 or after is not None:
            raise Busy(answer.status_code, problem, after=after)
        raise Refused(answer.status_code, problem)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _asked_wait(answer: httpx.Response) -> float | None:
    """Return the wait of a limit that was hit; a 403 without one is a refusal."""
    if answer.status_code not in {403, 429, 503}:
        return None
    stated = answer.headers.get("retry-after", "")
    if stated.isdecimal():
        return float(stated)
    return _LONGEST_WAIT_S if answer.headers.get("x-ratelimit-remaining") == "0" else None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    after = error.after if isinstance(error, Busy) and error.after is not None else 2.0 ** (state.attempt_number - 1)
    return min(after, _LONGEST_WAIT_S)
