"""Jobs, endpoints and raw loopback servers for the tests of the engine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psutil

from headgate.execute.answer import Answer, Failure
from headgate.plan import Job
from headgate.suite.items import Item
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

PROMPT = Prompt(name="plain", messages=(("user", "{{ q }}"),))


def a_model(name: str = "small", **fields: Any) -> Model:
    return Model(**{"id": name, "provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", **fields})


def a_job(
    index: int = 0,
    *,
    model: Model | None = None,
    prompt: Prompt = PROMPT,
    seed: int = 1,
    messages: bytes | None = None,
) -> Job:
    messages = messages or msgspec.json.encode([{"role": "user", "content": f"question {index}"}])
    item = Item(
        item_id=f"i{index}",
        cluster=None,
        target=str(index),
        messages={prompt.name: messages},
        read_variables=lambda: msgspec.json.encode({"q": f"question {index}"}),
    )
    return Job(index, f"{index:032x}", item, prompt, model or a_model(), seed)


def jobs(count: int, *, model: Model | None = None) -> Iterator[Job]:
    chosen = model or a_model()
    return (a_job(index, model=chosen) for index in range(count))


class FakeEndpoint:
    """Answers with what a function of (job, attempt) returns."""

    name = "http://fake"
    sends_seed = True
    api_version = None

    def __init__(self, react: Callable[[Job, int], Answer | Failure | Awaitable[Answer | Failure]]) -> None:
        self.react = react
        self.calls: list[tuple[str, int]] = []
        self.timeouts: list[float] = []

    def dropped(self, job: Job) -> str | None:
        return None

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        self.calls.append((job.job_id, number))
        self.timeouts.append(timeout_s)
        await asyncio.sleep(0)  # as all that waits on a model does
        outcome = self.react(job, number)
        if isinstance(outcome, Answer | Failure):
            return outcome
        deadline = asyncio.timeout(timeout_s)
        try:
            async with deadline:
                return await outcome
        except TimeoutError:
            return Failure(kind="timeout", message=f"no complete answer within {timeout_s:g} s")


Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """A TCP server that reads one request after another and lets a script write whatever it likes."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length")
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.script(self.requests[-1], writer)
        except asyncio.CancelledError:  # the test's loop ends: what was not sent would keep the socket open
            writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    server = RawServer(script)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        while tls is not None and _is_connected(port):
            await asyncio.sleep(0.01)  # a broken handshake has a connection that no handler closes


def _is_connected(port: int) -> bool:
    """Say whether a client of this port is still here; not for clients that keep connections."""
    return any(each.laddr and each.laddr.port == port for each in psutil.Process().net_connections(kind="tcp"))


def http(body: bytes, *, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole HTTP/1.1 response."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def says(*pieces: bytes, close: bool = False) -> Script:
    """Write pieces, then perhaps close the connection."""

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if close:
            writer.close()

    return script


COMPLETION = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "model": "small-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
    }
)
