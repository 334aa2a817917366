"""An HTTP/2 server over TLS on loopback, for the tests of the transports."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes


class Http2Server:
    """Answers every request after a delay with what it was sent; counts connections and streams at once."""

    def __init__(self, *, delay_s: float, streams: int) -> None:
        self.delay_s, self.streams = delay_s, streams
        self.connections = self.in_flight = self.most_in_flight = 0
        self.headers: list[dict[str, str]] = []
        self.url = ""


class _Connection(asyncio.Protocol):
    def __init__(self, server: Http2Server) -> None:
        self.server = server
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.bodies: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.server.connections += 1
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.server.streams})
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            match event:
                case RequestReceived():
                    self.server.headers.append({str(name): str(value) for name, value in event.headers})
                    self.server.in_flight += 1
                    self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
                    self.bodies[event.stream_id] = b""
                case DataReceived():
                    self.bodies[event.stream_id] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    loop = asyncio.get_running_loop()
                    loop.call_later(self.server.delay_s, self.answer, event.stream_id)
        self.flush()

    def answer(self, stream: int) -> None:
        self.server.in_flight -= 1
        if self.transport.is_closing():
            return
        body = self.bodies.pop(stream)
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "application/json"), ("x-request-id", "r2")])
        self.h2.send_data(stream, body, end_stream=True)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())


@asynccontextmanager
async def http2_server(
    tls: ssl.SSLContext, *, delay_s: float = 0.0, streams: int = 100
) -> AsyncIterator[Http2Server]:
    """Serve on a free port; ``tls`` offers h2 by ALPN."""
    server = Http2Server(delay_s=delay_s, streams=streams)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    listening = await asyncio.get_running_loop().create_server(lambda: _Connection(server), "127.0.0.1", 0, ssl=tls)
    server.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/chat/completions"
    try:
        yield server
    finally:
        listening.close()
