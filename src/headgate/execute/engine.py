"""The engine: a fixed pool of workers per lane turns jobs into results, each exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import Endpoint
from headgate.execute.health import Health
from headgate.execute.lanes import Lane
from headgate.execute.queue import JobQueue, Ticket
from headgate.execute.retry import ACTIONS, delay
from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.plan import Job
from headgate.result import Result

_NO_ANSWER: Final = Answer(output=None)
_NO_TOKENS: Final = (0.0, 0.0)

Sink = Callable[[Result], Awaitable[None] | None]
"""Takes a result at once; what it returns is awaited before the worker goes on (back-pressure)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The jobs of one lane.

    Attributes
    ----------
    jobs : iterator of Job
        Pulled lazily, one at a time.
    endpoints : mapping of str to Endpoint
        Model id to where it is served.
    """

    models: tuple[str, ...]
    jobs: Iterator[Job]
    endpoints: Mapping[str, Endpoint]
    lane: Lane
    concurrency: int = 64


@dataclass(slots=True)
class _Pool:
    """One lane at work."""

    work: Work
    queue: JobQueue
    health: dict[str, Health]
    in_flight: int = 0
    output_tokens: float = 256.0


@dataclass(slots=True)
class _Counts:
    status: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Engine:
    """Runs the jobs of several lanes to the end, and hands each result to a sink.

    Parameters
    ----------
    work : sequence of Work
        One per lane.
    sink : callable
        Takes each result; see :data:`Sink`.
    generation : int
        Which start of the run this is; it stands in the rows.
    rng : random.Random, optional
        Source of jitter.
    """

    def __init__(
        self, work: Sequence[Work], *, sink: Sink, generation: int = 1, rng: random.Random | None = None
    ) -> None:
        self._sink, self._generation, self._rng = sink, generation, rng or random.Random()
        self._pools = [
            _Pool(
                part,
                JobQueue(part.jobs, capacity=max(256, 4 * part.concurrency)),
                {model: Health(f"model {model} at {endpoint.name}") for model, endpoint in part.endpoints.items()},
            )
            for part in work
        ]
        self._counts = _Counts()
        self._tasks: list[asyncio.Task[None]] = []
        self._dead: EndpointError | None = None
        self._stopped = False
        self._started = time.monotonic()

    async def run(self) -> None:
        """Run until every job has a result, or :meth:`stop`.

        Raises
        ------
        EndpointError
            If an endpoint cannot serve this run; jobs without a result are left to be resumed.
        Exception
            Whatever the sink raises.
        """
        self._started = time.monotonic()
        if self._stopped:
            return
        self._tasks = [
            asyncio.create_task(self._work(pool)) for pool in self._pools for _ in range(pool.work.concurrency)
        ]
        try:
            await self._join()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for pool in self._pools:
                pool.work.lane.close()
                pool.queue.close()
        if self._dead is not None:
            raise self._dead

    def stop(self) -> None:
        """Start nothing more and drop what is in flight: those jobs leave no row, and are run again on resume."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    def statistics(self) -> EngineStatistics:
        """Return what has been done so far."""
        counts = self._counts
        return EngineStatistics(
            elapsed_s=time.monotonic() - self._started,
            ok=counts.status["ok"],
            refused=counts.status["refused"],
            errors=dict(counts.errors),
            failures=dict(counts.failures),
            attempts=counts.attempts,
            in_flight=sum(pool.in_flight for pool in self._pools),
            in_backoff=sum(pool.queue.in_backoff for pool in self._pools),
            input_tokens=counts.input_tokens,
            output_tokens=counts.output_tokens,
            lanes=tuple(_lane_statistics(pool) for pool in self._pools),
        )

    async def _join(self) -> None:
        """Wait for all workers; the first that fails ends the others."""
        done, _ = (
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION) if self._tasks else (set(), set())
        )
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _work(self, pool: _Pool) -> None:
        while (ticket := await pool.queue.take()) is not None:
            outcome = await self._attempt(pool, ticket)
            self._check(pool, ticket, outcome)
            wait = None if isinstance(outcome, Answer) else self._retry_in(ticket, outcome)
            if wait is not None:
                pool.queue.put_back(ticket, after_s=wait)
                continue
            full = self._sink(self._result(pool, ticket, outcome))
            pool.queue.done()
            if full is not None:
                await full

    async def _attempt(self, pool: _Pool, ticket: Ticket) -> Answer | Failure:
        job, lane = ticket.job, pool.work.lane
        reserved = _estimate(job, pool.output_tokens) if lane.counts_tokens else _NO_TOKENS
        if not lane.try_acquire(*reserved):
            asked = time.monotonic()
            await lane.acquire(*reserved)
            ticket.held_s += time.monotonic() - asked
        ticket.attempts += 1
        self._counts.attempts += 1
        started = time.monotonic()
        pool.in_flight += 1
        try:
            outcome = await pool.work.endpoints[job.model.id].attempt(job, ticket.attempts)
        finally:
            pool.in_flight -= 1
        ticket.busy_s += time.monotonic() - started
        self._settle(pool, outcome, reserved)
        return outcome

    def _settle(self, pool: _Pool, outcome: Answer | Failure, reserved: tuple[float, float]) -> None:
        """Tell the lane what was really used, and obey a Retry-After."""
        lane = pool.work.lane
        if isinstance(outcome, Failure):
            self._counts.failures[outcome.kind] += 1
            if outcome.kind == "rate_limit":
                lane.settle(reserved, _NO_TOKENS)
                if outcome.retry_after_s is not None:
                    lane.pause(outcome.retry_after_s)
            return
        used = (outcome.input_tokens or 0, outcome.output_tokens or 0)
        if used != (0, 0):
            lane.settle(reserved, used)
            pool.output_tokens += 0.05 * (used[1] - pool.output_tokens)

    def _check(self, pool: _Pool, ticket: Ticket, outcome: Answer | Failure) -> None:
        """Stop everything when the endpoint is dead."""
        error = pool.health[ticket.job.model.id].note(outcome)
        if error is not None and self._dead is None:
            self._dead = error
            self.stop()
        if self._dead is not None:
            raise asyncio.CancelledError

    def _retry_in(self, ticket: Ticket, failure: Failure) -> float | None:
        """Return the seconds until the next attempt; None when there is none."""
        action, model = ACTIONS[failure.kind], ticket.job.model
        ticket.charged += action.charged
        if not action.retry or ticket.charged >= model.max_attempts:
            return None
        wait = delay(failure, ticket.attempts, rng=self._rng)
        left = ticket.pulled + ticket.held_s + model.deadline_s - time.monotonic()
        return wait if wait < left else None

    def _result(self, pool: _Pool, ticket: Ticket, outcome: Answer | Failure) -> Result:
        result = _make_result(ticket, outcome, pool.work.endpoints[ticket.job.model.id], self._generation)
        self._counts.status[result.status] += 1
        if result.status == "error":
            self._counts.errors[result.error_kind or "unknown"] += 1
        self._counts.input_tokens += result.input_tokens or 0
        self._counts.output_tokens += result.output_tokens or 0
        return result


