"""Standard errors of a mean of items that may lie in clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.stats.sums import group_sums, steady_mean, steady_square, steady_sum
from headgate.stats.values import Floats, Ints, as_labels

_FLAT: Final = 1e-12  # spreads below this share of the scale are rounding, not data


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean of items and how well it is known.

    Attributes
    ----------
    mean : float
        Mean of the items.
    se : float
        Standard error; exactly 0 when nothing varies, nan when it is not defined.
    df : float
        Degrees of freedom: units - 1, where ``units`` are items or effective clusters.
    units : float
        Independent units: items, or effective clusters.
    """

    mean: float
    se: float
    df: float
    units: float

    @property
    def known(self) -> bool:
        """Whether there is a standard error at all."""
        return math.isfinite(self.se)

    def scaled(self, factor: float) -> Spread:
        """Return what ``factor`` times as many items like these would show."""
        units = self.units * factor
        return Spread(mean=self.mean, se=self.se / math.sqrt(factor), df=units - 1, units=units)


def effective_clusters(cluster: ArrayLike) -> float:
    """Return the number of equally large clusters that weigh as much: ``(sum s)^2 / sum s^2``.

    Parameters
    ----------
    cluster : array_like, shape (n_items,)
        The cluster of each item.

    Examples
    --------
    >>> effective_clusters(["a", "a", "b", "b"]), effective_clusters(["a", "a", "a", "b"])
    (2.0, 1.6)
    """
    labels = np.asarray(cluster)
    _, codes = as_labels(labels, length=labels.size, name="cluster")
    sizes = np.bincount(codes).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def spread(means: Floats, cluster: Ints | None) -> Spread:
    """Return mean and standard error of item means.

    With clusters the standard error is the delete-one-cluster jackknife (CR3) with effective clusters - 1 degrees of
    freedom; see Carter, Schnepel and Steigerwald (2017) on the effective number of clusters. With fewer than two
    items, or less than two effective clusters, there is none.

    Examples
    --------
    >>> spread(np.array([0.0, 1.0, 1.0, 1.0]), None)
    Spread(mean=0.75, se=0.25, df=3.0, units=4.0)
    """
    mean = steady_mean(means)
    units = float(means.size) if cluster is None else effective_clusters(cluster)
    if units < 2:
        return Spread(mean=mean, se=math.nan, df=units - 1, units=units)
    if is_flat(means):
        return Spread(mean=float(means.min()), se=0.0, df=units - 1, units=units)
    centred = means - mean
    variance = steady_square(centred) / (units * (units - 1)) if cluster is None else _jackknife(centred, cluster)
    se = math.sqrt(variance)
    return Spread(mean=mean, se=0.0 if se < _FLAT * float(np.ptp(means)) else se, df=units - 1, units=units)


def cluster_means(means: Floats, cluster: Ints) -> Floats:
    """Average the items of each cluster."""
    sizes = np.bincount(cluster)
    return group_sums(means, cluster, sizes) / sizes


def is_flat(values: Floats) -> bool:
    """Tell whether values differ by rounding only."""
    return float(np.ptp(values)) <= _FLAT * max(float(np.abs(values).max()), _FLAT)


def _jackknife(centred: Floats, cluster: Ints) -> float:
    """Return the CR3 variance of a mean, from centred items."""
    sizes = np.bincount(cluster)
    sums = group_sums(centred, cluster, sizes)
    without = (steady_sum(sums) - sums) / (centred.size - sizes)
    return steady_square(without - steady_mean(without)) * (sizes.size - 1) / sizes.size
