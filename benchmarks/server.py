"""A fast loopback server of chat completions, so that what is measured is the client.

``python benchmarks/server.py [--delay-ms MS] [--core N] [--port PORT]`` prints its base URL and serves until it is
terminated:

- ``POST .../chat/completions`` is answered after the delay with 0.75 kB of JSON under 0.35 kB of headers, shaped as
  OpenAI's. The text repeats the first number of the request that stands behind a ``#``, so that a scorer finds its
  target. Rate limits are announced and never reached.
- ``GET .../models`` lists one model.
- ``GET .../stats`` tells what was asked so far: see :class:`Statistics`.

HTTP/1.1 with keep-alive, over a raw protocol on uvloop: requests may come in pieces and several at once; a request body
has a Content-Length. Answers wait in one queue with one timer, as all wait equally long: this keeps their order, too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import resource
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final, cast

import msgspec
import uvloop

TICK_S: Final = 0.001
HEADS: Final = 10_000

NUMBER: Final = re.compile(rb"\d+")
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nopenai-processing-ms: 48\r\nopenai-version: 2020-10-01\r\n"
    b"x-ratelimit-limit-requests: 900000000\r\nx-ratelimit-limit-tokens: 900000000\r\n"
    b"x-ratelimit-remaining-requests: 899999999\r\nx-ratelimit-remaining-tokens: 899999000\r\n"
    b"x-request-id: req_%016x\r\ncontent-length: %d\r\n\r\n"
)
COMPLETION: Final = (
    b'{"id":"chatcmpl-%016x","object":"chat.completion","created":1764100000,"model":"bench-2026-01-01","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"The number of this request is %b. The water came down the '
    b"canal in the night and stood a hand below the sill of the gate by morning, so nothing had to be let through."
    b'","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":248,'
    b'"completion_tokens":44,"total_tokens":292,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,'
    b'"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0a1b2c3d4e"}'
)
ANSWER: Final = HEAD + COMPLETION
LENGTH_WITHOUT: Final = len(COMPLETION % (0, b""))
MODELS: Final = b'{"object":"list","data":[{"id":"bench","object":"model","created":1764100000,"owned_by":"bench"}]}'
REFUSED: Final = b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\n\r\n"


@dataclass(slots=True)
class Statistics:
    """What clients have done; times are seconds since the epoch, of completions only.

    Attributes
    ----------
    connections : int
        Connections that asked for a completion.
    in_flight_peak : int
        Most completions that waited at once.
    """

    requests: int = 0
    connections: int = 0
    in_flight_peak: int = 0
    first_request_at: float = 0.0
    last_request_at: float = 0.0
    last_answer_at: float = 0.0
    server_cpu_s: float = 0.0


class Server:
    """Answers after a fixed delay."""

    def __init__(self, *, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, asyncio.Transport, bytes]] = deque()
        self._heads: dict[bytes, tuple[bytes, int]] = {}
        self._statistics = Statistics()

    def split(self, head: bytes) -> tuple[bytes, int]:
        """Return the path of a request and the length of its body; a client's heads are mostly alike."""
        known = self._heads.get(head)
        if known is None:
            length = LENGTH.search(head)
            known = head.split(b" ", 2)[1], 0 if length is None else int(length[1])
            if len(self._heads) < HEADS:
                self._heads[head] = known
        return known

    def answer(self, path: bytes, body: bytes, connection: Connection) -> None:
        if path.endswith(b"/chat/completions"):
            response = self._completion(body, connection)
        elif path.endswith(b"/models"):
            response = HEAD % (0, len(MODELS)) + MODELS
        elif path.endswith(b"/stats"):
            facts = self._facts()
            response = HEAD % (0, len(facts)) + facts
        else:
            response = REFUSED % 404
        if self._delay_s == 0:
            connection.transport.write(response)
            self._statistics.last_answer_at = time.time()
            return
        if not self._waiting:
            self._loop.call_later(self._delay_s, self._release)
        self._waiting.append((self._loop.time() + self._delay_s, connection.transport, response))
        self._statistics.in_flight_peak = max(self._statistics.in_flight_peak, len(self._waiting))

    def _completion(self, body: bytes, connection: Connection) -> bytes:
        seen = self._statistics
        seen.last_request_at = time.time()
        if seen.requests == 0:
            seen.first_request_at = seen.last_request_at
        seen.requests += 1
        if not connection.asked:
            connection.asked = True
            seen.connections += 1
        found = NUMBER.match(body, body.find(b"#") + 1)
        number = b"none" if found is None else found[0]
        return ANSWER % (seen.requests, LENGTH_WITHOUT + len(number), seen.requests, number)

    def _release(self) -> None:
        """Write all answers that are due, and look again when the next one is, at most once a millisecond."""
        now, waiting = self._loop.time(), self._waiting
        while waiting and waiting[0][0] <= now:
            _, transport, response = waiting.popleft()
            if not transport.is_closing():
                transport.write(response)
        self._statistics.last_answer_at = time.time()
        if waiting:
            self._loop.call_later(max(TICK_S, waiting[0][0] - now), self._release)

    def _facts(self) -> bytes:
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._statistics.server_cpu_s = used.ru_utime + used.ru_stime
        return msgspec.json.encode(asdict(self._statistics))


class Connection(asyncio.Protocol):
    """Takes requests out of a stream of bytes."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server, self._rest, self.asked = server, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        start = 0
        while (end := data.find(b"\r\n\r\n", start)) >= 0:
            head = data[start : end + 2]
            if b"chunked" in head or head.count(b" ") < 2:
                self.transport.write(REFUSED % 411)
                self.transport.close()
                return
            path, length = self._server.split(head)
            if len(data) < end + 4 + length:
                break
            self._server.answer(path, data[end + 4 : end + 4 + length], self)
            start = end + 4 + length
        self._rest = data[start:]


async def serve(*, delay_s: float, port: int) -> None:
    server = Server(delay_s=delay_s)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--core", type=int, help="the only core to run on (Linux)")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    if options.core is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {options.core})
    gc.disable()  # a few objects per connection are all that refer to each other
    uvloop.run(serve(delay_s=options.delay_ms / 1000, port=options.port))


if __name__ == "__main__":
    main()
