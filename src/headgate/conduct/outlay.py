"""What a plan will take, lane by lane: requests, tokens, money and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import NamedTuple

from headgate.conduct.lanes import declared_lanes
from headgate.conduct.prepare import open_routes
from headgate.execute.lanes import DIMENSIONS
from headgate.execute.tokens import TokenEstimate
from headgate.plan import Plan
from headgate.prices import ModelPrice
from headgate.store.dataset import scan
from headgate.suite.model import Lane, Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneForecast:
    """What one lane has to carry.

    Attributes
    ----------
    models : tuple of str
        Its models.
    requests : int
        Jobs, each sent once.
    input_tokens, output_tokens : int
        As measured in an earlier run; else estimated: 0.28 a byte in, and out what ``max_tokens`` allows, or 256.
    measured : int
        Requests whose tokens were measured.
    cost_usd : float or None
        Of the requests whose model has a known price; None where none has.
    unpriced : int
        Requests whose model has none.
    minutes : float or None
        At its limits; None where it declares none.
    """

    models: tuple[str, ...]
    requests: int
    input_tokens: int
    output_tokens: int
    measured: int
    cost_usd: float | None
    unpriced: int
    minutes: float | None


class Usage(NamedTuple):
    """Mean tokens of a job: all of the input and the output; what of the input came from a cache, and went into it."""

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    cache_write_tokens: float = 0.0


@dataclass(slots=True)
class _Outlay:
    requests: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    measured: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def add(self, usage: Usage, price: ModelPrice | None, *, measured: bool) -> None:
        self.requests += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.measured += measured
        cost_usd = None if price is None else price.cost_usd(*usage)
        if cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += cost_usd


def measure_usage(run: Path) -> dict[tuple[str, str], Usage]:
    """Return the mean tokens of a stored run's jobs by prompt and model, where its servers told them."""
    import polars as pl

    told = scan(run).filter(pl.col("input_tokens").is_not_null() & pl.col("output_tokens").is_not_null())
    means = [pl.col(name).fill_null(0).mean() for name in Usage._fields]
    rows = told.group_by("prompt", "model").agg(means).collect(engine="streaming")
    return {(prompt, model): Usage(*means) for prompt, model, *means in rows.iter_rows()}


def forecast_lanes(
    suite: Suite,
    plan: Plan,
    *,
    prices: Mapping[str, ModelPrice | None],
    measured: Mapping[tuple[str, str], Usage],
) -> Iterator[LaneForecast]:
    """Yield what each lane has to carry, if it is known to carry anything: not those of judges.

    Parameters
    ----------
    prices : mapping
        Model id, or that of a place, to price; None where it is not known.
    measured : mapping
        Prompt and model to the tokens of a job, where an earlier run has some.
    """
    declared = list(declared_lanes(suite))
    lane_of = {place: number for number, lane in enumerate(declared) for place in lane.models}
    routes = open_routes(suite, plan, prices)
    sums = [_Outlay() for _ in declared]
    estimate = TokenEstimate()
    for job in plan:
        known = measured.get((job.prompt.name, job.model.id))
        usage = Usage(*estimate.reserve(job)) if known is None else known
        route = routes.get(job.model.id)
        place = job.model.id if route is None else route.home(job.index, job.prompt.name).id
        sums[lane_of[place]].add(usage, prices.get(place), measured=known is not None)
    for lane, found in zip(declared, sums, strict=True):
        if not found.requests:
            continue
        yield LaneForecast(
            models=tuple(lane.models),
            requests=found.requests,
            input_tokens=round(found.input_tokens),
            output_tokens=round(found.output_tokens),
            measured=found.measured,
            cost_usd=found.cost_usd if found.unpriced < found.requests else None,
            unpriced=found.unpriced,
            minutes=_minutes(lane, (found.requests, found.input_tokens, found.output_tokens)),
        )


def _minutes(lane: Lane, taken: tuple[float, float, float]) -> float | None:
    """Return the time at the slowest of a lane's limits."""
    times = [
        sum(map(mul, weights, taken)) / (share * limit)
        for name, (share, weights) in DIMENSIONS.items()
        if (limit := getattr(lane, f"{name}_per_minute")) is not None
    ]
    return max(times) if times else None
