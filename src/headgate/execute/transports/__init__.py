"""Transports, one file per HTTP library."""

from __future__ import annotations

from typing import Literal

from headgate.execute.transport import Transport

TransportName = Literal["aiohttp", "httpx"]


def open_transport(name: TransportName = "aiohttp", *, connections: int) -> Transport:
    """Open a transport inside the running event loop.

    Parameters
    ----------
    name : {"aiohttp", "httpx"}
        The fast one, or the compatible one.
    connections : int
        Size of the pool.
    """
    if name == "aiohttp":
        from headgate.execute.transports.aiohttp_pool import AiohttpTransport

        return AiohttpTransport(connections=connections)
    from headgate.execute.transports.httpx_client import HttpxTransport

    return HttpxTransport.open(connections=connections)
