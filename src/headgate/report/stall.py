"""Why nothing moves: what every lane waits for, in one line for a log or a terminal."""

from __future__ import annotations

from typing import Final

from headgate.decide.table import one_line
from headgate.execute.statistics import EngineStatistics, LaneStatistics

_LATE_S: Final = 0.1
_LANES: Final = 10


def describe_stall(statistics: EngineStatistics, *, idle_s: float, jobs_left: int, rows_pending: int) -> str:
    """Return what a run waits for; whatever a model or an endpoint is called, it is one printable line.

    Parameters
    ----------
    idle_s : float
        Seconds since anything moved.
    jobs_left : int
        Jobs of this call that have no result.
    rows_pending : int
        Rows that are not on the disk yet.

    Examples
    --------
    >>> lane = LaneStatistics(models=("small",), concurrency=64, allowed=64, in_flight=64, waiting=0, in_backoff=0,
    ...                       deferred=0, admitted=64, waits_for="answers")
    >>> now = EngineStatistics(elapsed_s=60, ok=0, refused=0, errors={}, failures={}, attempts=64, in_flight=64,
    ...                        in_backoff=0, input_tokens=0, output_tokens=0, lanes=(lane,))
    >>> describe_stall(now, idle_s=60, jobs_left=900, rows_pending=0)
    'nothing moved for 60 s, and 900 jobs have no result; small waits for answers (64 in flight)'
    """
    said = [f"nothing moved for {idle_s:.0f} s, and {jobs_left:,} jobs have no result"]
    waiting = [lane for lane in statistics.lanes if _is_busy(lane)]
    said += map(_lane, waiting[:_LANES])
    if len(waiting) > _LANES:
        said.append(f"{len(waiting) - _LANES} more lanes wait")
    if rows_pending:
        said.append(f"{rows_pending:,} rows wait for the disk")
    if statistics.lag_s > _LATE_S:
        said.append(f"the event loop is {statistics.lag_s:.1f} s late")
    return "; ".join(said)


def _is_busy(lane: LaneStatistics) -> bool:
    return bool(lane.waits_for or lane.in_flight or lane.waiting or lane.in_backoff)


def _lane(lane: LaneStatistics) -> str:
    counts = {"in flight": lane.in_flight, "at the limit": lane.waiting, "in backoff": lane.in_backoff}
    counts["deferred"] = lane.deferred
    shown = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
    name = one_line("+".join(lane.models), limit=60)
    waits = f" waits for {one_line(lane.waits_for, limit=200)}" if lane.waits_for else ""
    return f"{name}{waits}" + (f" ({shown})" if shown else "")
