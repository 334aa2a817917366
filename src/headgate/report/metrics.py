"""A run as Prometheus text, for the textfile collector of node_exporter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.report.exposition import Sample, family


def format_metrics(
    statistics: EngineStatistics, *, jobs: int, rows_pending: int, idle_s: float, running: bool, run: Mapping[str, str]
) -> str:
    r"""Return what a run has done and is doing as Prometheus text, format 0.0.4.

    Parameters
    ----------
    statistics : EngineStatistics
        Counters start with this call of the run, not with the run.
    jobs : int
        Jobs that this call runs, those of judges once their answers are there.
    rows_pending : int
        Rows that are not on the disk yet.
    idle_s : float
        Seconds since anything moved.
    running : bool
        Whether the run is under way.
    run : mapping of str to str
        Labels of ``headgate_run_info``; no other series carries them, so that their number stays small.

    Examples
    --------
    >>> nothing = EngineStatistics(elapsed_s=0, ok=2, refused=0, errors={}, failures={}, attempts=2, in_flight=0,
    ...                            in_backoff=0, input_tokens=0, output_tokens=0)
    >>> text = format_metrics(nothing, jobs=2, rows_pending=0, idle_s=0, running=True, run={"name": 'a "b"'})
    >>> [line for line in text.splitlines() if line.startswith(("headgate_jobs_total", "headgate_run_info"))]
    ['headgate_run_info{name="a \\"b\\""} 1', 'headgate_jobs_total{status="ok"} 2', 'headgate_jobs_total{status="refused"} 0', 'headgate_jobs_total{status="error"} 0']

    References
    ----------
    Prometheus, Exposition formats, text-based format.
    """  # noqa: E501
    lines = [
        *family("run_info", "gauge", "The run that wrote this.", [(run, 1)]),
        *family("running", "gauge", "1 while the run is under way.", [({}, running)]),
        *family(
            "jobs_planned",
            "gauge",
            "Jobs that this call runs, those of judges once their answers are there.",
            [({}, jobs)],
        ),
        *family("rows_pending", "gauge", "Rows that are not on the disk yet.", [({}, rows_pending)]),
        *family("idle_seconds", "gauge", "Seconds since a job, an attempt or a commit ended.", [({}, idle_s)]),
        *_engine(statistics),
        *_lanes(statistics.lanes),
    ]
    return "\n".join(lines) + "\n"


def _engine(now: EngineStatistics) -> Iterator[str]:
    statuses = {"ok": now.ok, "refused": now.refused, "error": sum(now.errors.values())}
    tokens = {"input": now.input_tokens, "output": now.output_tokens}
    yield from family("elapsed_seconds", "gauge", "Seconds at work.", [({}, now.elapsed_s)])
    yield from family("jobs_total", "counter", "Jobs that have a result.", _by("status", statuses))
    yield from family("errors_total", "counter", "Errored jobs.", _by("kind", now.errors))
    yield from family("attempts_total", "counter", "Requests sent.", [({}, now.attempts)])
    yield from family("failures_total", "counter", "Failed attempts, retried or not.", _by("kind", now.failures))
    yield from family("tokens_total", "counter", "Tokens of the answers that count.", _by("type", tokens))
    yield from _money(now)
    yield from family("event_loop_lag_seconds", "gauge", "How late the event loop is, lately.", [({}, now.lag_s)])
    most = "How late the event loop was at the worst."
    yield from family("event_loop_lag_max_seconds", "gauge", most, [({}, now.most_lag_s)])


def _money(now: EngineStatistics) -> Iterator[str]:
    spent = "US dollars of the answers whose cost is known."
    yield from family("cost_usd_total", "counter", spent, [({}, now.cost_usd)])
    yield from family("unpriced_total", "counter", "Answers whose cost is not known.", [({}, now.unpriced)])
    if now.max_cost_usd is not None:
        budget = {"cap": now.max_cost_usd, "spent": now.spent_usd, "reserved": now.reserved_usd}
        said = "US dollars of the run's cap, with what earlier calls have spent."
        yield from family("budget_usd", "gauge", said, [({"kind": kind}, usd) for kind, usd in budget.items()])


def _lanes(lanes: Iterable[LaneStatistics]) -> Iterator[str]:
    named = [("+".join(lane.models), lane) for lane in lanes]

    def gauge(name: str, said: str, field: str) -> Iterator[str]:
        return family(name, "gauge", said, [({"lane": models}, getattr(lane, field)) for models, lane in named])

    yield from gauge("in_flight", "Attempts under way.", "in_flight")
    yield from gauge("concurrency_limit", "Attempts that may be under way now.", "allowed")
    yield from gauge("waiting", "Attempts that wait for the quota.", "waiting")
    yield from gauge("backoff", "Jobs that wait for their next attempt.", "in_backoff")
    yield from gauge("deferred", "Jobs put behind the others.", "deferred")
    yield from gauge("paused_seconds", "Seconds that Retry-After still holds the lane.", "paused_s")
    limits = [({"lane": models, **label}, limit) for models, lane in named for label, limit in _limits(lane)]
    yield from family("limit_per_minute", "gauge", "What the quota allows now.", limits)


def _limits(lane: LaneStatistics) -> Iterator[Sample]:
    for dimension in ("requests", "tokens", "input_tokens", "output_tokens"):
        limit: float | None = getattr(lane, f"{dimension}_per_minute")
        if limit is not None:
            yield {"dimension": dimension}, limit


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [({label: value}, number) for value, number in counts.items()]
