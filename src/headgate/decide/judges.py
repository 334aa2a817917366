"""What the judges behind a verdict are worth: against human labels, among themselves, and in both orders of a pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts
from headgate.decide.tables import cell_rows
from headgate.decide.verdict import JudgeRow
from headgate.errors import StatisticsError
from headgate.score.judge import voices
from headgate.stats import Estimate, cohen_kappa, fleiss_kappa, mean_interval
from headgate.stats.values import Floats
from headgate.suite.scorers import Scorer
from headgate.suite.scorers.judge import Judge

if TYPE_CHECKING:
    import polars as pl

Flags: TypeAlias = NDArray[np.bool_]

_CONFIDENCE: Final = 0.95


def rate_judges(
    arms: Sequence[tuple[RunFacts, Sequence[Cell]]], scorers: Sequence[Scorer], names: set[str]
) -> list[JudgeRow]:
    """Return what the judges of some metrics are worth, a row for each and each cell that they graded.

    Parameters
    ----------
    arms : sequence of (RunFacts, cells)
        Candidate and baseline.
    names : set of str
        Metrics of the gates.
    """
    judges = [scorer for scorer in scorers if isinstance(scorer, Judge) and scorer.name in names]
    cells = [(facts, cell) for facts, own in arms for cell in own if "label" in facts.scores.columns]
    rows = (_row(facts, cell, judge) for judge in judges for facts, cell in cells)
    return [row for row in rows if row is not None]


def grade_variance(facts: RunFacts, cell: Cell, judge: Judge) -> float | None:
    """Return the variance of an answer's score that is its judges' own; None where each answer has one grade.

    Of one judge it is that between its repeats; of a panel, that between its judges once the mean of each is taken
    away: a judge that is stricter throughout makes no answer's score less certain than another's. Both are divided by
    the number of grades, of which a score is the mean.
    """
    if "label" not in facts.scores.columns:
        return None
    table = _voices(facts, cell, judge)
    if table is None:
        return None
    found = table.mean(axis=2) if len(judge.asked) > 1 else table[:, 0, :]
    n, k = map(int, found.shape)
    if k < 2 or n < 2:
        return None
    within = found - found.mean(axis=1, keepdims=True)
    df = n * (k - 1)
    if len(judge.asked) > 1:
        within -= within.mean(axis=0, keepdims=True)
        df = (n - 1) * (k - 1)
    return float(np.sum(within * within)) / (df * k)


def _row(facts: RunFacts, cell: Cell, judge: Judge) -> JudgeRow | None:
    rows = cell_rows(facts.scores, cell, "item_id", "value", "label", "human", scorer=judge.name)
    if rows.is_empty():
        return None
    labelled = rows.drop_nulls(["value", "human"])
    values, human = labelled["value"].to_numpy(), labelled["human"].to_numpy()
    right, good = (_is_right(column, judge) for column in (values, human))
    kappa, panel = _kappa(right, good), _agreement(_voices(facts, cell, judge))
    position, flips = _position(rows["label"], judge)
    return JudgeRow(
        name=judge.name,
        cell={"prompt": cell.prompt, "model": cell.model},
        judges=list(judge.asked),
        n_graded=rows.height - rows["value"].null_count(),
        n_labels=labelled.height,
        bias=float((values - human).mean()) if labelled.height else None,
        sensitivity=_share(right, good),
        specificity=_share(~right, ~good),
        **_limits("kappa", kappa),
        **_limits("panel_kappa", panel),
        **_limits("position_bias", position),
        flips=flips,
    )


def _limits(name: str, estimate: Estimate | None) -> dict[str, Any]:
    """Return the fields of an estimate: its value, and its limits."""
    return (
        {} if estimate is None else {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    )


def _is_right(values: Floats, judge: Judge) -> Flags:
    """Tell which values lie in the better half of the scale."""
    middle = sum(judge.bounds) / 2
    return (1 - values if judge.negate else values) > middle


def _share(said: Flags, of: Flags) -> float | None:
    return float(said[of].mean()) if of.any() else None


def _kappa(first: Flags, second: Flags) -> Estimate | None:
    try:
        return cohen_kappa(first.astype(int), second.astype(int), categories=[0, 1], confidence=_CONFIDENCE)
    except StatisticsError:  # too few, or one category throughout
        return None


def _agreement(table: Floats | None) -> Estimate | None:
    """Return Fleiss' kappa of a panel, each judge with its mean over repeats."""
    if table is None or table.shape[1] < 2:
        return None
    voted = table.mean(axis=2)
    categories = np.unique(voted)
    counts = (voted[:, :, None] == categories).sum(axis=1)
    try:
        return fleiss_kappa(counts, confidence=_CONFIDENCE)
    except StatisticsError:
        return None


