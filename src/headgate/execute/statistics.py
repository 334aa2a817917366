"""What an engine has done and is doing, as data: progress, metrics files, logs and stall reports read only this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatistics:
    """What a lane is doing.

    Attributes
    ----------
    concurrency : int
        Most attempts that may be under way, as declared.
    allowed : int
        How many of them the server can take, as far as it has shown.
    waiting : int
        Attempts that wait for the quota.
    in_backoff : int
        Jobs that wait for their next attempt.
    deferred : int
        Of these, jobs put behind the others because too many attempts failed.
    requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute : float, optional
        What is allowed now: as declared, or less where the server said so.
    paused_s : float
        Seconds that the server's Retry-After still holds the lane.
    waits_for : str
        What the lane waits for, in words; empty when its jobs are done.
    """

    models: tuple[str, ...]
    concurrency: int
    allowed: int
    in_flight: int
    waiting: int
    in_backoff: int
    deferred: int
    admitted: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    paused_s: float = 0.0
    waits_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatistics:
    """What the engine has done and is doing; seconds, counts and tokens since it started.

    Attributes
    ----------
    errors : mapping of str to int
        Errored jobs by kind.
    failures : mapping of str to int
        Failed attempts by kind, whether or not a later attempt succeeded.
    in_backoff : int
        Jobs that wait for their next attempt.
    cost_usd : float
        Of the answers whose cost is known.
    unpriced : int
        Answers whose cost is not known.
    max_cost_usd : float, optional
        The run's cap.
    spent_usd, reserved_usd : float
        With a cap: what was settled in this call and before, and the most that what is in flight may cost.
    idle_s : float
        Seconds since an attempt last ended.
    lag_s, most_lag_s : float
        How late the event loop is at its timers: lately, and at the worst.
    cached : int
        Answers of the response cache: no attempts, no tokens, no cost.
    lost : tuple of str
        Why endpoints do not serve now, of models that others serve meanwhile.
    """

    elapsed_s: float
    ok: int
    refused: int
    errors: Mapping[str, int]
    failures: Mapping[str, int]
    attempts: int
    in_flight: int
    in_backoff: int
    input_tokens: int
    output_tokens: int
    cost_usd: float = 0.0
    unpriced: int = 0
    max_cost_usd: float | None = None
    spent_usd: float = 0.0
    reserved_usd: float = 0.0
    idle_s: float = 0.0
    lag_s: float = 0.0
    most_lag_s: float = 0.0
    lanes: tuple[LaneStatistics, ...] = ()
    lost: tuple[str, ...] = ()
    cached: int = 0

    @property
    def done(self) -> int:
        """Jobs that have a result."""
        return self.ok + self.refused + sum(self.errors.values())
