"""What a plan will take, lane by lane: requests, tokens, money and time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from operator import mul
from typing import Any, Final

from headgate.conduct.foreseen import Asking
from headgate.conduct.lanes import declared_lanes
from headgate.conduct.prepare import open_routes
from headgate.conduct.usage import Measured, Usage
from headgate.execute.lanes import DIMENSIONS
from headgate.execute.tokens import TokenEstimate
from headgate.plan import Plan
from headgate.prices import ModelPrice
from headgate.suite.model import Lane
from headgate.suite.suite import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneForecast:
    """What one lane has to carry.

    Attributes
    ----------
    models : tuple of str
        Its models.
    requests : int
        Jobs, each sent once, those of judges too.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeForecast(LaneForecast):
    """What the models that a scorer asks have to carry for it; the lanes carry it too.

    Attributes
    ----------
    scorer : str
        A judge, or an evaluator with a model of the suite.
    """

    scorer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlay:
    """What a plan will take.

    Attributes
    ----------
    lanes : tuple of LaneForecast
        Those that have anything to carry.
    judges : tuple of JudgeForecast
        What of it scorers ask about the answers.
    minutes : float or None
        At the declared limits: the slowest lane's, and again for each of those scorers, one after the other.
    """

    lanes: tuple[LaneForecast, ...]
    judges: tuple[JudgeForecast, ...]
    minutes: float | None


@dataclass(slots=True)
class _Load:
    requests: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    measured: float = 0.0
    cost_usd: float = 0.0
    unpriced: float = 0.0

    def add(self, usage: Usage, price: ModelPrice | None, *, measured: bool, number: float = 1.0) -> None:
        self.requests += number
        self.input_tokens += number * usage.input_tokens
        self.output_tokens += number * usage.output_tokens
        self.measured += number * measured
        cost_usd = None if price is None else price.cost_usd(*usage)
        if cost_usd is None:
            self.unpriced += number
        else:
            self.cost_usd += number * cost_usd

    @classmethod
    def sum(cls, loads: Iterable[_Load]) -> _Load:
        rows = [astuple(load) for load in loads]
        return cls(*map(sum, zip(*rows, strict=True)))

    def facts(self) -> dict[str, Any]:
        counts = {name: round(getattr(self, name)) for name in _COUNTED}
        return {**counts, "cost_usd": self.cost_usd if self.unpriced < self.requests else None}


_COUNTED: Final = ("requests", "input_tokens", "output_tokens", "measured", "unpriced")


def forecast_outlay(
    suite: Suite,
    plan: Plan,
    *,
    prices: Mapping[str, ModelPrice | None],
    measured: Measured,
    asking: Sequence[Asking] = (),
) -> Outlay:
    """Return what a plan will take, and what is asked about its answers.

    Parameters
    ----------
    prices : mapping
        Model id, or that of a place, to price; None where it is not known.
    measured : mapping
        Prompt and model to the tokens of a job, where an earlier run has some.
    asking : sequence of Asking
        Judges, and evaluators of which it is known what they ask.
    """
    declared = list(declared_lanes(suite))
    lane_of = {place: number for number, lane in enumerate(declared) for place in lane.models}
    routes = open_routes(suite, plan, prices)
    loads: defaultdict[tuple[str | None, int], _Load] = defaultdict(_Load)  # by the scorer that asks, and lane
    estimate = TokenEstimate()
    for job in plan:
        known = measured.get((job.prompt.name, job.model.id))
        usage = Usage(*estimate.reserve(job)) if known is None else known
        route = routes.get(job.model.id)
        place = job.model.id if route is None else route.home(job.index, job.prompt.name).id
        loads[None, lane_of[place]].add(usage, prices.get(place), measured=known is not None)
        for one in asking:
            for asked in one.about(job, usage):
                load = loads[one.scorer, lane_of[asked.model]]
                load.add(asked.usage, prices.get(asked.model), measured=asked.measured, number=asked.number)
    lanes: list[LaneForecast] = []
    for number, lane in enumerate(declared):
        load = _Load.sum(found for (_, place), found in loads.items() if place == number)
        if load.requests:
            lanes.append(LaneForecast(models=tuple(lane.models), minutes=_minutes(lane, load), **load.facts()))
    times = {name: _slowest(declared, loads, name) for name in (None, *(one.scorer for one in asking))}
    judges = [
        JudgeForecast(
            scorer=one.scorer,
            models=one.models,
            minutes=times[one.scorer],
            **_Load.sum(found for (name, _), found in loads.items() if name == one.scorer).facts(),
        )
        for one in asking
    ]
    timed = [minutes for minutes in times.values() if minutes is not None]
    return Outlay(lanes=tuple(lanes), judges=tuple(judges), minutes=sum(timed) if timed else None)


def _slowest(declared: Sequence[Lane], loads: Mapping[tuple[str | None, int], _Load], name: str | None) -> float | None:
    """Return the time of the slowest lane with what one scorer asks, or with the plan itself."""
    times = [_minutes(declared[lane], load) for (asks, lane), load in loads.items() if asks == name]
    return max((minutes for minutes in times if minutes is not None), default=None)


def _minutes(lane: Lane, load: _Load) -> float | None:
    """Return the time at the slowest of a lane's limits."""
    taken = (load.requests, load.input_tokens, load.output_tokens)
    times = [
        sum(map(mul, weights, taken)) / (share * limit)
        for name, (share, weights) in DIMENSIONS.items()
        if (limit := getattr(lane, f"{name}_per_minute")) is not None
    ]
    return max(times) if times else None