def _make_result(ticket: Ticket, outcome: Answer | Failure, endpoint: Endpoint, generation: int) -> Result:
    job = ticket.job
    answer, failure = (_NO_ANSWER, outcome) if isinstance(outcome, Failure) else (outcome, None)
    return Result(
        job_id=job.job_id,
        item_id=job.item.item_id,
        cluster=job.item.cluster,
        prompt=job.prompt.name,
        prompt_digest=job.prompt.digest,
        model=job.model.id,
        provider=job.model.provider,
        endpoint=endpoint.name,
        seed=job.seed,
        seed_sent=endpoint.sends_seed,
        status=answer.status if failure is None else "error",
        error_kind=None if failure is None else failure.kind,
        error_message=None if failure is None else failure.message,
        http_status=outcome.http_status,
        output=answer.output,
        reasoning=answer.reasoning,
        stop_reason=answer.stop_reason,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cached_tokens=answer.cached_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        started_at=ticket.started_at,
        finished_at=time.time_ns() // 1000,
        latency_s=_rounded(outcome.latency_s),
        ttfb_s=_rounded(outcome.ttfb_s),
        queued_s=_rounded(time.monotonic() - ticket.pulled - ticket.busy_s) or 0.0,
        attempts=ticket.attempts,
        served_model=answer.served_model,
        generation=generation,
        request_id=answer.request_id,
        system_fingerprint=answer.system_fingerprint,
        tool_calls_json=answer.tool_calls_json,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else int(1e4 * seconds + 0.5) / 1e4


def _estimate(job: Job, output_tokens: float) -> tuple[float, float]:
    """Return the tokens that an attempt may use: input from the bytes of its messages, and what it may answer."""
    limits = (job.model.params.get(name) for name in ("max_completion_tokens", "max_tokens"))
    limit = next((value for value in limits if isinstance(value, int)), None)
    return 0.28 * len(job.messages) + 4, output_tokens if limit is None else limit


def _lane_statistics(pool: _Pool) -> LaneStatistics:
    lane = pool.work.lane
    return LaneStatistics(
        models=pool.work.models,
        concurrency=pool.work.concurrency,
        allowed=pool.work.concurrency,
        in_flight=pool.in_flight,
        waiting=lane.waiting,
        in_backoff=pool.queue.in_backoff,
        deferred=0,
        admitted=lane.admitted,
        requests_per_minute=lane.requests_per_minute,
        tokens_per_minute=lane.tokens_per_minute,
        paused_s=lane.paused_s,
    )
