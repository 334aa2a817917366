"""A loopback server that speaks OpenAI chat completions for simulated models."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec
from aiohttp import web

from headgate.simulate.behaviour import Asked, Reaction, react
from headgate.simulate.judge import judge_reply
from headgate.suite.simulation import Simulation

_RETRY_AFTER_S: Final = 0.02
_HTML: Final = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    seed: int = 0
    metadata: dict[str, str] = {}


class SimulatedServer:
    """Serves simulated models on a free loopback port, in a thread of its own.

    Parameters
    ----------
    models : mapping of str to Simulation
        How each model behaves; an unknown model is status 404.
    answers : mapping of str to str, optional
        For clients that send no metadata: the last line of the last message to its right answer.
    key : str, optional
        When given, a request without this bearer token is status 401.

    Attributes
    ----------
    requests : Counter
        Requests by job id.
    faults : Counter
        Faults by kind, ``limited`` for those over the enforced rate.

    Examples
    --------
    >>> with SimulatedServer({"small": Simulation(accuracy=1.0)}) as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        models: Mapping[str, Simulation],
        *,
        answers: Mapping[str, str] | None = None,
        key: str | None = None,
        port: int = 0,
    ) -> None:
        self._models, self._answers, self._key, self._port = dict(models), dict(answers or {}), key, port
        self._windows: dict[str, deque[float]] = {name: deque() for name in models}
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.base_url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="headgate-simulate", daemon=True)
        self._ready = threading.Event()
        self._error: OSError | None = None

    def start(self) -> Self:
        """Start serving; returns when the port is open."""
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self

    def stop(self) -> None:
        """Stop serving and drop every connection."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                server = runner.run(self._open())
            except OSError as error:  # the port is taken: raised where we were started
                self._error = error
                return
            finally:
                self._ready.set()
            self._loop.run_forever()
            runner.run(server.cleanup())

    async def _open(self) -> web.ServerRunner:
        server = web.Server(self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=600)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self._complete(request)
            case "GET", "/v1/models":
                return web.json_response({"object": "list", "data": [{"id": name} for name in self._models]})
            case "GET", "/health":
                return web.json_response({"status": "ok"})
            case _:
                return _error(404, "not_found", f"there is no {request.path}")

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        try:
            wanted = msgspec.json.decode(body, type=_Request)
            counted = int(request.headers.get("x-headgate-attempt") or 0)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            return _error(400, "invalid_request_error", str(error))
        simulation = self._models.get(wanted.model)
        if simulation is None:
            return _error(404, "model_not_found", f"The model {wanted.model!r} does not exist")
        asked = self._asked(wanted, body, counted)
        if not self._admit(wanted.model, simulation.requests_per_second):
            self.faults["limited"] += 1
            return _error(429, "rate_limit_exceeded", "Rate limit reached", retry_after=1.0)
        reaction = react(simulation, asked)
        if simulation.judge is not None and not reaction.refused:
            said = judge_reply(simulation.judge, asked, _text(wanted.messages))
            reaction = dataclasses.replace(reaction, output=said)
        if reaction.fault is not None:
            self.faults[reaction.fault] += 1
            return await self._spoil(request, reaction.fault)
        await asyncio.sleep(reaction.latency_s)
        return _completion(wanted, reaction, len(body))

    def _asked(self, wanted: _Request, body: bytes, counted: int) -> Asked:
        known = wanted.metadata
        question = _last_line(wanted.messages)
        job = known.get("job") or hashlib.blake2b(body, digest_size=16).hexdigest()
        self.requests[job] += 1
        return Asked(
            item=known.get("item") or question,
            prompt=known.get("prompt", ""),
            job=job,
            target=known.get("target") or self._answers.get(question),
            model=wanted.model,
            seed=wanted.seed,
            # A client that does not count its attempts has each of its requests counted.
            attempt=counted or self.requests[job],
        )

    def _admit(self, model: str, per_second: float | None) -> bool:
        if per_second is None:
            return True
        window, now = self._windows[model], time.monotonic()
        while window and window[0] <= now - 1:
            window.popleft()
        if len(window) >= per_second:
            return False
        window.append(now)
        return True

    async def _spoil(self, request: web.BaseRequest, fault: str) -> web.StreamResponse:
        match fault:
            case "rate_limit":
                return _error(429, "rate_limit_exceeded", "Rate limit reached", retry_after=_RETRY_AFTER_S)
            case "server_error":
                return _error(500, "server_error", "The server had an error")
            case "overloaded":
                return _error(503, "overloaded", "The engine is overloaded")
            case "html":
                return web.Response(text=_HTML, content_type="text/html")
            case "empty":
                return web.Response(body=b"", content_type="application/json")
            case "hang":
                await asyncio.sleep(3600)  # until the client gives up, which cancels this
            case "truncate":
                return await _truncate(request)
            case _:
                pass
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


def _last_line(messages: Sequence[_Message]) -> str:
    return _text(messages[-1:]).rstrip().rsplit("\n", 1)[-1]


def _text(messages: Sequence[_Message]) -> str:
    contents = [message.content for message in messages]
    parts = [[part.text or "" for part in one] if isinstance(one, list) else [one or ""] for one in contents]
    return "\n".join(text for part in parts for text in part)


async def _truncate(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection in the middle of the body."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "500"})
    await response.prepare(request)
    await response.write(b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "4')
    if request.transport is not None:
        request.transport.close()
    return response


def _completion(wanted: _Request, reaction: Reaction, size: int) -> web.Response:
    message = {"role": "assistant", "content": None if reaction.refused else reaction.output}
    if reaction.refused:
        message["refusal"] = reaction.output
    words = max(1, len(reaction.output) // 4)
    body = {
        "id": "chatcmpl-simulated",
        "object": "chat.completion",
        "created": 0,
        "model": wanted.model,
        "system_fingerprint": "fp_simulated",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": size // 4, "completion_tokens": words, "total_tokens": size // 4 + words},
    }
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _error(status: int, code: str, message: str, *, retry_after: float | None = None) -> web.Response:
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}", "x-ratelimit-remaining-requests": "0"}
    body = {"error": {"message": message, "type": code, "param": None, "code": code}}
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)
