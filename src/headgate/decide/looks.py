"""Looks at a run that goes on: in which order the items are asked, after how many a look is made, at which level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headgate.identity import digest_bytes
from headgate.stats import default_looks, look_levels
from headgate.stats.values import Ints

LEAST: Final = 1e-9
"""A look with a smaller level can decide nothing, and is not made."""
SPENT_ON_ITEMS: Final = 0.8
"""Where more seeds may follow, the time by which alpha is spent when all items are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPlan:
    """What is fixed before the first request.

    Attributes
    ----------
    order : ndarray of int64, shape (n_items,)
        Items by number, in the order in which they are asked.
    sizes : tuple of int
        Items that each look waits for; the last is all of them.
    seeds : int
        Of every item at these looks.
    more_seeds : tuple of int
        Of every item at the looks that may follow.
    """

    order: Ints
    sizes: tuple[int, ...]
    seeds: int = 1
    more_seeds: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.sizes) + len(self.more_seeds)

    @property
    def most_seeds(self) -> int:
        """Seeds at the last look that there may be."""
        return self.more_seeds[-1] if self.more_seeds else self.seeds

    def n_items(self, look: int) -> int:
        """Return the items of a look, by number from 0."""
        return self.sizes[min(look, len(self.sizes) - 1)]

    def n_seeds(self, look: int) -> int:
        """Return the seeds of each item at a look, by number from 0."""
        return self.seeds if look < len(self.sizes) else self.more_seeds[look - len(self.sizes)]

    @property
    def fractions(self) -> list[float]:
        """Share of all that may be asked at each look; of the information, where items did not differ at all."""
        most = self.order.size * self.most_seeds
        return [self.n_items(look) * self.n_seeds(look) / most for look in range(len(self))]

    def every(self, share: float) -> Ints:
        """Return a share of the items, evenly over the order in which they are asked."""
        taken = np.floor(share * np.arange(self.order.size + 1))
        chosen: Ints = self.order[np.diff(taken) > 0]
        return chosen

    def levels(self, alpha: float) -> list[float]:
        """Return the level of each look, so that all of them together err with probability alpha.

        Lan and DeMets (1983) with O'Brien and Fleming's spending: early looks are strict, the last costs
        almost nothing. More seeds of the same items add less information than their share of the jobs; to take the
        share for it is to take the looks for less alike than they are, which keeps alpha.
        """
        more = len(self.more_seeds)
        spent = SPENT_ON_ITEMS if more else 1.0
        clock = [spent * size / self.order.size for size in self.sizes]
        clock += [spent + (1 - spent) * (look + 1) / more for look in range(more)]
        return [float(level) for level in look_levels(self.fractions, alpha=alpha, clock=clock)]

    @property
    def digest(self) -> str:
        """Content id of order, sizes and seeds."""
        looks = repr((self.sizes, self.seeds, self.more_seeds))
        return digest_bytes(self.order.astype("<i8").tobytes() + looks.encode())


def plan_looks(
    n_items: int,
    *,
    key: str,
    cluster: Ints | None = None,
    strata: Sequence[Ints] = (),
    alpha: float,
    seeds: int = 1,
    most_seeds: int | None = None,
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
    seeds, most_seeds : int
        Seeds of every item, and how many it may come to once all items are seen: twice as many at each look.

    Examples
    --------
    >>> plan = plan_looks(400, key="plan", alpha=0.05)
    >>> plan.sizes, sorted(plan.order.tolist()) == list(range(400))
    ((80, 160, 240, 320, 400), True)
    >>> more = plan_looks(60, key="plan", alpha=0.05, seeds=2, most_seeds=5)
    >>> [(more.n_items(look), more.n_seeds(look)) for look in range(len(more))]
    [(60, 2), (60, 4), (60, 5)]
    """
    rng = np.random.Generator(np.random.Philox(key=int(digest_bytes(key.encode())[:16], 16)))
    units = np.arange(n_items) if cluster is None else np.unique(cluster, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(_places(units, strata, rng)[units], kind="stable").astype(np.int64)
    ends = np.flatnonzero(np.diff(units[order], append=-1)) + 1  # a look does not part a cluster
    wanted = [int(ends[np.searchsorted(ends, size)]) for size in default_looks(n_items)]
    sizes = tuple(dict.fromkeys(wanted))
    plan = LookPlan(order=order, sizes=sizes, seeds=seeds, more_seeds=tuple(_doubled(seeds, most_seeds or seeds)))
    told = [size for size, level in zip(sizes, plan.levels(alpha), strict=False) if level >= LEAST]
    return replace(plan, sizes=tuple(told))


def _doubled(seeds: int, most: int) -> Iterator[int]:
    while seeds < most:
        seeds = min(2 * seeds, most)
        yield seeds


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
