"""An endpoint: one place that serves a model, and one attempt at a job there."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.gateway import is_gateway, note_gateway
from headgate.execute.providers.adapter import Adapter, Form
from headgate.execute.providers.openai import ChatCompletions
from headgate.execute.providers.python import as_answer, as_failure, bind_call
from headgate.execute.quota import read_quota
from headgate.execute.retry import classify_transport
from headgate.execute.secret import Secret, resolve_secret
from headgate.execute.threads import Threads
from headgate.execute.transport import Request, Response, Target, Transport, TransportError
from headgate.plan import Job
from headgate.suite.callables import is_async_callable
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

OPENAI_URL: Final = "https://api.openai.com/v1"

_HEED_EVERY_S: Final = 0.05
"""Reading the headers of a quota costs as much as decoding the answer: at thousands a second one in many will do."""


class Endpoint(Protocol):
    """Where the jobs of a model go.

    Attributes
    ----------
    name : str
        How rows and errors call it; never a login or a query.
    sends_seed : bool
        Whether the job's seed reaches the model.
    api_version : str, optional
        Of the API that is spoken, where it has one.
    """

    name: str
    sends_seed: bool
    api_version: str | None

    def dropped(self, job: Job) -> str | None:
        """Return the job's parameters that are not sent, as a JSON list; None where all are."""
        ...

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Try a job once, in at most so many seconds; ``number`` counts its attempts from 1."""
        ...


class HttpEndpoint:
    """A server, for the prompts and models of one plan.

    Parameters
    ----------
    base_url : str
        Such as ``http://vllm:8000/v1``.
    adapter : Adapter, optional
        The API that it speaks; default: chat completions.
    key : Secret, optional
        Sent as the API wants it.
    simulated : bool
        Tell the server which job and attempt it is: the simulated provider answers by it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        transport: Transport,
        adapter: Adapter | None = None,
        key: Secret | None = None,
        simulated: bool = False,
    ) -> None:
        self._parts = urlsplit(base_url)
        self._adapter = adapter or ChatCompletions(simulated=simulated)
        self.name = "simulated" if simulated else _origin(self._parts)
        self.sends_seed, self.api_version = self._adapter.sends_seed, self._adapter.api_version
        self._transport, self._simulated, self._key = transport, simulated, key
        self._target = lru_cache(maxsize=256)(self._make_target)
        self._forms: dict[tuple[str, str], Form] = {}
        self._heed_at = 0.0
        self._is_gateway: bool | None = None

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Send one request and decode the response."""
        try:
            response = await self._transport.send(self.encode(job, number), timeout_s=timeout_s)
        except TransportError as error:
            return classify_transport(error)
        outcome = self._adapter.decode(response if self._key is None else self._without_key(response))
        if self._is_gateway is not False and isinstance(outcome, Answer):
            # Reading headers costs as much as decoding the answer: the first one says whether there is a need.
            self._is_gateway = self._is_gateway or is_gateway(response.headers)
            outcome = note_gateway(outcome, response.headers) if self._is_gateway else outcome
        now = time.monotonic()
        if now >= self._heed_at or isinstance(outcome, Failure):
            self._heed_at = now + _HEED_EVERY_S
            quota = read_quota(response.headers)
            return msgspec.structs.replace(outcome, ttfb_s=response.ttfb_s, quota=quota)
        return outcome

    def _without_key(self, response: Response) -> Response:
        """Take the key out of what an errant server repeats of the request."""
        if self._key is None or (key := self._key.reveal().encode()) not in response.body:
            return response
        return Response(response.status, response.headers, response.body.replace(key, b"***"), response.ttfb_s)

    def encode(self, job: Job, number: int) -> Request:
        """Return the request of one attempt."""
        form = self.form(job.prompt, job.model)
        return Request(self._target(form.path, number if self._simulated else 0), self._adapter.encode(job, form))

    def form(self, prompt: Prompt, model: Model) -> Form:
        """Return what the requests of a prompt to a model share.

        Raises
        ------
        ConfigError
            If the API does not take what they ask for.
        """
        return self._forms.get((prompt.name, model.id)) or self._make_form(prompt, model)

    def dropped(self, job: Job) -> str | None:
        """Return the parameters that are not sent, as JSON; None where all are."""
        dropped = self.form(job.prompt, job.model).dropped
        return msgspec.json.encode(dropped).decode() if dropped else None

    def _make_form(self, prompt: Prompt, model: Model) -> Form:
        form = self._forms[prompt.name, model.id] = self._adapter.form(model, prompt)
        return form

    def _make_target(self, path: str, number: int) -> Target:
        """Return where attempts go; only the simulated provider is told their number."""
        where = self._parts._replace(path=self._parts.path.rstrip("/") + path, fragment="")
        told = {"x-headgate-attempt": str(number)} if number else {}
        return Target(urlunsplit(where), {**self._adapter.headers(self._key), **told})


class CallableEndpoint:
    """A user's callable as a model; sync ones run in threads.

    Parameters
    ----------
    threads : int
        How many calls may run at once; as many again may hang past their deadline.
    """

    def __init__(self, name: str, call: Callable[..., Any], *, threads: int) -> None:
        self.name, self.sends_seed = name, False
        self.api_version: str | None = None
        self._call, self._async = bind_call(call), is_async_callable(call)
        self._threads = Threads(2 * threads)

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:  # noqa: ARG002 - not told
        """Call it once."""
        deadline = asyncio.timeout(timeout_s)
        try:
            async with deadline:
                return as_answer(await self._returned(job))
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything; the row says so
            late = Failure(kind="timeout", message=f"the callable did not return within {timeout_s:g} s")
            return late if deadline.expired() else as_failure(error)

    def dropped(self, job: Job) -> str | None:  # noqa: ARG002 - a callable is given all
        """Return None: nothing is left out."""
        return None

    async def _returned(self, job: Job) -> Any:
        if self._async:
            await asyncio.sleep(0)  # one that never waits would hold the event loop for the whole run
            return await self._call(job)
        returned = await self._threads.run(self._call, job)
        return await returned if inspect.isawaitable(returned) else returned


def open_endpoint(
    model: Model, *, transport: Transport, base: Path, file: Path | None = None, simulator: str | None = None
) -> HttpEndpoint:
    """Make the HTTP endpoint of a model, its key resolved.

    Parameters
    ----------
    model : Model
        Of any provider but ``python``.
    simulator : str, optional
        Base URL of the simulated provider.

    Raises
    ------
    ConfigError
        If the key's variable or file is missing, or the base URL is none.
    """
    _check_url(model, file=file)
    if model.provider == "simulated":
        base_url = model.base_url or simulator
        assert base_url is not None
        return HttpEndpoint(base_url, transport=transport, simulated=True)
    key = resolve_key(model, base=base, file=file)
    return HttpEndpoint(model.base_url or OPENAI_URL, transport=transport, key=key)


def resolve_key(model: Model, *, base: Path, file: Path | None = None) -> Secret | None:
    """Return the key of a model; provider ``openai`` without a reference takes ``env:OPENAI_API_KEY``."""
    reference = model.api_key
    if reference is None and model.provider == "openai" and model.base_url is None:
        reference = "env:OPENAI_API_KEY"
    if reference is None or model.provider in {"python", "simulated"}:
        return None
    return resolve_secret(reference, base=base, field=f"models.{model.id}.api_key", file=file)


def _check_url(model: Model, *, file: Path | None) -> None:
    """Refuse a base URL that nothing can be sent to; it is not repeated, as it may hold a password."""
    field = f"models.{model.id}.base_url"
    try:
        parts = urlsplit(model.base_url or OPENAI_URL)
        known = parts.hostname and parts.port != 0
    except ValueError:
        known = False
    else:
        if parts.username is not None and model.api_key is not None:
            raise ConfigError("holds a login beside `api_key`", file=file, field=field, mend="give one of the two")
    if not known:
        raise ConfigError("is not an http(s) URL", file=file, field=field, mend="write it like http://vllm:8000/v1")


def _origin(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
