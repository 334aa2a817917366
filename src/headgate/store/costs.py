"""What the jobs of a run have cost."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headgate.store.columns import make_mask
from headgate.store.index import read_columns, superseded
from headgate.store.layout import RunFolder
from headgate.store.schema import RESULTS, conform, is_answer

_NAMES: Final = ("status", "cost_usd", "settled_usd", "cache_hit", "input_tokens", "output_tokens")
_COLUMNS: Final = pa.schema([RESULTS.field(name) for name in _NAMES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Sums over the rows of a run, in US dollars; answers of the response cache cost it nothing.

    Attributes
    ----------
    cost_usd : float or None
        Of the rows whose cost is known; None where none is.
    unpriced : int
        Answers whose cost is not known.
    settled_usd : float
        What counts against a cap: what was settled under one, else the cost.
    tokens : int
        Input and output of the answers, as far as their servers tell them.
    judges_usd : float or None
        What of ``cost_usd`` judges took; None where none was asked, or no cost is known.
    evaluators_usd : float or None
        What of it evaluators took with the models that they asked; None where no cost of theirs is known.
    """

    cost_usd: float | None
    unpriced: int
    settled_usd: float
    tokens: int = 0
    judges_usd: float | None = None
    evaluators_usd: float | None = None


def sum_costs(files: RunFolder) -> Costs:
    """Add up the rows of a run, of its judges, and of what its evaluators asked, one per job.

    Raises
    ------
    StoreError
        If a file cannot be read.
    """
    judges = [_sum_run(run) for run in files.judge_runs()]
    asked = _sum_rows(files.evaluator_files())
    all_of_it = [_sum_run(files), *judges, asked]
    return Costs(
        cost_usd=_total(all_of_it),
        unpriced=sum(costs.unpriced for costs in all_of_it),
        settled_usd=math.fsum(costs.settled_usd for costs in all_of_it),
        tokens=sum(costs.tokens for costs in all_of_it),
        judges_usd=_total(judges),
        evaluators_usd=asked.cost_usd,
    )


def _total(costs: list[Costs]) -> float | None:
    known = [one.cost_usd for one in costs if one.cost_usd is not None]
    return math.fsum(known) if known else None


def _sum_run(files: RunFolder) -> Costs:
    sources = files.sources()
    return _sum_rows(sources, superseded(sources) if files.segments() else None)


def _sum_rows(sources: Sequence[Path], repeats: Sequence[npt.NDArray[np.int64]] | None = None) -> Costs:
    known, settled, priced, unpriced = [0.0], [0.0], 0, 0
    used = 0
    none = np.empty(0, np.int64)
    for source, lost in zip(sources, repeats or [none] * len(sources), strict=True):
        table = read_columns(source, _COLUMNS.names)
        kept = np.ones(table.num_rows, np.bool_)
        kept[lost] = False
        for batch in table.filter(make_mask(kept)).to_batches():
            status, cost, taken, hit, *tokens = conform(batch, schema=_COLUMNS).columns
            # A cached answer was paid for by another run.
            paid = pc.call_function("invert", [hit])
            status, cost, taken = (pc.call_function("filter", [column, paid]) for column in (status, cost, taken))
            used += sum(int(_sum(pc.call_function("filter", [column, paid]))) for column in tokens)
            known.append(_sum(cost))
            settled.append(_sum(pc.call_function("coalesce", [taken, cost])))
            priced += len(cost) - cost.null_count
            unpriced += int(_sum(pc.call_function("and", [is_answer(status), pc.call_function("is_null", [cost])])))
    cost_usd = math.fsum(known) if priced else None
    return Costs(cost_usd=cost_usd, unpriced=unpriced, settled_usd=math.fsum(settled), tokens=used)


def _sum(column: Any) -> float:
    return pc.call_function("sum", [column]).as_py() or 0.0
