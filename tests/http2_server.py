"""A loopback server over TLS that offers HTTP/2 and HTTP/1.1, for the tests of the transports."""

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


class EchoServer:
    """Answers every request after a delay with its own body, and counts."""

    def __init__(self, *, delay_s: float, streams: int) -> None:
        self.delay_s, self.streams = delay_s, streams
        self.connections = self.at_once = self.most_at_once = 0
        self.versions: list[int] = []
        self.authorizations: list[str] = []
        self.open: set[asyncio.Transport] = set()
        self.url = ""

    def begin(self, version: int, headers: dict[str, str]) -> None:
        self.versions.append(version)
        self.authorizations.append(headers.get("authorization", ""))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)


class _Connection(asyncio.Protocol):
    """Speaks what was agreed on; an h1 client is expected to send a request in one piece."""

    def __init__(self, server: EchoServer) -> None:
        self.server = server
        self.h2: H2Connection | None = None
        self.bodies: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections += 1
        self.server.open.add(self.transport)
        if self.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
            self.h2.initiate_connection()
            self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.server.streams})
            self.transport.write(self.h2.data_to_send())
        self.pending = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.server.open.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.h2 is None:
            self._http1(data)
        else:
            self._http2(self.h2, data)

    def _http1(self, data: bytes) -> None:
        head, _, body = (self.pending + data).partition(b"\r\n\r\n")
        fields = (line.split(": ", 1) for line in head.decode().splitlines()[1:])
        headers = {name.lower(): value for name, value in fields}
        if len(body) < int(headers.get("content-length", 1)):
            self.pending += data
            return
        self.pending = b""
        self.server.begin(1, headers)
        self._later(self._answer1, body)

    def _answer1(self, body: bytes) -> None:
        self.server.at_once -= 1
        head = f"HTTP/1.1 200 OK\r\nx-request-id: r-1\r\ncontent-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def _http2(self, h2: H2Connection, data: bytes) -> None:
        for event in h2.receive_data(data):
            match event:
                case RequestReceived():
                    self.server.begin(2, {str(name): str(value) for name, value in event.headers})
                    self.bodies[event.stream_id] = b""
                case DataReceived():
                    self.bodies[event.stream_id] += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded():
                    self._later(self._answer2, h2, event.stream_id)
        self.transport.write(h2.data_to_send())

    def _answer2(self, h2: H2Connection, stream: int) -> None:
        self.server.at_once -= 1
        h2.send_headers(stream, [(":status", "200"), ("x-request-id", "r-1")])
        h2.send_data(stream, self.bodies.pop(stream), end_stream=True)
        self.transport.write(h2.data_to_send())

    def _later(self, call, *arguments) -> None:
        asyncio.get_running_loop().call_later(self.server.delay_s, call, *arguments)


@asynccontextmanager
async def http2_server(tls: ssl.SSLContext, *, delay_s: float = 0.0, streams: int = 100) -> AsyncIterator[EchoServer]:
    """Serve on a free port; an HTTP/2 connection takes so many streams at once."""
    server = EchoServer(delay_s=delay_s, streams=streams)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    listening = await asyncio.get_running_loop().create_server(lambda: _Connection(server), "127.0.0.1", 0, ssl=tls)
    server.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/chat/completions"
    try:
        yield server
    finally:
        listening.close()
        while server.open:
            for transport in list(server.open):
                transport.abort()
            await asyncio.sleep(0.01)
