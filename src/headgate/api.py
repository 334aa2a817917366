"""What a user imports: run a suite, stream its results, judge runs, read them as tables."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar, Unpack

from headgate.conduct.baselines import (
    BaselineSearch,
    anchor_path,
    baseline_path,
    find_baseline,
    list_baselines,
    pinned_path,
    save_baseline,
)
from headgate.conduct.cap import cap_suite
from headgate.conduct.loop import run_loop
from headgate.conduct.prepare import ArmName, Prepared, prepare
from headgate.conduct.run import Conductor, RunOptions, RunSummary
from headgate.conduct.scoring import bind_scorers
from headgate.conduct.scoring import score_run as score_results
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError, Interrupted
from headgate.execute.transport import Transport
from headgate.execute.transports import TRANSPORTS, TransportName
from headgate.registry.labels import load_prompt
from headgate.result import Result
from headgate.shard import choose_shard
from headgate.store.baselines.entry import Baseline
from headgate.store.costs import Costs, sum_costs
from headgate.store.dataset import Paths, find_runs, scan, scan_scores
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.merge import merge_shards
from headgate.store.run import RunStore, count_statuses
from headgate.store.verify import verify
from headgate.suite.canary import Canary
from headgate.suite.files import load_canary, load_suite
from headgate.suite.model import Suite
from headgate.suite.prompts import Prompt

if TYPE_CHECKING:
    import httpx

    from headgate.conduct.check import CheckSummary
    from headgate.conduct.planning import Forecast
    from headgate.decide.verdict import Look
    from headgate.stats import Estimate

__all__ = [
    "Baseline",
    "BaselineSearch",
    "Canary",
    "Estimate",
    "Prompt",
    "Result",
    "Run",
    "Suite",
    "Verdict",
    "canary",
    "canary_async",
    "check",
    "check_async",
    "compare",
    "find_baseline",
    "forecast",
    "gate",
    "list_baselines",
    "load_canary",
    "load_prompt",
    "load_suite",
    "merge",
    "pilot",
    "pilot_async",
    "run",
    "run_async",
    "save_baseline",
    "scan",
    "scan_scores",
    "score_run",
    "stream",
    "stream_check",
    "verify",
]

_T = TypeVar("_T")
_HELD = 4096


def __getattr__(name: str) -> Any:
    if name == "Estimate":  # scipy comes with it, and a run needs neither
        from headgate.stats import Estimate

        return Estimate
    raise AttributeError(f"module 'headgate.api' has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory, and how it stood when the call returned.

    Attributes
    ----------
    path : Path
        The directory.
    planned : int
        Jobs in the plan, or in the run's shard of it.
    counts : mapping of str to int
        Jobs that have a row, by status.
    cost_usd : float or None
        What the answers have cost, as far as that is known; None where nothing is.
    unpriced : int
        Answers whose cost is not known.
    """

    path: Path
    planned: int
    counts: Mapping[str, int]
    cost_usd: float | None = None
    unpriced: int = 0

    @property
    def done(self) -> int:
        """Jobs that have a row."""
        return sum(self.counts.values())

    def __fspath__(self) -> str:
        return os.fspath(self.path)


RunPath = str | os.PathLike[str]
Watch = Callable[[Conductor], object]


