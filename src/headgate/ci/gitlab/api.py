"""Calls to GitLab's API: few, paced, retried, and with the token for GitLab alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Self

import httpx
from aiolimiter import AsyncLimiter
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from headgate.errors import ConfigError
from headgate.execute.secret import Secret

_ATTEMPTS: Final = 4
_MOST_PAUSE_S: Final = 30.0
_PER_S: Final = 5
_URL: Final = re.compile(r"https?://[^\s?#@]+")
_BACKOFF: Final = wait_random_exponential(multiplier=0.5, max=10)

Pause = Callable[[RetryCallState], float]


def _pause(state: RetryCallState) -> float:
    """Wait as long as GitLab says, else exponentially."""
    outcome = state.outcome
    said = "" if outcome is None or outcome.failed else outcome.result().headers.get("retry-after", "")
    return min(float(said), _MOST_PAUSE_S) if said.isdecimal() else _BACKOFF(state)


class GitLab:
    """A client of one GitLab's API, as an async context manager.

    Parameters
    ----------
    url : str
        The API's root, as in ``CI_API_V4_URL``.
    header : str
        Header that carries the token: ``PRIVATE-TOKEN`` for access tokens, ``JOB-TOKEN`` for ``CI_JOB_TOKEN``.
    token : Secret
        The token.
    pause : callable, optional
        Seconds to wait before the next attempt.

    Raises
    ------
    ConfigError
        If the URL is none.

    Examples
    --------
    >>> GitLab("https://gitlab.example/api/v4/", header="JOB-TOKEN", token=Secret("t")).url
    'https://gitlab.example/api/v4'
    """

    def __init__(self, url: str, *, header: str, token: Secret, pause: Pause = _pause) -> None:
        if not _URL.fullmatch(url):
            raise ConfigError("is no URL of an API", field="CI_API_V4_URL", value=url, mend="GitLab sets it in jobs")
        self.url = url.rstrip("/")
        self._auth = {header: token}
        self._pause = pause
        self._limiter = AsyncLimiter(_PER_S, 1)
        # A redirect would carry the token to whoever it names: none is followed with it.
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(60, connect=10), follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def send(
        self, method: str, path: str, *, content: Callable[[], Any] | None = None, headers: Any = None, **fields: Any
    ) -> httpx.Response:
        """Send one request, again where that can do no harm; return the last answer.

        Parameters
        ----------
        method, path : str
            ``path`` begins with a slash and stands below the API's root.
        content : callable, optional
            Makes the body anew for each attempt.
        headers : mapping, optional
            More headers.
        **fields : Any
            ``json`` and ``params`` of httpx.

        Raises
        ------
        httpx.TransportError
            If GitLab cannot be reached. Everything is retried while no connection is made or GitLab says that there are
            too many requests; what is not a ``POST`` also after other failures.
        """

        async def once() -> httpx.Response:
            body = {} if content is None else {"content": content()}
            async with self._limiter:
                return await self._client.request(
                    method, self.url + path, headers={**self._revealed(), **(headers or {})}, **body, **fields
                )

        twice = method != "POST"
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: _may_retry(error, twice=twice))
            | retry_if_result(lambda answer: _is_busy(answer, twice=twice)),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=self._pause,
            retry_error_callback=_last,
        )
        answer: httpx.Response = await retrying(once)
        return answer

    def stream(self, path: str, *, url: str | None = None) -> Any:
        """Open a download, from the API or from the URL that it named; only the API gets the token."""
        headers = self._revealed() if url is None else {}
        return self._client.stream("GET", url or self.url + path, headers=headers)

    def _revealed(self) -> dict[str, str]:
        return {header: token.reveal() for header, token in self._auth.items()}


def _may_retry(error: BaseException, *, twice: bool) -> bool:
    return isinstance(error, httpx.TransportError if twice else httpx.ConnectError | httpx.ConnectTimeout)


def _is_busy(answer: httpx.Response, *, twice: bool) -> bool:
    return answer.status_code == 429 or (twice and answer.status_code >= 500)


def _last(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
