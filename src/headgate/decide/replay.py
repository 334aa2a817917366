"""A gate tried on stored data: how often it would block when nothing changed, and what drops it would see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.decide.paired import decide_items
from headgate.errors import StatisticsError
from headgate.stats.intervals import binary_rows
from headgate.stats.items import as_items
from headgate.stats.paired import as_arms
from headgate.stats.values import UNIT, Bounds, Floats, Ints, as_bounds

_SEED: Final = 20_260_101


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Shares of replays that ended so, where the candidate was truly worse by ``drop``."""

    drop: float
    passes: float
    fails: float
    inconclusive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a gate did on data like the stored.

    Attributes
    ----------
    curve : tuple of Outcomes
        One for each drop, in the units of the metric; the first is no drop at all.
    runs : int
        Replays behind each share: a share of 5 % in 1,000 is known to 0.7 points.
    """

    curve: tuple[Outcomes, ...]
    runs: int

    @property
    def false_block(self) -> float:
        """Share of replays that failed although nothing had changed."""
        return self.curve[0].fails


def replay_paired(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    margin: float,
    drops: Sequence[float] | None = None,
    alpha: float = 0.05,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    bounds: Bounds = UNIT,
    runs: int = 1000,
    seed: int = _SEED,
    n_items: int | None = None,
) -> Replay:
    """Replay a margin gate on stored scores: items are drawn anew, and which arm is which is a coin's decision.

    Parameters
    ----------
    candidate, baseline, margin, alpha, items, cluster
        As for :func:`~headgate.decide.decide_paired`.
    drops : sequence of float, optional
        True drops to try, in the units of the score; default: half, once, one and a half times and twice the margin.
    bounds : tuple of float
        Smallest and largest possible score; a drop takes scores toward the smallest.
    runs : int
        Replays for each drop.
    seed : int
        Of the random draws; the same seed gives the same replay.
    n_items : int, optional
        Items of each replay; default: as many as are stored. With clusters, about so many.

    Returns
    -------
    Replay
        ``false_block``, and the shares of pass, fail and inconclusive for each drop.

    Raises
    ------
    StatisticsError
        As :func:`~headgate.decide.decide_paired`; or if a drop is negative, or more than there is to lose.

    Notes
    -----
    Whole items (clusters where there are any) are resampled with all their seeds; swapping the arms of an item at
    random makes them equal in truth and keeps how far runs of the same item lie apart. A drop of d is made by losing
    each answer with the same probability, scores that are not right or wrong by shrinking them, so that the mean falls
    by d. What the stored data do not hold, such as rarer items, the replay does not know either.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> right = rng.random((2, 300)) < 0.9
    >>> replay = replay_paired(*right, margin=0.1, runs=200)
    >>> replay.false_block <= 0.1, replay.curve[-1].fails > 0.9
    (True, True)
    """
    ours, theirs = as_arms(candidate, baseline, bounds=bounds)
    (c, b), groups = as_items((ours, theirs), items=items, cluster=cluster)
    rows = (binary_rows(ours, bounds), binary_rows(theirs, bounds))
    low, high = as_bounds(bounds)
    mean = (float(c.mean()) + float(b.mean())) / 2 - low
    wanted = [0.5 * margin, margin, 1.5 * margin, 2 * margin] if drops is None else list(drops)
    for index, drop in enumerate(wanted):
        if not 0 <= drop <= mean:
            raise StatisticsError(f"drops[{index}] is {drop:g}, and there are 0 to {mean:g} to lose")
    lost = _Loss(low=low, scale=high - low, seeds=round(rows[0] / c.size) if rows[0] and rows[1] else None)
    share = 1.0 if n_items is None else n_items / c.size
    drawn = (_scaled(rows[0], share), _scaled(rows[1], share))
    rng = np.random.default_rng(seed)
    curve: list[Outcomes] = []
    for drop in [0.0, *wanted]:
        verdicts: Counter[str] = Counter()
        for _ in range(runs):
            x, y, labels = _redrawn(c, b, groups, rng, share=share)
            x = lost.of(x, drop / mean if mean else 0.0, rng)
            decision = decide_items(x, y, margin=margin, alpha=alpha, cluster=labels, bounds=bounds, n_rows=drawn)
            verdicts[decision.verdict] += 1
        shares = {name: verdicts[name] / runs for name in ("pass", "fail", "inconclusive")}
        curve.append(
            Outcomes(drop=drop, passes=shares["pass"], fails=shares["fail"], inconclusive=shares["inconclusive"])
        )
    return Replay(curve=tuple(curve), runs=runs)


def _scaled(rows: int | None, share: float) -> int | None:
    return None if rows is None else round(share * rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    """How scores fall: right answers are lost one by one where there are such, others shrink."""

    low: float
    scale: float
    seeds: int | None

    def of(self, means: Floats, share: float, rng: np.random.Generator) -> Floats:
        """Return item means that have lost a share of what they stand above the smallest score."""
        if not share:
            return means
        if self.seeds is None:
            return self.low + (means - self.low) * (1 - share)
        right = np.rint((means - self.low) / self.scale * self.seeds).astype(np.int64)
        kept: Floats = self.low + self.scale * rng.binomial(right, 1 - share) / self.seeds
        return kept


def _redrawn(
    candidate: Floats, baseline: Floats, cluster: Ints | None, rng: np.random.Generator, *, share: float
) -> tuple[Floats, Floats, Ints | None]:
    """Draw a share of items, or of whole clusters, with replacement, and swap the arms of each at random."""
    if cluster is None:
        chosen, labels = rng.integers(candidate.size, size=round(share * candidate.size)), None
        swapped = rng.random(chosen.size) < 0.5
    else:
        order = np.argsort(cluster, kind="stable")
        sizes = np.bincount(cluster)
        ends = np.cumsum(sizes)
        drawn = rng.integers(sizes.size, size=max(1, round(share * sizes.size)))
        chosen = np.concatenate([order[ends[one] - sizes[one] : ends[one]] for one in drawn])
        labels = np.repeat(np.arange(drawn.size), sizes[drawn])
        swapped = (rng.random(drawn.size) < 0.5)[labels]
    x, y = candidate[chosen], baseline[chosen]
    return np.where(swapped, y, x), np.where(swapped, x, y), labels
