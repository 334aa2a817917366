"""Looks at a run that goes on: in which order the items are asked, after how many a look is made, at which level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headgate.identity import digest_bytes
from headgate.stats import default_looks, look_levels
from headgate.stats.values import Ints

LEAST: Final = 1e-9
"""A look with a smaller level can decide nothing, and is not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPlan:
    """What is fixed before the first request.

    Attributes
    ----------
    order : ndarray of int64, shape (n_items,)
        Items by number, in the order in which they are asked.
    sizes : tuple of int
        Items that each look waits for; the last is all of them.
    """

    order: Ints
    sizes: tuple[int, ...]

    @property
    def fractions(self) -> list[float]:
        """Share of all items at each look."""
        return [size / self.order.size for size in self.sizes]

    def levels(self, alpha: float) -> list[float]:
        """Return the level of each look, so that all of them together err with probability alpha.

        Lan and DeMets (1983) with O'Brien and Fleming's spending: early looks are strict, the last costs
        almost nothing.
        """
        return [float(level) for level in look_levels(self.fractions, alpha=alpha)]

    @property
    def digest(self) -> str:
        """Content id of order and sizes."""
        return digest_bytes(self.order.astype("<i8").tobytes() + repr(self.sizes).encode())


def plan_looks(
    n_items: int, *, key: str, cluster: Ints | None = None, strata: Sequence[Ints] = (), alpha: float
) -> LookPlan:
    """Fix the order of the items and the looks.

    Parameters
    ----------
    n_items : int
        Items of the plan.
    key : str
        What seeds the permutation: the plan's digest, so that a resumed run has the same.
    cluster : ndarray of int64, shape (n_items,), optional
        The cluster of each item; whole clusters stay together.
    strata : sequence of ndarray of int64, shape (n_items,)
        Slices: each value of each comes evenly.
    alpha : float
        The level that the looks share; looks that could decide nothing are left out.

    Examples
    --------
    >>> plan = plan_looks(400, key="plan", alpha=0.05)
    >>> plan.sizes, sorted(plan.order.tolist()) == list(range(400))
    ((80, 160, 240, 320, 400), True)
    """
    rng = np.random.Generator(np.random.Philox(key=int(digest_bytes(key.encode())[:16], 16)))
    units = np.arange(n_items) if cluster is None else np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(_places(units, strata, rng)[units], kind="stable").astype(np.int64)
    ends = np.flatnonzero(np.diff(units[order], append=-1)) + 1  # a look does not part a cluster
    wanted = [int(ends[np.searchsorted(ends, size)]) for size in default_looks(n_items)]
    plan = LookPlan(order=order, sizes=tuple(dict.fromkeys(wanted)))
    told = [size for size, level in zip(plan.sizes, plan.levels(alpha), strict=True) if level >= LEAST]
    return LookPlan(order=order, sizes=tuple(told))


def _places(units: Ints, strata: Sequence[Ints], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where each unit stands, between 0 and 1: at random, evenly within its stratum."""
    n_units = int(units.max()) + 1
    first = np.zeros(n_units, np.int64)
    first[units[::-1]] = np.arange(units.size)[::-1]
    stratum = np.zeros(n_units, np.int64)
    for labels in strata:  # a cluster belongs where its first item does
        stratum = np.unique(stratum * (int(labels.max()) + 1) + labels[first], return_inverse=True)[1]
    places = np.empty(n_units)
    for one in range(int(stratum.max()) + 1):
        members = rng.permutation(np.flatnonzero(stratum == one))
        places[members] = (np.arange(members.size) + rng.random(members.size)) / members.size
    return places
