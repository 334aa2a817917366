"""Verdicts on results that another tool made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headgate.api.calls import RunPath
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError
from headgate.suite.gate import Gate, Policy
from headgate.suite.problems import make_part
from headgate.suite.suite import Suite


def gate_scores(
    candidate: RunPath,
    *,
    baseline: RunPath | None = None,
    item: str | None = None,
    score: str | None = None,
    seed: str | None = None,
    cluster: str | None = None,
    where: Mapping[str, str] | None = None,
    baseline_score: str | None = None,
    baseline_where: Mapping[str, str] | None = None,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    higher_is_better: bool = True,
    margin: float | None = None,
    min: float | None = None,  # noqa: A002 - the names of the rules, as in a suite
    max: float | None = None,  # noqa: A002
    max_ratio: float | None = None,
    alpha: float = 0.05,
    suite: Suite | None = None,
    format: str | None = None,  # noqa: A002
) -> Verdict:
    r"""Judge scores that another tool computed: the same statistics and verdict as for a run.

    Parameters
    ----------
    candidate, baseline : path
        CSV, JSON lines, a JSON list, Parquet; promptfoo's output, Inspect's logs, lm-eval's samples.
    item, score, seed, cluster : str, optional
        Columns: the id of the item, its score, what tells repeats apart, what groups items that are not independent.
        ``a.b`` is the field b of the column a. Defaults: ``item_id`` or ``id``; ``score`` or the format's only one.
    where : mapping of str to str, optional
        Only rows whose columns have these values.
    baseline_score, baseline_where : optional
        Of the baseline, where they differ; without ``baseline`` it is in the candidate's file too.
    bounds : tuple of float or None
        Smallest and largest possible score; None: unbounded.
    higher_is_better : bool
        Which end is good.
    margin, min, max, max_ratio : float, optional
        The gates; each as in a suite.
    alpha : float
        Declared rate of false blocks, and of false passes.
    suite : Suite, optional
        Its gates, scorers and policy hold in place of all of these; a gate's metric is the column of that name.
    format : str, optional
        Reads the files as this; default: what they look like.

    Returns
    -------
    Verdict
        Two files that do not hold the same items are ``invalid``; a score that is null is missing data.

    Raises
    ------
    ConfigError
        If a file cannot be read as scores, naming line and column; or there is no gate.
    StoreError
        If a log does not hold every sample.

    Examples
    --------
    >>> import headgate as hg, pathlib, tempfile
    >>> rows = [f"{n},{n % 10 < 9:d},{n % 10 < 5:d}" for n in range(200)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "scores.csv")
    ...     _ = file.write_text("\n".join(["id,old,new", *rows]))
    ...     verdict = hg.gate_scores(file, score="new", baseline_score="old", margin=0.05)
    >>> verdict.verdict, round(verdict.metrics[0].estimate, 2)
    ('fail', -0.4)
    """
    from headgate.conduct.foreign import Rules, Scores, gate_scores
    from headgate.store.importers.row import Columns

    given = {"margin": margin, "min": min, "max": max, "max_ratio": max_ratio}
    if suite is None:
        policy = make_part(Policy, {"alpha": alpha})
        rules = Rules(gates=_gates(given), policy=policy, bounds=_rising(bounds), higher_is_better=higher_is_better)
    else:
        rules = Rules(gates=suite.gates, scorers=suite.scorers, policy=suite.policy)
    columns = Columns(item=item, score=score, seed=seed, cluster=cluster, where=where or {})
    ours, theirs = Scores(path=Path(candidate), columns=columns), None
    if baseline is not None or baseline_score is not None or baseline_where is not None:
        other = columns.where if baseline_where is None else baseline_where
        columns = replace(columns, score=baseline_score or score, where=other)
        theirs = Scores(path=Path(candidate if baseline is None else baseline), columns=columns)
    return gate_scores(ours, theirs, rules=rules, format_name=format)


def _gates(given: Mapping[str, Any]) -> list[Gate]:
    rules = {name: value for name, value in given.items() if value is not None}
    if not rules:
        raise ConfigError("there is nothing to decide by", field="gates", mend=f"give one of {', '.join(given)}")
    return [make_part(Gate, {"metric": "", name: float(value)}) for name, value in rules.items()]


def _rising(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ConfigError("the smallest score comes first, and differs from the largest", field="bounds", value=bounds)
    return bounds
