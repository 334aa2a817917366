"""Estimates from stored runs: the mean of a metric in each cell, and the difference between two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.conduct.judging import read_facts
from headgate.decide import cells as decided
from headgate.decide.facts import number_items
from headgate.decide.labels import estimate_labels
from headgate.decide.metric import classification_of, metric_of
from headgate.decide.tables import items_of
from headgate.errors import ConfigError, StatisticsError
from headgate.score.scorer import Direction, direction
from headgate.stats import Estimate, mean_interval, paired_interval, pass_at_k
from headgate.store.dataset import scan, scan_scores
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest
from headgate.suite.gate import BUILTIN_METRICS, STATUS_RATES
from headgate.suite.scorers import OverLabels, PassAtK, Scorer
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

Cell = tuple[str, str]
"""Prompt and model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEstimate:
    """One metric in one cell.

    Attributes
    ----------
    estimate : Estimate
        Mean over items, or the difference of two runs; None where fewer than two items have a value, or
        fewer than five have a label that the metric is made of.
    """

    metric: str
    prompt: str
    model: str
    estimate: Estimate | None


def summarize_run(path: Path, *, confidence: float = 0.95) -> list[CellEstimate]:
    """Estimate every metric of a run in every cell.

    Returns
    -------
    list of CellEstimate
        Scorers in the order of the suite, what is made of their scores, then the built-in metrics; cells in the order
        of the suite.
    """
    manifest = read_manifest(RunFolder(path).manifest)
    found: list[CellEstimate] = []
    for metric in metrics_of(manifest):
        if (whole := _whole(manifest, metric)) is not None:
            pairs = [(cell, None) for cell in _cells(manifest)]
            found += _of_labels([path], whole, _declared(manifest), pairs, confidence=confidence)
            continue
        items, bounds = _items(path, manifest, metric), _direction(manifest, metric).bounds
        for prompt, model in _cells(manifest):
            rows = items.filter(prompt=prompt, model=model)
            estimate = None
            if len(rows) > 1:
                values, cluster = rows["value"].to_numpy(), _cluster(rows)
                estimate = mean_interval(values, cluster=cluster, bounds=bounds, confidence=confidence)
            found.append(CellEstimate(metric=metric, prompt=prompt, model=model, estimate=estimate))
    return found


def compare_cells(candidate: Path, baseline: Path, metric: str, *, confidence: float = 0.95) -> list[CellEstimate]:
    """Estimate the difference of a metric between two runs, in every pair of cells.

    Cells pair by prompt and model name; a run with a single prompt (or model) pairs with the single one of the other,
    whatever their names. Items that only one run has a value for are left out.

    Raises
    ------
    ConfigError
        If a run lacks the metric, or no cells pair.
    """
    manifests = [read_manifest(RunFolder(path).manifest) for path in (candidate, baseline)]
    for path, manifest in zip((candidate, baseline), manifests, strict=True):
        if metric not in metrics_of(manifest):
            known = ", ".join(metrics_of(manifest))
            raise ConfigError(
                "is no metric of this run", file=path, field="metric", value=metric, mend=f"it has {known}"
            )
    pairs = list(_pairs(*manifests))
    if not pairs:
        raise ConfigError("has no prompt and model in common with the baseline", file=candidate)
    if (whole := _whole(manifests[0], metric)) is not None:
        paths, scorers = [candidate, baseline], _declared(manifests[0])
        return list(_of_labels(paths, whole, scorers, pairs, confidence=confidence))
    ours, theirs = (_items(path, one, metric) for path, one in zip((candidate, baseline), manifests, strict=True))
    bounds = _direction(manifests[0], metric).bounds
    cells: list[CellEstimate] = []
    for (prompt, model), (other_prompt, other_model) in pairs:
        both = _paired(ours.filter(prompt=prompt, model=model), theirs.filter(prompt=other_prompt, model=other_model))
        estimate = None
        if len(both) > 1:
            arms = both["value"].to_numpy(), both["baseline"].to_numpy()
            estimate = paired_interval(*arms, cluster=_cluster(both), bounds=bounds, confidence=confidence)
        cells.append(CellEstimate(metric=metric, prompt=prompt, model=model, estimate=estimate))
    return cells


def metrics_of(manifest: Manifest) -> list[str]:
    """Return the names of a run's metrics: its scorers, what is made of their scores, then the built-in ones."""
    made = [
        spec.name
        for spec in _declared(manifest)
        if isinstance(spec, PassAtK | OverLabels) and spec.of in manifest.scorers
    ]
    return [*manifest.scorers, *made, *BUILTIN_METRICS]


