"""One small request to each model, by the endpoint that a run would use: what it answers, or why it does not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from headgate.conduct.doctor.finding import Finding, from_error, ok, refused, warning
from headgate.conduct.work import open_simulator
from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.endpoint import CallableEndpoint, Endpoint, open_endpoint
from headgate.execute.transport import Request, Response, Transport
from headgate.execute.transports import TransportName, open_transport
from headgate.plan import Job
from headgate.suite.callables import resolve_callable
from headgate.suite.items import Item
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_TEXT: Final = "Reply with the word ok."
_TIMEOUT_S: Final = 30.0
_MOST_TOKENS: Final = 64
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_APART_S: Final = 60.0

MENDS: Final[Mapping[FailureKind, str]] = {
    "rate_limit": "declare the provider's limits in `lanes`, or wait: another run may use the quota",
    "overloaded": "try again later; a run would wait",
    "transient": "try again; if it stays, look at the server's log",
    "timeout": "raise `timeout_s`, or look at what the server is doing",
    "connect": "check `base_url`, the network, and that the server runs",
    "dropped": "try again; if it stays, look at the server's log, and at proxies between",
    "bad_response": "check `base_url`: what answers there may not be the API, but a page or a gateway",
    "quota": "raise the limit or pay the bill",
    "auth": "check the key and its permissions",
    "not_found": "check `base_url` and the name of the model",
    "context_length": "raise the context length of the server",
    "invalid_request": "check `params` of the model and of the prompt: the server takes no request like this one",
    "callable": "look at the function of the model",
}
"""What to do about a failure, by its kind."""

_PASSING: Final[frozenset[FailureKind]] = frozenset({"rate_limit", "overloaded"})


class _Listener:
    """A transport that remembers the date in the latest response, and what was the time here."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.apart_s: float | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.apart_s = None
        response = await self._transport.send(request, timeout_s=timeout_s)
        with suppress(ValueError, TypeError):
            self.apart_s = time.time() - parsedate_to_datetime(response.headers["date"]).timestamp()
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


async def ask_models(
    suite: Suite, prompts: Sequence[Prompt], *, models: Sequence[Model], transport: TransportName | None = None
) -> AsyncIterator[Finding]:
    """Ask each model for a word, one after the other; yield what is found.

    Parameters
    ----------
    prompts : sequence of Prompt
        The parameters of the first are sent, as in a run.
    models : sequence of Model
        Those whose key may be sent.
    """
    params = prompts[0].params if prompts else {}
    async with AsyncExitStack() as stack:
        listener = _Listener(open_transport(transport, connections=4))
        stack.push_async_callback(listener.aclose)
        simulator = open_simulator(suite, stack)
        for model in models:
            about = f"models.{model.id}"
            try:
                endpoint = _open(suite, model, listener, simulator)
                started = time.monotonic()
                timeout_s = min(model.timeout_s, _TIMEOUT_S)
                outcome = await endpoint.attempt(_job(model, params), 1, timeout_s=timeout_s)
            except ConfigError as error:
                yield from_error(about, error)
                continue
            took_s = time.monotonic() - started
            for finding in _tell(about, endpoint, outcome, took_s):
                yield finding
            for finding in _clock(about, listener.apart_s):
                yield finding


def _open(suite: Suite, model: Model, transport: Transport, simulator: str | None) -> Endpoint:
    if model.call is None:
        return open_endpoint(model, transport=transport, base=suite.base, file=suite.file, simulator=simulator)
    field = f"models.{model.id}.call"
    call: Callable[..., Any] = resolve_callable(model.call, base=suite.base, field=field, file=suite.file)
    return CallableEndpoint("python", call, threads=1)


def _job(model: Model, params: Mapping[str, Any]) -> Job:
    """Return a job that asks for a word, with the parameters of a run; limits of the output are lowered."""
    lowered = [{**given, **_lower(given)} for given in (params, model.params)]
    prompt = Prompt(name="doctor", messages=(("user", _TEXT),), params=lowered[0])
    rendered = {prompt.name: prompt.render({})}
    item = Item(item_id="doctor", cluster=None, target=None, messages=rendered)
    asked = model.model_copy(update={"params": lowered[1]})
    return Job(0, "0" * 32, item, prompt, asked, 1)


def _lower(params: Mapping[str, Any]) -> dict[str, int]:
    given = {name: params[name] for name in _LIMITS if isinstance(params.get(name), int)}
    return {name: min(value, _MOST_TOKENS) for name, value in given.items()}


def _tell(about: str, endpoint: Endpoint, outcome: Answer | Failure, took_s: float) -> Iterator[Finding]:
    if isinstance(outcome, Failure):
        status = "" if outcome.http_status is None else f" (status {outcome.http_status})"
        said = f"does not answer: {outcome.kind}{status}: {outcome.message}"
        mend = MENDS.get(outcome.kind, "look at the server's log")
        yield warning(about, said, mend) if outcome.kind in _PASSING else refused(about, said, mend)
        return
    served = outcome.served_model or "a model that it does not name"
    seed = "it took a seed" if endpoint.sends_seed else "no seed is sent to it"
    refusal = ", and declined" if outcome.status == "refused" else ""
    yield ok(about, f"answered in {took_s:.2f} s{refusal}; served by {served}; {seed}{_quota(outcome)}")
    if outcome.input_tokens is None or outcome.output_tokens is None:
        said = "does not say how many tokens it used, so costs and limits of tokens are guessed"
        yield warning(about, said, "declare requests_per_minute in `lanes`, not tokens")


def _quota(answer: Answer) -> str:
    if answer.quota is None:
        return "; it says nothing of its limits"
    windows = msgspec.structs.asdict(answer.quota)
    said = [f"{window.limit:,.0f} {name.replace('_', ' ')}" for name, window in windows.items() if window is not None]
    return f"; its limits are {', '.join(said)}" if said else "; it says nothing of its limits"


def _clock(about: str, apart_s: float | None) -> Iterator[Finding]:
    if apart_s is not None and abs(apart_s) > _APART_S:
        ahead = "ahead of" if apart_s > 0 else "behind"
        said = f"the clock here is {abs(apart_s):,.0f} s {ahead} its server's"
        yield warning(about, said, "set the clock (NTP): signed requests are refused when it is wrong")
