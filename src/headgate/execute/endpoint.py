"""An endpoint: one place that serves a model, and one attempt at a job there."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.gateway import is_gateway, note_gateway
from headgate.execute.providers.adapter import Adapter, Form, Signer
from headgate.execute.providers.catalogue import PROVIDERS
from headgate.execute.providers.openai import ChatCompletions
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

_LOG: Final = logging.getLogger("headgate.engine")

_VARIABLE: Final = re.compile(r"\{(\w+)\}")
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
        self._adapter = adapter = adapter or ChatCompletions(simulated=simulated)
        self._signer = adapter if isinstance(adapter, Signer) else None
        self.name = "simulated" if simulated else _origin(self._parts)
        self.sends_seed, self.api_version = self._adapter.sends_seed, self._adapter.api_version
        self._transport, self._simulated, self._key = transport, simulated, key
        self._keys = KeyRedaction([*url_secrets(base_url), *([] if key is None else [key])])
        self._target = lru_cache(maxsize=256)(self._make_target)
        self._forms: dict[tuple[str, str], tuple[Form, Target]] = {}
        self._heed_at = 0.0
        self._is_gateway: bool | None = None

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Send one request and decode the response."""
        try:
            response = await self._transport.send(self.encode(job, number), timeout_s=timeout_s)
        except TransportError as error:
            return self._keys.outcome(classify_transport(error))
        outcome = self._adapter.decode(response)
        if isinstance(outcome, Failure):
            outcome = self._adapter.decode(self._keys.response(response))
        elif self._is_gateway is not False:
            # Reading headers costs as much as decoding the answer: the first one says whether there is a need.
            self._is_gateway = self._is_gateway or is_gateway(response.headers)
            outcome = note_gateway(outcome, response.headers) if self._is_gateway else outcome
        outcome = self._keys.outcome(outcome)
        now = time.monotonic()
        if now >= self._heed_at or isinstance(outcome, Failure):
            self._heed_at = now + _HEED_EVERY_S
            quota = read_quota(response.headers)
            return msgspec.structs.replace(outcome, ttfb_s=response.ttfb_s, quota=quota)
        return outcome

    def encode(self, job: Job, number: int) -> Request:
        """Return the request of one attempt."""
        form, target = self._forms.get((job.prompt.name, job.model.id)) or self._make_form(job.prompt, job.model)
        if self._simulated:
            target = self._target(form.path, number)
        body = self._adapter.encode(job, form)
        if self._signer is None:
            return Request(target, body)
        signed = self._signer.sign(target.url, body, self._key)
        return Request(Target(target.url, {**target.headers, **signed}), body)

    def form(self, prompt: Prompt, model: Model) -> Form:
        """Return what the requests of a prompt to a model share.

        Raises
        ------
        ConfigError
            If the API does not take what they ask for.
        """
        return (self._forms.get((prompt.name, model.id)) or self._make_form(prompt, model))[0]

    def dropped(self, job: Job) -> str | None:
        """Return the parameters that are not sent, as JSON; None where all are."""
        dropped = self.form(job.prompt, job.model).dropped
        return msgspec.json.encode(dropped).decode() if dropped else None

    def _make_form(self, prompt: Prompt, model: Model) -> tuple[Form, Target]:
        form = self._adapter.form(model, prompt)
        made = self._forms[prompt.name, model.id] = form, self._target(form.path)
        return made

    def _make_target(self, path: str, number: int = 0) -> Target:
        """Return where attempts go; only the simulated provider is told their number."""
        path, _, query = path.partition("?")
        queries = "&".join(text for text in (self._parts.query, query) if text)
        where = self._parts._replace(path=self._parts.path.rstrip("/") + path, query=queries, fragment="")
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
    model: Model,
    *,
    transport: Transport,
    base: Path,
    file: Path | None = None,
    simulator: str | None = None,
    prompts: Iterable[Prompt] = (),
) -> HttpEndpoint:
    """Make the HTTP endpoint of a model, its key resolved.

    Parameters
    ----------
    model : Model
        Of any provider but ``python``.
    simulator : str, optional
        Base URL of the simulated provider.
    prompts : iterable of Prompt
        What will be asked there; see :func:`check_forms`.

    Raises
    ------
    ConfigError
        If the key's variable or file is missing, the base URL is none, or the API does not take what is asked.
    """
    record = PROVIDERS[model.provider]
    assert record.adapter is not None
    base_url = served_at(model, simulator=simulator, file=file)
    assert base_url is not None
    key = resolve_key(model, base=base, file=file)
    simulated = model.provider == "simulated"
    endpoint = HttpEndpoint(base_url, transport=transport, adapter=record.adapter(model), key=key, simulated=simulated)
    for warning in check_forms(model, prompts, file=file):
        _LOG.warning("endpoint", extra={"facts": {"message": warning}})
    return endpoint


