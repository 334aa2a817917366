"""How a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from headgate.store.costs import Costs, sum_costs
from headgate.store.run import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run stands.

    Attributes
    ----------
    planned : int
        Jobs in the plan, or in the run's shard of it.
    counts : mapping of str to int
        Jobs with a row, by status.
    unscored : mapping of str to int
        Answers that could not be scored, by scorer.
    costs : Costs
        What the jobs with a row have cost.
    lost : tuple of str
        Why endpoints could not serve at its end, of models that others served.
    """

    path: Path
    planned: int
    counts: Mapping[str, int]
    unscored: Mapping[str, int]
    costs: Costs
    lost: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: RunStore, *, unscored: Mapping[str, int]) -> Self:
        """Return how the run of a store stands."""
        counts, costs = store.counts(), sum_costs(store.files)
        return cls(path=store.files.path, planned=store.manifest.n_jobs, counts=counts, unscored=unscored, costs=costs)

    @property
    def done(self) -> int:
        """Jobs that have a row."""
        return sum(self.counts.values())
