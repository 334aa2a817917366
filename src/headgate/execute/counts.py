"""What the engines of a run have done so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from headgate.result import Result


@dataclass(slots=True)
class Counts:
    """What all pools of a run have done; times are seconds of the monotonic clock.

    Attributes
    ----------
    cost_usd : float
        Of the answers whose cost is known.
    unpriced : int
        Answers whose cost is not.
    cached : int
        Answers of the response cache; they cost nothing, and their tokens do not count.
    """

    status: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[str] = field(default_factory=Counter[str])
    failures: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    cached: int = 0
    moved_at: float = 0.0
    started_at: float = 0.0

    def add(self, result: Result) -> None:
        """Count the result of a job."""
        status = result.status
        self.status[status] += 1
        if status == "error":
            self.errors[result.error_kind or "unknown"] += 1
        if result.cache_hit:
            self.cached += 1
            return
        self.input_tokens += result.input_tokens or 0
        self.output_tokens += result.output_tokens or 0
        if result.cost_usd is not None:
            self.cost_usd += result.cost_usd
        elif status != "error":
            self.unpriced += 1
