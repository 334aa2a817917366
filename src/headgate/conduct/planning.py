"""What a suite will take, and what its gates can show, before the first request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from headgate.conduct.cap import check_cap
from headgate.conduct.foreseen import foresee
from headgate.conduct.judges import judge_prompts
from headgate.conduct.judging import labelled_by, read_facts
from headgate.conduct.outlay import JudgeForecast, LaneForecast, forecast_outlay
from headgate.conduct.prepare import planned
from headgate.conduct.scoring import bind_scorers
from headgate.conduct.usage import measure_usage
from headgate.decide.arms import Items
from headgate.decide.cells import Match, pair_arms, single_cells
from headgate.decide.facts import RunFacts, number_items
from headgate.decide.forecast import GateForecast, forecast_gate
from headgate.decide.metric import metric_of
from headgate.decide.tables import items_of
from headgate.errors import ConfigError, HeadgateError, StatisticsError
from headgate.plan import Plan
from headgate.prices import ModelPrice, find_prices, format_usd
from headgate.suite.gate import Gate
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_FEWEST: Final = 20
"""A run with fewer items of a gate's cells says too little about their spread to be taken unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a suite will take and can show.

    Attributes
    ----------
    items, jobs, seeds : int
        Size of the plan.
    lanes : tuple of LaneForecast
        What each lane has to carry, with what judges ask.
    judges : tuple of JudgeForecast
        What of it scorers ask about the answers.
    minutes : float or None
        Of the slowest lane and, one after the other, of the judges, as far as limits are declared.
    gates : tuple of GateForecast
        What each gate can show.
    stored : str or None
        The run that spread and tokens were taken from.
    max_cost_usd, max_tokens, max_minutes : float or None
        The suite's caps.
    refused : str or None
        Why a run will be refused: a cap that cannot be held.
    unforeseen : tuple of str
        Evaluators that ask a model of the suite nobody knows how much; it is not in the forecast.
    warnings : tuple of str
        What will stand in the way of the run.
    """

    items: int
    jobs: int
    seeds: int
    lanes: tuple[LaneForecast, ...]
    gates: tuple[GateForecast, ...]
    judges: tuple[JudgeForecast, ...] = ()
    minutes: float | None = None
    stored: str | None = None
    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_minutes: float | None = None
    refused: str | None = None
    unforeseen: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        """Jobs of the plan, and of its judges."""
        return sum(lane.requests for lane in self.lanes)

    @property
    def tokens(self) -> int:
        """Input and output of all of them."""
        return sum(lane.input_tokens + lane.output_tokens for lane in self.lanes)

    @property
    def is_measured(self) -> bool:
        """Whether the tokens of every request are known from an earlier run."""
        return all(lane.measured == lane.requests for lane in self.lanes)

    @property
    def cost_usd(self) -> float | None:
        """Of the requests whose model has a known price; None where none has."""
        known = [lane.cost_usd for lane in self.lanes if lane.cost_usd is not None]
        return sum(known) if known else None

    @property
    def unpriced(self) -> int:
        """Requests whose model has no known price."""
        return sum(lane.unpriced for lane in self.lanes)

    @property
    def is_worth_it(self) -> bool:
        """Whether every blocking gate passes an unchanged candidate more often than not, and the caps last for it."""
        passes = all(gate.is_worth_it for gate in self.gates if gate.tier == "blocking")
        return passes and not (self.is_measured and self.too_low)

    @property
    def too_low(self) -> tuple[str, ...]:
        """The caps that are below the forecast, in words."""
        caps = (
            (self.max_cost_usd, self.cost_usd, format_usd),
            (self.max_tokens, self.tokens, "{:,.0f} tokens".format),
            (self.max_minutes, self.minutes, "{:,.1f} minutes".format),
        )
        return tuple(
            f"the cap of {show(cap)} is below the forecast of {show(found)}"
            for cap, found, show in caps
            if cap is not None and found is not None and cap < found
        )


def forecast_suite(suite: Suite, *, stored: Path | None = None, last: Path | None = None) -> Forecast:
    """Foresee a run; no model is asked.

    Parameters
    ----------
    stored : Path, optional
        An earlier run of the same gates, for how much its items and arms differ, and how many tokens its jobs take.
    last : Path, optional
        One to take where ``stored`` is not given, if it is there and fits: it has 20 items of every cell that a gate
        looks at.

    Raises
    ------
    ConfigError
        If the suite is wrong, or the stored run lacks what a gate needs.
    """
    scorers = bind_scorers(suite)
    prices = find_prices(suite.places)
    if stored is None and last is not None and _fits(suite, last):
        stored = last
    asking, unforeseen = foresee(suite, scorers, stored)
    measured = {} if stored is None else measure_usage(stored)
    with planned(suite) as plan:
        outlay = forecast_outlay(suite, plan, prices=prices, measured=measured, asking=asking)
        found = Forecast(
            items=len(plan.items),
            jobs=len(plan),
            seeds=plan.seeds,
            lanes=outlay.lanes,
            judges=outlay.judges,
            minutes=outlay.minutes,
            gates=tuple(_gates(suite, plan, stored)),
            stored=None if stored is None else str(stored),
            refused=_refusal(suite, plan.prompts, prices, judge_prompts(scorer.judge for scorer in scorers)),
            unforeseen=unforeseen,
            **suite.budget.model_dump(),
        )
    warnings = tuple(_warnings(suite, prices, found))
    return replace(found, gates=tuple(_priced(gate, found) for gate in found.gates), warnings=warnings)


def _fits(suite: Suite, run: Path) -> bool:
    """Tell whether a run says enough about the cells of all gates."""
    if not (run / "manifest.json").is_file():
        return False
    try:
        facts = number_items([read_facts(run, None, labelled=labelled_by(suite))])[0]
        items = [_stored(facts, suite, gate, match) for gate in suite.gates for match in _matches(suite)]
    except HeadgateError:
        return False
    return bool(items) and all(found is not None and found.n_items >= _FEWEST for found in items)


def _priced(gate: GateForecast, found: Forecast) -> GateForecast:
    """Add to what a gate needs what that costs: more items cost in proportion."""
    if gate.needed_items is None or found.cost_usd is None or found.unpriced or not found.items:
        return gate
    cost = found.cost_usd / found.items * gate.needed_items
    advice = f"{gate.advice}; {gate.needed_items} items cost about {format_usd(cost)}"
    return replace(gate, needed_cost_usd=cost, advice=advice)


def _refusal(
    suite: Suite,
    prompts: Sequence[Prompt],
    prices: Mapping[str, ModelPrice | None],
    judges: Mapping[str, Sequence[Prompt]],
) -> str | None:
    try:
        check_cap(suite, prompts, prices, judges=judges)
    except ConfigError as error:
        return str(error)
    return None


def _warnings(suite: Suite, prices: Mapping[str, ModelPrice | None], found: Forecast) -> Iterator[str]:
    if found.unforeseen:
        mend = "plan by a run that asked them (--pilot, --from)"
        yield f"what {', '.join(found.unforeseen)} will ask of models is not foreseen, as it is their code's: {mend}"
    tested = {model.id for model in suite.tested}
    unknown = [model for model, price in prices.items() if price is None and model in tested]
    if unknown and any(gate.metric == "cost_usd" for gate in suite.gates):
        yield f"a gate on cost_usd would be invalid: the price of {', '.join(unknown)} is not known"
    if found.refused is not None:
        yield f"a run will be refused: {found.refused}"
    guessed = "" if found.is_measured else "; tokens are estimated, which is too much as a rule"
    for said in found.too_low:
        yield f"{said}: the run would end early{guessed}"


def _gates(suite: Suite, plan: Plan, stored: Path | None) -> Iterator[GateForecast]:
    facts = None if stored is None else number_items([read_facts(stored, None, labelled=labelled_by(suite))])[0]
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
    prompts, models = list(suite.prompts), [model.id for model in suite.tested]
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
