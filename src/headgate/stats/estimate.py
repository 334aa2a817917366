"""What every interval function returns: a value with its uncertainty, never a bare mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval.

    Attributes
    ----------
    value : float
        The estimate, in the units of the metric.
    low, high : float
        Limits of the two-sided interval at ``confidence``; each is a one-sided limit at ``(1 - confidence) / 2``.
    se : float
        Standard error; nan where it is not defined (one item, one cluster).
    n_items : int
        Items that the estimate rests on.
    n_clusters : int or None
        Clusters of items; None when the items are independent.
    confidence : float
        Two-sided level, such as 0.95.
    method : str
        How the interval was made.

    Examples
    --------
    >>> print(Estimate(value=0.9, low=0.7, high=0.97, se=0.07, n_items=20, n_clusters=None, confidence=0.95,
    ...                method="Wilson(n_eff)"))
    0.9 [0.7, 0.97] (95 %, 20 items, Wilson(n_eff))
    """

    value: float
    low: float
    high: float
    se: float
    n_items: int
    n_clusters: int | None
    confidence: float
    method: str

    def __str__(self) -> str:
        units = f"{self.n_items} items" + ("" if self.n_clusters is None else f" in {self.n_clusters} clusters")
        limits = f"[{self.low:.4g}, {self.high:.4g}]"
        return f"{self.value:.4g} {limits} ({100 * self.confidence:.4g} %, {units}, {self.method})"
