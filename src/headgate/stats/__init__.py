"""Estimates with error bars that hold: numpy and scipy.special only, usable alone."""

from __future__ import annotations

from headgate.stats.agreement import cohen_kappa, fleiss_kappa
from headgate.stats.asymptotic import AsymptoticSequence
from headgate.stats.betting import BettingSequence, MeanTest
from headgate.stats.bootstrap import bootstrap_mean, bootstrap_quantile
from headgate.stats.classification import confusion, f1_values, matthews_values
from headgate.stats.clusters import effective_clusters
from headgate.stats.estimate import Estimate
from headgate.stats.evalues import RateTest, log_e_threshold, merge_log_e
from headgate.stats.families import Family, max_t
from headgate.stats.fisher import fisher_exact
from headgate.stats.futility import conditional_power, curtailed, futile
from headgate.stats.groups import between_share
from headgate.stats.intervals import clopper_pearson, mean_interval, wilson
from headgate.stats.items import item_means
from headgate.stats.multiplicity import benjamini_hochberg, discoveries, holm
from headgate.stats.paired import log_ratio_interval, mcnemar_mid_p, paired_interval
from headgate.stats.passes import pass_at_k
from headgate.stats.permutation import drop_p_values
from headgate.stats.power import (
    PowerCurve,
    binary_power_curve,
    fewest_items,
    mde,
    needed_items,
    needed_seeds,
    pass_probability,
    power_curve,
)
from headgate.stats.ppi import ppi_mean
from headgate.stats.pvalue import smallest_alpha
from headgate.stats.quantiles import quantile_interval, quantile_ratio_interval
from headgate.stats.ranks import RankTest, mann_whitney
from headgate.stats.resample import (
    AdaptiveLimit,
    Resampled,
    adaptive_limit,
    f1_score,
    mean_difference,
    mean_ratio,
    resample_means,
    win_rate,
)
from headgate.stats.seeds import (
    PairedComponents,
    VarianceComponents,
    paired_components,
    recommended_seeds,
    variance_components,
)
from headgate.stats.sequential import (
    Exits,
    default_looks,
    exit_probabilities,
    look_levels,
    spending_boundaries,
)
from headgate.stats.shrinkage import Shrunk, shrink
from headgate.stats.stagewise import Stagewise, stagewise
from headgate.stats.tango import newcombe_paired_interval, tango_interval
from headgate.stats.unpaired import newcombe_interval, unpaired_interval

__all__ = [
    "AdaptiveLimit",
    "AsymptoticSequence",
    "BettingSequence",
    "Estimate",
    "Exits",
    "Family",
    "MeanTest",
    "PairedComponents",
    "PowerCurve",
    "RankTest",
    "RateTest",
    "Resampled",
    "Shrunk",
    "Stagewise",
    "VarianceComponents",
    "adaptive_limit",
    "benjamini_hochberg",
    "between_share",
    "binary_power_curve",
    "bootstrap_mean",
    "bootstrap_quantile",
    "clopper_pearson",
    "cohen_kappa",
    "conditional_power",
    "confusion",
    "curtailed",
    "default_looks",
    "discoveries",
    "drop_p_values",
    "effective_clusters",
    "exit_probabilities",
    "f1_score",
    "f1_values",
    "fewest_items",
    "fisher_exact",
    "fleiss_kappa",
    "futile",
    "holm",
    "item_means",
    "log_e_threshold",
    "log_ratio_interval",
    "look_levels",
    "mann_whitney",
    "matthews_values",
    "max_t",
    "mcnemar_mid_p",
    "mde",
    "mean_difference",
    "mean_interval",
    "mean_ratio",
    "merge_log_e",
    "needed_items",
    "needed_seeds",
    "newcombe_interval",
    "newcombe_paired_interval",
    "paired_components",
    "paired_interval",
    "pass_at_k",
    "pass_probability",
    "power_curve",
    "ppi_mean",
    "quantile_interval",
    "quantile_ratio_interval",
    "recommended_seeds",
    "resample_means",
    "shrink",
    "smallest_alpha",
    "spending_boundaries",
    "stagewise",
    "tango_interval",
    "unpaired_interval",
    "variance_components",
    "wilson",
    "win_rate",
]
