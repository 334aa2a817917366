"""What a suite will take, and what its gates can show, before the first request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul
from pathlib import Path

from headgate.conduct.judging import read_facts
from headgate.conduct.prepare import open_plan
from headgate.conduct.run import declared_lanes
from headgate.decide.cells import Match, pair_arms, single_cells
from headgate.decide.facts import RunFacts, number_items
from headgate.decide.forecast import GateForecast, forecast_gate
from headgate.decide.metric import metric_of
from headgate.decide.tables import Items, items_of
from headgate.errors import StatisticsError
from headgate.execute.lanes import DIMENSIONS
from headgate.execute.tokens import TokenEstimate
from headgate.plan import Plan
from headgate.suite.model import Gate, Suite


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
        Estimated: 0.28 a byte in, and out what ``max_tokens`` allows, or 256.
    minutes : float or None
        At its limits; None where it declares none.
    """

    models: tuple[str, ...]
    requests: int
    input_tokens: int
    output_tokens: int
    minutes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a suite will take and can show."""

    items: int
    jobs: int
    seeds: int
    lanes: tuple[LaneForecast, ...]
    gates: tuple[GateForecast, ...]

    @property
    def minutes(self) -> float | None:
        """Of the slowest lane, as far as limits are declared."""
        known = [lane.minutes for lane in self.lanes if lane.minutes is not None]
        return max(known) if known else None

    @property
    def is_worth_it(self) -> bool:
        """Whether every blocking gate passes an unchanged candidate more often than not."""
        return all(gate.is_worth_it for gate in self.gates if gate.tier == "blocking")


def forecast_suite(suite: Suite, *, stored: Path | None = None) -> Forecast:
    """Foresee a run; no model is asked.

    Parameters
    ----------
    stored : Path, optional
        An earlier run of the same gates, for how much its items and arms differ.

    Raises
    ------
    ConfigError
        If the suite is wrong, or the stored run lacks what a gate needs.
    """
    with open_plan(suite) as plan:
        lanes = tuple(_lanes(suite, plan))
        gates = tuple(_gates(suite, plan, stored))
        return Forecast(items=len(plan.items), jobs=len(plan), seeds=plan.seeds, lanes=lanes, gates=gates)


def _lanes(suite: Suite, plan: Plan) -> Iterator[LaneForecast]:
    declared = list(declared_lanes(suite))
    found = {model: [0, 0.0, 0.0] for lane in declared for model in lane.models}
    estimate = TokenEstimate()
    for job in plan:
        inputs, outputs = estimate.reserve(job)
        sums = found[job.model.id]
        sums[0], sums[1], sums[2] = sums[0] + 1, sums[1] + inputs, sums[2] + outputs
    for lane in declared:
        requests, inputs, outputs = (sum(found[model][place] for model in lane.models) for place in range(3))
        times = [
            sum(map(mul, weights, (requests, inputs, outputs))) / (share * limit)
            for name, (share, weights) in DIMENSIONS.items()
            if (limit := getattr(lane, f"{name}_per_minute")) is not None
        ]
        yield LaneForecast(
            models=tuple(lane.models),
            requests=int(requests),
            input_tokens=round(inputs),
            output_tokens=round(outputs),
            minutes=max(times) if times else None,
        )


def _gates(suite: Suite, plan: Plan, stored: Path | None) -> Iterator[GateForecast]:
    facts = None if stored is None else number_items([read_facts(stored, None)])[0]
    for gate in suite.gates:
        metric = metric_of(gate.metric, suite.scorers)
        for match in _matches(suite):
            yield forecast_gate(
                gate,
                metric,
                cell=match.name,
                n_items=len(plan.items),
                seeds=plan.seeds,
                alpha=suite.policy.alpha,
                stored=_stored(facts, suite, gate, match),
                basis=f"as in {stored}",
            )


def _matches(suite: Suite) -> list[Match]:
    """Return the cells of the suite's own arms."""
    prompts, models = list(suite.prompts), [model.id for model in suite.models]
    if suite.compare is None:
        return single_cells(prompts=prompts, models=models, paired=False)
    return pair_arms(suite.compare.candidate, suite.compare.baseline, prompts=prompts, models=models)


def _stored(facts: RunFacts | None, suite: Suite, gate: Gate, match: Match) -> Items | None:
    """Return what an earlier run holds of a gate's cells; None where it holds nothing of them."""
    if facts is None:
        return None
    try:
        return items_of(
            facts, facts, metric=metric_of(gate.metric, suite.scorers), cells=(match.candidate, match.baseline)
        )
    except StatisticsError:
        return None
