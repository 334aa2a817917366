"""The engine: pools of workers turn the jobs of several lanes into results, each exactly once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from headgate.errors import EndpointError
from headgate.execute.budget import Budget
from headgate.execute.counts import Counts
from headgate.execute.lag import LoopLag
from headgate.execute.pool import Pool, Sink
from headgate.execute.statistics import EngineStatistics
from headgate.execute.work import Work

_CANCEL_AGAIN_S: Final = 0.2


class Engine:
    """Runs the jobs of several lanes to the end, and hands each result to a sink.

    Parameters
    ----------
    work : sequence of Work
        One per lane.
    sink : callable
        Takes each result; see :data:`headgate.execute.pool.Sink`.
    generation : int
        Which start of the run this is; it stands in the rows.
    rng : random.Random, optional
        Source of jitter.
    counts : Counts, optional
        Those of an engine that ran before for the same run: statistics go on from there.
    budget : Budget, optional
        What the run may spend, in US dollars.
    tokens : Budget, optional
        How many tokens it may take, input and output together.
    """

    def __init__(
        self,
        work: Sequence[Work],
        *,
        sink: Sink,
        generation: int = 1,
        rng: random.Random | None = None,
        counts: Counts | None = None,
        budget: Budget | None = None,
        tokens: Budget | None = None,
    ) -> None:
        self._counts, self._lag, self._budget = counts or Counts(), LoopLag(), budget
        jitter = rng or random.Random()
        self._pools = [
            Pool(part, sink=sink, counts=self._counts, generation=generation, rng=jitter, budget=budget, tokens=tokens)
            for part in work
        ]
        owners = {place: pool for pool in self._pools for place in pool.work.endpoints}
        for pool in self._pools:
            if pool.work.routes:
                pool.join(owners)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        now = time.monotonic()
        self._started, self._counts.moved_at = self._counts.started_at or now, self._counts.moved_at or now
        self._ended: float | None = None

    async def run(self) -> None:
        """Run until every job has a result, or :meth:`stop`.

        Raises
        ------
        EndpointError
            If an endpoint cannot serve this run; jobs without a result are left to be resumed.
        Exception
            Whatever the sink raises.
        """
        self._counts.moved_at = time.monotonic()
        self._started = self._counts.started_at = self._counts.started_at or self._counts.moved_at
        if self._stopped:
            return
        self._tasks = [
            asyncio.create_task(pool.work_off()) for pool in self._pools for _ in range(pool.work.concurrency)
        ]
        self._lag.start()
        try:
            await self._join()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for pool in self._pools:
                pool.close()
            self._lag.stop()
            self._ended = time.monotonic()

    def stop(self) -> None:
        """Start nothing more and drop what is in flight: those jobs leave no row, and are run again on resume."""
        self._stopped = True
        for pool in self._pools:
            pool.stopped = True
        self._cancel()

    def _cancel(self) -> None:
        """Cancel the workers, again and again: a transport may swallow a cancellation that meets an answer."""
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            asyncio.get_running_loop().call_later(_CANCEL_AGAIN_S, self._cancel)

    def statistics(self) -> EngineStatistics:
        """Return what has been done so far; any thread may ask."""
        counts, budget, now = self._counts, self._budget, self._ended or time.monotonic()
        lanes = tuple(pool.statistics() for pool in self._pools)
        return EngineStatistics(
            elapsed_s=now - self._started,
            ok=counts.status["ok"],
            refused=counts.status["refused"],
            errors=dict(counts.errors),
            failures=dict(counts.failures),
            attempts=counts.attempts,
            in_flight=sum(lane.in_flight for lane in lanes),
            in_backoff=sum(lane.in_backoff for lane in lanes),
            input_tokens=counts.input_tokens,
            output_tokens=counts.output_tokens,
            cost_usd=counts.cost_usd,
            unpriced=counts.unpriced,
            cached=counts.cached,
            max_cost_usd=None if budget is None else budget.limit,
            spent_usd=0.0 if budget is None else budget.spent,
            reserved_usd=0.0 if budget is None else budget.reserved,
            idle_s=now - counts.moved_at,
            lag_s=self._lag.lately_s,
            most_lag_s=self._lag.most_s,
            lanes=lanes,
            lost=tuple(str(health.error) for pool in self._pools for health in pool.health.values() if health.error),
        )

    async def _join(self) -> None:
        """Wait for all workers; the first that fails ends the others. A dead endpoint goes before what follows it."""
        if not self._tasks:
            return
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        errors = [error for task in done if not task.cancelled() and (error := task.exception()) is not None]
        for error in sorted(errors, key=lambda error: not isinstance(error, EndpointError)):
            raise error
