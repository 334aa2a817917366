"""Items that are credibly worse over their seeds: a consistent failure that the mean of all items hides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from headgate.decide.metric import metric_of
from headgate.decide.questions import Question
from headgate.decide.rows import Bench
from headgate.decide.tables import checked_values
from headgate.decide.verdict import ItemRow
from headgate.errors import StatisticsError
from headgate.stats import discoveries, drop_p_values

if TYPE_CHECKING:
    import polars as pl

FALSE_DISCOVERY: Final = 0.1
"""Share of chance finds that is accepted among the items listed."""

_MOST: Final = 50


def credible_drops(bench: Bench, questions: Sequence[Question]) -> list[ItemRow]:
    """Return the items that the candidate answers worse, seed for seed, worst first and at most 50 of a cell.

    Looked at are the margins on all items. Whether an item is worse is told by a permutation of its seeds, and among
    all items of a cell the share of chance finds is bounded: one seed, or two, can show nothing.
    """
    asked = [one for one in questions if one.gate.margin is not None and not one.is_slice]
    return [row for question in asked for row in _of_cell(bench, question)]


def _of_cell(bench: Bench, question: Question) -> Iterator[ItemRow]:
    import polars as pl

    gate, match = question.gate, question.match
    metric, other = metric_of(gate.metric, bench.scorers), bench.other(gate)
    if other is None or match.baseline is None:
        return
    try:
        ours = checked_values(bench.candidate.only(match.where), metric, match.candidate)
        theirs = checked_values(other.only(match.where), metric, match.baseline)
    except StatisticsError:  # its row says so
        return
    both = _seeds(ours, "c").join(_seeds(theirs, "b"), on="item_id").sort("item_id")
    both = both.filter((pl.col("c").list.len() > 1) & (pl.col("b").list.len() > 1))
    if both.is_empty():
        return
    sign = 1.0 if metric.higher_is_better else -1.0
    arms = [[sign * np.sort(values.to_numpy()) for values in both[name]] for name in ("c", "b")]
    adjusted = discoveries(*drop_p_values(*arms), q=FALSE_DISCOVERY)
    for index in np.argsort(adjusted, kind="stable")[:_MOST]:
        if adjusted[index] > FALSE_DISCOVERY:
            return
        yield ItemRow(
            name=gate.metric,
            cell=match.name,
            item_id=both["item_id"][int(index)],
            baseline_mean=sign * float(arms[1][index].mean()),
            candidate_mean=sign * float(arms[0][index].mean()),
            p_value=float(adjusted[index]),
        )


def _seeds(values: pl.DataFrame, name: str) -> pl.DataFrame:
    import polars as pl

    return values.group_by("item_id").agg(pl.col("value").alias(name))
