"""The engine over real loopback HTTP and over endpoints that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import COMPLETION, FakeEndpoint, a_job, a_model, http, jobs, raw_server, says
from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import CallableEndpoint, Endpoint, HttpEndpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.secret import Secret
from headgate.execute.statistics import EngineStatistics
from headgate.execute.transports import TransportName, open_transport
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.result import Result
from headgate.simulate.behaviour import FAULTS
from headgate.simulate.server import SimulatedServer
from headgate.suite.model import Model
from headgate.suite.simulation import Faults, Simulation

TRANSPORTS: tuple[TransportName, ...] = ("http1", "aiohttp", "httpx")
KINDS = {
    "rate_limit": "rate_limit",
    "server_error": "transient",
    "overloaded": "overloaded",
    "drop": "dropped",
    "truncate": "dropped",
    "html": "bad_response",
    "empty": "bad_response",
    "hang": "timeout",
}
QUICK = random.Random(0)
QUICK.uniform = lambda low, high: low  # type: ignore[method-assign,assignment]  # no jitter: retries at once


def a_work(endpoint: Endpoint, source: Iterable[Job], *, lane: Lane | None = None, concurrency: int = 8) -> Work:
    return Work(
        models=("small",),
        jobs=iter(source),
        endpoints={"small": endpoint},
        lane=lane or Lane(),
        concurrency=concurrency,
    )


def run(*work: Work, **options: Any) -> tuple[list[Result], EngineStatistics]:
    """Run to the end with retries at once."""
    results: list[Result] = []

    async def main() -> EngineStatistics:
        engine = Engine(work, sink=results.append, rng=QUICK, **options)
        await engine.run()
        return engine.statistics()

    statistics = asyncio.run(main())
    return results, statistics


def serve(
    simulation: Simulation,
    source: Callable[[Model], Iterable[Job]],
    *,
    name: TransportName = "aiohttp",
    concurrency: int = 32,
    rng: random.Random | None = QUICK,
    key: str | None = None,
    **fields: Any,
) -> tuple[list[Result], EngineStatistics, SimulatedServer]:
    """Run jobs against a simulated server."""
    model = a_model(provider="simulated", base_url=None, **{"max_attempts": 50, **fields})
    results: list[Result] = []

    async def main(url: str) -> EngineStatistics:
        transport = open_transport(name, connections=concurrency)
        endpoint = HttpEndpoint(url, transport=transport, simulated=True, key=None if key is None else Secret(key))
        engine = Engine([a_work(endpoint, source(model), concurrency=concurrency)], sink=results.append, rng=rng)
        try:
            await engine.run()
        finally:
            await transport.aclose()
        return engine.statistics()

    with SimulatedServer({"small": simulation}, key="sk-right" if key else None) as server:
        statistics = asyncio.run(main(server.base_url))
    return results, statistics, server


@pytest.mark.parametrize("name", TRANSPORTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_tried_again_until_there_is_an_answer(fault: str, name: TransportName):
    simulation = Simulation(accuracy=1.0, latency_s=0.001, faults=Faults(**{fault: 0.5}))
    results, statistics, server = serve(
        simulation, lambda model: jobs(40, model=model), name=name, timeout_s=0.3 if fault == "hang" else 5
    )
    assert sorted(result.item_id for result in results) == sorted(f"i{index}" for index in range(40))
    assert all(result.status == "ok" and result.output == result.item_id[1:] for result in results)
    assert server.faults[fault] > 5
    assert statistics.failures == {KINDS[fault]: server.faults[fault]}
    assert sum(result.attempts for result in results) == statistics.attempts == 40 + server.faults[fault]
    assert statistics.errors == {}


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_refusal_is_an_answer_and_is_not_tried_again(name: TransportName):
    results, statistics, _ = serve(
        Simulation(faults=Faults(refusal=0.4)), lambda model: jobs(100, model=model), name=name
    )
    assert statistics.attempts == 100
    refused = [result for result in results if result.status == "refused"]
    assert statistics.refused == len(refused)
    assert 20 < len(refused) < 60
    assert {result.output for result in refused} == {"I cannot help with that."}


@pytest.mark.parametrize("name", TRANSPORTS)
def test_2000_jobs_under_mixed_faults_give_one_result_each(name: TransportName):
    faults = Faults(**dict.fromkeys(("rate_limit", "server_error", "overloaded", "drop", "truncate", "html"), 0.008))
    simulation = Simulation(latency_s=0.002, faults=faults)
    results, statistics, server = serve(simulation, lambda model: jobs(2000, model=model), name=name, concurrency=128)
    assert Counter(result.job_id for result in results) == Counter(f"{index:032x}" for index in range(2000))
    assert {result.status for result in results} == {"ok"}
    assert sum(server.faults.values()) > 50
    assert sum(server.requests.values()) == statistics.attempts == 2000 + sum(server.faults.values())


def test_a_row_says_what_happened():
    model = a_model(params={"temperature": 0}, provider="openai-compatible")

    def react(job: Job, attempt: int) -> Answer | Failure:
        if attempt == 1:
            return Failure(kind="overloaded", message="busy", http_status=503)
        return Answer(
            output="4", http_status=200, input_tokens=5, output_tokens=1, cached_tokens=2, reasoning_tokens=3,
            served_model="small-1", request_id="r", system_fingerprint="f", tool_calls_json="[]", reasoning="2+2",
            stop_reason="stop", ttfb_s=0.01234567,
        )  # fmt: skip

    before = time.time_ns() // 1000
    ((result,), _) = run(a_work(FakeEndpoint(react), [a_job(3, model=model, seed=2)]), generation=4)
    assert before <= result.started_at <= result.finished_at <= time.time_ns() // 1000
    assert result.queued_s >= 0
    assert 0 <= (result.latency_s or 0) < 1
    assert result == Result(
        job_id=f"{3:032x}", item_id="i3", prompt="plain", prompt_digest=a_job().prompt.digest, model="small",
        provider="openai-compatible", endpoint="http://fake", seed=2, seed_sent=True, status="ok", output="4",
        http_status=200, input_tokens=5, output_tokens=1, cached_tokens=2, reasoning_tokens=3, served_model="small-1",
        request_id="r", system_fingerprint="f", tool_calls_json="[]", reasoning="2+2", stop_reason="stop",
        latency_s=result.latency_s, ttfb_s=0.0123, attempts=2, generation=4, started_at=result.started_at,
        finished_at=result.finished_at, queued_s=result.queued_s,
    )  # fmt: skip


def always(outcome: Answer | Failure) -> FakeEndpoint:
    return FakeEndpoint(lambda job, attempt: outcome)


@pytest.mark.parametrize("attempts", [1, 2, 6])
def test_when_all_attempts_are_used_up_the_error_is_a_row(attempts: int):
    endpoint = always(Failure(kind="transient", message="boom", http_status=500))
    results, statistics = run(a_work(endpoint, jobs(3, model=a_model(max_attempts=attempts))))
    for result in results:
        assert (result.status, result.error_kind, result.error_message) == ("error", "transient", "boom")
        assert (result.attempts, result.http_status, result.output) == (attempts, 500, None)
    assert len(results) == 3
    assert (statistics.errors, statistics.failures) == ({"transient": 3}, {"transient": 3 * attempts})


@pytest.mark.parametrize("kind", ["invalid_request", "context_length", "callable"])
def test_what_cannot_get_better_is_not_tried_again(kind: Any):
    endpoint = always(Failure(kind=kind, message="no"))
    results, _ = run(a_work(endpoint, jobs(2)))
    assert [(result.error_kind, result.attempts) for result in results] == [(kind, 1)] * 2


def test_rate_limits_are_not_charged():
    def react(job: Job, attempt: int) -> Answer | Failure:
        return Answer(output="x") if attempt > 20 else Failure(kind="rate_limit", message="slow", retry_after_s=1e-3)

    results, _ = run(a_work(FakeEndpoint(react), jobs(1, model=a_model(max_attempts=2))))
    assert [(result.status, result.attempts) for result in results] == [("ok", 21)]


def test_the_deadline_of_a_job_ends_its_retries():
    endpoint = always(Failure(kind="rate_limit", message="slow", http_status=429, retry_after_s=0.1))
    started = time.monotonic()
    results, _ = run(a_work(endpoint, jobs(2, model=a_model(deadline_s=0.35))))
    assert time.monotonic() - started < 0.5
    assert [(result.status, result.error_kind) for result in results] == [("error", "rate_limit")] * 2
    assert all(2 <= result.attempts <= 4 for result in results)


def test_waiting_for_the_lane_does_not_count_against_the_deadline():
    def react(job: Job, attempt: int) -> Answer | Failure:
        return Answer(output="x") if attempt == 2 else Failure(kind="transient", message="once")

    lane = Lane(requests_per_minute=60 * 20)
    results, _ = run(a_work(FakeEndpoint(react), jobs(16, model=a_model(deadline_s=0.3)), lane=lane, concurrency=16))
    assert [result.status for result in results] == ["ok"] * 16


def test_the_deadline_of_an_attempt():
    simulation = Simulation(latency_s=0.001, faults=Faults(hang=1.0))
    started = time.monotonic()
    results, _, _ = serve(simulation, lambda model: jobs(4, model=model), timeout_s=0.2, max_attempts=2)
    assert 0.4 <= time.monotonic() - started < 2
    for result in results:
        assert (result.error_kind, result.error_message) == ("timeout", "no complete answer within 0.2 s")
        assert 0.19 < (result.latency_s or 0) < 0.5
        assert result.attempts == 2


@pytest.mark.parametrize("header", [{"retry-after": "0.4"}, {"retry-after-ms": "400"}])
def test_retry_after_is_obeyed_by_the_whole_lane(header: dict[str, str]):
    async def main() -> tuple[list[Result], list[float]]:
        arrivals: list[float] = []

        async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
            arrivals.append(time.monotonic())
            if len(arrivals) == 1:
                writer.write(http(b"{}", status="429 Too Many Requests", headers=header))
            else:
                await asyncio.sleep(0.02)
                writer.write(http(COMPLETION))

        results: list[Result] = []
        async with raw_server(script) as server:
            transport = open_transport(connections=1)
            endpoint = HttpEndpoint(server.url, transport=transport)
            await Engine([a_work(endpoint, jobs(10), concurrency=1)], sink=results.append).run()
            await transport.aclose()
        return results, arrivals

    results, arrivals = asyncio.run(main())
    assert [result.status for result in results] == ["ok"] * 10
    assert 0.4 <= arrivals[1] - arrivals[0] < 0.9
    assert sum(result.attempts for result in results) == 11


@pytest.mark.parametrize("name", TRANSPORTS)
@pytest.mark.parametrize(
    ("status", "code", "mend"),
    [
        ("401 Unauthorized", "invalid_api_key", "check the key"),
        ("404 Not Found", "model_not_found", "check `base_url` and the name of the model"),
        ("429 Too Many Requests", "insufficient_quota", "pay the bill"),
    ],
)
def test_an_endpoint_that_refuses_stops_the_run(name: TransportName, status: str, code: str, mend: str):
    async def main() -> str:
        async with raw_server(says(http(body, status=status))) as server:
            transport = open_transport(name, connections=4)
            endpoint = HttpEndpoint(server.url + "/v1", transport=transport, key=Secret("sk-canary"))
            with pytest.raises(EndpointError) as caught:
                await Engine([a_work(endpoint, jobs(10_000))], sink=rows.append).run()
            await transport.aclose()
            return str(caught.value)

    rows: list[Result] = []
    body = b'{"error": {"message": "No: sk-canary", "code": "%s"}}' % code.encode()
    started = time.monotonic()
    text = asyncio.run(main())
    assert time.monotonic() - started < 5
    assert rows == []
    assert "model small at http://127.0.0.1:" in text
    assert f"No: *** (status {status[:3]})" in text
    assert mend in text
    assert "the same command resumes" in text
    assert "sk-canary" not in text


@pytest.mark.parametrize("name", TRANSPORTS)
def test_the_wrong_key_stops_the_run(name: TransportName):
    with pytest.raises(EndpointError, match="Incorrect API key provided"):
        serve(Simulation(), lambda model: jobs(1000, model=model), key="sk-wrong", name=name)


@pytest.mark.parametrize("name", TRANSPORTS)
def test_nothing_listens(name: TransportName):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def main() -> None:
        transport = open_transport(name, connections=64)
        endpoint = HttpEndpoint(f"http://127.0.0.1:{port}/v1", transport=transport)
        try:
            await Engine([a_work(endpoint, jobs(100_000), concurrency=64)], sink=rows.append).run()
        finally:
            await transport.aclose()

    rows: list[Result] = []
    started = time.monotonic()
    with pytest.raises(EndpointError, match=rf"model small at http://127.0.0.1:{port} cannot be reached: .*check"):
        asyncio.run(main())
    assert time.monotonic() - started < 5
    assert len(rows) < 100


def test_stopping_leaves_no_row_for_what_is_in_flight():
    async def main() -> tuple[list[Result], Engine, FakeEndpoint]:
        async def react(job: Job, attempt: int) -> Answer:
            await asyncio.sleep(0.02 if job.index < 8 else 30)
            return Answer(output="x")

        results: list[Result] = []
        endpoint = FakeEndpoint(react)
        engine = Engine([a_work(endpoint, jobs(1000))], sink=results.append)
        asyncio.get_running_loop().call_later(0.2, engine.stop)
        await asyncio.wait_for(engine.run(), 5)
        return results, engine, endpoint

    results, engine, endpoint = asyncio.run(main())
    assert sorted(result.item_id for result in results) == [f"i{index}" for index in range(8)]
    assert len(endpoint.calls) == 16
    assert (engine.statistics().in_flight, engine.statistics().done) == (0, 8)


def test_stopping_before_the_start_runs_nothing():
    async def main() -> int:
        endpoint = always(Answer(output="x"))
        engine = Engine([a_work(endpoint, jobs(5))], sink=lambda _: None)
        engine.stop()
        await engine.run()
        return len(endpoint.calls)

    assert asyncio.run(main()) == 0


def test_stopping_while_all_wait_for_the_lane_and_for_retries():
    async def main() -> None:
        lane = Lane(requests_per_minute=6)
        waiting = Engine([a_work(always(Answer(output="x")), jobs(50), lane=lane)], sink=lambda _: None)
        failing = always(Failure(kind="transient", message=""))
        backing = Engine([a_work(failing, jobs(5), concurrency=50)], sink=lambda _: None)
        for engine in (waiting, backing):
            asyncio.get_running_loop().call_later(0.1, engine.stop)
            await asyncio.wait_for(engine.run(), 2)
        assert backing.statistics().in_backoff > 0
        assert waiting.statistics().done == 1

    asyncio.run(main())


def test_cancelling_the_run_cancels_the_workers():
    async def main() -> None:
        async def react(job: Job, attempt: int) -> Answer:
            await asyncio.sleep(30)
            return Answer(output="x")

        engine = Engine([a_work(FakeEndpoint(react), jobs(50))], sink=lambda _: None)
        task = asyncio.create_task(engine.run())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1
        assert engine.statistics().in_flight == 0

    asyncio.run(main())


def test_a_full_sink_holds_the_workers():
    async def main() -> None:
        gate = asyncio.Event()
        results: list[Result] = []

        def sink(result: Result) -> Awaitable[None] | None:
            results.append(result)
            return gate.wait() if len(results) >= 20 else None  # type: ignore[return-value]

        endpoint = always(Answer(output="x"))
        running = asyncio.create_task(Engine([a_work(endpoint, jobs(500), concurrency=8)], sink=sink).run())
        await asyncio.sleep(0.1)
        assert 20 <= len(results) <= 28
        assert len(endpoint.calls) <= 28
        gate.set()
        await running
        assert len(results) == 500

    asyncio.run(main())


@pytest.mark.parametrize("later", [False, True])
def test_a_sink_that_fails_ends_the_run_with_its_error(later: bool):
    async def refuse() -> None:
        raise OSError("the disk is full")

    def sink(result: Result) -> Awaitable[None] | None:
        if result.item_id == "i9":
            if later:
                return refuse()
            raise OSError("the disk is full")
        return None

    async def main() -> None:
        endpoint = always(Answer(output="x"))
        with pytest.raises(OSError, match="the disk is full"):
            await Engine([a_work(endpoint, jobs(100_000))], sink=sink).run()
        assert len(endpoint.calls) < 1000
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_jobs_that_cannot_be_read_end_the_run():
    def broken():
        yield from jobs(5)
        raise OSError("the items are gone")

    with pytest.raises(OSError, match="the items are gone"):
        run(a_work(always(Answer(output="x")), broken()))


def test_lanes_progress_independently():
    async def main() -> list[str]:
        order: list[str] = []
        fast, slow = a_model("fast"), a_model("slow")

        async def lazily(job: Job, attempt: int) -> Answer:
            await asyncio.sleep(0.3)
            return Answer(output="x")

        work = [
            Work(
                models=("slow",), jobs=jobs(8, model=slow), endpoints={"slow": FakeEndpoint(lazily)}, lane=Lane(),
                concurrency=4,
            ),
            Work(
                models=("fast",), jobs=jobs(200, model=fast), endpoints={"fast": always(Answer(output="x"))},
                lane=Lane(), concurrency=4,
            ),
        ]  # fmt: skip
        engine = Engine(work, sink=lambda result: order.append(result.model))
        await engine.run()
        assert [lane.models for lane in engine.statistics().lanes] == [("slow",), ("fast",)]
        assert [lane.admitted for lane in engine.statistics().lanes] == [8, 200]
        return order

    assert asyncio.run(main()) == ["fast"] * 200 + ["slow"] * 8


def test_models_in_one_lane_share_it():
    models = [a_model("one"), a_model("two")]
    one, two = always(Answer(output="1")), always(Answer(output="2"))
    both = [a_job(index, model=models[index % 2]) for index in range(40)]
    work = Work(models=("one", "two"), jobs=iter(both), endpoints={"one": one, "two": two}, lane=Lane())
    results, _ = run(work)
    assert {(result.model, result.output) for result in results} == {("one", "1"), ("two", "2")}
    assert len(one.calls) == len(two.calls) == 20


def test_a_dead_model_stops_the_other_lanes_too():
    async def main() -> None:
        async def lazily(job: Job, attempt: int) -> Answer:
            await asyncio.sleep(30)
            return Answer(output="x")

        good = Work(
            models=("good",), jobs=jobs(9, model=a_model("good")), endpoints={"good": FakeEndpoint(lazily)}, lane=Lane()
        )
        bad = a_work(always(Failure(kind="auth", message="no", http_status=401)), jobs(9))
        with pytest.raises(EndpointError, match="model small"):
            await asyncio.wait_for(Engine([good, bad], sink=lambda _: None).run(), 5)

    asyncio.run(main())


@pytest.mark.parametrize("sync", [False, True])
def test_callables_as_models(sync: bool):
    def grade(messages: list[Any], seed: int) -> Any:
        number = int(messages[0]["content"].split()[1])
        if number % 5 == 0:
            raise ValueError(f"not {number}")
        return {"output": str(number * seed), "output_tokens": 1}

    async def later(messages: list[Any], seed: int) -> Any:
        await asyncio.sleep(0)
        return grade(messages, seed)

    async def main() -> list[Result]:
        results: list[Result] = []
        endpoint = CallableEndpoint("python", grade if sync else later, threads=4)
        await Engine([a_work(endpoint, jobs(20))], sink=results.append).run()
        return results

    rows = {result.item_id: result for result in asyncio.run(main())}
    assert len(rows) == 20
    assert (rows["i7"].output, rows["i7"].output_tokens, rows["i7"].seed_sent) == ("7", 1, False)
    assert (rows["i5"].status, rows["i5"].error_kind) == ("error", "callable")
    assert rows["i5"].error_message == "ValueError: not 5"


def test_stop_reaches_a_run_of_callables_that_never_wait():
    async def at_once(messages: list[Any]) -> str:
        return "x"

    async def main() -> int:
        results: list[Result] = []
        engine = Engine([a_work(CallableEndpoint("python", at_once, threads=1), jobs(10**7))], sink=results.append)
        asyncio.get_running_loop().call_later(0.1, engine.stop)
        await asyncio.wait_for(engine.run(), 5)
        return len(results)

    assert 0 < asyncio.run(main()) < 10**6


def test_tokens_are_reserved_and_settled():
    async def main() -> tuple[float, int]:
        lane = Lane(tokens_per_minute=60_000)  # 950 a second, 1,425 at once
        endpoint = always(Answer(output="x", input_tokens=40, output_tokens=10))
        model = a_model(params={"max_tokens": 1000})
        started = time.monotonic()
        await Engine([a_work(endpoint, jobs(40, model=model), lane=lane)], sink=lambda _: None).run()
        return time.monotonic() - started, lane.admitted

    elapsed, admitted = asyncio.run(main())
    assert admitted == 40
    assert elapsed < 2.5  # 40 reservations of 1,000 tokens would take 40 seconds


SCRIPTS = st.lists(
    st.lists(st.sampled_from(["transient", "rate_limit", "overloaded", "invalid_request"]), max_size=4), max_size=40
)


@settings(max_examples=50, deadline=None)
@given(scripts=SCRIPTS, concurrency=st.integers(1, 10), max_attempts=st.integers(1, 4))
def test_the_statistics_add_up(scripts: list[list[Any]], concurrency: int, max_attempts: int):
    def react(job: Job, attempt: int) -> Answer | Failure:
        script = scripts[job.index]
        if attempt <= len(script):
            return Failure(kind=script[attempt - 1], message="", retry_after_s=1e-4)
        return Answer(output="x", status="ok", input_tokens=3, output_tokens=2)

    endpoint = FakeEndpoint(react)
    results, statistics = run(
        a_work(endpoint, jobs(len(scripts), model=a_model(max_attempts=max_attempts)), concurrency=concurrency)
    )
    assert Counter(result.job_id for result in results) == Counter(f"{index:032x}" for index in range(len(scripts)))
    by_status = Counter(result.status for result in results)
    assert (statistics.ok, statistics.refused) == (by_status["ok"], by_status["refused"])
    assert statistics.done == len(scripts)
    assert Counter(statistics.errors) == Counter(result.error_kind for result in results if result.status == "error")
    assert statistics.attempts == len(endpoint.calls) == sum(result.attempts for result in results)
    assert sum(statistics.failures.values()) == statistics.attempts - statistics.ok
    assert (statistics.input_tokens, statistics.output_tokens) == (3 * statistics.ok, 2 * statistics.ok)
    assert (statistics.in_flight, statistics.in_backoff) == (0, 0)
    (lane,) = statistics.lanes
    assert (lane.admitted, lane.waiting, lane.in_flight) == (statistics.attempts, 0, 0)


def test_a_cancellation_that_is_swallowed_does_not_keep_the_run_alive():
    async def main() -> tuple[int, float]:
        async def react(job: Job, attempt: int) -> Answer:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05 if job.index < 100 else 30)
            return Answer(output="x")

        results: list[Result] = []
        engine = Engine([a_work(FakeEndpoint(react), jobs(10**6))], sink=results.append)
        asyncio.get_running_loop().call_later(0.2, engine.stop)
        started = time.monotonic()
        await asyncio.wait_for(engine.run(), 10)
        return len(results), time.monotonic() - started

    count, elapsed = asyncio.run(main())
    assert count < 1000
    assert elapsed < 5
