"""Candidate against baseline with a margin, on arrays: the rule behind `margin` gates, usable alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headgate.decide.decision import Decision, Rule
from headgate.errors import StatisticsError
from headgate.stats import mcnemar_mid_p
from headgate.stats.intervals import binary_rows
from headgate.stats.items import as_items
from headgate.stats.paired import PairedLimits, as_arms
from headgate.stats.seeds import SeedNoise
from headgate.stats.values import UNIT, Bounds, Floats, Ints


def decide_paired(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    margin: float,
    alpha: float = 0.05,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    bounds: Bounds | None = UNIT,
) -> Decision:
    """Decide whether the candidate is worse than the baseline by more than a margin, where higher is better.

    Parameters
    ----------
    candidate, baseline : array_like, shape (n_rows,)
        Scores; row j of both arms belongs to the same item.
    margin : float
        Difference that is still accepted, in the units of the score.
    alpha : float
        One-sided level of both errors: failing what is no worse, and passing what is worse by the margin.
    items, cluster, bounds
        As for :func:`headgate.stats.paired_interval`.

    Returns
    -------
    Decision
        ``verdict``, ``value``, ``low``, ``high``, ``p_value``, ``flags``. It passes when the lower limit lies above
        ``-margin``; else it fails when the upper limit lies below 0 (and, where every item is simply right or wrong,
        McNemar's mid-p agrees); else it is inconclusive.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds, the lengths differ, or the margin is negative.

    Examples
    --------
    >>> decide_paired([1] * 200, [1] * 200, margin=0.05).verdict
    'pass'
    >>> decide_paired([0] * 4 + [1] * 46, [1] * 50, margin=0.05).verdict
    'fail'
    >>> decide_paired([0] * 3 + [1] * 47, [1] * 50, margin=0.05).verdict
    'inconclusive'
    """
    if not margin >= 0:
        raise StatisticsError(f"margin {margin} is not 0 or more")
    if not 0 < alpha < 0.5:
        raise StatisticsError(f"alpha {alpha} is not between 0 and 0.5")
    ours, theirs = as_arms(candidate, baseline, bounds=bounds)
    (c, b), groups = as_items((ours, theirs), items=items, cluster=cluster)
    rows = (binary_rows(ours, bounds), binary_rows(theirs, bounds))
    return decide_items(c, b, margin=margin, alpha=alpha, cluster=groups, bounds=bounds, n_rows=rows)


def decide_items(
    candidate: Floats,
    baseline: Floats,
    *,
    margin: float,
    alpha: float,
    cluster: Ints | None,
    bounds: Bounds | None,
    n_rows: tuple[int | None, int | None],
    strict: bool = False,
    within: tuple[SeedNoise, SeedNoise] | None = None,
) -> Decision:
    """Decide on item means; ``n_rows`` of an arm is given where its scores are binary.

    ``strict``: it fails only when it is surely worse by more than the margin. ``within`` is given where the items are
    all there are.
    """
    limits = PairedLimits.of(candidate, baseline, cluster=cluster, bounds=bounds, n_rows=n_rows, within=within)
    rule = Rule(
        floor=-margin,
        ceiling=-margin if strict else 0.0,
        guard=sign_test(candidate, baseline, bounds=bounds),
        clustered=cluster is not None,
        bounded=bounds is not None,
    )
    return rule.decide(limits, alpha=alpha)


def sign_test(candidate: Floats, baseline: Floats, *, bounds: Bounds | None) -> float:
    """Return McNemar's mid-p where all seeds of every item agree, right or wrong; 0 elsewhere.

    A single answer per item is the plain form of this; a model at temperature 0 gives the same data with more seeds.
    """
    if bounds is None or not bool(np.isin(candidate, bounds).all() and np.isin(baseline, bounds).all()):
        return 0.0
    worse, better = int(np.count_nonzero(candidate < baseline)), int(np.count_nonzero(candidate > baseline))
    return mcnemar_mid_p(worse, better)
