"""A run at work: the plan's jobs through the engine into the journal, then compaction and scores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headgate import __version__
from headgate.conduct.cap import open_budgets
from headgate.conduct.collector import quiet_collector
from headgate.conduct.grading import Batch, Grading
from headgate.conduct.metered import Asked
from headgate.conduct.options import RunOptions
from headgate.conduct.prepare import Prepared
from headgate.conduct.scoring import score_run
from headgate.conduct.summary import RunSummary
from headgate.conduct.todo import lane_jobs, open_jobs
from headgate.conduct.watch import Watched, Watcher
from headgate.conduct.work import open_work
from headgate.errors import EndpointError
from headgate.execute.budget import Budget
from headgate.execute.counts import Counts
from headgate.execute.engine import Engine
from headgate.execute.pool import Sink
from headgate.execute.statistics import EngineStatistics
from headgate.execute.work import Work
from headgate.plan import Plan
from headgate.report.logs import open_log
from headgate.result import Result
from headgate.store.journal import JournalWriter

if TYPE_CHECKING:
    import polars as pl

_LOG: Final = logging.getLogger("headgate.conduct")


class Conductor:
    """Joins a prepared run's plan, engine and store.

    :meth:`statistics` and :meth:`stop` may be called from any thread. Statistics are read without a lock: every figure
    is right, and two of them may be a moment apart.

    Parameters
    ----------
    prepared : Prepared
        It is closed when :meth:`complete` returns.
    options : RunOptions
        What this call adds.
    on_commit : callable, optional
        Receives results once they are durable.
    hold : callable, optional
        Asked after each result; an awaitable that it returns holds the worker back.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        options: RunOptions | None = None,
        on_commit: Callable[[list[Result]], object] | None = None,
        hold: Callable[[], Awaitable[object] | None] | None = None,
    ) -> None:
        self._prepared, self._options = prepared, options or RunOptions()
        self._on_commit, self._hold = on_commit, hold
        self._engine: Engine | None = None
        self._ended: EngineStatistics | None = None
        self._writer: JournalWriter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped, self._expiry = False, ""
        self._budgets: tuple[Budget | None, Budget | None] = (None, None)
        self._lanes: list[Work] = []
        self._counts = Counts()
        self._grading = Grading(
            suite=prepared.suite, files=prepared.store.files, scorers=prepared.scorers, prices=prepared.prices
        )
        self._judge_jobs, self._judge_down = 0, ""
        self._todo = open_jobs(prepared, self._options)

    @property
    def todo(self) -> int:
        """Jobs that this call will run; those of judges once their answers are there."""
        return self._todo.count(1) + self._judge_jobs

    @property
    def judge_down(self) -> str:
        """Why a judge cannot serve this run, in words; empty where all do. What it has not graded has no score."""
        return self._judge_down

    def statistics(self) -> EngineStatistics | None:
        """Return what the engine does, and what it had done once it has ended; None before it starts."""
        return self._ended if self._ended is not None or self._engine is None else self._engine.statistics()

    @property
    def rows_pending(self) -> int:
        """Rows that are not on the disk yet."""
        return 0 if self._writer is None else self._writer.pending

    def stop(self) -> None:
        """End the run early; committed rows stay, jobs in flight leave none."""
        self._stopped = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self._stop_engine)

    def _expire(self, why: str) -> None:
        if not self._stopped:
            self._expiry = why
            self.stop()

    @property
    def expiry(self) -> str:
        """What of its budget ended the run, in words: its time or its money; empty where it was neither."""
        return self._expiry

    def _stop_engine(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopped

    async def complete(self, watch: Callable[[Conductor], object] | None = None) -> RunSummary:
        """Run the jobs, score them and close the store; the log tells of it, and a watcher sees to it.

        Parameters
        ----------
        watch : callable, optional
            Receives the conductor before it starts.
        """
        store = self._prepared.store
        try:
            with open_log(self._options.log_file, run_id=store.manifest.run_id):
                return await self._complete(watch)
        except BaseException:
            store.close()
            raise

    async def _complete(self, watch: Callable[[Conductor], object] | None) -> RunSummary:
        started = time.monotonic()
        _LOG.info("run resumed" if self._prepared.resumed else "run started", extra={"facts": self._start_facts()})
        try:
            if watch is not None:
                watch(self)
            async with self._watcher():
                await self.execute()
            summary = await self.finish()
            if self._ended is not None and self._ended.lost:
                summary = replace(summary, lost=self._ended.lost)
        except BaseException as error:
            _LOG.error("run failed", extra={"facts": {"error": type(error).__name__, "message": str(error)}})
            raise
        facts = {**self._end_facts(summary), "elapsed_s": round(time.monotonic() - started, 3)}
        _LOG.info("run stopped" if self._stopped else "run finished", extra={"facts": facts})
        return summary

    def _start_facts(self) -> dict[str, object]:
        prepared = self._prepared
        return {
            "name": prepared.suite.name,
            "suite": prepared.suite.file,
            "out": prepared.store.files.path,
            "generation": prepared.store.generation,
            "planned": len(prepared.plan),
            "todo": self.todo,
            "version": __version__,
        }

    def _end_facts(self, summary: RunSummary) -> dict[str, object]:
        facts: dict[str, object] = {"planned": summary.planned, "counts": summary.counts}
        if summary.costs.cost_usd is not None:
            facts["cost_usd"] = summary.costs.cost_usd
        if self._expiry:
            facts["expiry"] = self._expiry
        if summary.lost:
            facts["lost"] = summary.lost
        if self._ended is not None:
            facts |= {"done": self._ended.done, "attempts": self._ended.attempts, "failures": self._ended.failures}
        return facts

    def _watcher(self) -> Watcher:
        manifest, options = self._prepared.store.manifest, self._options
        run = {"run_id": manifest.run_id, "name": manifest.name, "version": __version__}
        counts = {"rows_pending": lambda: self.rows_pending, "jobs": lambda: self.todo}
        return Watcher(
            Watched(statistics=self.statistics, run=run, **counts),
            metrics_file=options.metrics_file,
            stall_s=options.stall_s,
        )

    async def execute(self) -> None:
        """Run the jobs, and leave Parquet parts only.

        Raises
        ------
        EndpointError
            If an endpoint cannot serve this run.
        StoreError
            If rows cannot be made durable.
        """
        if (any(self._todo) or self._grading.judges) and not self._stopped:
            async with self._at_work() as work_off:
                await work_off(self._todo)
                await self._grade()

    @asynccontextmanager
    async def _at_work(self) -> AsyncGenerator[Callable[[bytearray], Awaitable[None]]]:
        """Yield what works off jobs (one byte per job of the plan), over the same lanes and connections each time.

        Its rows are durable when it returns. At the end, what was done is compacted.
        """
        store, self._loop = self._prepared.store, asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            stack.enter_context(quiet_collector())
            self._writer = writer = store.writer(on_commit=self._on_commit)
            stack.push_async_callback(writer.aclose)
            self._lanes = await open_work(self._prepared, self._options, stack)
            self._open_budget(stack)

            async def work_off(todo: bytearray) -> None:
                if any(todo):
                    await self._run_jobs([(self._prepared.plan, todo)], self._sink(writer))
                    await writer.drain()

            try:
                yield work_off
            finally:
                self._ended = None if self._engine is None else self._engine.statistics()
        store.compact()

    async def _run_jobs(self, planned: Sequence[tuple[Plan, bytearray]], sink: Sink) -> None:
        """Run jobs of one or more plans, lane by lane."""
        if self._stopped:
            return
        work = [
            replace(lane, jobs=chain(*(lane_jobs(plan, todo, lane) for plan, todo in planned))) for lane in self._lanes
        ]
        shared: dict[str, Any] = {"counts": self._counts, "budget": self._budgets[0], "tokens": self._budgets[1]}
        self._engine = Engine(work, sink=sink, generation=self._prepared.store.generation, **shared)
        await self._engine.run()

    async def _grade(self, wanted: pl.Series | None = None) -> None:
        """Have the judges grade the answers that are there, over the same lanes and from the same money.

        A judge that cannot serve ends no run: what it did not grade is missing, and the log and the caller are told.

        Parameters
        ----------
        wanted : Series, optional
            Ids of the jobs whose answers are to be graded; default: all.
        """
        retry = self._options.retry_errors
        for scorer, judge in self._grading.judges:
            if self._stopped:
                return
            try:
                for batches in self._grading.batches(scorer, judge, wanted, retry_errors=retry):
                    await self._ask_judges(batches)
                    if self.stopped:
                        return
            except EndpointError as error:
                self._judge_down = str(error)
                _LOG.error("judge down", extra={"facts": {"scorer": scorer.name, "message": str(error)}})

    async def _ask_judges(self, batches: Sequence[Batch]) -> None:
        """Run what is left of some runs of a judge, each of another model, into journals of their own."""
        async with AsyncExitStack() as stack:
            sinks: dict[str, Sink] = {}
            for batch in batches:
                stack.callback(batch.store.close)
                stack.callback(batch.store.compact)
                writer = batch.store.writer()
                stack.push_async_callback(writer.aclose)
                sinks[batch.plan.models[0].id] = _numbered(writer, batch.store.generation)
                self._judge_jobs += batch.todo.count(1)

            def sink(result: Result) -> Awaitable[None] | None:
                return sinks[result.model](result)

            await self._run_jobs([(batch.plan, batch.todo) for batch in batches], sink)

    def _open_budget(self, stack: AsyncExitStack) -> None:
        """Start the time that the run may take, and take stock of the money."""
        minutes = self._prepared.suite.budget.max_minutes
        if minutes is not None:
            assert self._loop is not None
            timer = self._loop.call_later(60 * minutes, self._expire, f"the time of {minutes:g} minutes is over")
            stack.callback(timer.cancel)
        self._budgets = open_budgets(self._prepared.suite, self._prepared.store, on_used_up=self._expire)

    def _charge(self, asked: Asked) -> None:
        """Count against the caps what evaluators took while nothing of the run was in flight."""
        for budget, amount in zip(self._budgets, (asked.settled_usd, asked.tokens), strict=True):
            if budget is not None:
                budget.charge(amount)

    def _sink(self, writer: JournalWriter) -> Sink:
        hold = self._hold
        if hold is None:
            return writer.append

        def sink(result: Result) -> Awaitable[None] | None:
            full, held = writer.append(result), hold()
            return full if held is None else _both(full, held)

        return sink

    async def finish(self) -> RunSummary:
        """Score what is there, close the store, and say how the run stands."""
        prepared, store = self._prepared, self._prepared.store
        try:
            transport = self._options.transport
            named = transport if isinstance(transport, str) else None
            compare = prepared.suite.compare
            unscored = await score_run(store, prepared.scorers, compare=compare, transport=named)
            if not self._stopped:
                store.seal()
            return RunSummary.of(store, unscored=unscored)
        finally:
            store.close()


def _numbered(writer: JournalWriter, generation: int) -> Sink:
    """Return what takes the rows of a run of a judge, which has been started as often as its generation says."""

    def sink(result: Result) -> Awaitable[None] | None:
        return writer.append(msgspec.structs.replace(result, generation=generation))

    return sink


async def _both(first: Awaitable[None] | None, second: Awaitable[object]) -> None:
    if first is not None:
        await first
    await second
