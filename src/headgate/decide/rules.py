"""One function per rule: item means in, a ruling in the metric's own units out.

What is missing is decided twice: with it at its worst and at its best for the candidate. Where the two disagree, the
ruling is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from headgate.decide.arms import ArmItems, Items
from headgate.decide.calibrated import decide_calibrated
from headgate.decide.decision import Decision, Outcome, Rule, detectable, needed_items
from headgate.decide.labels import difference_limits
from headgate.decide.paired import decide_items
from headgate.errors import StatisticsError
from headgate.stats.classification import LinearLimits
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits, exp
from headgate.stats.seeds import SeedNoise
from headgate.stats.values import Bounds, Floats, difference_bounds

Units = Callable[[float], float]
Arms = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a rule says of one cell.

    Attributes
    ----------
    verdict : str
        At the declared alpha, without correction for other rows.
    estimate, low, high : float
        In the units of the metric.
    p_value : float or None
        Smallest level at which the rule fails; None for zero tolerance, which is no test.
    se : float
        Standard error on the scale that the rule decided on.
    at : callable
        Level to limits in the units of the metric; a correction for several rows asks for its own level.
    """

    verdict: Outcome
    estimate: float
    low: float
    high: float
    p_value: float | None
    flags: tuple[str, ...]
    method: str
    needed_items: int | None
    needed_seeds: int | None
    mde: float | None
    seed_share: float | None
    n_items: int
    se: float
    at: Callable[[float], tuple[float, float]]


def margin_rule(
    items: Items,
    *,
    margin: float,
    alpha: float,
    bounds: Bounds | None,
    higher_is_better: bool,
    strict: bool = False,
    fixed: bool = False,
) -> Ruling:
    """Ask that the candidate is not worse than the baseline by more than a margin.

    It fails when the candidate is surely worse; ``strict``: only when it is surely worse by more than the margin.
    ``fixed``: the items are all there are, and only their seeds are a sample.
    """
    c, b = _both(items)
    if not higher_is_better:
        c, b = c.flipped(bounds), b.flipped(bounds)
    labels = None if c.human is None or b.human is None else c.human - b.human
    apart = None if bounds is None else difference_bounds(bounds)
    rule = Rule(floor=-margin, ceiling=-margin if strict else 0.0, bounded=bounds is not None)
    rows = (c.binary_rows, b.binary_rows)
    within = (_noise(c), _noise(b)) if fixed else None

    def decide(arms: Arms) -> Decision:
        if labels is not None:
            return decide_calibrated(rule, arms[0] - arms[1], labels, alpha=alpha, bounds=apart)
        if c.linear is not None and b.linear is not None and apart is not None:
            limits = difference_limits(c, b, *arms, cluster=items.cluster, apart=apart, within=within)
            return replace(rule, clustered=items.cluster is not None).decide(limits, alpha=alpha)
        return decide_items(
            *arms,
            margin=margin,
            alpha=alpha,
            cluster=items.cluster,
            bounds=bounds,
            n_rows=rows,
            strict=strict,
            within=within,
        )

    found = [decide((c.low, b.high)), decide((c.high, b.low))] if items.n_missing else [decide((c.low, b.low))]
    ruling = _ruling(found, items, alpha=alpha, units=_same, width=_same)
    ruling = ruling if higher_is_better else _mirrored(ruling, 0.0)
    if labels is not None:
        return ruling
    return replace(ruling, estimate=items.candidate.mean - _both(items)[1].mean)


def min_rule(items: Items, *, least: float, alpha: float, bounds: Bounds | None, fixed: bool = False) -> Ruling:
    """Ask that the candidate's mean is at least so much."""
    return _threshold(items, items.candidate, least=least, alpha=alpha, bounds=bounds, fixed=fixed)


def max_rule(items: Items, *, most: float, alpha: float, bounds: Bounds | None, fixed: bool = False) -> Ruling:
    """Ask that the candidate's mean is at most so much."""
    mirror = 0.0 if bounds is None else bounds[0] + bounds[1]
    flipped = items.candidate.flipped(bounds)
    turned = _threshold(items, flipped, least=mirror - most, alpha=alpha, bounds=bounds, fixed=fixed)
    ruling = _mirrored(turned, mirror)
    return ruling if items.candidate.human is not None else replace(ruling, estimate=items.candidate.mean)


def max_ratio_rule(items: Items, *, most: float, alpha: float, strict: bool = False) -> Ruling:
    """Ask that the geometric mean of candidate / baseline over items is at most so much.

    Raises
    ------
    StatisticsError
        If an item's mean is not above 0: a ratio is not defined.
    """
    c, b = _both(items)
    for arm, name in ((c, "candidate"), (b, "baseline")):
        if not (arm.seen[np.isfinite(arm.seen)] > 0).all():
            raise StatisticsError(f"an item of the {name} has a mean of 0 or less, so a ratio is not defined")
    complete = np.isfinite(c.seen) & np.isfinite(b.seen)
    if not complete.any():
        raise StatisticsError("no item has a value in both arms")
    cluster = None if items.cluster is None else np.unique(items.cluster[complete], return_inverse=True)[1]
    limits = PairedLimits.of(-np.log(c.seen[complete]), -np.log(b.seen[complete]), cluster=cluster, bounds=None)
    floor = -math.log(most)
    rule = Rule(floor=floor, ceiling=floor if strict else 0.0, clustered=cluster is not None, bounded=False)
    decision = rule.decide(limits, alpha=alpha)
    ruling = _ruling([decision], items, alpha=alpha, units=_inverse_log, width=math.expm1)
    turned = _turned(ruling, method="t of log ratio")
    return replace(turned, n_items=int(complete.sum()), needed_seeds=None, seed_share=None)


