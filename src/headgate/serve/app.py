"""The routes of the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from headgate.decide.verdict import Verdict
from headgate.errors import StoreError
from headgate.execute.secret import Secret
from headgate.serve.body import read_body
from headgate.serve.guard import Guard
from headgate.serve.metrics import canary_metrics
from headgate.serve.service import BadRequest, Service, UnknownCanary, inconclusive

_JSON: Final = "application/json"
_ASKED: Final = {"canary", "baseline", "candidate"}
_HOOKS: Final = {"rollout": {"pass", "inconclusive"}, "confirm-promotion": {"pass"}, "rollback": {"fail"}}
"""Words at which a hook of Flagger answers 200: to go on, to promote, to roll back now."""


class Routes:
    """What each route does.

    Parameters
    ----------
    service : Service
        Holds the canaries.
    max_body : int
        Bytes of the largest body.
    """

    def __init__(self, service: Service, *, max_body: int) -> None:
        self._service, self._max_body = service, max_body
        self._received = 0
        self._work: asyncio.Task[None] | None = None

    async def verdict(self, request: Request) -> Response:
        """Answer with the verdict as it stands; 200 whatever it is, no data too."""
        unknown = sorted(set(request.query_params) - _ASKED)
        if unknown:
            raise HTTPException(400, f"there is no parameter {unknown[0]!r}; known are {', '.join(sorted(_ASKED))}")
        found = self._ask(dict(request.query_params))
        return Response(found.to_json() if isinstance(found, Verdict) else inconclusive(found), media_type=_JSON)

    async def flagger(self, request: Request) -> Response:
        """Answer a webhook of Flagger: 200 lets it do what the hook is for, 409 does not."""
        hook = request.path_params["hook"]
        if hook not in _HOOKS:
            raise HTTPException(404, f"there is no hook {hook!r}; known are {', '.join(_HOOKS)}")
        body = _decoded(await self._body(request, _JSON))
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if metadata is not None and not isinstance(metadata, dict):
            raise HTTPException(400, "metadata is no mapping")
        found = self._ask(metadata or {})
        word, reason = (found.verdict, found.reason) if isinstance(found, Verdict) else ("inconclusive", found)
        return JSONResponse({"verdict": word, "reason": reason}, 200 if word in _HOOKS[hook] else 409)

    async def traces(self, request: Request) -> Response:
        """Receive an export request of OTLP/JSON."""
        body = _decoded(await self._body(request, _JSON))
        if not isinstance(body, dict) or not isinstance(body.get("resourceSpans"), list):
            raise HTTPException(400, "the body is no OTLP/JSON of traces: it has no resourceSpans")
        await self._keep("traces", msgspec.json.encode(body))
        return JSONResponse({"partialSuccess": {}})

    async def rows(self, request: Request) -> Response:
        """Receive rows: lines of JSON."""
        body = await self._body(request, "application/x-ndjson", "application/jsonl", _JSON)
        lines = [line for line in body.splitlines() if line and not line.isspace()]
        for number, line in enumerate(lines, 1):
            if not isinstance(_decoded(line, where=f"line {number}"), dict):
                raise HTTPException(400, f"line {number} is no JSON object")
        if lines:
            await self._keep("rows", b"\n".join(lines))
        return JSONResponse({"rows": len(lines)})

    async def metrics(self, _: Request) -> Response:
        """Answer with Prometheus text."""
        text = canary_metrics(self._service.verdicts(), received=self._received)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def healthy(self, _: Request) -> Response:
        """Answer whether the service is at work."""
        alive = self._work is not None and not self._work.done()
        return JSONResponse({"healthy": alive}, 200 if alive else 503)

    async def is_ready(self, _: Request) -> Response:
        """Answer whether every canary has been looked at since the start."""
        return JSONResponse({"ready": self._service.ready}, 200 if self._service.ready else 503)

    @contextlib.asynccontextmanager
    async def at_work(self, _: Starlette) -> AsyncGenerator[None]:
        """Keep the canaries up to date while the service runs."""
        self._work = asyncio.create_task(self._service.run())
        try:
            yield
        finally:
            self._service.stop()
            await asyncio.gather(self._work, return_exceptions=True)
            self._service.close()

    def _ask(self, given: dict[str, Any]) -> Verdict | str:
        texts = {name: given.get(name) for name in _ASKED}
        if any(value is not None and not isinstance(value, str) for value in texts.values()):
            raise HTTPException(400, "canary, baseline and candidate are texts")
        try:
            return self._service.verdict(texts["canary"], texts["baseline"] or "", texts["candidate"] or "")[1]
        except UnknownCanary as error:
            raise HTTPException(404, str(error)) from None
        except BadRequest as error:
            raise HTTPException(400, str(error)) from None

    async def _body(self, request: Request, *kinds: str) -> bytes:
        return await read_body(request, kinds=kinds, most=self._max_body)

    async def _keep(self, kind: str, lines: bytes) -> None:
        try:
            await self._service.receive(kind, lines)
        except StoreError:
            raise HTTPException(503, "it cannot be kept now", headers={"retry-after": "10"}) from None
        self._received += 1


def make_app(service: Service, *, token: Secret | None, max_body: int) -> Starlette:
    """Return the ASGI application.

    Parameters
    ----------
    token : Secret or None
        What everyone but probes must bear.
    max_body : int
        Bytes of the largest body.
    """
    routes = Routes(service, max_body=max_body)
    return Starlette(
        routes=[
            Route("/v1/canary/verdict", routes.verdict),
            Route("/v1/flagger/{hook}", routes.flagger, methods=["POST"]),
            Route("/v1/traces", routes.traces, methods=["POST"]),
            Route("/v1/rows", routes.rows, methods=["POST"]),
            Route("/metrics", routes.metrics),
            Route("/healthz", routes.healthy),
            Route("/readyz", routes.is_ready),
        ],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={HTTPException: _refused},
        lifespan=routes.at_work,
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _decoded(body: bytes, *, where: str = "the body") -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HTTPException(400, f"{where} is not JSON") from None
