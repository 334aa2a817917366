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

_COLUMNS: Final = pa.schema([RESULTS.field(name) for name in ("status", "cost_usd", "settled_usd")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Sums over the rows of a run, in US dollars.

    Attributes
    ----------
    cost_usd : float or None
        Of the rows whose cost is known; None where none is.
    unpriced : int
        Answers whose cost is not known.
    settled_usd : float
        What counts against a cap: what was settled under one, else the cost.
    evaluators_usd : float or None
        What of ``cost_usd`` evaluators took with the models that they asked; None where no cost of theirs is known.
    """

    cost_usd: float | None
    unpriced: int
    settled_usd: float
    evaluators_usd: float | None = None


def sum_costs(files: RunFolder) -> Costs:
    """Add up the rows of a run, one per job, and of what its evaluators asked.

    Raises
    ------
    StoreError
        If a file cannot be read.
    """
    sources = files.sources()
    repeats = superseded(sources) if files.segments() else _no_repeats(sources)
    own, asked = _sum_rows(sources, repeats), _sum_rows(files.evaluator_files())
    known = [usd for usd in (own.cost_usd, asked.cost_usd) if usd is not None]
    return Costs(
        cost_usd=math.fsum(known) if known else None,
        unpriced=own.unpriced + asked.unpriced,
        settled_usd=math.fsum((own.settled_usd, asked.settled_usd)),
        evaluators_usd=asked.cost_usd,
    )


def _no_repeats(sources: Sequence[Path]) -> list[npt.NDArray[np.int64]]:
    return [np.empty(0, np.int64) for _ in sources]


def _sum_rows(sources: Sequence[Path], repeats: Sequence[npt.NDArray[np.int64]] | None = None) -> Costs:
    known, settled, priced, unpriced = [0.0], [0.0], 0, 0
    for source, lost in zip(sources, repeats or _no_repeats(sources), strict=True):
        table = read_columns(source, _COLUMNS.names)
        kept = np.ones(table.num_rows, np.bool_)
        kept[lost] = False
        for batch in table.filter(make_mask(kept)).to_batches():
            status, cost, taken = conform(batch, schema=_COLUMNS).columns
            known.append(_sum(cost))
            settled.append(_sum(pc.call_function("coalesce", [taken, cost])))
            priced += len(cost) - cost.null_count
            unpriced += int(_sum(pc.call_function("and", [is_answer(status), pc.call_function("is_null", [cost])])))
    return Costs(cost_usd=math.fsum(known) if priced else None, unpriced=unpriced, settled_usd=math.fsum(settled))


def _sum(column: Any) -> float:
    return pc.call_function("sum", [column]).as_py() or 0.0
