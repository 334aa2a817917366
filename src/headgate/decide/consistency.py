"""Items that are credibly worse over their seeds: a consistent failure that the mean of all items hides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from headgate.decide.facts import item_names, item_numbers
from headgate.decide.metric import metric_of
from headgate.decide.questions import Question
from headgate.decide.rows import Bench
from headgate.decide.tables import checked_values
from headgate.decide.verdict import ItemRow
from headgate.errors import StatisticsError
from headgate.stats import discoveries, drop_p_values
from headgate.stats.values import Floats, Ints

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

    gate, match = question.gate, question.match
    metric, other = metric_of(gate.metric, bench.scorers), bench.other(gate)
    if other is None or match.baseline is None or metric.passes is not None or metric.whole is not None:
        return
    try:
        ours = checked_values(bench.candidate.only(match.where), metric, match.candidate)
        theirs = checked_values(other.only(match.where), metric, match.baseline)
    except StatisticsError:  # its row says so
        return
    sign = 1.0 if metric.higher_is_better else -1.0
    items, means, tests = _tested(ours, theirs, sign)
    adjusted = discoveries(*tests, q=FALSE_DISCOVERY)
    for index in np.argsort(adjusted, kind="stable")[:_MOST]:
        if adjusted[index] > FALSE_DISCOVERY:
            return
        yield ItemRow(
            name=gate.metric,
            cell=match.name,
            item_id=item_names(ours, items[[index]])[0],
            baseline_mean=float(means[1, index]),
            candidate_mean=float(means[0, index]),
            p_value=float(adjusted[index]),
        )


def _tested(ours: pl.DataFrame, theirs: pl.DataFrame, sign: float) -> tuple[Ints, Floats, Floats]:
    """Return the items with several seeds in both arms, their means, and p-values with the smallest possible ones."""
    arms = [_Seeds.of(ours), _Seeds.of(theirs)]
    size = min(arm.counts.size for arm in arms)
    several = [np.where(arm.counts[:size] > 1, arm.counts[:size], 0) for arm in arms]
    items, means, tests = [np.empty(0, np.int64)], [np.empty((2, 0))], [np.empty((2, 0))]
    for n_c, n_b in product(*(np.flatnonzero(np.bincount(counts)) for counts in several)):
        chosen = np.flatnonzero((several[0] == n_c) & (several[1] == n_b)) if n_c and n_b else items[0]
        if not chosen.size:
            continue
        values = [arm.of_items(chosen, int(n)) for arm, n in zip(arms, (n_c, n_b), strict=True)]
        items.append(chosen)
        means.append(np.stack([value.mean(axis=1) for value in values]))
        tests.append(np.stack(drop_p_values(*(sign * value for value in values))))
    return np.concatenate(items), np.hstack(means), np.hstack(tests)


@dataclass(frozen=True, slots=True)
class _Seeds:
    """Values sorted by item number, and how many each item has."""

    values: Floats
    counts: Ints

    @classmethod
    def of(cls, rows: pl.DataFrame) -> _Seeds:
        numbers, values = item_numbers(rows), rows["value"].to_numpy()
        if (numbers[1:] < numbers[:-1]).any():  # stored rows come sorted
            values = values[np.argsort(numbers, kind="stable")]
        return cls(values, np.bincount(numbers))

    def of_items(self, items: Ints, n: int) -> Floats:
        """Return the values of items with ``n`` of them, a row each."""
        starts = np.cumsum(self.counts) - self.counts
        rows: Floats = self.values[starts[items][:, None] + np.arange(n)]
        return rows
