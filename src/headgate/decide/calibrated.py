"""Labels by humans in a decision: where they correct a judge's metric, and where they are too few to."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from headgate.decide.arms import Items
from headgate.decide.decision import Decision, Rule
from headgate.decide.metric import Metric
from headgate.stats.intervals import MeanLimits
from headgate.stats.ppi import LABELS, PpiLimits
from headgate.stats.values import Bounds, Floats
from headgate.suite.gate import Gate, Policy

CALIBRATED: Final = "calibrated"
FEW_LABELS: Final = "few_labels"
UNCALIBRATED: Final = "uncalibrated"


def calibrate(items: Items, gate: Gate, metric: Metric, policy: Policy) -> tuple[Items, str | None]:
    """Return the items with the labels that their judge is corrected by, and the flag that says so; None: no judge.

    Labels are left out where fewer than 30 items have one in every arm (``few_labels``), and where there is no method
    for them: of ratios, of clusters, and where the suite itself is meant.
    """
    if not metric.judged:
        return items, None
    if gate.rule != "max_ratio" and items.cluster is None and policy.target == "population":
        if items.n_labels >= LABELS:
            return items, CALIBRATED
        flag = FEW_LABELS if items.n_labels or metric.calibrates else UNCALIBRATED
    else:
        flag = UNCALIBRATED
    baseline = None if items.baseline is None else replace(items.baseline, human=None)
    return replace(items, candidate=replace(items.candidate, human=None), baseline=baseline), flag


def decide_calibrated(rule: Rule, judged: Floats, labels: Floats, *, alpha: float, bounds: Bounds | None) -> Decision:
    """Decide on what a judge gave the items, or on its differences, corrected by the labels of some (nan: none)."""
    known = np.isfinite(labels)
    if np.count_nonzero(~known) < 2:  # humans have seen it all
        return rule.decide(MeanLimits.of(labels[known], bounds=bounds), alpha=alpha)
    return rule.decide(PpiLimits.of(labels[known], judged[known], judged[~known], bounds=bounds), alpha=alpha)
