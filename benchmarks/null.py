"""A transport without a network: it answers at once with bytes that the server could have sent."""

from __future__ import annotations

import asyncio
from typing import Final

from support import completion, headers

from headgate.execute.transport import Request, Response

ANSWER: Final = Response(200, headers(), completion(b"#0000001"), 0.0)


class NullTransport:
    """Answers every request alike, after one turn of the event loop."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:  # noqa: ARG002 - it is never late
        await asyncio.sleep(0)
        return ANSWER

    async def aclose(self) -> None:
        """Close nothing."""
