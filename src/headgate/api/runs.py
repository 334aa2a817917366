"""Runs: the whole suite, its results one by one, shards made one, scores made again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.api.calls import Run, RunPath, Watch, complete, interrupted, make_options, make_run
from headgate.conduct.cap import cap_suite
from headgate.conduct.options import RunOptions
from headgate.conduct.prepare import ArmName, Prepared, prepare
from headgate.conduct.rescoring import prepare_scoring
from headgate.conduct.run import Conductor
from headgate.errors import EndpointError
from headgate.execute.cache import CacheMode, CacheOptions
from headgate.execute.transports import TransportName
from headgate.result import Result
from headgate.shard import choose_shard
from headgate.store.costs import sum_costs
from headgate.store.dataset import Paths, find_runs
from headgate.store.layout import RunFolder
from headgate.store.merge import merge_shards
from headgate.store.run import count_statuses
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import httpx


_HELD = 4096


def run(
    suite: Suite,
    *,
    out: RunPath,
    shard: str | None = None,
    arm: ArmName | None = None,
    limit: int | None = None,
    max_cost_usd: float | None = None,
    retry_errors: bool = False,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
    cache: CacheMode | CacheOptions = "off",
) -> Run:
    """Run a suite, or go on where it stopped, and score it.

    It works inside a running event loop too (a notebook): the run then has a thread of its own.

    Parameters
    ----------
    suite : Suite
        What to run; see :func:`load_suite`.
    out : path
        The run directory; if it holds this plan already, only what is missing runs.
    shard : str, optional
        ``i/n``: only the i-th of n parts of the plan, at an n-th of the declared limits; ``auto``: the part that the
        CI system or Kubernetes names in the environment. :func:`merge` makes one run of them.
    arm : {"baseline", "candidate"}, optional
        Only this arm of the suite's comparison.
    limit : int, optional
        Only the first so many items.
    max_cost_usd : float, optional
        Most US dollars that the run may cost, with what it has cost before; in place of ``budget.max_cost_usd``.
    retry_errors : bool
        Errored jobs are run again.
    allow_hosts : collection of str, optional
        The only hosts, such as ``api.openai.com`` or ``localhost:8000``, that keys may go to; default: any.
    client : httpx.AsyncClient, optional
        Sends the requests, with its proxies and certificates; it is closed at the end.
    transport : {"http1", "pyreqwest", "aiohttp", "httpx"}, optional
        What sends them else: the fast one (the default), one in Rust, one in Python, or the one that speaks
        HTTP/2.
    watch : callable, optional
        Receives the :class:`~headgate.conduct.run.Conductor` before it starts: ``todo``, ``statistics()`` and
        ``stop()`` are its, for any thread.
    metrics_file : path, optional
        Prometheus text for node_exporter's textfile collector, replaced whole every 15 s and at the end.
    log_file : path, optional
        JSON lines of what happens, appended; see :mod:`headgate.report.logs`.
    cache : {"off", "read", "write"} or CacheOptions
        Whether answers of earlier runs are taken, and new ones kept (``write`` does both); with
        :class:`headgate.execute.cache.CacheOptions`, also where, and how many.

    Returns
    -------
    Run
        The directory and its counts; errors are rows, not exceptions.

    Raises
    ------
    ConfigError
        If the suite is wrong, or the directory holds another plan; no request has been sent then.
    EndpointError
        If an endpoint cannot serve at all; what is done is kept.
    StoreError
        If rows cannot be made durable.
    Interrupted
        If it was stopped, or its time or money is used up; the same call resumes it.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(20)],
    ...     prompts={"plain": "{{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": 1.0, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = hg.run(suite, out=folder + "/run")
    ...     hg.scan_scores(done).select("value").collect().mean().item(), done.counts["ok"]
    (1.0, 20)

    How it goes is there to be asked for at any time, here from a thread:

    >>> import threading
    >>> from headgate.report.progress import describe
    >>> over, running = threading.Event(), []
    >>> def show():
    ...     while not over.wait(10):
    ...         for conductor in running:
    ...             if (now := conductor.statistics()) is not None:
    ...                 print(describe(now, conductor.todo))
    >>> thread = threading.Thread(target=show)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     thread.start()
    ...     done = hg.run(suite, out=folder + "/run", watch=running.append)
    ...     over.set()
    ...     thread.join()
    >>> running[0].statistics().ok
    20
    """
    return complete(
        run_async(
            suite,
            out=out,
            shard=shard,
            arm=arm,
            limit=limit,
            max_cost_usd=max_cost_usd,
            retry_errors=retry_errors,
            allow_hosts=allow_hosts,
            client=client,
            transport=transport,
            watch=watch,
            metrics_file=metrics_file,
            log_file=log_file,
            cache=cache,
        )
    )


async def run_async(
    suite: Suite,
    *,
    out: RunPath,
    shard: str | None = None,
    arm: ArmName | None = None,
    limit: int | None = None,
    max_cost_usd: float | None = None,
    retry_errors: bool = False,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
    cache: CacheMode | CacheOptions = "off",
) -> Run:
    """Run a suite inside an asyncio event loop; as :func:`run`.

    Examples
    --------
    >>> import asyncio, headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="echo",
    ...     items=[{"word": "one"}, {"word": "two"}],
    ...     prompts={"say": "{{ word }}"},
    ...     models=[{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(hg.run_async(suite, out=folder + "/run")).counts["ok"]
    2
    """
    options = replace(
        make_options(client, transport, metrics_file, log_file, cache), limit=limit, retry_errors=retry_errors
    )
    suite, part = cap_suite(suite, max_cost_usd=max_cost_usd), choose_shard(shard)
    prepared = prepare(suite, Path(out), shard=part, arm=arm, allow_hosts=allow_hosts)
    return await conduct_run(prepared, options, watch)


async def conduct_run(prepared: Prepared, options: RunOptions, watch: Watch | None) -> Run:
    """Run what is prepared to its end; Interrupted if something stops it."""
    conductor = Conductor(prepared, options=options)
    summary = await conductor.complete(watch)
    if conductor.stopped:
        raise interrupted(conductor, summary)
    if conductor.judge_down:
        raise EndpointError(conductor.judge_down)
    return make_run(summary.path, summary.planned, summary.counts, summary.costs, lost=summary.lost)


async def stream(
    suite: Suite,
    *,
    out: RunPath,
    shard: str | None = None,
    arm: ArmName | None = None,
    limit: int | None = None,
    max_cost_usd: float | None = None,
    retry_errors: bool = False,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
    cache: CacheMode | CacheOptions = "off",
) -> AsyncIterator[Result]:
    """Run a suite and yield each result once it is durable; parameters as :func:`run`.

    A slow consumer holds the engine back: at most 4,096 results (and those in flight) wait. Leaving the loop early
    stops the run, which stays resumable; rows of earlier calls are not yielded again, :func:`scan` has them. Scores are
    written at the end. When time or money is used up, :class:`~headgate.errors.Interrupted` follows the last result.

    Examples
    --------
    >>> import asyncio, headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="echo",
    ...     items=[{"word": "one"}, {"word": "two"}],
    ...     prompts={"say": "{{ word }}"},
    ...     models=[{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
    ... )
    >>> async def collect(out):
    ...     return sorted([result.output async for result in hg.stream(suite, out=out)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(collect(folder + "/run"))
    ['one', 'two']
    """
    options = replace(
        make_options(client, transport, metrics_file, log_file, cache), limit=limit, retry_errors=retry_errors
    )
    held = _Held()
    suite, part = cap_suite(suite, max_cost_usd=max_cost_usd), choose_shard(shard)
    prepared = prepare(suite, Path(out), shard=part, arm=arm, allow_hosts=allow_hosts)
    conductor = Conductor(prepared, options=options, on_commit=held.put, hold=held.take)
    work = asyncio.create_task(conductor.complete(watch))
    work.add_done_callback(lambda _: held.end())
    try:
        async with aclosing(held.results()) as results:
            async for result in results:
                yield result
        summary = await work
        if conductor.expiry:
            raise interrupted(conductor, summary)
        if conductor.judge_down:
            raise EndpointError(conductor.judge_down)
    finally:
        conductor.stop()
        held.end()
        await asyncio.gather(work, return_exceptions=True)


class _Held:
    """Results on their way to a consumer: from the engine's hand to the consumer's."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[list[Result] | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting = 0

    def take(self) -> Awaitable[object] | None:
        """Count a result in; return what the engine's worker waits for when there are too many."""
        self._waiting += 1
        if self._waiting >= _HELD:
            self._room.clear()
        return None if self._room.is_set() else self._room.wait()

    def put(self, results: list[Result]) -> None:
        """Hand over what has become durable."""
        self._queue.put_nowait(results)

    def end(self) -> None:
        """Say that no more will come."""
        self._room.set()
        self._queue.put_nowait(None)

    async def results(self) -> AsyncGenerator[Result, None]:
        """Yield what has become durable."""
        while (results := await self._queue.get()) is not None:
            for result in results:
                yield result
                self._waiting -= 1
                if self._waiting < _HELD:
                    self._room.set()


def merge(runs: Paths, *, out: RunPath) -> Run:
    """Make one run of the finished shards of a plan; they stay as they are.

    Parameters
    ----------
    runs : path, pattern, or several
        The run directories of all shards, in any order; a pattern such as ``runs/sums-*-of-4`` takes those that match.
    out : path
        The new run directory; it must not be there, or be empty.

    Returns
    -------
    Run
        The whole run, as if it had not been sharded.

    Raises
    ------
    ConfigError
        If ``out`` holds something, or the runs are not shards of one plan, each once.
    StoreError
        If a shard is missing, not finished or damaged (the message says which, and what to do), or the disk refuses.
        Nothing is written then.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="echo",
    ...     items=[{"word": "one"}, {"word": "two"}, {"word": "three"}],
    ...     prompts={"say": "{{ word }}"},
    ...     models=[{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shards = [hg.run(suite, out=f"{folder}/{i}", shard=f"{i}/2") for i in (1, 2)]
    ...     [shard.done for shard in shards], hg.merge(shards, out=folder + "/whole").done
    ([2, 1], 3)
    """
    path, files = Path(out), RunFolder(Path(out))
    manifest = merge_shards(find_runs(runs), path)
    return make_run(path, manifest.n_jobs, count_statuses(files), sum_costs(files))


def score_run(run: RunPath, *, suite: Suite | None = None) -> dict[str, int]:
    """Score a run again, replacing its scores; no model under test is called.

    Judges are asked what they have not graded yet, and what they gave no answer to, from the suite's budget.

    Parameters
    ----------
    run : path or Run
        A run directory.
    suite : Suite, optional
        Whose scorers to use; default: those the run was started with, and the files that they named then.

    Returns
    -------
    dict of str to int
        Answers that could not be scored, by scorer.

    Raises
    ------
    ConfigError
        If a scorer is wrong, or the run's outputs were not kept.
    EndpointError
        If a judge cannot serve; what it has graded is kept, and the rest has no score.
    Interrupted
        If the money for judges is used up; the same call goes on.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="echo",
    ...     items=[{"word": "one"}, {"word": "two"}],
    ...     prompts={"say": "{{ word }}"},
    ...     models=[{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
    ... )
    >>> scored = suite.model_copy(update={"scorers": hg.Suite.model_validate(
    ...     {**suite.model_dump(), "scorers": [{"name": "has_o", "type": "contains", "target": "o"}]}).scorers})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = hg.run(suite, out=folder + "/run")
    ...     hg.score_run(done, suite=scored)
    {'has_o': 0}
    """
    return complete(_score(prepare_scoring(Path(run), suite)))


async def _score(prepared: Prepared) -> dict[str, int]:
    conductor = Conductor(prepared, options=RunOptions(retry_errors=True))
    summary = await conductor.complete()
    if conductor.stopped:
        raise interrupted(conductor, summary)
    if conductor.judge_down:
        raise EndpointError(conductor.judge_down)
    return dict(summary.unscored)