def _both(items: Items) -> tuple[ArmItems, ArmItems]:
    assert items.baseline is not None
    return items.candidate, items.baseline


def _noise(arm: ArmItems) -> SeedNoise:
    """Return the noise of an arm's seeds; StatisticsError where an item has one only."""
    arm.noise.sampling()
    return arm.noise


def _threshold(
    items: Items, arm: ArmItems, *, least: float, alpha: float, bounds: Bounds | None, fixed: bool
) -> Ruling:
    rule = Rule(floor=least, ceiling=least, clustered=items.cluster is not None, bounded=bounds is not None)

    within = _noise(arm) if fixed else None

    def decide(means: Floats) -> Decision:
        if arm.human is not None:
            return decide_calibrated(rule, means, arm.human, alpha=alpha, bounds=bounds)
        if arm.linear is not None and bounds is not None:
            reach, noise = arm.linear.reach, None if within is None else (within,)
            linear = LinearLimits.of(means, reach=reach, bounds=bounds, cluster=items.cluster, within=noise)
            return rule.decide(linear, alpha=alpha)
        limits = MeanLimits.of(
            means, cluster=items.cluster, bounds=bounds, n_rows=arm.binary_rows, threshold=True, within=within
        )
        return rule.decide(limits, alpha=alpha)

    found = [decide(arm.low), decide(arm.high)] if items.candidate.n_missing else [decide(arm.low)]
    ruling = _ruling(found, items, alpha=alpha, units=_same, width=_same)
    return ruling if arm.human is not None else replace(ruling, estimate=arm.mean)


def _ruling(found: list[Decision], items: Items, *, alpha: float, units: Units, width: Units) -> Ruling:
    """Combine the decisions at worst and at best into one ruling."""
    verdicts = {decision.verdict for decision in found}
    flags = dict.fromkeys(flag for decision in found for flag in decision.flags)
    if len(verdicts) > 1:
        flags["missing_values_decide"] = None
    outcome: Outcome = found[0].verdict if len(verdicts) == 1 else "inconclusive"
    worst = found[0]

    def at(level: float) -> tuple[float, float]:
        lows, highs = zip(*(decision.limits.at(level) for decision in found), strict=True)
        return units(min(lows)), units(max(highs))

    low, high = at(alpha)
    needed = needed_items(worst, n_items=items.n_items, alpha=alpha) if outcome == "inconclusive" else None
    return Ruling(
        verdict=outcome,
        estimate=units(worst.value),
        low=low,
        high=high,
        p_value=max(decision.p_value for decision in found),
        flags=tuple(flags),
        method=worst.limits.method,
        needed_items=needed,
        needed_seeds=None if needed is None else _needed_seeds(items, worst, needed),
        mde=_finite(width, detectable(worst)),
        seed_share=_seed_share(items, worst),
        n_items=items.n_items,
        se=worst.limits.spread.se,
        at=at,
    )


def _needed_seeds(items: Items, decision: Decision, needed: int) -> int | None:
    """Return the seeds that give the same items as much information as ``needed`` items; None where none do.

    Seeds take away what items vary by from seed to seed, and nothing of what they differ by.
    """
    share = _seed_share(items, decision)
    if share is None:
        return None
    seeds, rest = min(arm.n_rows for arm in _arms(items)) / items.n_items, items.n_items / needed - (1 - share)
    return math.ceil(seeds * share / rest) if rest > 0 and share > 0 else None


def _seed_share(items: Items, decision: Decision) -> float | None:
    """Return the share of the estimate's variance that its seeds are to blame for; None where an item has one only.

    Where humans correct a judge, the labels hold the most of it, and None is returned too.
    """
    if items.candidate.human is not None:
        return None
    arms, variance = _arms(items), decision.limits.spread.se**2
    if any(int(arm.noise.seeds.min()) < 2 for arm in arms) or not (math.isfinite(variance) and variance > 0):
        return None
    return min(sum(float(arm.noise.sampling().mean()) for arm in arms) / items.n_items / variance, 1.0)


def _arms(items: Items) -> list[ArmItems]:
    return [items.candidate] if items.baseline is None else [items.candidate, items.baseline]


def _mirrored(ruling: Ruling, mirror: float) -> Ruling:
    """Return the ruling in natural units, where lower is better."""

    def at(level: float) -> tuple[float, float]:
        low, high = ruling.at(level)
        return mirror - high, mirror - low

    return replace(ruling, estimate=mirror - ruling.estimate, low=mirror - ruling.high, high=mirror - ruling.low, at=at)


def _turned(ruling: Ruling, *, method: str) -> Ruling:
    """Swap the limits: a falling function of the internal scale stands outside."""

    def at(level: float) -> tuple[float, float]:
        first, second = ruling.at(level)
        return second, first

    return replace(ruling, low=ruling.high, high=ruling.low, at=at, method=method)


def _same(x: float) -> float:
    return x


def _inverse_log(x: float) -> float:
    return exp(-x)


def _finite(width: Units, x: float) -> float | None:
    try:
        return width(x) if math.isfinite(x) else None
    except OverflowError:
        return None
