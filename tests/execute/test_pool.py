"""A lane at work while its endpoint fails: what is repeated, deferred, held back and given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import COMPLETION, FakeEndpoint, a_job, a_model, http, jobs, raw_server
from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure
from headgate.execute.concurrency import START
from headgate.execute.endpoint import Endpoint, HttpEndpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.execute.transports import open_transport
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.result import Result
from virtual_clock import throughout

ANSWER = Answer(output="x")
BUSY = Failure(kind="overloaded", message="busy", http_status=503)
BOOM = Failure(kind="transient", message="boom", http_status=500)
REFUSED = Failure(kind="connect", message="Connection refused")
SLOW_DOWN = Failure(kind="rate_limit", message="slow down", http_status=429)


def now() -> float:
    return time.monotonic()


def a_work(endpoint: Endpoint, source: Iterable[Job], *, lane: Lane | None = None, concurrency: int = 8) -> Work:
    endpoints = {"small": endpoint}
    return Work(models=("small",), jobs=iter(source), endpoints=endpoints, lane=lane or Lane(), concurrency=concurrency)


async def watched(
    work: Work, *, every_s: float = 0.25, sink: Callable[[Result], Any] | None = None
) -> tuple[list[Result], list[EngineStatistics]]:
    """Run to the end, and return the results and what the statistics said meanwhile."""
    results: list[Result] = []
    seen: list[EngineStatistics] = []
    engine = Engine([work], sink=sink or results.append, rng=random.Random(1))
    running = asyncio.create_task(engine.run())
    while not running.done():
        await asyncio.wait([running], timeout=every_s)
        seen.append(engine.statistics())
    await running
    return results, seen


def watch(
    endpoint: Endpoint, source: Iterable[Job], *, every_s: float = 0.25, **options: Any
) -> tuple[list[Result], list[EngineStatistics]]:
    """Do so on a virtual clock."""

    async def main() -> tuple[list[Result], list[EngineStatistics]]:
        return await watched(a_work(endpoint, source, **options), every_s=every_s)

    return throughout(main())


def lanes(seen: list[EngineStatistics]) -> list[LaneStatistics]:
    return [statistics.lanes[0] for statistics in seen]


def whole(results: list[Result], count: int) -> bool:
    """Say whether each job has one row, and it is an answer."""
    once = Counter(result.job_id for result in results) == Counter(f"{index:032x}" for index in range(count))
    return once and {result.status for result in results} == {"ok"}


def takes(seconds: float, outcome: Callable[[Job, int], Answer | Failure]) -> FakeEndpoint:
    """Return an endpoint whose attempts take some time; the outcome is that of the moment when it goes out."""

    async def react(job: Job, number: int) -> Answer | Failure:
        told = outcome(job, number)
        await asyncio.sleep(seconds)
        return told

    return FakeEndpoint(react)


# The retry budget


@pytest.mark.parametrize("concurrency", [8, 64])
def test_an_empty_retry_budget_defers_and_does_not_fail(concurrency: int):
    rng = random.Random(7)
    endpoint = takes(0.05, lambda job, number: BOOM if rng.random() < 0.45 else ANSWER)
    source = jobs(3000, model=a_model(max_attempts=40))
    results, seen = watch(endpoint, source, concurrency=concurrency)
    assert whole(results, 3000)
    assert max(lane.deferred for lane in lanes(seen)) > 100
    assert all(lane.deferred <= max(256, 4 * concurrency) + concurrency for lane in lanes(seen))
    assert seen[-1].attempts == len(endpoint.calls) == sum(result.attempts for result in results)
    assert 0.95 * 3000 / 0.55 < seen[-1].attempts < 1.05 * 3000 / 0.55
    assert (seen[-1].in_backoff, lanes(seen)[-1].deferred) == (0, 0)


def test_retries_are_a_share_of_what_is_answered_while_new_jobs_are_left():
    """A third of the jobs fails at every first attempt: three times what the budget pays for."""
    retries_meanwhile = 0

    def outcome(job: Job, number: int) -> Answer | Failure:
        nonlocal retries_meanwhile
        retries_meanwhile += number > 1 and len(started) < 3000
        started.add(job.index)
        return BOOM if number == 1 and job.index % 3 < 2 else ANSWER

    started: set[int] = set()
    results, seen = watch(takes(0.02, outcome), jobs(3000), concurrency=8)
    assert whole(results, 3000)
    seconds = seen[-1].elapsed_s
    # 1,000 jobs are answered at once, and those that are deferred fill 256 places: then they go before new jobs.
    assert retries_meanwhile < 2000 - 200
    assert seconds < 60


def test_a_rate_limit_costs_no_budget():
    endpoint = takes(0.01, lambda job, number: SLOW_DOWN if number <= 3 else ANSWER)
    results, seen = watch(endpoint, jobs(500), concurrency=8)
    assert whole(results, 500)
    assert max(lane.deferred for lane in lanes(seen)) == 0


# The circuit


def test_a_server_that_goes_away_for_3_seconds_is_left_alone_meanwhile():
    gone = (2.0, 5.0)
    started: list[float] = []

    def outcome(job: Job, number: int) -> Answer | Failure:
        started.append(now())
        return REFUSED if gone[0] <= now() - started[0] < gone[1] else ANSWER

    results, seen = watch(takes(0.05, outcome), jobs(6000), concurrency=32)
    assert whole(results, 6000)
    meanwhile = [at for at in started if gone[0] <= at - started[0] < gone[1]]
    assert 26 <= len(meanwhile) <= 26 + 32 + 4  # until it opens, those under way then, and the probes
    assert max(result.attempts for result in results) <= 4
    waits = {lane.waits_for for lane in lanes(seen)}
    assert any("model small at http://fake, which fails: it is asked again in" in words for words in waits), waits
    assert seen[-1].elapsed_s < 6000 * 0.05 / 32 + 1 + 2 + 4 + 1.5  # open for 1, 2 and 4 s, and asked a second later


def test_a_real_server_that_goes_away():
    async def main() -> tuple[list[Result], int, EngineStatistics]:
        async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
            nonlocal meanwhile
            arrivals.append(now())
            if 0.5 <= now() - arrivals[0] < 2.0:
                meanwhile += 1
                writer.close()
                return
            await asyncio.sleep(0.01)
            writer.write(http(COMPLETION))

        arrivals: list[float] = []
        meanwhile = 0
        async with raw_server(script) as server:
            transport = open_transport(connections=16)
            endpoint = HttpEndpoint(server.url + "/v1", transport=transport)
            results, seen = await watched(a_work(endpoint, jobs(1500), concurrency=16))
            await transport.aclose()
        return results, meanwhile, seen[-1]

    results, meanwhile, statistics = asyncio.run(main())
    assert whole(results, 1500)
    assert 16 <= meanwhile <= 80
    assert statistics.failures == {"dropped": meanwhile}
    assert max(result.attempts for result in results) < 6


def test_a_probe_that_is_cancelled_with_the_run_leaves_nothing_behind():
    async def main() -> None:
        async def hang(job: Job, number: int) -> Answer:
            await asyncio.sleep(1000)
            return ANSWER

        started = now()
        endpoint = FakeEndpoint(lambda job, number: BOOM if now() < started + 0.4 else hang(job, number))
        engine = Engine([a_work(endpoint, jobs(100))], sink=lambda _: None, rng=random.Random(1))
        asyncio.get_running_loop().call_later(20, engine.stop)
        await engine.run()
        circuit = engine._pools[0].health["small"].circuit
        assert not circuit.closed
        assert circuit.admit("the next")
        assert engine.statistics().in_flight == 0

    throughout(main())


# The deadline of a job


def hanging(job: Job, number: int) -> Any:
    return asyncio.sleep(10_000)


@pytest.mark.parametrize("deadline_s", [1.0, 10.0, 25.0, 60.0])
def test_the_deadline_of_a_job_bounds_its_last_attempt(deadline_s: float):
    endpoint = FakeEndpoint(hanging)
    model = a_model(timeout_s=20, deadline_s=deadline_s, max_attempts=6)
    results, _ = watch(endpoint, jobs(5, model=model))
    assert {(result.status, result.error_kind) for result in results} == {("error", "timeout")}
    for result in results:
        assert result.finished_at - result.started_at <= 1e6 * (deadline_s + 0.05)
    assert all(0 < timeout_s <= min(20, deadline_s) for timeout_s in endpoint.timeouts)


def test_a_retry_that_waits_for_a_worker_keeps_its_time():
    """Two workers, held for 40 s by other jobs while the retry is long due: its 10 s are not over."""

    async def slowly(seconds: float) -> Answer:
        await asyncio.sleep(seconds)
        return ANSWER

    def react(job: Job, number: int) -> Any:
        if job.index == 0:
            return BOOM if number == 1 else ANSWER
        return slowly(40)

    endpoint = FakeEndpoint(react)
    source = [a_job(0, model=a_model(deadline_s=10)), *(a_job(index) for index in range(1, 5))]
    results, _ = watch(endpoint, source, concurrency=2)
    assert whole(results, 5)
    assert all(timeout_s > 9 for timeout_s in endpoint.timeouts)
    (first,) = (result for result in results if result.item_id == "i0")
    assert first.attempts == 2
    assert first.queued_s > 38


def test_time_behind_an_open_circuit_does_not_count():
    """Gone for 45 s: longer than any job may take. A few use up their time on probes, in the worst case."""
    started = list[float]()

    def outcome(job: Job, number: int) -> Answer | Failure:
        started.append(now())
        return REFUSED if 1 <= now() - started[0] < 46 else ANSWER

    model = a_model(deadline_s=20, max_attempts=10)
    results, seen = watch(takes(0.05, outcome), jobs(1000, model=model), concurrency=8)
    assert whole(results, 1000)
    assert seen[-1].elapsed_s > 46
    assert max(result.queued_s for result in results) > 40


def test_time_behind_other_jobs_does_not_count():
    """Half of all first attempts fail, so that many jobs are deferred, for more than their time."""
    endpoint = takes(0.02, lambda job, number: BOOM if number == 1 and job.index % 2 else ANSWER)
    model = a_model(deadline_s=5, max_attempts=3)
    results, seen = watch(endpoint, jobs(2000, model=model), concurrency=2)
    assert whole(results, 2000)
    assert max(lane.deferred for lane in lanes(seen)) > 200
    assert max(result.queued_s for result in results) > 10
    assert min(endpoint.timeouts) > 2


def test_time_in_a_pause_does_not_count():
    """One is told to wait for a minute, and all wait with it."""
    endpoint = takes(
        0.1, lambda job, number: Failure(kind="rate_limit", message="", retry_after_s=60) if first(job) else ANSWER
    )
    told: list[int] = []

    def first(job: Job) -> bool:
        told.append(job.index)
        return job.index == 3 and told.count(3) == 1

    models = {True: a_model(deadline_s=100), False: a_model(deadline_s=5)}
    source = [a_job(index, model=models[index == 3]) for index in range(40)]
    results, seen = watch(endpoint, source, concurrency=4)
    assert whole(results, 40)
    assert seen[-1].elapsed_s > 60
    assert min(endpoint.timeouts) > 4.9
    assert any(lane.paused_s > 50 and "a pause of" in lane.waits_for for lane in lanes(seen))


# Dead endpoints, with the patience that is declared


@pytest.mark.parametrize("concurrency", [1, 8, 64, 512])
@pytest.mark.parametrize(
    ("failure", "words", "seconds"),
    [
        (REFUSED, "cannot be reached: Connection refused; check `base_url`", (1.5, 5)),
        (BOOM, "has given nothing but errors for 120 s: boom; look at the server's log", (120, 260)),
        (BUSY, "has given nothing but errors for 120 s: busy; look at the server's log", (120, 260)),
        (Failure(kind="timeout", message="late"), "has given nothing but errors for 120 s: late", (120, 260)),
        (Failure(kind="auth", message="no", http_status=401), "refuses to serve: no (status 401)", (0, 1)),
    ],
)
def test_dead_from_the_start(concurrency: int, failure: Failure, words: str, seconds: tuple[float, float]):
    async def main() -> tuple[float, str]:
        work = a_work(endpoint, jobs(10**6), concurrency=concurrency)
        engine = Engine([work], sink=rows.append, rng=random.Random(1))
        started = now()
        with pytest.raises(EndpointError) as caught:
            await engine.run()
        assert engine.statistics().in_flight == 0
        return now() - started, str(caught.value)

    rows: list[Result] = []
    endpoint = takes(0.05, lambda job, number: failure)
    elapsed, text = throughout(main())
    assert seconds[0] <= elapsed <= seconds[1]
    assert words in text
    assert text.startswith("model small at http://fake ")
    assert "\n" not in text
    assert len(rows) == 0
    retried = 50 if concurrency == 1 else 0  # one worker gets to retries first, as many as the budget pays for
    probes = 10
    assert len(endpoint.calls) <= 0.8 * max(20, concurrency) + min(concurrency, START) + retried + probes


@pytest.mark.parametrize("kind", ["transient", "timeout", "dropped"])
@pytest.mark.parametrize(
    "breaks",
    [
        lambda index: index % 10 == 3,  # too many for the retry budget: at the end, only these are left
        lambda index: index >= 1960,
    ],
)
def test_jobs_that_break_the_server_get_their_error_rows(kind: Any, breaks: Callable[[int], bool]):
    """They are no dead endpoint, even when nothing else is left to show that it works."""
    failure = Failure(kind=kind, message="boom")
    endpoint = takes(0.5, lambda job, number: failure if breaks(job.index) else ANSWER)
    results, seen = watch(endpoint, jobs(2000), concurrency=64)
    errors = [result for result in results if result.status == "error"]
    assert len(results) == 2000
    assert {result.item_id for result in errors} == {f"i{index}" for index in range(2000) if breaks(index)}
    assert {(result.error_kind, result.attempts) for result in errors} == {(kind, 6)}
    assert all("which fails" not in lane.waits_for for lane in lanes(seen))
    assert seen[-1].elapsed_s < 120


# Concurrency


def test_concurrency_settles_below_what_a_server_refuses():
    hidden = 12

    async def main() -> tuple[list[Result], list[EngineStatistics]]:
        async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
            nonlocal in_flight
            in_flight += 1
            refused = in_flight > hidden
            await asyncio.sleep(0.01)
            writer.write(http(b"{}", status="429 Too Many Requests") if refused else http(COMPLETION))
            in_flight -= 1

        in_flight = 0
        async with raw_server(script) as server:
            transport = open_transport(connections=64)
            endpoint = HttpEndpoint(server.url + "/v1", transport=transport)
            outcome = await watched(a_work(endpoint, jobs(2000), concurrency=64), every_s=0.05)
            await transport.aclose()
        return outcome

    results, seen = asyncio.run(main())
    assert whole(results, 2000)
    late = lanes(seen)[len(seen) // 4 : -2]
    assert max(lane.allowed for lane in late) <= hidden + 2
    assert min(lane.allowed for lane in late) >= hidden // 2
    assert set(seen[-1].failures) == {"rate_limit"}
    assert seen[-1].failures["rate_limit"] < 300


@pytest.mark.parametrize(
    "failure", [BOOM, BUSY, Failure(kind="dropped", message=""), Failure(kind="bad_response", message="")]
)
def test_errors_of_the_server_never_reduce_what_is_allowed(failure: Failure):
    endpoint = takes(0.05, lambda job, number: failure if job.index % 5 == 0 and number == 1 else ANSWER)
    results, seen = watch(endpoint, jobs(2000), concurrency=64, every_s=0.01)
    assert whole(results, 2000)
    allowed = [lane.allowed for lane in lanes(seen)]
    assert allowed == sorted(allowed)
    assert (allowed[0], allowed[-1]) == (START, 64)


@pytest.mark.parametrize("failure", [SLOW_DOWN, Failure(kind="overloaded", message="site", http_status=529)])
def test_429_and_529_cut_once_for_all_that_were_under_way(failure: Failure):
    endpoint = takes(0.05, lambda job, number: failure if job.index < START and number == 1 else ANSWER)
    results, seen = watch(endpoint, jobs(200), concurrency=64, every_s=0.01)
    assert whole(results, 200)
    allowed = [lane.allowed for lane in lanes(seen)]
    assert min(allowed) == START * 4 // 5
    assert allowed[0] == START


@pytest.mark.parametrize(
    ("kind", "status", "pauses"), [("rate_limit", 429, True), ("overloaded", 529, True), ("overloaded", 503, False)]
)
def test_who_may_pause_the_lane(kind: Any, status: int, pauses: bool):
    """A 503 with Retry-After holds the one job; a limit holds them all."""
    failure = Failure(kind=kind, message="", http_status=status, retry_after_s=30)
    endpoint = takes(0.1, lambda job, number: failure if job.index == 0 and number == 1 else ANSWER)
    results, seen = watch(endpoint, jobs(100), concurrency=4, every_s=1)
    assert whole(results, 100)
    assert seen[-1].elapsed_s >= 30
    assert (max(lane.paused_s for lane in lanes(seen)) > 0) is pauses
    assert (seen[3].done == 99) is not pauses


# What is logged and said


def test_a_failed_attempt_is_logged_with_its_facts(caplog: pytest.LogCaptureFixture):
    endpoint = takes(0.01, lambda job, number: BUSY if number == 1 else ANSWER)
    with caplog.at_level(logging.INFO, logger="headgate.engine"):
        watch(endpoint, jobs(1))
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("headgate.engine", "INFO", "attempt failed")
    facts = record.__dict__["facts"]
    assert 0 <= facts.pop("next_s") <= 2.0
    assert facts == {
        "job_id": f"{0:032x}", "model": "small", "attempt": 1, "kind": "overloaded", "http_status": 503,
        "message": "busy", "deferred": False,
    }  # fmt: skip


def test_the_log_says_what_is_deferred_and_what_is_given_up(caplog: pytest.LogCaptureFixture):
    endpoint = takes(
        0.01, lambda job, number: BOOM if job.index % 10 == 1 or (job.index % 2 and number == 1) else ANSWER
    )
    with caplog.at_level(logging.INFO, logger="headgate.engine"):
        results, _ = watch(endpoint, jobs(800, model=a_model(max_attempts=2)))
    facts = [record.__dict__["facts"] for record in caplog.records]
    assert len(facts) == 400 + 80
    assert any(fact["deferred"] for fact in facts)
    given_up = [fact for fact in facts if fact["next_s"] is None]
    assert {fact["job_id"] for fact in given_up} == {result.job_id for result in results if result.status == "error"}
    assert {(fact["attempt"], fact["deferred"]) for fact in given_up} == {(2, False)}


def test_a_pause_is_logged(caplog: pytest.LogCaptureFixture):
    failure = Failure(kind="rate_limit", message="", http_status=429, retry_after_s=3)
    endpoint = takes(0.01, lambda job, number: failure if number == 1 else ANSWER)
    with caplog.at_level(logging.INFO, logger="headgate.engine"):
        watch(endpoint, jobs(1))
    paused = [record.__dict__["facts"] for record in caplog.records if record.getMessage() == "lane paused"]
    assert paused == [{"lane": "small", "seconds": 3}]


def test_nothing_is_logged_and_no_facts_are_built_when_nobody_listens(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("headgate.execute.pool._facts", lambda *_: pytest.fail("built for nobody"))
    endpoint = takes(0.01, lambda job, number: BUSY if number == 1 else ANSWER)
    with caplog.at_level(logging.WARNING, logger="headgate.engine"):
        results, _ = watch(endpoint, jobs(20))
    assert whole(results, 20)
    assert caplog.records == []


def said(seen: list[EngineStatistics]) -> set[str]:
    return {words for lane in lanes(seen) for words in lane.waits_for.split("; ")}


def test_it_says_that_it_waits_for_answers():
    _, seen = watch(takes(10, lambda job, number: ANSWER), jobs(4), every_s=3)
    assert said(seen[:3]) == {
        "4 answers, the first for 3 s",
        "4 answers, the first for 6 s",
        "4 answers, the first for 9 s",
    }
    assert said(seen[-1:]) == {""}


def test_it_says_that_it_waits_for_retries():
    later = Failure(kind="overloaded", message="", retry_after_s=100)
    _, seen = watch(takes(0, lambda job, number: later if number == 1 else ANSWER), jobs(4), every_s=10)
    assert said(seen[:1]) <= {f"4 jobs to be tried again, the first in {seconds} s" for seconds in range(90, 96)}


def test_it_says_that_it_waits_for_the_limit():
    async def main() -> list[EngineStatistics]:
        lane = Lane(requests_per_minute=6)
        work = a_work(takes(0, lambda job, number: ANSWER), jobs(12), lane=lane)
        return (await watched(work, every_s=1))[1]

    assert said(throughout(main())[:1]) == {"the limit of 6 requests a minute (8 wait)"}


def test_it_says_that_it_waits_for_the_disk():
    async def main() -> str:
        room = asyncio.Event()
        work = a_work(takes(0, lambda job, number: ANSWER), jobs(100))
        engine = Engine([work], sink=lambda _: room.wait())  # type: ignore[arg-type,return-value]
        running = asyncio.create_task(engine.run())
        await asyncio.sleep(1)
        words = engine.statistics().lanes[0].waits_for
        room.set()
        await running
        assert engine.statistics().lanes[0].waits_for == ""
        return words

    assert throughout(main()) == "the disk: 8 results wait to be written"


def test_statistics_from_another_thread_at_full_speed():
    """What they read changes all the time: a switch of threads after every instruction or so would show it."""
    errors: list[BaseException] = []
    asked = 0

    def hammer(engine: Engine, stopped: threading.Event) -> None:
        nonlocal asked
        while not stopped.is_set():
            try:
                statistics = engine.statistics()
                assert statistics.done <= statistics.attempts + 64
                asked += 1
            except BaseException as error:  # shown below
                errors.append(error)
                return

    async def main() -> int:
        rng = random.Random(3)
        soon = Failure(kind="rate_limit", message="", retry_after_s=1e-4)  # the retries run empty again and again
        kinds = [*[ANSWER] * 100, soon, Failure(kind="invalid_request", message="")]
        endpoint = FakeEndpoint(lambda job, number: rng.choice(kinds))
        lane = Lane(requests_per_minute=60 * 5_000)  # below full speed: some wait
        done = 0

        def sink(_: Result) -> None:
            nonlocal done
            done += 1

        engine = Engine([a_work(endpoint, jobs(10**7), lane=lane, concurrency=64)], sink=sink)
        stopped = threading.Event()
        threads = [threading.Thread(target=hammer, args=(engine, stopped)) for _ in range(2)]
        asyncio.get_running_loop().call_later(1.0, engine.stop)
        for thread in threads:
            thread.start()
        try:
            await engine.run()
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        return done

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        done = asyncio.run(main())
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
    assert asked > 100
    assert done > 100


OUTCOMES = st.sampled_from([ANSWER, BOOM, BUSY, REFUSED, SLOW_DOWN, Failure(kind="timeout", message="")])


@settings(max_examples=40, deadline=None)
@given(
    scripts=st.lists(st.lists(OUTCOMES, max_size=8), max_size=60),
    concurrency=st.integers(1, 30),
    max_attempts=st.integers(1, 6),
)
def test_whatever_fails_each_job_has_one_row(scripts: list[list[Any]], concurrency: int, max_attempts: int):
    def outcome(job: Job, number: int) -> Answer | Failure:
        script = scripts[job.index]
        return script[number - 1] if number <= len(script) else ANSWER

    endpoint = takes(0.05, outcome)
    source = jobs(len(scripts), model=a_model(max_attempts=max_attempts))
    results: list[Result] = []

    async def main() -> EngineStatistics:
        engine = Engine([a_work(endpoint, source, concurrency=concurrency)], sink=results.append)
        with contextlib.suppress(EndpointError):
            await engine.run()
            assert len(results) == len(scripts)
            return engine.statistics()
        failures = engine.statistics().failures
        assert failures["connect"] >= 5 or sum(failures.values()) >= 20  # given up, and with reason
        return engine.statistics()

    statistics = throughout(main())
    assert len({result.job_id for result in results}) == len(results)
    assert statistics.attempts == len(endpoint.calls)
    charged = Counter(job_id for job_id, number in endpoint.calls)
    for result in results:
        assert result.attempts == charged[result.job_id]
        answered = result.status == "ok"
        script = scripts[int(result.job_id, 16)][: result.attempts]
        paid = sum(isinstance(each, Failure) and each.kind != "rate_limit" for each in script)
        assert paid < max_attempts if answered else paid == max_attempts