def run(
    suite: Suite,
    *,
    out: RunPath,
    shard: str | None = None,
    arm: ArmName | None = None,
    limit: int | None = None,
    max_cost_usd: float | None = None,
    retry_errors: bool = False,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
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
    client : httpx.AsyncClient, optional
        Sends the requests, with its proxies and certificates; it is closed at the end.
    transport : {"pyreqwest", "aiohttp", "httpx"}, optional
        What sends them else: the fast one (the default), the conservative one, or the one that speaks HTTP/2.
    watch : callable, optional
        Receives the :class:`~headgate.conduct.run.Conductor` before it starts: ``todo``, ``statistics()`` and
        ``stop()`` are its, for any thread.
    metrics_file : path, optional
        Prometheus text for node_exporter's textfile collector, replaced whole every 15 s and at the end.
    log_file : path, optional
        JSON lines of what happens, appended; see :mod:`headgate.report.logs`.

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
    ...     while not over.wait(0.5):
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
    return _complete(
        run_async(
            suite,
            out=out,
            shard=shard,
            arm=arm,
            limit=limit,
            max_cost_usd=max_cost_usd,
            retry_errors=retry_errors,
            client=client,
            transport=transport,
            watch=watch,
            metrics_file=metrics_file,
            log_file=log_file,
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
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
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
    options = replace(_options(client, transport, metrics_file, log_file), limit=limit, retry_errors=retry_errors)
    prepared = prepare(cap_suite(suite, max_cost_usd=max_cost_usd), Path(out), shard=choose_shard(shard), arm=arm)
    return await _conduct(prepared, options, watch)


async def _conduct(prepared: Prepared, options: RunOptions, watch: Watch | None) -> Run:
    conductor = Conductor(prepared, options=options)
    summary = await conductor.complete(watch)
    if conductor.stopped:
        raise _interrupted(conductor, summary)
    return _run(summary.path, summary.planned, summary.counts, summary.costs)


async def stream(
    suite: Suite,
    *,
    out: RunPath,
    shard: str | None = None,
    arm: ArmName | None = None,
    limit: int | None = None,
    max_cost_usd: float | None = None,
    retry_errors: bool = False,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
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
    options = replace(_options(client, transport, metrics_file, log_file), limit=limit, retry_errors=retry_errors)
    held = _Held()
    suite = cap_suite(suite, max_cost_usd=max_cost_usd)
    prepared = prepare(suite, Path(out), shard=choose_shard(shard), arm=arm)
    conductor = Conductor(prepared, options=options, on_commit=held.put, hold=held.take)
    work = asyncio.create_task(conductor.complete(watch))
    work.add_done_callback(lambda _: held.end())
    try:
        async with aclosing(held.results()) as results:
            async for result in results:
                yield result
        summary = await work
        if conductor.expiry:
            raise _interrupted(conductor, summary)
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
    return _run(path, manifest.n_jobs, count_statuses(files), sum_costs(files))


def score_run(run: RunPath, *, suite: Suite | None = None) -> dict[str, int]:
    """Score a run again, replacing its scores; no model under test is called.

    Parameters
    ----------
    run : path or Run
        A run directory.
    suite : Suite, optional
        Whose scorers to use; default: those the run was started with.

    Returns
    -------
    dict of str to int
        Answers that could not be scored, by scorer.

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
    path = Path(run)
    declared = Suite.model_validate(read_manifest(RunFolder(path).manifest).suite) if suite is None else suite
    scorers = bind_scorers(declared)
    with RunStore.open(path) as store:
        return _complete(score_results(store, scorers))


def gate(
    run: RunPath,
    *,
    baseline: RunPath | None = None,
    anchor: RunPath | None = None,
    suite: Suite | None = None,
    candidate: str | None = None,
    store: RunPath | None = None,
) -> Verdict:
    """Judge a stored run by its gates.

    Parameters
    ----------
    run : path or Run
        The candidate's run; with a ``compare`` that both arms are in, the only one needed.
    baseline : path, Run or str, optional
        The baseline's run; or a stored one: ``baseline:NAME``, or ``auto`` for the newest that may replace the
        suite's baseline arm.
    anchor : path, Run or str, optional
        The run of the last release, for gates with ``against: anchor``; or a stored one: ``baseline:NAME``.
    suite : Suite, optional
        Whose gates hold; default: the suite that the run was started with.
    candidate : str, optional
        ``prompt=NAME`` or ``model=NAME``: judge this arm in place of the declared candidate.
    store : str or path, optional
        Where stored baselines are; as for :func:`save_baseline`.

    Returns
    -------
    Verdict
        ``print`` shows it as a table; ``to_json()`` is the file ``verdict.json``.

    Raises
    ------
    ConfigError
        If there is nothing to judge: no gates, an unknown arm, missing scores.
    BaselineMissing
        If the store holds no such baseline; the parts that differ in the nearest are named.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(150)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated",
    ...              "simulate": {"accuracy": {"old": 0.95, "new": 0.5}, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     verdict = hg.gate(hg.run(suite, out=folder + "/run"))
    >>> verdict.verdict, verdict.exit_code
    ('fail', 1)
    """
    from headgate.conduct.judging import gate_runs

    path = Path(run)
    return gate_runs(
        path,
        baseline=baseline_path(baseline, run=path, suite=suite, store=store),
        anchor=anchor_path(anchor, run=path, store=store),
        suite=suite,
        candidate=candidate,
    )


def check(
    suite: Suite,
    *,
    out: RunPath,
    baseline: RunPath | None = None,
    anchor: RunPath | None = None,
    max_cost_usd: float | None = None,
    store: RunPath | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    on_look: Callable[[Look], object] | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
) -> CheckSummary:
    """Run a suite until its verdict stands, and no longer.

    The items are asked in an order that is fixed before the first request, both arms of each together. After fixed
    numbers of items the gates are looked at, each look at its own level, so that all looks together keep alpha; when
    every blocking row has passed, or one has failed, the run ends. A check that was interrupted goes on where it
    stopped and comes to the same verdict.

    Parameters
    ----------
    suite : Suite
        With gates. Its ``policy.alpha`` is shared by the blocking rows and their looks.
    out, max_cost_usd, client, transport, watch, metrics_file, log_file
        As for :func:`run`.
    baseline : path, Run or str, optional
        A stored run with the baseline arm: only the candidate is asked, and a share of the baseline
        (``policy.redraw``) to see that it has not drifted. Or a stored baseline, ``baseline:NAME`` or ``auto``, as for
        :func:`gate`; where ``auto`` finds none, both arms are asked.
    anchor : path, Run or str, optional
        The stored run of the last release, or ``baseline:NAME``, for gates with ``against: anchor``.
    store : str or path, optional
        Where stored baselines are; as for :func:`save_baseline`.
    on_look : callable, optional
        Receives each look: its number, its items, and the blocking rows with their limits. What it returns is
        awaited, where it can be, before anything more is asked.

    Returns
    -------
    CheckSummary
        ``verdict`` (with ``looks``), ``run``, ``planned`` and ``saved`` jobs, and ``expiry``, where time or money
        ended it.

    Raises
    ------
    ConfigError, EndpointError, StoreError
        As :func:`run`.
    Interrupted
        If it was stopped; the same call resumes it.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(400)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated",
    ...              "simulate": {"accuracy": {"old": 0.95, "new": 0.5}, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = hg.check(suite, out=folder + "/run")
    >>> done.verdict.verdict, len(done.verdict.looks), done.saved
    ('fail', 1, 640)
    """
    return _complete(
        check_async(
            suite,
            out=out,
            baseline=baseline,
            anchor=anchor,
            max_cost_usd=max_cost_usd,
            store=store,
            client=client,
            transport=transport,
            watch=watch,
            on_look=on_look,
            metrics_file=metrics_file,
            log_file=log_file,
        )
    )


class CheckOptions(TypedDict, total=False):
    """Keywords of :func:`check`."""

    out: Required[RunPath]
    baseline: RunPath | None
    anchor: RunPath | None
    store: RunPath | None
    max_cost_usd: float | None
    client: httpx.AsyncClient | None
    transport: TransportName | None
    watch: Watch | None
    on_look: Callable[[Look], object] | None
    metrics_file: RunPath | None
    log_file: RunPath | None


async def check_async(suite: Suite, **options: Unpack[CheckOptions]) -> CheckSummary:
    """Run a suite until its verdict stands, inside an asyncio event loop; as :func:`check`."""
    from headgate.conduct.check import Checker, most_seeds

    given: dict[str, Any] = {name: options.get(name) for name in ("client", "transport", "metrics_file", "log_file")}
    run_options = _options(**given)
    capped = cap_suite(suite, max_cost_usd=options.get("max_cost_usd"))
    prepared = prepare(capped, Path(options["out"]), seeds=most_seeds(suite))
    try:
        where, run = options.get("store"), prepared.store.files.path
        path = await asyncio.to_thread(pinned_path, prepared, options.get("baseline"), store=where)
        checker = Checker(
            prepared,
            options=run_options,
            baseline=path,
            anchor=await asyncio.to_thread(anchor_path, options.get("anchor"), run=run, store=where),
            on_look=options.get("on_look"),
        )
    except BaseException:
        prepared.store.close()
        raise
    summary = await checker.complete(options.get("watch"))
    if checker.stopped and not (checker.expiry and checker.looked):
        raise _interrupted(checker, summary)
    return checker.summary(summary)


async def stream_check(suite: Suite, **options: Unpack[CheckOptions]) -> AsyncGenerator[Look | CheckSummary, None]:
    """Run a suite until its verdict stands, and yield each look, then what it came to; keywords as :func:`check`.

    Nothing is asked beyond a look before the next one is wanted. Leaving the loop early ends the check, which stays
    resumable.

    Examples
    --------
    >>> import asyncio, headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(400)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated",
    ...              "simulate": {"accuracy": {"old": 0.95, "new": 0.5}, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> async def collect(out):
    ...     return [step async for step in hg.stream_check(suite, out=out)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     *looks, done = asyncio.run(collect(folder + "/run"))
    >>> [look.n_items for look in looks], done.verdict.verdict
    ([80], 'fail')
    """
    looks: asyncio.Queue[Look | None] = asyncio.Queue()
    told = options.get("on_look")

    async def hand_over(look: Look) -> None:
        if told is not None and isawaitable(answer := told(look)):
            await answer
        looks.put_nowait(look)
        await looks.join()

    options["on_look"] = hand_over
    work = asyncio.create_task(check_async(suite, **options))
    work.add_done_callback(lambda _: looks.put_nowait(None))
    try:
        while (look := await looks.get()) is not None:
            yield look
            looks.task_done()
        yield await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def forecast(suite: Suite, *, stored: RunPath | None = None) -> Forecast:
    """Foresee what a suite will take and what its gates can show; no model is asked.

    Parameters
    ----------
    stored : path or Run, optional
        An earlier run, such as a :func:`pilot`: how much its items and arms differ, and what its jobs take, is then
        measured and not assumed.

    Returns
    -------
    Forecast
        Jobs, tokens, costs and minutes by lane; for each gate whether it can pass, and how likely.

    Raises
    ------
    ConfigError
        If the suite is wrong, or the stored run lacks what a gate needs.

    Examples
    --------
    >>> import headgate as hg
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(20)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "params": {"max_tokens": 8},
    ...              "price": {"input_usd_per_million": 1, "output_usd_per_million": 4}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> found = hg.forecast(suite)
    >>> found.jobs, found.is_worth_it, found.gates[0].needed_items, 0 < found.cost_usd < 0.01
    (40, False, 54, True)
    """
    from headgate.conduct.planning import forecast_suite

    return forecast_suite(suite, stored=_path(stored))


def pilot(
    suite: Suite,
    *,
    out: RunPath,
    items: int = 30,
    max_cost_usd: float | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
) -> Run:
    """Run a suite on a few items, drawn at random, for :func:`forecast` to plan by.

    The run is for planning only: it has a directory of its own, and no check or gate of the suite counts its rows. It
    resumes like any run; more items go on from fewer.

    Parameters
    ----------
    out : path
        Its run directory, which no other run of the suite should share.
    items : int
        How many; all of them, where the suite has no more.
    max_cost_usd, client, transport, watch
        As for :func:`run`.

    Raises
    ------
    ConfigError, EndpointError, StoreError, Interrupted
        As :func:`run`.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(400)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.9, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = hg.pilot(suite, out=folder + "/pilot")
    ...     found = hg.forecast(suite, stored=done)
    >>> done.done, found.gates[0].known, found.lanes[0].measured
    (60, True, 800)
    """
    return _complete(
        pilot_async(
            suite,
            out=out,
            items=items,
            max_cost_usd=max_cost_usd,
            client=client,
            transport=transport,
            watch=watch,
        )
    )


async def pilot_async(
    suite: Suite,
    *,
    out: RunPath,
    items: int = 30,
    max_cost_usd: float | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
) -> Run:
    """Run a suite on a few items, inside an asyncio event loop; as :func:`pilot`."""
    if items < 2:
        raise ConfigError("is too few to see how items differ", field="items", value=items, mend="ask for 2 or more")
    options = replace(_options(client, transport, None, None), pilot=items)
    return await _conduct(prepare(cap_suite(suite, max_cost_usd=max_cost_usd), Path(out)), options, watch)


class CanaryOptions(TypedDict, total=False):
    """Keywords of :func:`canary`."""

    stable: str | None
    canary: str | None
    state: RunPath | None
    max_minutes: float
    poll_s: float
    on_verdict: Callable[[Verdict], object] | None


def canary(declared: Canary, **options: Unpack[CanaryOptions]) -> Verdict:
    r"""Judge a canary against stable on live traffic, as far as it has come; one may look as often as one likes.

    Parameters
    ----------
    declared : Canary
        Where the traffic is and what may pass; see :func:`load_canary`.
    stable, canary : str, optional
        In place of those that are declared.
    state : path, optional
        Folder in which what was seen survives: the next call reads only what is new.
    max_minutes : float
        Wait so long for more traffic while the verdict is inconclusive; default: do not wait.
    poll_s : float
        Seconds between two looks at the sources meanwhile.
    on_verdict : callable, optional
        Receives the verdict after each of these looks.

    Returns
    -------
    Verdict
        ``pass``: promote; ``fail``: roll back; ``inconclusive``: too little traffic yet, or none, or an alarm. Never
        ``invalid``.

    Raises
    ------
    ConfigError
        If the declaration is wrong, or the state is of another one.
    StoreError
        If the disk refuses, or another process has the state.

    Examples
    --------
    >>> import headgate as hg, json, pathlib, tempfile
    >>> def log(path, errors):
    ...     rows = ({"time": 1.7e9 + n, "id": f"{path.name}{n}", "status": "error" if n % 100 < errors else "ok"}
    ...             for n in range(2000))
    ...     path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stable, new = pathlib.Path(folder, "stable.jsonl"), pathlib.Path(folder, "new.jsonl")
    ...     _ = log(stable, errors=1), log(new, errors=20)
    ...     gates = [{"metric": "error_rate", "margin": 0.05}]
    ...     hg.canary(hg.Canary(gates=gates), stable=str(stable), canary=str(new)).verdict
    'fail'
    """
    return _complete(canary_async(declared, **options))


async def canary_async(declared: Canary, **options: Unpack[CanaryOptions]) -> Verdict:
    """Judge a canary inside an asyncio event loop; as :func:`canary`."""
    from headgate.conduct.canary import Watcher, watch

    watcher = Watcher(
        declared, stable=options.get("stable"), canary=options.get("canary"), state=_path(options.get("state"))
    )
    try:
        return await watch(
            watcher,
            max_minutes=options.get("max_minutes", 0.0),
            poll_s=options.get("poll_s", 5.0),
            on_verdict=options.get("on_verdict"),
        )
    finally:
        watcher.close()


def compare(
    candidate: RunPath,
    baseline: RunPath,
    *,
    metric: str,
    prompt: str | None = None,
    model: str | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the difference of a metric between two runs, paired by item; an estimate, not a verdict.

    Parameters
    ----------
    metric : str
        A scorer's name, or a built-in metric.
    prompt, model : str, optional
        Which cell, where the runs have several.

    Returns
    -------
    Estimate
        Candidate minus baseline, with a two-sided interval.

    Raises
    ------
    ConfigError
        If a run lacks the metric, no cell pairs, or several do.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> def suite(accuracy):
    ...     return hg.Suite(
    ...         name="sums",
    ...         items=[{"q": f"{n} + 1 = ?", "target": n + 1} for n in range(100)],
    ...         prompts={"p": "{{ q }}"},
    ...         models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": accuracy, "latency_s": 0}}],
    ...         scorers=[{"name": "correct", "type": "exact_match"}])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     old, new = (hg.run(suite(a), out=f"{folder}/{a}") for a in (0.9, 0.5))
    ...     difference = hg.compare(new, old, metric="correct")
    >>> difference.low < difference.value < difference.high < 0
    True
    """
    from headgate.conduct.estimates import compare_cells

    cells = compare_cells(Path(candidate), Path(baseline), metric, confidence=confidence)
    chosen = [cell for cell in cells if prompt in {None, cell.prompt} and model in {None, cell.model}]
    if len(chosen) != 1:
        known = "; ".join(f"prompt {cell.prompt}, model {cell.model}" for cell in cells)
        raise ConfigError(
            f"{len(chosen)} cells fit", field="compare", mend=f"choose one by `prompt` and `model`: {known}"
        )
    if chosen[0].estimate is None:
        raise ConfigError("fewer than two items have a value in both runs", file=Path(candidate), field=metric)
    return chosen[0].estimate


def _run(path: Path, planned: int, counts: Mapping[str, int], costs: Costs) -> Run:
    return Run(path, planned, counts, costs.cost_usd, costs.unpriced)


def _interrupted(conductor: Conductor, summary: RunSummary) -> Interrupted:
    """Say how far a run came, and what ended it."""
    left = summary.planned - summary.done
    stands = f"{summary.done:,} of {summary.planned:,} jobs done, {left:,} left; the same call resumes"
    return Interrupted(f"{conductor.expiry}: {stands}" if conductor.expiry else f"stopped with {stands}")


def _transport(client: httpx.AsyncClient | None, name: TransportName | None) -> Transport | TransportName | None:
    if name is not None and name not in TRANSPORTS:
        raise ConfigError("is unknown", field="transport", value=name, mend=f"use one of {', '.join(TRANSPORTS)}")
    if name is not None and client is not None:
        raise ConfigError("a client is given too", field="transport", value=name, mend="give one of the two")
    if client is None:
        return name
    from headgate.execute.transports.httpx_client import HttpxTransport  # httpx brings click and rich along

    return HttpxTransport(client)


def _options(
    client: httpx.AsyncClient | None,
    transport: TransportName | None,
    metrics_file: RunPath | None,
    log_file: RunPath | None,
) -> RunOptions:
    return RunOptions(
        transport=_transport(client, transport), metrics_file=_path(metrics_file), log_file=_path(log_file)
    )


def _path(path: RunPath | None) -> Path | None:
    return None if path is None else Path(path)


def _complete(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, in a thread of its own where an event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_loop(work)
    outcome: list[_T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(run_loop(work))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=target, name="headgate-run")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
