"""Values of one metric by item: of one arm, and of two on the items that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headgate.stats.classification import Linear
from headgate.stats.seeds import SeedNoise
from headgate.stats.values import Bounds, Floats, Ints


class Rarest(NamedTuple):
    """The label with the fewest independent items (clusters), and how many; None: all but one label together."""

    label: str | None
    units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmItems:
    """Item means of one arm.

    Attributes
    ----------
    low, high : ndarray, shape (n_items,)
        Means with what is missing at the lower and at the upper bound; the same array where nothing is missing.
    seen : ndarray, shape (n_items,)
        Means of what is there; nan for an item without any value.
    noise : SeedNoise
        What the seeds of each item say about their spread.
    n_rows : int
        Jobs behind them.
    n_missing : int
        Jobs without a value.
    binary : bool
        Whether every value stands at a bound.
    human : ndarray, shape (n_items,), optional
        Means of the labels by humans; nan for an item without one. None where there are none.
    linear : Linear, optional
        Where the metric is one of all labels: what an answer counts, which the means are of.
    """

    low: Floats
    high: Floats
    seen: Floats
    noise: SeedNoise
    n_rows: int
    n_missing: int
    binary: bool
    human: Floats | None = None
    linear: Linear | None = None

    @property
    def mean(self) -> float:
        """Mean over the items that have a value; nan without any."""
        return float(np.nanmean(self.seen)) if np.isfinite(self.seen).any() else float("nan")

    @property
    def binary_rows(self) -> int | None:
        """The rows, where they are binary."""
        return self.n_rows if self.binary else None

    def flipped(self, bounds: Bounds | None) -> ArmItems:
        """Return the arm with the other end of the metric as the good one."""
        mirror = 0.0 if bounds is None else bounds[0] + bounds[1]
        return ArmItems(
            low=mirror - self.high,
            high=mirror - self.low,
            seen=mirror - self.seen,
            noise=self.noise,
            n_rows=self.n_rows,
            n_missing=self.n_missing,
            binary=self.binary,
            human=None if self.human is None else mirror - self.human,
            linear=self.linear,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Both arms on the items they share.

    Attributes
    ----------
    cluster : array of int, optional
        None where the items are independent.
    endpoint : array of int, optional
        Which endpoint served each item's candidate, -1 where it was several; None where one served all.
    rarest : Rarest, optional
        Where the metric is one of all labels: the one that least is known of.
    """

    candidate: ArmItems
    baseline: ArmItems | None
    cluster: Ints | None
    endpoint: Ints | None = None
    rarest: Rarest | None = None

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.candidate.seen.size

    @property
    def n_clusters(self) -> int | None:
        """Number of clusters."""
        return None if self.cluster is None else int(self.cluster.max()) + 1

    @property
    def n_labels(self) -> int:
        """Items with a label by humans in every arm."""
        arms = [arm.human for arm in (self.candidate, self.baseline) if arm is not None]
        known = [np.isfinite(human) for human in arms if human is not None]
        return int(np.logical_and.reduce(known).sum()) if len(known) == len(arms) else 0

    @property
    def n_missing(self) -> int:
        """Jobs without a value, of both arms."""
        return self.candidate.n_missing + (0 if self.baseline is None else self.baseline.n_missing)

    @property
    def n_jobs(self) -> int:
        """Jobs behind the row, of both arms."""
        return self.candidate.n_rows + (0 if self.baseline is None else self.baseline.n_rows)
