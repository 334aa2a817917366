"""A transport without a network: it answers at once with the bytes that the server would send."""

from __future__ import annotations

import asyncio
from typing import Final

from support import completion, headers

from headgate.execute.transport import Request, Response

HEADERS: Final = headers()


class NullTransport:
    """Answers every request after one turn of the event loop."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:  # noqa: ARG002 - it is never late
        await asyncio.sleep(0)
        return Response(200, HEADERS, completion(request.body), 0.0)

    async def aclose(self) -> None:
        """Close nothing."""
