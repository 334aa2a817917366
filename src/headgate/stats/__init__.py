"""Estimates with error bars that hold: numpy and scipy.special only, usable alone."""

from __future__ import annotations

from headgate.stats.clusters import effective_clusters
from headgate.stats.estimate import Estimate
from headgate.stats.fisher import fisher_exact
from headgate.stats.intervals import clopper_pearson, mean_interval, wilson
from headgate.stats.items import item_means
from headgate.stats.multiplicity import benjamini_hochberg, discoveries, holm
from headgate.stats.paired import log_ratio_interval, mcnemar_mid_p, paired_interval
from headgate.stats.permutation import drop_p_values
from headgate.stats.pvalue import smallest_alpha

__all__ = [
    "Estimate",
    "benjamini_hochberg",
    "clopper_pearson",
    "discoveries",
    "drop_p_values",
    "effective_clusters",
    "fisher_exact",
    "holm",
    "item_means",
    "log_ratio_interval",
    "mcnemar_mid_p",
    "mean_interval",
    "paired_interval",
    "smallest_alpha",
    "wilson",
]