def check_forms(model: Model, prompts: Iterable[Prompt], *, file: Path | None = None) -> list[str]:
    """Make sure that a model's API takes what it is asked, and return what the user should know of it.

    Raises
    ------
    ConfigError
        If it does not take a parameter, or a part of a message.
    """
    make = PROVIDERS[model.provider].adapter
    if make is None:
        return []
    adapter, warnings = make(model), dict[str, None]()
    for prompt in prompts:
        try:
            warning = adapter.form(model, prompt).warning
        except ConfigError as error:
            raise error.placed(file) from None
        if warning is not None:
            warnings[warning] = None
    return list(warnings)


def served_at(model: Model, *, simulator: str | None = None, file: Path | None = None) -> str | None:
    """Return the base URL of a model; None where nothing is sent over the network by its suite.

    Parameters
    ----------
    simulator : str, optional
        Base URL of the simulated provider.

    Raises
    ------
    ConfigError
        If it is not known, or nothing can be sent there; it is not repeated, as it may hold a password.
    """
    if model.provider == "python":
        return None
    if model.provider == "simulated" and model.base_url is None:
        return simulator
    field = f"models.{model.id}.base_url"
    known = model.base_url or _VARIABLE.sub(
        lambda found: _variable(found[1], field, file), PROVIDERS[model.provider].base_url or ""
    )
    if not known:
        raise ConfigError("is missing", file=file, field=field, mend=f"say where {model.provider} lives")
    try:
        parts = urlsplit(known)
        is_url = parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    else:
        if parts.username is not None and model.api_key is not None:
            raise ConfigError("holds a login beside `api_key`", file=file, field=field, mend="give one of the two")
    if not is_url:
        raise ConfigError("is not an http(s) URL", file=file, field=field, mend="write it like http://vllm:8000/v1")
    return known


def resolve_key(model: Model, *, base: Path, file: Path | None = None) -> Secret | None:
    """Return the key of a model: what ``api_key`` refers to, or the environment variable of its provider.

    Raises
    ------
    ConfigError
        If the variable or file is missing or empty.
    """
    if model.provider in {"python", "simulated"}:
        return None
    record, reference = PROVIDERS[model.provider], model.api_key
    at_home = record.key is not None and (model.base_url is None or record.base_url is None)
    if reference is None and at_home and (record.key_needed or os.environ.get(record.key or "")):
        reference = f"env:{record.key}"
    if reference is None:
        return _other_key(model, file=file)
    return resolve_secret(reference, base=base, field=f"models.{model.id}.api_key", file=file)


def _other_key(model: Model, *, file: Path | None) -> Secret | None:
    read = PROVIDERS[model.provider].other_key
    try:
        return None if read is None else read(model)
    except ConfigError as error:
        raise error.placed(file) from None


def _variable(name: str, field: str, file: Path | None) -> str:
    if value := os.environ.get(name, "").strip():
        return value
    raise ConfigError(f"needs the environment variable {name}", file=file, field=field, mend="set it, or `base_url`")


def _origin(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
