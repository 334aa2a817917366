"""Scoring a run: results in, scores out, batch by batch; no model under test is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headgate.conduct.evaluators import BoundEvaluator, open_meter, serving
from headgate.conduct.graders import grade_rows
from headgate.conduct.metered import Meter
from headgate.errors import ConfigError
from headgate.execute.transports import TransportName
from headgate.identity import digest
from headgate.score.scorer import (
    KEYS,
    answered,
    attach_scores,
    check_pattern,
    is_failure,
    score_columns,
    version,
)
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from headgate.suite.callables import resolve_callable
from headgate.suite.canary import Canary
from headgate.suite.items import ItemFile
from headgate.suite.model import Evaluator, Python, Regex, Scorer, Suite
from headgate.suite.templates import Template
from headgate.traffic.row import Row

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class BoundScorer:
    """A scorer whose callable, target template and version are known to be good."""

    spec: Scorer
    version: str
    target: Template | None
    call: Callable[..., Any] | None
    evaluator: BoundEvaluator | None = None

    @property
    def name(self) -> str:
        """Its name in the suite."""
        return self.spec.name


def bind_scorers(suite: Suite | Canary) -> tuple[BoundScorer, ...]:
    """Resolve what the scorers of a suite or canary name.

    Raises
    ------
    ConfigError
        If a callable cannot be imported, or a pattern or a target is malformed.
    """
    meter = open_meter(suite)
    return tuple(_bind(suite, spec, f"scorers.{index}", meter) for index, spec in enumerate(suite.scorers))


def _bind(suite: Suite | Canary, spec: Scorer, field: str, meter: Meter | None) -> BoundScorer:
    if isinstance(spec, Evaluator):
        return _bind_evaluator(suite, spec, field, meter)
    call, target = None, None
    if isinstance(spec, Python):
        call = resolve_callable(spec.call, base=suite.base, field=f"{field}.call", file=suite.file)
    elif isinstance(spec, Regex):
        check_pattern(spec, field=f"{field}.pattern")
    source = getattr(spec, "target", None)
    if source is not None:
        target = Template(source, file=None if suite.file is None else str(suite.file), where=f"{field}.target")
    return BoundScorer(spec, version(spec, call), target, call)


def _bind_evaluator(suite: Suite | Canary, spec: Evaluator, field: str, meter: Meter | None) -> BoundScorer:
    if spec.model is not None and meter is None:
        mend = "leave it out: the evaluator then asks its model by itself"
        raise ConfigError("names a model, and a canary has none", file=suite.file, field=f"{field}.model", mend=mend)
    found = BoundEvaluator(spec, base=suite.base, file=suite.file, field=field, meter=meter)
    asked = [model.identity for model in suite.models if model.id == spec.model] if isinstance(suite, Suite) else []
    own = version(spec, found.target)
    return BoundScorer(spec, digest([own, asked])[:12] if asked else own, None, None, found)


async def score_run(
    store: RunStore, scorers: Sequence[BoundScorer], *, transport: TransportName | None = None
) -> dict[str, int]:
    """Score all results of a run with every scorer, replacing its earlier scores.

    Parameters
    ----------
    store : RunStore
        The run, open for writing.
    transport : str, optional
        What sends the requests of evaluators that ask a model of the suite.

    Returns
    -------
    dict of str to int
        Rows that could not be scored, by scorer.
    """
    items = ItemFile(store.files.items)
    unscored: dict[str, int] = {}
    with serving(scorers, store, transport=transport):
        for scorer in scorers:
            missing = 0
            with store.writing_scores(scorer=scorer.name, version=scorer.version) as write:
                for batch in _with_targets(scorer, _results(store), items):
                    frame = await _score_batch(scorer, batch, items)
                    missing += frame["value"].null_count()
                    write(frame)
            unscored[scorer.name] = missing
    return unscored


async def score_rows(rows: pl.DataFrame, scorers: Sequence[BoundScorer], items: ItemFile) -> list[pl.DataFrame]:
    """Score rows that are at hand, with every scorer; a frame of scores each, with the column ``scorer``."""
    import polars as pl

    frames: list[pl.DataFrame] = []
    for scorer in scorers:
        answers = rows.select(*KEYS, "status", "output").filter(pl.col("status") != "error")
        for batch in _with_targets(scorer, iter([answers]), items):
            frame = await _score_batch(scorer, batch, items)
            frames.append(frame.with_columns(scorer=pl.lit(scorer.name)))
    return frames


async def score_traffic(rows: Sequence[Row], scorer: BoundScorer) -> list[float | None]:
    """Return the score of each row of live traffic; None where it errored or could not be scored.

    Targets are templates over the columns of the row's record, ``input``, ``output`` and ``target``.
    """
    import polars as pl

    keys = {name: pl.lit(None, pl.String) for name in KEYS if name not in {"job_id", "item_id"}}
    frame = pl.DataFrame(
        {
            "job_id": [str(n) for n in range(len(rows))],
            "status": [r.status for r in rows],
            "output": [r.output for r in rows],
        },
        schema={"job_id": pl.String, "status": pl.String, "output": pl.String},
    ).with_columns(pl.col("job_id").alias("item_id"), **keys)
    if scorer.target is not None:
        targets = [_row_target(scorer.target, row) for row in rows]
        frame = frame.with_columns(target=pl.Series(targets, dtype=pl.String))
    if isinstance(scorer.spec, Python | Evaluator):
        wanted = answered(frame).filter(~is_failure())["job_id"].cast(pl.Int64).to_list()
        pairs = [(rows[n].output or "", _row_columns(rows[n])) for n in wanted]
        scores = attach_scores(scorer.spec, frame, await grade_rows(scorer.spec, _grade_of(scorer), pairs))
    else:
        scores = score_columns(scorer.spec, frame)
    found = dict(scores.select(pl.col("job_id").cast(pl.Int64), "value").iter_rows())
    return [found.get(n) for n in range(len(rows))]


def _row_columns(row: Row) -> dict[str, Any]:
    return {**row.attributes, "input": row.input, "output": row.output, "target": row.target}


def _row_target(template: Template, row: Row) -> str | None:
    if template.source.replace(" ", "") == "{{target}}":
        return row.target
    try:
        return template.render(_row_columns(row) if template.variables else {})
    except ConfigError:  # this row lacks a column: it cannot be scored, and others can
        return None


async def _score_batch(scorer: BoundScorer, batch: pl.DataFrame, items: ItemFile) -> pl.DataFrame:
    if not isinstance(scorer.spec, Python | Evaluator):
        return score_columns(scorer.spec, batch)
    rows = answered(batch).filter(~is_failure())
    wanted = _variables(items, set(rows["item_id"].unique()))
    pairs = [(output, wanted[item]) for output, item in rows.select("output", "item_id").iter_rows()]
    return attach_scores(scorer.spec, batch, await grade_rows(scorer.spec, _grade_of(scorer), pairs))


def _grade_of(scorer: BoundScorer) -> Callable[..., Any]:
    call = scorer.call if scorer.evaluator is None else scorer.evaluator.grade
    assert call is not None
    return call


def _results(store: RunStore) -> Iterator[pl.DataFrame]:
    import polars as pl

    for batch in store.results([*KEYS, "status", "output"]):
        yield pl.DataFrame(pl.from_arrow(batch)).filter(pl.col("status") != "error")


def _with_targets(scorer: BoundScorer, batches: Iterator[pl.DataFrame], items: ItemFile) -> Iterator[pl.DataFrame]:
    if scorer.target is None:
        yield from batches
        return
    targets = _targets(scorer.target, items)
    for batch in batches:
        yield batch.join(targets, on="item_id", how="left")


def _targets(template: Template, items: ItemFile) -> pl.DataFrame:
    """Return the target of every item, rendered by the scorer's template."""
    import polars as pl

    if template.source.strip("{} ") == "target" and template.source.startswith("{{"):
        frames = [pl.DataFrame(pl.from_arrow(batch)) for batch in items.batches(["item_id", "target"])]
        return pl.concat(frames).cast({"target": pl.String})
    rows = [
        (item_id, template.render(_columns(variables, target), row=f"item {item_id}"))
        for batch in items.batches(["item_id", "target", "variables_json"])
        for item_id, target, variables in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]
    return pl.DataFrame(rows, schema={"item_id": pl.String, "target": pl.String}, orient="row")


def _columns(variables: str, target: str | None) -> Mapping[str, Any]:
    return {"target": target, **msgspec.json.decode(variables)}


def _variables(items: ItemFile, wanted: set[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for batch in items.batches(["item_id", "target", "variables_json"]):
        for item_id, target, variables in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if item_id in wanted:
                found[item_id] = _columns(variables, target)
    return found


def stored_versions(path: Path) -> dict[str, str]:
    """Return the scorers that a run has scores of, by version."""
    stems = (file.stem.rpartition("@") for file in RunFolder(path).score_files())
    return {name: version for name, _, version in stems}


def check_scored(path: Path, versions: Mapping[str, str]) -> None:
    """Raise ConfigError if a run lacks scores of these scorers in these versions."""
    there = {file.stem for file in RunFolder(path).score_files()}
    missing = sorted(name for name, scored in versions.items() if f"{name}@{scored}" not in there)
    if missing:
        raise ConfigError(
            f"has no scores of {', '.join(missing)} as declared now", file=path, mend=f"run: headgate score {path}"
        )
