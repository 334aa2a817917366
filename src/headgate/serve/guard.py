"""Who may ask: the bearer of the token; without one, only this machine under its own name."""

from __future__ import annotations

import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.execute.secret import Secret

OPEN: Final = {"/healthz", "/readyz"}
"""What probes ask without a token."""
_OWN: Final = {"localhost", "127.0.0.1", "::1"}


class Guard:
    """ASGI middleware that lets only those through who may ask.

    Parameters
    ----------
    token : Secret or None
        What ``Authorization: Bearer`` must carry; None: nothing, but the request must name this machine as its host,
        so that no page in a browser reaches the service under a name of its own.
    """

    def __init__(self, app: ASGIApp, *, token: Secret | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode(), self._token.reveal().encode())
            if not same or scheme.lower() != "bearer":
                answer = JSONResponse({"error": "a token is needed"}, 401, headers={"www-authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        elif _host(headers.get("host", "")) not in _OWN:
            await JSONResponse({"error": "ask under the name of this machine"}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(header: str) -> str:
    """Return the host without its port.

    Examples
    --------
    >>> _host("[::1]:80"), _host("localhost:8077"), _host("127.0.0.1")
    ('::1', 'localhost', '127.0.0.1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
