"""From another tool's results to a verdict: score tables, made into what a decision needs to know of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from headgate.decide.facts import RunFacts
from headgate.decide.judge import decide
from headgate.decide.metric import metric_of
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError
from headgate.identity import digest, digest_bytes
from headgate.stats.values import Bounds
from headgate.store.importers.read import read_scores
from headgate.store.importers.row import Columns
from headgate.store.importers.table import ScoreTable
from headgate.suite.gate import BUILTIN_METRICS, STATUS_RATES, Gate, Policy
from headgate.suite.scorers import OverLabels, PassAtK, Python, Scorer

if TYPE_CHECKING:
    import polars as pl

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Where the scores of one arm stand: a file, and which of its columns."""

    path: Path
    columns: Columns

    def __str__(self) -> str:
        score = [] if self.columns.score is None else [self.columns.score]
        chosen = [*score, *(f"{name}={value}" for name, value in self.columns.where.items())]
        return ": ".join([str(self.path), *([", ".join(chosen)] if chosen else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the scores are judged by; a gate's metric is the name of the score's column.

    Attributes
    ----------
    gates : sequence of Gate
        With an empty metric: the one score that is read.
    scorers : sequence of Scorer
        Bounds and direction of the scores, as a suite declares them; empty: ``bounds`` and ``higher_is_better`` hold.
    """

    gates: Sequence[Gate]
    policy: Policy
    scorers: Sequence[Scorer] = ()
    bounds: Bounds | None = (0.0, 1.0)
    higher_is_better: bool = True


def gate_scores(candidate: Scores, baseline: Scores | None, *, rules: Rules, format_name: str | None = None) -> Verdict:
    """Judge scores that another tool computed, as a run is judged.

    Raises
    ------
    ConfigError
        If a file cannot be read as scores, or its cells do not pair with the other's.
    StoreError
        If a log does not hold every sample.
    """
    _refuse_columns(rules.gates)
    _refuse_labels(rules)
    read = [_score_of(gate.metric, rules.scorers) for gate in rules.gates if gate.metric not in STATUS_RATES]
    names = list(dict.fromkeys(read)) or [""]
    _refuse_score(candidate, names)
    ours = [_read(candidate, name, rules, format_name) for name in names]
    theirs = None if baseline is None else [_read(baseline, name, rules, format_name) for name in names]
    _refuse_parts(candidate, ours)
    rules = _named(rules, ours[0].metric)
    if baseline is not None and theirs is not None:
        _refuse_parts(baseline, theirs)
        _refuse_numbers(candidate, baseline, ours[0], theirs[0])
        theirs = [_paired(one, ours[0], metric=two.metric) for one, two in zip(theirs, ours, strict=True)]
    facts = _facts(candidate, ours, rules)
    other = None if baseline is None or theirs is None else _facts(baseline, theirs, rules)
    verdict = decide(facts, other, gates=rules.gates, scorers=rules.scorers, compare=None, policy=rules.policy)
    differs = None if theirs is None else _difference(ours[0], theirs[0])
    reason = "; ".join([differs or verdict.reason, *_parts(ours[0])])
    return msgspec.structs.replace(verdict, reason=reason)


def _refuse_columns(gates: Sequence[Gate]) -> None:
    for gate in gates:
        if gate.where or gate.slices:
            mend = "choose rows with --where COLUMN=VALUE"
            raise ConfigError(
                "chooses items by their columns, which scores of another tool lack", field="gates", mend=mend
            )


def _refuse_labels(rules: Rules) -> None:
    made = {scorer.name for scorer in rules.scorers if isinstance(scorer, OverLabels)}
    for gate in rules.gates:
        if gate.metric in made:
            said = "is made of labels, which scores of another tool lack"
            raise ConfigError(said, field="gates.metric", value=gate.metric, mend="gate a score that is in the file")


def _score_of(metric: str, scorers: Sequence[Scorer]) -> str:
    """Return the score that a metric is made of: itself, but for what is made of its seeds."""
    return next((one.of for one in scorers if isinstance(one, PassAtK) and one.name == metric), metric)


def _refuse_score(arm: Scores, names: Sequence[str]) -> None:
    if arm.columns.score is not None and len(names) > 1:
        mend = f"leave it out: the gates read the columns {', '.join(names)}"
        raise ConfigError("names one column for several metrics", field="--score", value=arm.columns.score, mend=mend)


def _read(arm: Scores, name: str, rules: Rules, format_name: str | None) -> ScoreTable:
    columns = replace(arm.columns, score=name) if name and arm.columns.score is None else arm.columns
    bounds = rules.bounds if not rules.scorers or name in BUILTIN_METRICS else metric_of(name, rules.scorers).bounds
    bounds = None if columns.score in BUILTIN_METRICS else bounds
    table = read_scores(arm.path, columns, format_name=format_name, bounds=bounds)
    return replace(table, metric=name or table.metric)


def _refuse_parts(arm: Scores, tables: Sequence[ScoreTable]) -> None:
    """Refuse scores of which each stands in other rows: one verdict is on one set of items."""
    if any(not np.array_equal(one.item, tables[0].item) or one.items != tables[0].items for one in tables):
        metrics = ", ".join(one.metric for one in tables)
        raise ConfigError(f"has {metrics} for different items", file=arm.path, mend="gate each of them alone")


def _parts(table: ScoreTable) -> list[str]:
    """Return what a reader should know where not all rows are judged."""
    rows = table.item.size
    return [f"{table.metric} stands in {rows} of {rows + table.without} rows"] if table.without else []


def _named(rules: Rules, metric: str) -> Rules:
    """Return the rules with the name of the score that was read, where they leave it open."""
    if rules.scorers:
        return rules
    bounds, better = rules.bounds, rules.higher_is_better
    # A column may have any name, and nothing is called: the scores are there.
    scorer = Python.model_construct(name=metric, type="python", call="", bounds=bounds, higher_is_better=better)
    gates = [gate if gate.metric else gate.model_copy(update={"metric": metric}) for gate in rules.gates]
    return replace(rules, gates=gates, scorers=[scorer])


def _refuse_numbers(candidate: Scores, baseline: Scores, ours: ScoreTable, theirs: ScoreTable) -> None:
    if (ours.numbered or theirs.numbered) and candidate.path != baseline.path:
        file = candidate.path if ours.numbered else baseline.path
        mend = "name the column that does with --item"
        raise ConfigError("has no column that identifies items, and two files need one to pair", file=file, mend=mend)


def _paired(baseline: ScoreTable, candidate: ScoreTable, *, metric: str) -> ScoreTable:
    """Return the baseline under the candidate's name of the score, and of the cell where each has but one."""
    single = len(baseline.cells) == len(candidate.cells) == 1
    return replace(baseline, metric=metric, cells=candidate.cells if single else baseline.cells)


def _facts(arm: Scores, tables: Sequence[ScoreTable], rules: Rules) -> RunFacts:
    import polars as pl

    table = tables[0]
    prompts, models = (list(dict.fromkeys(names)) for names in zip(*table.cells, strict=True))
    if len(prompts) * len(models) != len(table.cells):
        mend = "choose one with --where prompt=NAME, or model=NAME"
        raise ConfigError("not every prompt was asked of every model", file=arm.path, mend=mend)
    keys = _keys(table)
    scores = [
        keys.with_columns(scorer=pl.lit(one.metric), value=_nullable(one))
        for one in tables
        if one.metric not in BUILTIN_METRICS
    ]
    items = _items_digest(table)
    return RunFacts(
        run=str(arm),
        suite_digest=digest(
            {"gates": [gate.model_dump() for gate in rules.gates], "policy": rules.policy.model_dump()}
        ),
        plan_digest=digest({"items": items, "seeds": table.seeds, "cells": table.cells}),
        items_digest=items,
        n_items=len(table.items),
        seeds=table.seeds,
        prompts=dict.fromkeys(prompts, ""),
        models=dict.fromkeys(models, ""),
        scorers={scorer.name: "" for scorer in rules.scorers},
        git=None,
        results=_results(keys, tables),
        scores=pl.concat(scores) if scores else keys.head(0).with_columns(scorer=pl.lit(""), value=pl.lit(0.0)),
    )


def _items_digest(table: ScoreTable) -> str:
    """Return the content id of the items, whatever their order; there may be millions."""
    known = zip(table.items, table.contents, table.clusters, strict=True)
    return digest_bytes("\n".join(sorted("\0".join(map(str, item)) for item in known)).encode("utf-8", "surrogatepass"))


def _keys(table: ScoreTable) -> pl.DataFrame:
    """Return what a row is of, as a run has it."""
    import polars as pl

    prompts, models = (pl.Series(names) for names in zip(*table.cells, strict=True))
    return pl.DataFrame(
        {
            "job_id": pl.repeat("", table.item.size, eager=True),
            "item_id": pl.Series(table.items).gather(table.item),
            "cluster": pl.Series(table.clusters, dtype=pl.String).gather(table.item),
            "prompt": prompts.gather(table.cell),
            "model": models.gather(table.cell),
            "seed": table.seed,
        }
    )


def _results(keys: pl.DataFrame, tables: Sequence[ScoreTable]) -> pl.DataFrame:
    import polars as pl

    rows = np.fromiter(tables[0].failed, np.int64, len(tables[0].failed))
    kinds = pl.repeat(None, keys.height, dtype=pl.String, eager=True).scatter(rows, list(tables[0].failed.values()))
    built_in: dict[str, Any] = {one.metric: _nullable(one) for one in tables if one.metric in BUILTIN_METRICS}
    unknown = {name: pl.lit(None, pl.Float64) for name in ("latency_s", "cost_usd", "output_tokens")}
    return keys.with_columns(
        status=pl.when(kinds.is_null()).then(pl.lit("ok")).otherwise(pl.lit("error")),
        error_kind=kinds,
        stop_reason=pl.lit(None, pl.String),
        served_model=pl.when(pl.col("model") != "").then("model"),
        **(unknown | built_in),
    )


def _nullable(table: ScoreTable) -> pl.Series:
    import polars as pl

    return pl.Series(table.value).fill_nan(None)


def _difference(ours: ScoreTable, theirs: ScoreTable) -> str | None:
    """Return how the items of two files differ; None if they are the same."""
    mine, other = (
        dict(zip(one.items, zip(one.contents, one.clusters, strict=True), strict=True)) for one in (ours, theirs)
    )
    found = {
        "only in the candidate": [item for item in mine if item not in other],
        "only in the baseline": [item for item in other if item not in mine],
        "with another content or cluster": [item for item in mine if item in other and mine[item] != other[item]],
    }
    parts = [f"{len(items)} {where} ({_listed(items)})" for where, items in found.items() if items]
    return f"the files do not hold the same items: {', '.join(parts)}" if parts else None


def _listed(items: Sequence[str]) -> str:
    shown = [item if len(item) <= 40 else item[:40] + "..." for item in items[:_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(items) > _SHOWN else [])])
