"""Models served one request at a time, beside whatever else runs: over the suite's lanes, retries, prices and cap."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final

import msgspec

from headgate.conduct.asked import make_job, make_response
from headgate.conduct.cap import open_budgets
from headgate.conduct.lanes import declared_lanes
from headgate.execute.budget import Budget
from headgate.execute.counts import Counts
from headgate.execute.endpoint import CallableEndpoint, Endpoint, open_endpoint
from headgate.execute.inbox import Inbox
from headgate.execute.lanes import Lane
from headgate.execute.pool import Pool
from headgate.execute.transport import Transport
from headgate.execute.transports import TransportName, open_transport
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.prices import ModelPrice, find_prices
from headgate.result import Result
from headgate.score.adapters.chat import ModelFailed
from headgate.shard import WHOLE
from headgate.store.run import RunStore
from headgate.suite.callables import resolve_callable
from headgate.suite.model import Lane as LaneDeclared
from headgate.suite.model import Model
from headgate.suite.suite import Suite

_WRITE_ROWS: Final = 1024


class ModelServer:
    """An event loop in a thread of its own, so that sync evaluators may wait for it wherever they run.

    Attributes
    ----------
    taken : tuple of float
        US dollars and tokens that were taken from the run's caps, once it has stopped.
    """

    def __init__(
        self,
        suite: Suite,
        models: Sequence[Model],
        store: RunStore,
        *,
        transport: TransportName | None,
    ) -> None:
        self._suite, self._models, self._store, self._counts = suite, models, store, Counts()
        self.taken = 0.0, 0.0
        self._transport_name: TransportName | None = transport
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[str, Future[dict[str, Any]]]] = {}
        self._scorers: dict[str, str] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._dead: dict[str, str] = {}
        self._budgets: tuple[Budget | None, Budget | None] = (None, None)
        self._rows: list[Result] = []

    @contextmanager
    def running(self) -> Generator[None]:
        """Serve while the block runs; then what was asked is on the disk."""
        ready: Future[asyncio.Event] = Future()
        thread = threading.Thread(target=self._run, args=(ready,), name="headgate-judges", daemon=True)
        thread.start()
        try:
            closing = ready.result()
            try:
                yield
            finally:
                self._loop.call_soon_threadsafe(closing.set)
        finally:
            thread.join()
            self._loop.close()
            self._write()
            self._store.refresh_checksums()

    def ask(self, model: Model, request: Mapping[str, Any], *, scorer: str) -> Future[dict[str, Any]]:
        """Send a request; any thread may call it."""
        answered: Future[dict[str, Any]] = Future()
        job = make_job(model, request, number=next(self._numbers))
        self._loop.call_soon_threadsafe(self._put, job, scorer, answered)
        return answered

    def _put(self, job: Job, scorer: str, answered: Future[dict[str, Any]]) -> None:
        if (why := self._dead.get(job.model.id)) is not None:
            answered.set_exception(ModelFailed(why))
            return
        self._waiting[job.job_id] = job.model.id, answered
        self._scorers[job.job_id] = scorer
        self._inboxes[job.model.id].put(job)

    def _run(self, ready: Future[asyncio.Event]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - raised where it was started
            if not ready.done():
                ready.set_exception(error)

    async def _serve(self, ready: Future[asyncio.Event]) -> None:
        async with AsyncExitStack() as stack:
            self._budgets = open_budgets(self._suite, self._store, on_used_up=self._use_up)
            before = self._spent()
            work = [asyncio.create_task(self._work_off(pool)) for pool in self._open(stack)]
            closing = asyncio.Event()
            ready.set_result(closing)
            await closing.wait()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            now = self._spent()
            self.taken = now[0] - before[0], now[1] - before[1]
        self._refuse({model.id for model in self._models}, "the scoring of the run has ended")

    async def _work_off(self, pool: Pool) -> None:
        """Serve one lane until it is cancelled, or an endpoint of it is dead."""
        tasks = [asyncio.create_task(pool.work_off()) for _ in range(pool.work.concurrency)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            why = next((str(task.exception()) for task in done), "it stopped")
            self._refuse(set(pool.work.models), why)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            pool.close()

    def _open(self, stack: AsyncExitStack) -> Iterator[Pool]:
        suite, ids = self._suite, {model.id for model in self._models}
        lanes = [lane for lane in declared_lanes(suite) if ids & set(lane.models)]
        lanes = [(self._store.manifest.shard or WHOLE).split_lane(lane) for lane in lanes]
        transport = None
        if any(model.provider != "python" for model in self._models):
            transport = open_transport(self._transport_name, connections=sum(lane.concurrency for lane in lanes))
            stack.push_async_callback(transport.aclose)
        prices = _prices(self._store, self._models)
        for lane in lanes:
            mine = [model for model in self._models if model.id in lane.models]
            endpoints = {model.id: _endpoint(model, suite, lane, transport) for model in mine}
            yield self._open_pool(lane, endpoints, prices)

    def _open_pool(
        self, lane: LaneDeclared, endpoints: Mapping[str, Endpoint], prices: Mapping[str, ModelPrice]
    ) -> Pool:
        limits = Lane(**lane.model_dump(exclude={"models", "concurrency"}))
        shared: dict[str, Any] = {"concurrency": lane.concurrency, "prices": prices}
        work = Work(models=tuple(endpoints), jobs=iter(()), endpoints=endpoints, lane=limits, **shared)
        generation = self._store.generation
        pool = Pool(
            work,
            sink=self._take,
            counts=self._counts,
            generation=generation,
            rng=random.Random(),
            budget=self._budgets[0],
            tokens=self._budgets[1],
        )
        pool.queue = inbox = Inbox(capacity=max(256, 4 * lane.concurrency))
        self._inboxes |= dict.fromkeys(endpoints, inbox)
        return pool

    def _take(self, result: Result) -> None:
        """Hand a result to whoever waits for it, and keep its row."""
        self._rows.append(msgspec.structs.replace(result, prompt=self._scorers.pop(result.job_id)))
        if len(self._rows) >= _WRITE_ROWS:
            self._write()
        _, answered = self._waiting.pop(result.job_id, (None, None))
        if answered is None or not answered.set_running_or_notify_cancel():
            return
        if result.status == "error":
            answered.set_exception(ModelFailed(f"{result.model}: {result.error_kind}: {result.error_message}"))
        else:
            answered.set_result(make_response(result))

    def _spent(self) -> tuple[float, float]:
        """Return the US dollars and the tokens that are spent, as far as they are counted."""
        money, tokens = self._budgets
        return 0.0 if money is None else money.spent, 0.0 if tokens is None else tokens.spent

    def _use_up(self, why: str) -> None:
        # Not at once: the answer that was paid last is on its way to whoever waits for it.
        self._loop.call_soon(self._refuse, {model.id for model in self._models}, why)

    def _refuse(self, models: set[str], why: str) -> None:
        """Let nobody wait for models that will not answer any more."""
        self._dead |= dict.fromkeys(models, why)
        for job_id in [job_id for job_id, (model, _) in self._waiting.items() if model in models]:
            _, answered = self._waiting.pop(job_id)
            if answered.set_running_or_notify_cancel():
                answered.set_exception(ModelFailed(why))

    def _write(self) -> None:
        if self._rows:
            self._store.write_evaluator_rows(self._rows)  # if the disk refuses, they are tried again at the end
            self._rows = []


def _endpoint(model: Model, suite: Suite, lane: LaneDeclared, transport: Transport | None) -> Endpoint:
    if model.provider == "python":
        assert model.call is not None
        call = resolve_callable(model.call, base=suite.base, field=f"models.{model.id}.call", file=suite.file)
        return CallableEndpoint("python", call, threads=lane.concurrency)
    assert transport is not None
    return open_endpoint(model, transport=transport, base=suite.base, file=suite.file)


def _prices(store: RunStore, models: Sequence[Model]) -> dict[str, ModelPrice]:
    """Return what the models' tokens cost, where that is known: as the manifest says, where it does."""
    known = {**find_prices(models), **store.manifest.prices}
    return {model.id: price for model in models if (price := known.get(model.id)) is not None}
