"""A run at work: the plan's jobs through the engine into the journal, then compaction and scores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from headgate import __version__
from headgate.conduct.cap import open_budgets
from headgate.conduct.collector import quiet_collector
from headgate.conduct.grading import Batch, Grading
from headgate.conduct.lanes import declared_lanes
from headgate.conduct.metered import Asked
from headgate.conduct.prepare import Prepared, item_keys
from headgate.conduct.scoring import score_run
from headgate.conduct.watch import STALL_S, Watched, Watcher, check_output
from headgate.errors import ConfigError, EndpointError
from headgate.execute.budget import Budget
from headgate.execute.cache import NO_CACHE, CacheKeys, CacheOptions, ResponseCache, open_cache
from headgate.execute.endpoint import CallableEndpoint, Endpoint, HttpEndpoint, open_endpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.leaders import Leaders
from headgate.execute.pool import Counts, Sink, Work
from headgate.execute.redaction import PatternRedaction, RedactedEndpoint
from headgate.execute.reuse import Reuse, redraw_items
from headgate.execute.routing import Route
from headgate.execute.statistics import EngineStatistics
from headgate.execute.transport import Transport
from headgate.execute.transports import TransportName, open_transport
from headgate.plan import Job, Plan
from headgate.report.logs import open_log
from headgate.result import Result
from headgate.shard import WHOLE, Shard
from headgate.store.costs import Costs, sum_costs
from headgate.store.index import contains
from headgate.store.journal import JournalWriter
from headgate.store.run import RunStore
from headgate.suite.model import Lane as LaneDeclared
from headgate.suite.model import Model, Simulation, Suite

if TYPE_CHECKING:
    import polars as pl

_CHUNK: Final = 8192
_FEWEST_TO_LEAD: Final = 2
_LONG_BYTES: Final = 3657
"""About 1,024 tokens, from where on providers cache a prefix."""
_LOG: Final = logging.getLogger("headgate.conduct")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a call adds to the suite.

    Attributes
    ----------
    limit : int, optional
        Only the first so many items.
    pilot : int, optional
        Only so many items, drawn by the plan's digest; the same ones each time, and more of them with a larger number.
    retry_errors : bool
        Errored jobs are run again.
    transport : Transport or str, optional
        In place of the default one: the name of another, or one that is open; it is closed with the run.
    metrics_file : Path, optional
        Prometheus text, replaced every 15 s and at the end.
    log_file : Path, optional
        JSON lines, appended.
    cache : CacheOptions
        Whether answers are reused, and kept, and where.
    stall_s : float
        Seconds without movement after which a warning says what the run waits for.

    Raises
    ------
    ConfigError
        If a file cannot be written.
    """

    limit: int | None = None
    pilot: int | None = None
    retry_errors: bool = False
    transport: Transport | TransportName | None = None
    metrics_file: Path | None = None
    log_file: Path | None = None
    cache: CacheOptions = NO_CACHE
    stall_s: float = STALL_S

    def __post_init__(self) -> None:
        if self.metrics_file is not None:
            check_output(self.metrics_file, field="metrics_file", replaced=True)
        if self.log_file is not None:
            check_output(self.log_file, field="log_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run stands.

    Attributes
    ----------
    planned : int
        Jobs in the plan, or in the run's shard of it.
    counts : mapping of str to int
        Jobs with a row, by status.
    unscored : mapping of str to int
        Answers that could not be scored, by scorer.
    costs : Costs
        What the jobs with a row have cost.
    lost : tuple of str
        Why endpoints could not serve at its end, of models that others served.
    """

    path: Path
    planned: int
    counts: Mapping[str, int]
    unscored: Mapping[str, int]
    costs: Costs
    lost: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: RunStore, *, unscored: Mapping[str, int]) -> Self:
        """Return how the run of a store stands."""
        counts, costs = store.counts(), sum_costs(store.files)
        return cls(path=store.files.path, planned=store.manifest.n_jobs, counts=counts, unscored=unscored, costs=costs)

    @property
    def done(self) -> int:
        """Jobs that have a row."""
        return sum(self.counts.values())


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
        self._todo = _todo(prepared, self._options)

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
            self._lanes = await _open_work(self._prepared, self._options, stack)
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
        work = [replace(lane, jobs=chain(*(_jobs(plan, todo, lane) for plan, todo in planned))) for lane in self._lanes]
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


def _todo(prepared: Prepared, options: RunOptions) -> bytearray:
    """Return one byte per job: 1 where it is still to be run."""
    plan = prepared.plan
    n_items = len(plan.items) if options.limit is None else min(len(plan.items), options.limit)
    todo = _shard(prepared).mark_jobs(n_items, cells=len(plan.cells))
    if options.pilot is not None:
        np.frombuffer(todo, np.uint8).reshape(n_items, -1)[_drawn(plan)[options.pilot :]] = 0
    done = prepared.store.done_job_ids(retry_errors=options.retry_errors)
    if len(done):
        flags = np.frombuffer(todo, np.uint8)
        for start in range(0, len(todo), _CHUNK):
            ours = start + np.flatnonzero(flags[start : start + _CHUNK])
            flags[ours[contains(done, map(plan.job_id, ours.tolist()))]] = 0
    return todo


def _drawn(plan: Plan) -> npt.NDArray[np.int64]:
    """Return the items of a plan in an order that its digest draws."""
    rng = np.random.Generator(np.random.Philox(key=int(plan.digest[:16], 16)))
    return rng.permutation(len(plan.items))


def _shard(prepared: Prepared) -> Shard:
    return prepared.store.manifest.shard or WHOLE


async def _open_work(prepared: Prepared, options: RunOptions, stack: AsyncExitStack) -> list[Work]:
    """Open endpoints and lanes: one pool of workers per lane, each without jobs so far."""
    suite = prepared.suite
    asked = (*prepared.plan.models, *suite.judges)
    places = {place.id: place for model in asked for place in model.places}
    lanes = [lane for lane in declared_lanes(suite) if any(name in places for name in lane.models)]
    lanes = [_shard(prepared).split_lane(lane) for lane in lanes]
    transport = _transport(suite, options, connections=sum(lane.concurrency for lane in lanes))
    if transport is not None:
        stack.push_async_callback(transport.aclose)
    simulator = open_simulator(suite, stack)
    long = long_prefixes(prepared.plan)
    _check_cache(suite, options.cache)
    cache = open_cache(options.cache)
    if cache is not None:
        stack.push_async_callback(cache.aclose)
    work: list[Work] = []
    for lane in lanes:
        ours = [place for place in places.values() if place.id in lane.models]
        endpoints = {place.id: _open(place, prepared, lane, transport, simulator) for place in ours}
        limits = Lane(**lane.model_dump(exclude={"models", "concurrency"}))
        models = tuple(lane.models)
        routes = {name: route for name, route in prepared.routes.items() if _meets(route, endpoints)}
        shared: dict[str, Any] = {"concurrency": lane.concurrency, "prices": prepared.prices, "routes": routes}
        tested = {place.id: place for place in ours if place.role == "tested"}
        led = [(name, prompt) for name, place in tested.items() if place.prefix_order == "auto" for prompt in long]
        shared["leaders"] = Leaders(led) if led else None
        if cache is not None:
            shared["reuse"] = _reuse(cache, prepared, tested, endpoints)  # what judges said the run keeps itself
        shown = _redacted(endpoints, suite.store.redact)
        work.append(Work(models=models, jobs=iter(()), endpoints=shown, lane=limits, **shared))
    return work


def _redacted(endpoints: Mapping[str, Endpoint], patterns: Sequence[str]) -> Mapping[str, Endpoint]:
    """Return endpoints whose outcomes hold nothing that matches."""
    if not patterns:
        return endpoints
    redaction = PatternRedaction(patterns)
    return {name: RedactedEndpoint(endpoint, redaction) for name, endpoint in endpoints.items()}


def _check_cache(suite: Suite, cache: CacheOptions) -> None:
    """Refuse a cache, which holds answers as they are, where the suite does not want them kept."""
    if cache.mode != "off" and (suite.store.redact or suite.store.outputs != "keep"):
        said, mend = "says that outputs are not kept as they are", "leave --cache out: it would keep them"
        raise ConfigError(said, file=suite.file, field="store", mend=mend)


def long_prefixes(plan: Plan) -> list[str]:
    """Return the prompts that begin with so much text in common that providers keep it in their caches.

    What is in common is seen in the first and the last item, in any template language.
    """
    if len(plan.items) < _FEWEST_TO_LEAD:
        return []
    first, last = plan.items[0].messages, plan.items[len(plan.items) - 1].messages
    return [prompt.name for prompt in plan.prompts if _common(first[prompt.name], last[prompt.name]) >= _LONG_BYTES]


def _common(one: bytes, other: bytes) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(one), len(other)))


def _reuse(
    cache: ResponseCache, prepared: Prepared, places: Mapping[str, Model], endpoints: Mapping[str, Endpoint]
) -> Reuse:
    http = {name: endpoint for name in places if isinstance(endpoint := endpoints[name], HttpEndpoint)}
    keys = {name: CacheKeys(endpoint, places[name]) for name, endpoint in http.items()}
    share, run_id = prepared.suite.policy.redraw, prepared.store.manifest.run_id
    return Reuse(cache=cache, keys=keys, redraws=redraw_items(share, item_keys(prepared.plan), run_id=run_id))


def _transport(suite: Suite, options: RunOptions, *, connections: int) -> Transport | None:
    given = options.transport
    if given is not None and not isinstance(given, str):
        return given
    if all(place.provider == "python" for place in suite.places):
        return None
    return open_transport(given, connections=connections)


def _meets(route: Route, endpoints: Mapping[str, Endpoint]) -> bool:
    return any(place.id in endpoints for place in route.places)


def _open(
    model: Model, prepared: Prepared, lane: LaneDeclared, transport: Transport | None, simulator: str | None
) -> Endpoint:
    if model.provider == "python":
        return CallableEndpoint("python", prepared.calls[model.id], threads=lane.concurrency)
    assert transport is not None
    suite, prompts = prepared.suite, prepared.plan.prompts if model.role == "tested" else ()
    return open_endpoint(
        model, transport=transport, base=suite.base, file=suite.file, simulator=simulator, prompts=prompts
    )


def open_simulator(suite: Suite, stack: AsyncExitStack) -> str | None:
    """Start the simulated provider, where a model needs it; return its base URL.

    Raises
    ------
    ConfigError
        If a model behaves in two ways.
    """
    models: dict[str, Simulation] = {}
    for model in suite.places:
        if model.provider == "simulated" and model.base_url is None:
            behaviour = model.simulate or Simulation.model_validate({})
            if models.setdefault(model.name, behaviour) != behaviour:
                raise ConfigError(
                    "behaves in two ways",
                    file=suite.file,
                    field="models",
                    value=model.name,
                    mend="give each its own `model`",
                )
    if not models:
        return None
    from headgate.simulate.server import SimulatedServer  # it brings a web server along

    return stack.enter_context(SimulatedServer(models)).base_url


def _numbered(writer: JournalWriter, generation: int) -> Sink:
    """Return what takes the rows of a run of a judge, which has been started as often as its generation says."""

    def sink(result: Result) -> Awaitable[None] | None:
        return writer.append(msgspec.structs.replace(result, generation=generation))

    return sink


def _jobs(plan: Plan, todo: bytearray, lane: Work) -> Iterator[Job]:
    """Return the jobs of a lane that are still to be run, in the plan's order, as they are asked for.

    Of a model with several endpoints these are the jobs that go to one of the lane first.
    """
    cells = len(plan.cells)
    wanted = [cell.model.id in lane.endpoints or cell.model.id in lane.routes for cell in plan.cells]
    left = np.frombuffer(todo, np.uint8).reshape(-1, cells) * np.array(wanted, np.uint8)
    places: Iterator[int] = chain.from_iterable(_ones(left.reshape(-1)))
    if lane.routes:
        routes = [lane.routes.get(cell.model.id) for cell in plan.cells]

        def starts_here(index: int) -> bool:
            route = routes[index % cells]
            return route is None or route.home(index, plan.cells[index % cells].prompt.name).id in lane.endpoints

        places = filter(starts_here, places)
    return plan.jobs(places)


def _ones(flags: npt.NDArray[np.uint8]) -> Iterator[list[int]]:
    """Yield the places of what is not zero, some at a time."""
    for start in range(0, len(flags), _CHUNK):
        yield (np.flatnonzero(flags[start : start + _CHUNK]) + start).tolist()


async def _both(first: Awaitable[None] | None, second: Awaitable[object]) -> None:
    if first is not None:
        await first
    await second
