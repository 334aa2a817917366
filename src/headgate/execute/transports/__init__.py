"""Transports, one file per HTTP library."""

from __future__ import annotations

from typing import Final, Literal, get_args

from headgate.execute.transport import CONNECT_TIMEOUT_S, Transport

TransportName = Literal["http1", "pyreqwest", "aiohttp", "httpx"]
TRANSPORTS: Final[tuple[TransportName, ...]] = get_args(TransportName)


def open_transport(
    name: TransportName | None = None, *, connections: int, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> Transport:
    """Open a transport inside the running event loop.

    Parameters
    ----------
    name : {"http1", "pyreqwest", "aiohttp", "httpx"}, optional
        The fast one (the default), the one in Rust, the one in Python, or the compatible one.
    connections : int
        Size of the pool.
    connect_timeout_s : float
        Longest wait for a connection, TLS included.
    """
    match name:
        case "aiohttp":
            from headgate.execute.transports.aiohttp_pool import AiohttpTransport

            return AiohttpTransport(connections=connections, connect_timeout_s=connect_timeout_s)
        case "httpx":
            from headgate.execute.transports.httpx_client import HttpxTransport

            return HttpxTransport.open(connections=connections, connect_timeout_s=connect_timeout_s)
        case "pyreqwest":
            from headgate.execute.transports.pyreqwest_pool import PyreqwestTransport

            return PyreqwestTransport(connections=connections, connect_timeout_s=connect_timeout_s)
        case _:
            from headgate.execute.transports.http1 import Http1Transport

            return Http1Transport(connections=connections, connect_timeout_s=connect_timeout_s)
