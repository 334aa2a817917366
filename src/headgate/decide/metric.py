"""What a gate's metric is: where its values stand, their bounds, and which end is good."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from headgate.errors import ConfigError
from headgate.score.scorer import direction
from headgate.stats.values import UNIT, Bounds
from headgate.suite.gate import BUILTIN_METRICS, STATUS_RATES
from headgate.suite.scorers import Classification, OverLabels, PassAtK, Scorer
from headgate.suite.scorers.judge import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A scorer's values, or a column of the results.

    Attributes
    ----------
    name : str
        Scorer or built-in metric.
    bounds : tuple of float or None
        Smallest and largest value; None: unbounded.
    higher_is_better : bool
        Which end is good.
    built_in : bool
        Whether the values stand in the results.
    rows : str
        Scorer whose scores are read: that of the name, unless it is made of another's.
    passes : PassAtK, optional
        What becomes of an item's scores in place of their mean.
    whole : OverLabels, optional
        What is made of the labels of all answers together, where the metric is no mean of items.
    labels : tuple of str
        These labels.
    judged : bool
        Whether a model gives the values.
    calibrates : bool
        Whether humans are to correct that.
    """

    name: str
    bounds: Bounds | None
    higher_is_better: bool
    built_in: bool
    rows: str
    passes: PassAtK | None = None
    whole: OverLabels | None = None
    labels: tuple[str, ...] = ()
    judged: bool = False
    calibrates: bool = False

    @property
    def best(self) -> float | None:
        """The best value that can be had."""
        return None if self.bounds is None else self.bounds[1 if self.higher_is_better else 0]


def metric_of(name: str, scorers: Sequence[Scorer]) -> Metric:
    """Return the metric of a name.

    Raises
    ------
    ConfigError
        If it is neither a scorer nor a built-in metric.

    Examples
    --------
    >>> metric_of("latency_s", []).higher_is_better
    False
    """
    if name in BUILTIN_METRICS:
        bounds = UNIT if name in STATUS_RATES else None
        return Metric(name=name, bounds=bounds, higher_is_better=False, built_in=True, rows=name)
    for scorer in scorers:
        if scorer.name == name:
            found = direction(scorer)
            passes = scorer if isinstance(scorer, PassAtK) else None
            whole = scorer if isinstance(scorer, OverLabels) else None
            labels = () if whole is None else tuple(classification_of(whole, scorers).names)
            made = passes or whole
            return Metric(
                name=name,
                bounds=found.bounds,
                higher_is_better=found.higher_is_better,
                built_in=False,
                rows=name if made is None else made.of,
                passes=passes,
                whole=whole,
                labels=labels,
                judged=isinstance(scorer, Judge),
                calibrates=isinstance(scorer, Judge) and scorer.calibrate is not None,
            )
    known = ", ".join([*(scorer.name for scorer in scorers), *BUILTIN_METRICS])
    raise ConfigError("is no metric of this suite", field="gates.metric", value=name, mend=f"known are {known}")


def classification_of(whole: OverLabels, scorers: Sequence[Scorer]) -> Classification:
    """Return the scorer whose labels a metric is made of; a suite has it."""
    return next(one for one in scorers if one.name == whole.of and isinstance(one, Classification))


def classifications(metrics: Container[str], scorers: Sequence[Scorer]) -> list[Classification]:
    """Return the scorers whose labels some metrics are made of."""
    asked = [one for one in scorers if isinstance(one, OverLabels) and one.name in metrics]
    return list({one.of: classification_of(one, scorers) for one in asked}.values())
