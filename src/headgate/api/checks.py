"""The gate in the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required, TypedDict, Unpack

from headgate.api.calls import RunPath, Watch, complete, interrupted, make_options
from headgate.conduct.baselines import (
    anchor_path,
    pinned_path,
)
from headgate.conduct.cap import cap_suite
from headgate.conduct.prepare import prepare
from headgate.execute.cache import CacheMode, CacheOptions
from headgate.execute.transports import TransportName
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import httpx

    from headgate.conduct.check import CheckSummary
    from headgate.decide.verdict import Look


def check(
    suite: Suite,
    *,
    out: RunPath,
    baseline: RunPath | None = None,
    anchor: RunPath | None = None,
    max_cost_usd: float | None = None,
    store: RunPath | None = None,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
    on_look: Callable[[Look], object] | None = None,
    metrics_file: RunPath | None = None,
    log_file: RunPath | None = None,
    cache: CacheMode | CacheOptions = "off",
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
    out, max_cost_usd, allow_hosts, client, transport, watch, metrics_file, log_file, cache
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
    return complete(
        check_async(
            suite,
            out=out,
            baseline=baseline,
            anchor=anchor,
            max_cost_usd=max_cost_usd,
            store=store,
            allow_hosts=allow_hosts,
            client=client,
            transport=transport,
            watch=watch,
            on_look=on_look,
            metrics_file=metrics_file,
            log_file=log_file,
            cache=cache,
        )
    )


class CheckOptions(TypedDict, total=False):
    """Keywords of :func:`check`."""

    out: Required[RunPath]
    baseline: RunPath | None
    anchor: RunPath | None
    store: RunPath | None
    max_cost_usd: float | None
    allow_hosts: Collection[str] | None
    client: httpx.AsyncClient | None
    transport: TransportName | None
    watch: Watch | None
    on_look: Callable[[Look], object] | None
    metrics_file: RunPath | None
    log_file: RunPath | None
    cache: CacheMode | CacheOptions


_GIVEN = ("client", "transport", "metrics_file", "log_file", "cache")


async def check_async(suite: Suite, **options: Unpack[CheckOptions]) -> CheckSummary:
    """Run a suite until its verdict stands, inside an asyncio event loop; as :func:`check`."""
    from headgate.conduct.check import Checker, most_seeds

    given: dict[str, Any] = {name: options.get(name) for name in _GIVEN}
    run_options = make_options(**given)
    capped = cap_suite(suite, max_cost_usd=options.get("max_cost_usd"))
    prepared = prepare(capped, Path(options["out"]), seeds=most_seeds(suite), allow_hosts=options.get("allow_hosts"))
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
        raise interrupted(checker, summary)
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
