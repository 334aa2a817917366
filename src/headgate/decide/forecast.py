"""What a gate can show before anything is run: whether it can pass at all, how likely, and what it would see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from headgate.decide.arms import Items
from headgate.decide.labels import difference_limits
from headgate.decide.metric import Metric
from headgate.decide.replay import replay_paired
from headgate.stats import fewest_items, mde, needed_items, pass_probability, power_curve
from headgate.stats.bisection import first_whole
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits
from headgate.stats.values import Floats, difference_bounds
from headgate.suite.gate import Gate

ASSUMED: Final = 0.9
"""Share of right answers where nothing is known."""
LIKELY: Final = 0.5
"""A gate that passes an unchanged candidate less often than this is not worth running."""
_POWER: Final = 0.8
_RUNS: Final = 400
_MOST: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GateForecast:
    """A gate in one cell, before the run.

    Attributes
    ----------
    metric, rule, tier : str
        The gate.
    bound : float or None
        Its declared margin, threshold or ratio.
    cell : dict
        What the row will be about.
    fewest_items : int or None
        With fewer it cannot pass, however good the candidate is; None: any number may do.
    passes : float or None
        Chance to pass when nothing changed; None: not known.
    mde : float or None
        Smallest true change that it would see in 80 % of runs; None: not known.
    known : bool
        Whether the spread was measured; else it is assumed.
    basis : str
        Where it comes from.
    advice : str
        What would make it passable; empty where nothing is needed.
    needed_items : int or None
        With so many it would be passable; None: it is, or nobody knows.
    needed_cost_usd : float or None
        What asking so many would cost, where prices are known.
    """

    metric: str
    rule: str
    tier: str
    bound: float | None
    cell: dict[str, str]
    n_items: int
    fewest_items: int | None
    passes: float | None
    mde: float | None
    known: bool
    basis: str
    advice: str
    needed_items: int | None = None
    needed_cost_usd: float | None = None

    @property
    def can_pass(self) -> bool:
        """Whether there are items enough."""
        return self.fewest_items is None or self.n_items >= self.fewest_items

    @property
    def is_worth_it(self) -> bool:
        """Whether it can pass, and passes an unchanged candidate more often than not where that is known."""
        return self.can_pass and (self.passes is None or self.passes >= LIKELY or not self.known)


def forecast_gate(
    gate: Gate,
    metric: Metric,
    *,
    cell: dict[str, str],
    n_items: int,
    seeds: int,
    alpha: float,
    stored: Items | None = None,
    basis: str = "",
) -> GateForecast:
    """Foresee one gate in one cell.

    Parameters
    ----------
    n_items, seeds : int
        What the suite will ask.
    alpha : float
        One-sided level of the row.
    stored : Items, optional
        Item means of both arms in an earlier run; without it nine right answers of ten are assumed.
    basis : str
        What to call it.
    """
    fewest = _fewest(gate, metric, alpha)
    chances = _NOTHING_KNOWN
    if fewest is not None and n_items < fewest:
        chances = _Chances(0.0, None, _enough(gate, metric, n_items, fewest, alpha), fewest)
    elif gate.rule in {"margin", "max_ratio"}:
        chances = _chances(gate, metric, n_items=n_items, seeds=seeds, alpha=alpha, stored=stored)
    known = stored is not None and chances.passes is not None
    assumed = f"assuming {ASSUMED:.0%} right answers" if chances.passes is not None else "no spread is known"
    return GateForecast(
        metric=gate.metric,
        rule=gate.rule,
        tier=gate.tier,
        bound=None if gate.rule == "zero_tolerance" else float(getattr(gate, gate.rule)),
        cell=cell,
        n_items=n_items,
        fewest_items=fewest,
        passes=chances.passes,
        mde=chances.mde,
        known=known,
        basis=basis if known else assumed,
        advice=chances.advice,
        needed_items=chances.needed_items,
    )


class _Chances(NamedTuple):
    """The chance to pass, the smallest change that is seen, what would help, and how many items that are."""

    passes: float | None
    mde: float | None
    advice: str = ""
    needed_items: int | None = None


_NOTHING_KNOWN: Final = _Chances(None, None)


def _fewest(gate: Gate, metric: Metric, alpha: float) -> int | None:
    """Return the items with which a perfect candidate passes."""
    if metric.bounds is None or metric.whole is not None:
        return None
    low, high = metric.bounds
    if gate.margin is not None:
        margin = gate.margin / (high - low)
        return fewest_items(margin, alpha=alpha) if 0 < margin < 1 else None
    threshold = gate.min if gate.min is not None else gate.max
    if threshold is None:
        return None
    share = (threshold - low) / (high - low)
    share = share if gate.min is not None else 1 - share
    return _first(share, alpha) if 0 <= share < 1 else None


def _first(share: float, alpha: float) -> int | None:
    """Return how many perfect items show a mean above a share."""
    return first_whole(lambda n: MeanLimits.of(np.ones(n), n_rows=n, threshold=True).at(alpha)[0] > share, most=_MOST)


def _enough(gate: Gate, metric: Metric, n_items: int, fewest: int, alpha: float) -> str:
    text = f"cannot pass with {n_items} items, however good the candidate is: ask {fewest}"
    if gate.margin is None or metric.bounds is None or n_items < 2:
        return text
    perfect = np.ones(n_items)
    reach = -PairedLimits.of(perfect, perfect, n_rows=(n_items, n_items)).at(alpha)[0]
    return f"{text}, or accept a margin above {reach * (metric.bounds[1] - metric.bounds[0]):.3g}"


def _chances(gate: Gate, metric: Metric, *, n_items: int, seeds: int, alpha: float, stored: Items | None) -> _Chances:
    if stored is None or stored.baseline is None:
        if gate.margin is None or metric.bounds is None or metric.whole is not None or gate.margin == 0:
            return _NOTHING_KNOWN
        margin = gate.margin / (metric.bounds[1] - metric.bounds[0])
        chance = pass_probability(ASSUMED, n_items, margin, seeds=seeds, alpha=alpha, runs=_RUNS)
        return _Chances(chance, None, "" if chance >= LIKELY else f"ask more than {n_items} items, or more seeds")
    if metric.whole is not None:
        return _known_of_labels(gate, metric, stored, n_items=n_items, alpha=alpha)
    arms = [stored.candidate, stored.baseline]
    if not metric.higher_is_better and gate.margin is not None:
        arms = [arm.flipped(metric.bounds) for arm in arms]
    ours, theirs = (arm.seen for arm in arms)
    both = np.isfinite(ours) & np.isfinite(theirs)
    if gate.max_ratio is not None:
        both &= (ours > 0) & (theirs > 0)
    if np.count_nonzero(both) < 2 or n_items < 2:
        return _NOTHING_KNOWN
    return _known_chances(gate, metric, ours[both], theirs[both], n_items=n_items, alpha=alpha)


def _known_of_labels(gate: Gate, metric: Metric, stored: Items, *, n_items: int, alpha: float) -> _Chances:
    """Return them for a metric of all labels: how often an estimate about 0 has its lower limit above the margin."""
    ours, theirs, bounds = stored.candidate, stored.baseline, metric.bounds
    if theirs is None or bounds is None or gate.margin is None or stored.n_items < 2 or n_items < 2:
        return _NOTHING_KNOWN
    apart = difference_bounds(bounds)
    known = np.isfinite(ours.seen) & np.isfinite(theirs.seen)
    arms = (ours.seen[known], theirs.seen[known])
    cluster = None if stored.cluster is None else stored.cluster[known]
    limits = difference_limits(ours, theirs, *arms, cluster=cluster, apart=apart)
    if not limits.spread.known:
        return _NOTHING_KNOWN
    margin = gate.margin

    def passes(n: float) -> float:
        return limits.scaled(n / arms[0].size).pass_probability(margin, alpha=alpha)

    chance, advice, more = passes(n_items), "", None
    if chance < LIKELY and margin > 0:
        more = first_whole(lambda n: passes(n) >= _POWER, most=_MOST)
        advice = f"ask about {more} items to pass an unchanged candidate in {_POWER:.0%} of runs"
    return _Chances(chance, limits.scaled(n_items / arms[0].size).mde(alpha=alpha, power=_POWER), advice, more)


def _known_chances(gate: Gate, metric: Metric, ours: Floats, theirs: Floats, *, n_items: int, alpha: float) -> _Chances:
    """Return them from stored item means: by the rule itself where it can be replayed."""
    ratio = gate.max_ratio
    sd = float(np.std(ours - theirs if ratio is None else np.log(ours / theirs), ddof=1))
    accepted = float(gate.margin or 0.0) if ratio is None else math.log(ratio)
    chance: float | None = None
    if ratio is None and metric.bounds is not None:
        replay = replay_paired(
            ours, theirs, margin=accepted, drops=[], alpha=alpha, bounds=metric.bounds, runs=_RUNS, n_items=n_items
        )
        chance = replay.curve[0].passes
    elif sd > 0 and accepted > 0:
        chance = float(power_curve(sd, n_items, accepted, [0.0], alpha=alpha).passes[0])
    if sd == 0:
        return _Chances(chance, None)
    smallest = mde(sd, n_items, alpha=alpha, power=_POWER)
    advice, more = "", None
    if chance is not None and chance < LIKELY and accepted > 0:
        more = needed_items(sd, accepted, alpha=alpha, power=_POWER)
        advice = f"ask about {more} items to pass an unchanged candidate in {_POWER:.0%} of runs"
    return _Chances(chance, smallest if ratio is None else math.expm1(smallest), advice, more)
