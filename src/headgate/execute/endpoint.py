"""An endpoint: one place that serves a model, and one attempt at a job there."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers import openai
from headgate.execute.providers.python import as_answer, as_failure, bind_call
from headgate.execute.quota import read_quota
from headgate.execute.redaction import KeyRedaction
from headgate.execute.retry import classify_transport
from headgate.execute.secret import Secret, resolve_secret, url_secrets
from headgate.execute.threads import Threads
from headgate.execute.transport import Request, Target, Transport, TransportError
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
    """

    name: str
    sends_seed: bool

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Try a job once, in at most so many seconds; ``number`` counts its attempts from 1."""
        ...


class HttpEndpoint:
    """An OpenAI-shaped server, for the prompts and models of one plan.

    Parameters
    ----------
    base_url : str
        Such as ``http://vllm:8000/v1``.
    key : Secret, optional
        Sent as a bearer token.
    simulated : bool
        Tell the server which job it is: the simulated provider answers by it.
    """

    def __init__(
        self, base_url: str, *, transport: Transport, key: Secret | None = None, simulated: bool = False
    ) -> None:
        parts = urlsplit(base_url)
        self.name = "simulated" if simulated else _origin(parts)
        self.sends_seed = True
        self._url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + openai.PATH, fragment=""))
        self._transport, self._simulated, self._key = transport, simulated, key
        self._keys = KeyRedaction([*url_secrets(base_url), *([] if key is None else [key])])
        self._target = lru_cache(maxsize=64)(self._make_target)
        self._frames: dict[tuple[str, str], tuple[bytes, bytes]] = {}
        self._heed_at = 0.0

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Send one request and decode the response."""
        try:
            response = await self._transport.send(self.encode(job, number), timeout_s=timeout_s)
        except TransportError as error:
            return self._keys.outcome(classify_transport(error))
        outcome = openai.decode(response)
        if isinstance(outcome, Failure):
            outcome = openai.decode(self._keys.response(response))
        outcome = self._keys.outcome(outcome)
        now = time.monotonic()
        if now >= self._heed_at or isinstance(outcome, Failure):
            self._heed_at = now + _HEED_EVERY_S
            quota = read_quota(response.headers)
            return msgspec.structs.replace(outcome, ttfb_s=response.ttfb_s, quota=quota)
        return outcome

    def encode(self, job: Job, number: int) -> Request:
        """Return the request of one attempt."""
        prompt, seed, simulated = job.prompt, job.seed, self._simulated
        frame = self._frames.get((prompt.name, job.model.id)) or self._make_frame(prompt, job.model)
        metadata = _metadata(job) if simulated else None
        body = openai.encode(job.item.messages[prompt.name], frame=frame, seed=seed, metadata=metadata)
        return Request(self._target(number if simulated else 0), body)

    def _make_frame(self, prompt: Prompt, model: Model) -> tuple[bytes, bytes]:
        frame = openai.encode_frame(model=model.name, params={**prompt.params, **model.params})
        self._frames[prompt.name, model.id] = frame
        return frame

    def _make_target(self, number: int) -> Target:
        """Return the target of the attempts of one number, which only the simulated provider is told."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if number:
            headers["x-headgate-attempt"] = str(number)
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        return Target(self._url, headers)


class CallableEndpoint:
    """A user's callable as a model; sync ones run in threads.

    Parameters
    ----------
    threads : int
        How many calls may run at once; as many again may hang past their deadline.
    """

    def __init__(self, name: str, call: Callable[..., Any], *, threads: int) -> None:
        self.name, self.sends_seed = name, False
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
    check_url(model, file=file)
    if model.provider == "simulated":
        base_url = model.base_url or simulator
        assert base_url is not None
        return HttpEndpoint(base_url, transport=transport, simulated=True)
    key = resolve_key(model, base=base, file=file)
    return HttpEndpoint(model.base_url or OPENAI_URL, transport=transport, key=key)


def served_at(model: Model) -> str | None:
    """Return the base URL of a model; None where nothing is sent over the network by its suite."""
    if model.provider == "python":
        return None
    return model.base_url or (None if model.provider == "simulated" else OPENAI_URL)


def resolve_key(model: Model, *, base: Path, file: Path | None = None) -> Secret | None:
    """Return the key of a model; provider ``openai`` without a reference takes ``env:OPENAI_API_KEY``."""
    reference = model.api_key
    if reference is None and model.provider == "openai" and model.base_url is None:
        reference = "env:OPENAI_API_KEY"
    if reference is None or model.provider in {"python", "simulated"}:
        return None
    return resolve_secret(reference, base=base, field=f"models.{model.id}.api_key", file=file)


def check_url(model: Model, *, file: Path | None) -> None:
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


def _metadata(job: Job) -> Mapping[str, str]:
    known = {"item": job.item.item_id, "prompt": job.prompt.name, "job": job.job_id}
    return known if job.item.target is None else {**known, "target": job.item.target}