def _position(labels: pl.Series, judge: Judge) -> tuple[Estimate | None, float | None]:
    """Return how much more often the first answer of a pair wins than the second, and how often the order decides."""
    if judge.kind != "pairwise":
        return None, None
    apart: list[float] = []
    flips: list[bool] = []
    for label in labels.drop_nulls():
        words = np.array(label.split())
        if words.size != 2 * judge.repeats * len(judge.asked) or (words == "-").any():
            continue
        pairs = words.reshape(len(judge.asked), 2, judge.repeats)
        apart.append(float((words == "first").mean() - (words == "second").mean()))
        flips += [bool(one == other != "tie") for one, other in zip(pairs[:, 0].flat, pairs[:, 1].flat, strict=True)]
    if len(apart) < 2:
        return None, None
    return mean_interval(apart, bounds=(-1.0, 1.0), confidence=_CONFIDENCE), float(np.mean(flips))


def _voices(facts: RunFacts, cell: Cell, judge: Judge) -> Floats | None:
    """Return the values of all grades of the answers that have them all: answers by judges by repeats."""
    rows = cell_rows(facts.scores, cell, "label", scorer=judge.name)["label"].drop_nulls()
    shape = len(judge.asked), judge.repeats
    if math.prod(shape) < 2:
        return None
    known = {label: voices(judge, label) for label in rows.unique()}
    found = [values for label in rows if (values := known[label]) is not None]
    return np.array(found).reshape(-1, *shape) if len(found) > 1 else None


def shares(variances: Sequence[float | None], *, se: float, n_items: int, seeds: Sequence[float]) -> float | None:
    """Return the share of an estimate's variance that is the judges'; None where it is not known of every arm."""
    known = [variance for variance in variances if variance is not None]
    if len(known) < len(variances) or not known or not (math.isfinite(se) and se > 0):
        return None
    return min(sum(one / k for one, k in zip(known, seeds, strict=True)) / n_items / se**2, 1.0)


def most_useful(judge_share: float | None, seed_share: float | None, endpoint_share: float | None = None) -> str | None:
    """Return what takes most of the variance away: items, seeds, grades, or one endpoint in place of several.

    None where neither judges nor endpoints are known to have a part. The share of seeds holds that of the judges, where
    there are several seeds: each answer is graded for itself. That of the endpoints is a share of what the items vary.

    Examples
    --------
    >>> most_useful(0.1, 0.3), most_useful(0.1, 0.8), most_useful(0.6, 0.7), most_useful(None, 0.9)
    ('items', 'seeds', 'grades', None)
    >>> most_useful(None, 0.1, 0.7), most_useful(None, None, 0.2)
    ('endpoints', 'items')
    """
    if judge_share is None and endpoint_share is None:
        return None
    grades = judge_share or 0.0
    seeds = max((seed_share or grades) - grades, 0.0)
    items = 1 - grades - seeds
    endpoints = items * (endpoint_share or 0.0)
    parts = {"items": items - endpoints, "seeds": seeds, "grades": grades, "endpoints": endpoints}
    return max(parts, key=lambda name: parts[name])
