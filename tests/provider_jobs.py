"""What the tests of the providers' adapters share: requests as a server reads them, responses as it writes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from execute_jobs import http, raw_server, says
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import open_endpoint
from headgate.execute.providers.adapter import Adapter
from headgate.execute.providers.catalogue import PROVIDERS
from headgate.execute.transport import Response
from headgate.execute.transports import TransportName, open_transport
from headgate.plan import Job
from headgate.suite.items import Item
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

PNG = "iVBORw0KGgo="
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add numbers",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA, "strict": True}}
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "And 2?"},
]


def image(url: str = f"data:image/png;base64,{PNG}") -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


def job_of(model: Model, messages: list[dict[str, Any]] | None = None, *, seed: int = 1, **params: Any) -> Job:
    prompt = Prompt(name="plain", messages=(("user", "{{ q }}"),), params=params)
    item = Item(
        item_id="i1",
        cluster=None,
        target=None,
        messages={"plain": msgspec.json.encode(HI if messages is None else messages)},
        read_variables=lambda: b"{}",
    )
    return Job(0, "0" * 32, item, prompt, model, seed)


def adapter_of(model: Model) -> Adapter:
    make = PROVIDERS[model.provider].adapter
    assert make is not None
    return make(model)


def asked(model: Model, messages: list[dict[str, Any]] | None = None, *, seed: int = 1) -> dict[str, Any]:
    """Return the body of a request, read."""
    adapter, job = adapter_of(model), job_of(model, messages, seed=seed)
    return json.loads(adapter.encode(job, adapter.form(model, job.prompt)))


def response(body: Any, *, status: int = 200, **headers: str) -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, text, 0.25)


Decode = Callable[[Response], Answer | Failure]


def answered(decode: Decode, body: Any, **options: Any) -> Answer:
    """Return the answer that a body is read as."""
    outcome = decode(response(body, **options))
    assert isinstance(outcome, Answer), outcome
    return outcome


def failed(decode: Decode, body: Any, **options: Any) -> Failure:
    """Return the failure that a body is read as."""
    outcome = decode(response(body, **options))
    assert isinstance(outcome, Failure), outcome
    return outcome


def over_loopback(
    model: Model, body: Any, *, status: str = "200 OK", transport: TransportName = "http1", **headers: str
) -> tuple[Answer | Failure, str, dict[str, str], Any]:
    """Send a job to a server that answers so; return what came of it, and what the server read: line, headers, body."""

    async def main() -> tuple[Answer | Failure, bytes]:
        said = http(msgspec.json.encode(body), status=status, headers=headers)
        async with raw_server(says(said)) as server:
            pool = open_transport(transport, connections=1)
            placed = model.model_copy(update={"base_url": server.url})
            job = job_of(placed)
            endpoint = open_endpoint(placed, transport=pool, base=Path(), prompts=[job.prompt])
            try:
                return await endpoint.attempt(job, 1, timeout_s=10), server.requests[0]
            finally:
                await pool.aclose()

    outcome, request = asyncio.run(main())
    head, _, sent = request.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    return outcome, line, fields, json.loads(sent)
