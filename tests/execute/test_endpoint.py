"""What is sent where, and one attempt at a job."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from execute_jobs import COMPLETION, a_job, a_model, http, raw_server, says
from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import CallableEndpoint, HttpEndpoint, open_endpoint, resolve_key
from headgate.execute.quota import Quota, Window
from headgate.execute.secret import Secret
from headgate.execute.transport import Request, Response, Transport, TransportError
from headgate.execute.transports import open_transport
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

KEY = "sk-canary-0123456789"


class Recorder:
    """A transport that keeps requests and gives one response."""

    def __init__(self, outcome: Response | TransportError | None = None) -> None:
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.outcome = outcome or Response(200, {}, COMPLETION, 0.01)

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.requests.append(request)
        self.timeouts.append(timeout_s)
        if isinstance(self.outcome, TransportError):
            raise self.outcome
        return self.outcome

    async def aclose(self) -> None:
        pass


def endpoint(url: str = "http://vllm:8000/v1", *, transport: Transport | None = None, **options: Any) -> HttpEndpoint:
    return HttpEndpoint(url, transport=transport or Recorder(), **options)


@pytest.mark.parametrize(
    ("url", "name", "sent_to"),
    [
        ("http://vllm:8000/v1", "http://vllm:8000", "http://vllm:8000/v1/chat/completions"),
        ("http://vllm:8000/v1/", "http://vllm:8000", "http://vllm:8000/v1/chat/completions"),
        ("https://api.openai.com/v1", "https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("http://u:hunter2@h/v1", "http://h", "http://u:hunter2@h/v1/chat/completions"),
        ("https://h/x?token=hunter2#f", "https://h", "https://h/x/chat/completions?token=hunter2"),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
        ("HTTP://Host", "http://host", "http://Host/chat/completions"),
    ],
)
def test_names_and_urls(url: str, name: str, sent_to: str):
    made = endpoint(url)
    assert made.name == name
    assert made.encode(a_job(), 1).target.url == sent_to


def test_a_request():
    prompt = Prompt(name="plain", messages=(("user", "x"),), params={"temperature": 1, "top_p": 0.5})
    model = a_model("small", model="org/small-7b", params={"temperature": 0})
    request = endpoint().encode(a_job(3, model=model, prompt=prompt, seed=2), 1)
    assert request.target.method == "POST"
    assert request.target.headers == {"content-type": "application/json", "accept": "application/json"}
    assert msgspec.json.decode(request.body) == {
        "model": "org/small-7b",
        "messages": [{"role": "user", "content": "question 3"}],
        "temperature": 0,
        "top_p": 0.5,
        "seed": 2,
    }


def test_the_key_is_a_bearer_token_and_nowhere_else():
    made = endpoint(key=Secret(KEY))
    request = made.encode(a_job(), 1)
    assert request.target.headers["authorization"] == f"Bearer {KEY}"
    others = {name: value for name, value in request.target.headers.items() if name != "authorization"}
    assert KEY not in f"{request.target.url}{request.body!r}{others}{made!r}{made.name}{vars(made)}"


def test_the_simulated_provider_is_told_the_job_and_the_attempt():
    made = endpoint(simulated=True)
    request = made.encode(a_job(7), 3)
    assert made.name == "simulated"
    assert request.target.headers["x-headgate-attempt"] == "3"
    assert msgspec.json.decode(request.body)["metadata"] == {
        "item": "i7",
        "prompt": "plain",
        "job": f"{7:032x}",
        "target": "7",
    }
    assert "metadata" not in msgspec.json.decode(endpoint().encode(a_job(7), 3).body)


def attempt(made: HttpEndpoint | CallableEndpoint, *, timeout_s: float = 5.0, **fields: Any) -> Answer | Failure:
    async def main() -> Answer | Failure:
        return await made.attempt(a_job(model=a_model(**fields)), 1, timeout_s=timeout_s)

    return asyncio.run(main())


def test_an_answer_says_when_its_headers_came_and_what_the_server_says_of_its_quota():
    headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499"}
    outcome = attempt(endpoint(transport=Recorder(Response(200, headers, COMPLETION, 0.01))))
    assert isinstance(outcome, Answer)
    assert (outcome.output, outcome.ttfb_s) == ("42", 0.01)
    assert outcome.quota == Quota(requests=Window(limit=500, remaining=499))


def test_the_quota_is_read_now_and_then_and_of_each_failure(monkeypatch: pytest.MonkeyPatch):
    headers = {"x-ratelimit-limit-requests": "500"}
    recorder, made_at = Recorder(Response(200, headers, COMPLETION, 0.01)), [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: made_at[0])
    made = endpoint(transport=recorder)

    def quota() -> Quota | None:
        return attempt(made).quota

    assert quota() is not None
    assert quota() is None
    recorder.outcome = Response(429, headers, b"", 0.01)
    assert quota() is not None
    recorder.outcome = Response(200, headers, COMPLETION, 0.01)
    made_at[0] += 0.049
    assert quota() is None
    made_at[0] += 0.002
    assert quota() is not None


def test_so_does_a_failure():
    headers = {"x-ratelimit-limit-tokens": "9000", "x-ratelimit-remaining-tokens": "0"}
    outcome = attempt(endpoint(transport=Recorder(Response(500, headers, b"", 0.02))))
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.ttfb_s) == ("transient", 0.02)
    assert outcome.quota == Quota(tokens=Window(limit=9000, remaining=0))


def test_the_transport_gets_the_time_of_the_attempt():
    recorder = Recorder()
    attempt(endpoint(transport=recorder), timeout_s=0.25)
    assert recorder.timeouts == [0.25]


def test_no_response_is_a_failure():
    outcome = attempt(endpoint(transport=Recorder(TransportError("dropped", "gone"))))
    assert outcome == Failure(kind="dropped", message="gone")


def test_a_server_that_repeats_the_key_does_not_leak_it():
    said = msgspec.json.encode({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}})
    outcome = attempt(endpoint(transport=Recorder(Response(401, {}, said, 0.0)), key=Secret(KEY)))
    assert isinstance(outcome, Failure)
    assert outcome.message == "Incorrect API key provided: ***"


def test_a_filter_that_repeats_the_key_does_not_leak_it():
    said = msgspec.json.encode({"error": {"message": f"filtered for {KEY}", "code": "content_filter"}})
    outcome = attempt(endpoint(transport=Recorder(Response(400, {}, said, 0.0)), key=Secret(KEY)))
    assert isinstance(outcome, Answer)
    assert outcome.output == "filtered for ***"


def test_a_key_cut_in_two_by_the_end_of_the_message_does_not_leak():
    said = b"x" * 490 + KEY.encode()
    outcome = attempt(endpoint(transport=Recorder(Response(401, {}, said, 0.0)), key=Secret(KEY)))
    assert isinstance(outcome, Failure)
    assert "sk-canary" not in outcome.message


def test_the_key_goes_over_the_wire():
    async def main() -> None:
        async with raw_server(says(http(COMPLETION))) as server:
            transport = open_transport(connections=1)
            made = HttpEndpoint(server.url + "/v1", transport=transport, key=Secret(KEY))
            outcome = await made.attempt(a_job(), 1, timeout_s=5)
            await transport.aclose()
            assert isinstance(outcome, Answer)
            (sent,) = server.requests
            head, _, body = sent.partition(b"\r\n\r\n")
            assert head.lower().count(b"authorization: bearer " + KEY.encode()) == 1
            assert KEY.encode() not in body

    asyncio.run(main())


def opened(**fields: Any) -> HttpEndpoint:
    model = Model(**{"id": "small", "provider": "openai-compatible", "base_url": "http://h/v1", **fields})
    return open_endpoint(model, transport=Recorder(), base=Path(), file=Path("s.yaml"), simulator="http://sim/v1")


def test_where_providers_live(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert opened().name == "http://h"
    openai = opened(provider="openai", base_url=None)
    assert openai.name == "https://api.openai.com"
    assert openai.encode(a_job(), 1).target.headers["authorization"] == f"Bearer {KEY}"
    simulated = opened(provider="simulated", base_url=None)
    assert simulated.encode(a_job(), 1).target.url == "http://sim/v1/chat/completions"
    assert opened(provider="simulated").encode(a_job(), 1).target.url == "http://h/v1/chat/completions"


def test_a_key_goes_only_where_it_was_declared_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for model in (
        Model(id="m", provider="openai-compatible", base_url="http://h/v1"),
        Model(id="m", provider="openai", base_url="http://h/v1"),
        Model(id="m", provider="simulated", api_key="env:OPENAI_API_KEY"),
        Model(id="m", provider="python", call="m:f", api_key="env:OPENAI_API_KEY"),
    ):
        assert resolve_key(model, base=Path()) is None


def test_openai_without_a_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"s\.yaml: models\.small\.api_key: 'env:OPENAI_API_KEY' names no key"):
        opened(provider="openai", base_url=None)


@pytest.mark.parametrize(
    "url", ["http://h:99999/v1", "http://h:x/v1", "http://[::1/v1", "http://:80/v1", "http://u:p@/v1"]
)
def test_what_is_no_url(url: str):
    with pytest.raises(ConfigError, match=r"s\.yaml: models\.small\.base_url: is not an http\(s\) URL") as caught:
        opened(base_url=url)
    assert url not in str(caught.value)


def test_a_login_beside_a_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("K", KEY)
    with pytest.raises(ConfigError, match="holds a login beside `api_key`") as caught:
        opened(base_url="http://u:hunter2@h/v1", api_key="env:K")
    assert "hunter2" not in str(caught.value)


def call(function: Any, *, threads: int = 2, timeout_s: float = 5.0) -> Answer | Failure:
    return attempt(CallableEndpoint("python", function, threads=threads), timeout_s=timeout_s)


async def echo(messages: list[Any]) -> str:
    await asyncio.sleep(0.01)
    return messages[0]["content"]


@pytest.mark.parametrize(
    "function", [lambda messages: messages[0]["content"], echo, lambda messages: echo([*messages])]
)
def test_callables_sync_async_and_between(function: Any):
    outcome = call(function)
    assert isinstance(outcome, Answer)
    assert outcome.output == "question 0"


def raising(messages: list[Any]) -> str:
    raise ValueError("no")


async def raising_later(messages: list[Any]) -> str:
    raise ValueError("no")


async def own_timeout(messages: list[Any]) -> str:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(1)
    return ""


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (raising, "callable", "ValueError: no"),
        (raising_later, "callable", "ValueError: no"),
        (lambda: "x", "callable", "TypeError: "),
        (own_timeout, "transient", "TimeoutError: "),
        (lambda messages: 7, "callable", "the callable returned int 7"),
    ],
)
def test_what_callables_raise_is_data(function: Any, kind: str, message: str):
    outcome = call(function)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind
    assert outcome.message.startswith(message)


async def slow(messages: list[Any]) -> str:
    await asyncio.sleep(5)
    return ""


def slow_sync(messages: list[Any]) -> str:
    time.sleep(1)
    return ""


@pytest.mark.parametrize("function", [slow, slow_sync])
def test_a_callable_that_takes_too_long(function: Any):
    started = time.monotonic()
    outcome = call(function, timeout_s=0.1)
    assert outcome == Failure(kind="timeout", message="the callable did not return within 0.1 s")
    assert time.monotonic() - started < 0.9


def test_calls_that_hang_leave_threads_for_others():
    async def main() -> list[Answer | Failure]:
        made = CallableEndpoint("python", lambda messages, seed: time.sleep(2) if seed == 1 else "x", threads=2)
        hanging = [made.attempt(a_job(seed=1), 1, timeout_s=0.1) for _ in range(2)]
        await asyncio.gather(*hanging)
        return await asyncio.gather(*(made.attempt(a_job(seed=2), 1, timeout_s=0.1) for _ in range(4)))

    assert [type(outcome) for outcome in asyncio.run(main())] == [Answer] * 4


def test_an_async_callable_that_never_waits_lets_others_run():
    async def at_once(messages: list[Any]) -> str:
        return "x"

    async def main() -> int:
        made, job, turns = CallableEndpoint("python", at_once, threads=1), a_job(), 0

        async def work() -> None:
            for number in range(100):
                await made.attempt(job, number, timeout_s=5)

        async def other() -> None:
            nonlocal turns
            while not working.done():
                turns += 1
                await asyncio.sleep(0)

        working = asyncio.create_task(work())
        await asyncio.gather(working, other())
        return turns

    assert asyncio.run(main()) >= 90