def _whole(manifest: Manifest, metric: str) -> OverLabels | None:
    return next((one for one in _declared(manifest) if one.name == metric and isinstance(one, OverLabels)), None)


def _of_labels(
    paths: Sequence[Path],
    whole: OverLabels,
    scorers: Sequence[Scorer],
    pairs: Iterable[tuple[Cell, Cell | None]],
    *,
    confidence: float,
) -> Iterator[CellEstimate]:
    """Estimate a metric of all labels, or the difference of two runs in it, as gates do."""
    metric, labelled = metric_of(whole.name, scorers), [classification_of(whole, scorers)]
    facts = number_items([read_facts(path, None, labelled=labelled) for path in paths])
    for (prompt, model), other in pairs:
        ours = decided.Cell(prompt=prompt, model=model)
        theirs = None if other is None else decided.Cell(prompt=other[0], model=other[1])
        try:
            items = items_of(facts[0], facts[1] if theirs else None, metric=metric, cells=(ours, theirs))
            estimate = estimate_labels(items, metric, confidence=confidence)
        except StatisticsError:  # no item has a value
            estimate = None
        yield CellEstimate(metric=whole.name, prompt=prompt, model=model, estimate=estimate)


def _declared(manifest: Manifest) -> list[Scorer]:
    return Suite.model_validate(manifest.suite).scorers


def _paired(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Return the items that both runs have a value for, in one order."""
    return ours.join(theirs.select("item_id", baseline="value"), on="item_id").sort("item_id")


def _pairs(candidate: Manifest, baseline: Manifest) -> Iterator[tuple[Cell, Cell]]:
    prompts = _match(list(candidate.plan.prompts), list(baseline.plan.prompts))
    models = _match(list(candidate.plan.models), list(baseline.plan.models))
    for prompt, other_prompt in prompts:
        for model, other_model in models:
            yield (prompt, model), (other_prompt, other_model)


def _match(ours: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    same = [(name, name) for name in ours if name in theirs]
    return same or ([(ours[0], theirs[0])] if len(ours) == len(theirs) == 1 else [])


def _cells(manifest: Manifest) -> Iterator[Cell]:
    return ((prompt, model) for prompt in manifest.plan.prompts for model in manifest.plan.models)


def _direction(manifest: Manifest, metric: str) -> Direction:
    if metric in STATUS_RATES:
        return Direction(higher_is_better=False)
    if metric in BUILTIN_METRICS:
        return Direction(bounds=None, higher_is_better=False)
    found = _declared(manifest)
    return next((direction(scorer) for scorer in found if scorer.name == metric), Direction(bounds=None))


def _items(path: Path, manifest: Manifest, metric: str) -> pl.DataFrame:
    """Return the item means of a metric: prompt, model, item_id, cluster, value; seeds are averaged first."""
    import polars as pl

    passes = next((one for one in _declared(manifest) if one.name == metric and isinstance(one, PassAtK)), None)
    if passes is not None:
        return _passing(path, passes)
    if metric in BUILTIN_METRICS:
        rows = scan(path)
        status = STATUS_RATES.get(metric)
        value = pl.col(metric) if status is None else (pl.col("status") == status).cast(pl.Float64)
        rows = rows if metric == "error_rate" else rows.filter(pl.col("status") != "error")
    else:
        rows, value = scan_scores(path).filter(pl.col("scorer") == metric), pl.col("value")
    means = rows.group_by("prompt", "model", "item_id").agg(pl.col("cluster").first(), value.mean().alias("value"))
    return means.filter(pl.col("value").is_not_null()).sort("prompt", "model", "item_id").collect()


def _passing(path: Path, spec: PassAtK) -> pl.DataFrame:
    """Return the chance to pass of every item, from its seeds; items with too few of them are left out."""
    import polars as pl

    rows = scan_scores(path).filter(pl.col("scorer") == spec.of, pl.col("value").is_not_null())
    grouped = rows.group_by("prompt", "model", "item_id").agg(
        pl.col("cluster").first(), n=pl.len(), passed=pl.col("value").sum()
    )
    items = grouped.filter(pl.col("n") >= spec.k).sort("prompt", "model", "item_id").collect()
    found = pass_at_k(items["n"].to_numpy(), items["passed"].to_numpy(), spec.k, every=spec.all)
    value = pl.Series("value", 1 - found if spec.negate else found)
    return items.drop("n", "passed").with_columns(value)


def _cluster(rows: pl.DataFrame) -> npt.NDArray[Any] | None:
    import polars as pl

    if rows["cluster"].null_count() == len(rows):
        return None
    # An item without a cluster is one of its own.
    return rows.select(pl.coalesce(pl.col("cluster"), "item:" + pl.col("item_id"))).to_series().to_numpy()
