"""Scoring a run: results in, scores out, batch by batch; no model under test is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from headgate.conduct.combining import stored_parts, weighted_mean
from headgate.conduct.evaluators import BoundEvaluator, open_meter, serving
from headgate.conduct.graders import grade_rows
from headgate.conduct.grades import read_scores
from headgate.conduct.judges import BoundJudge, bind_judge
from headgate.conduct.labels import attach_labels
from headgate.conduct.metered import Meter
from headgate.conduct.targets import Targets, item_columns, item_targets, row_columns, traffic_targets
from headgate.errors import ConfigError
from headgate.execute.secret import Secret, resolve_secret
from headgate.execute.transports import TransportName
from headgate.identity import digest
from headgate.score.callables import Score
from headgate.score.scorer import (
    KEYS,
    answered,
    attach_scores,
    check_scorer,
    columns_of,
    direction,
    judged,
    score_columns,
    version,
)
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from headgate.store.scores import score_path
from headgate.suite.callables import resolve_callable
from headgate.suite.canary import Canary
from headgate.suite.documents import read_document
from headgate.suite.gate import Compare
from headgate.suite.items import ItemFile
from headgate.suite.scorers import (
    Derived,
    EmbeddingSimilarity,
    Evaluator,
    JsonSchema,
    Judge,
    Python,
    Scorer,
    ToolCallValid,
    Weighted,
)
from headgate.suite.scorers.names import in_order
from headgate.suite.suite import Suite
from headgate.traffic.row import Row

if TYPE_CHECKING:
    import polars as pl

_OPENAI: Final = "https://api.openai.com/"


NOT_GRADED: Final = Score(None, explanation="it was not graded: score the run again")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundScorer:
    """A scorer whose callable, files, target template and version are known to be good.

    Attributes
    ----------
    parts : tuple of BoundScorer
        The scorers that it is made of.
    """

    spec: Scorer
    version: str
    target: Targets | None = None
    call: Callable[..., Any] | None = None
    key: Secret | None = None
    parts: tuple[BoundScorer, ...] = ()
    judge: BoundJudge | None = None
    evaluator: BoundEvaluator | None = None

    @property
    def name(self) -> str:
        """Its name in the suite."""
        return self.spec.name


def bind_scorers(suite: Suite | Canary, *, keys: bool = False) -> tuple[BoundScorer, ...]:
    """Resolve what the scorers of a suite or canary name; those that others are made of come first.

    Scorers without scores of their own (``pass_at_k``, ``f1``) are left out.

    Parameters
    ----------
    keys : bool
        Read the keys too: scores are about to be made.

    Raises
    ------
    ConfigError
        If a callable, a file, a key or a library is missing, or a pattern, schema or target is malformed.
    """
    places, meter = {scorer.name: index for index, scorer in enumerate(suite.scorers)}, open_meter(suite)
    found: dict[str, BoundScorer] = {}
    for spec in in_order(suite.scorers):
        if not isinstance(spec, Derived):
            parts, field = (
                tuple(found[name] for name in spec.of) if isinstance(spec, Weighted) else (),
                f"scorers.{places[spec.name]}",
            )
            if isinstance(spec, Evaluator):
                found[spec.name] = _bind_evaluator(suite, spec, field, meter)
            else:
                found[spec.name] = _bind(suite, spec, field, parts=parts, keys=keys)
    return tuple(found.values())


def _bind(
    suite: Suite | Canary, spec: Scorer, field: str, *, parts: tuple[BoundScorer, ...], keys: bool
) -> BoundScorer:
    if isinstance(spec, Judge):
        judge = bind_judge(suite, spec, field=field)
        return BoundScorer(spec=spec, version=judge.version, judge=judge)
    file = None if suite.file is None else str(suite.file)
    spec = _with_files(spec, base=suite.base, field=field, file=suite.file)
    try:
        check_scorer(spec)
    except ConfigError as error:
        raise error.inside(field, file=suite.file) from error
    for part in parts:
        _check_part(part, field=field, file=suite.file)
    bound = BoundScorer(
        spec=spec,
        version=version(spec, parts={part.name: f"{part.version} {part.spec.weight}" for part in parts}),
        target=_targets(spec, file=file, field=field),
        parts=parts,
    )
    if isinstance(spec, Python):
        call = resolve_callable(spec.call, base=suite.base, field=f"{field}.call", file=suite.file)
        return replace(bound, call=call, version=version(spec, call))
    if isinstance(spec, EmbeddingSimilarity) and keys:
        return replace(bound, key=_key(spec, base=suite.base, field=field, file=suite.file))
    return bound


def _bind_evaluator(suite: Suite | Canary, spec: Evaluator, field: str, meter: Meter | None) -> BoundScorer:
    if spec.model is not None and meter is None:
        mend = "leave it out: the evaluator then asks its model by itself"
        raise ConfigError("names a model, and a canary has none", file=suite.file, field=f"{field}.model", mend=mend)
    found = BoundEvaluator(spec, base=suite.base, file=suite.file, field=field, meter=meter)
    asked = [model.identity for model in suite.models if model.id == spec.model] if isinstance(suite, Suite) else []
    own = version(spec, found.target)
    return BoundScorer(spec=spec, version=digest([own, asked])[:12] if asked else own, evaluator=found)


def _with_files(spec: Scorer, *, base: Path, field: str, file: Path | None) -> Scorer:
    """Return a scorer with what stands in a file of its own."""
    for kind, name in ((JsonSchema, "schema"), (ToolCallValid, "tools")):
        if isinstance(spec, kind) and isinstance(path := getattr(spec, name), str):
            try:
                data = read_document(base / path).data
            except ConfigError as error:
                raise ConfigError(error.problem, file=file, field=f"{field}.{name}", value=path) from error
            return type(spec).model_validate({**spec.model_dump(), name: data})
    return spec


def _targets(spec: Scorer, *, file: str | None, field: str) -> Targets | None:
    declared = getattr(spec, "target", None)
    if declared is None:
        return None
    return Targets.of(declared, several=getattr(spec, "several", False), file=file, field=f"{field}.target")


def _check_part(part: BoundScorer, *, field: str, file: Path | None) -> None:
    found = direction(part.spec)
    bounds = found.bounds
    if bounds is None or bounds[0] < 0 or bounds[1] > 1 or not found.higher_is_better:
        mend = "negate it, or give it a threshold"
        problem = "has scores that are not between 0 and 1, or of which the lower ones are better"
        raise ConfigError(problem, file=file, field=f"{field}.of", value=part.name, mend=mend)


def _key(spec: EmbeddingSimilarity, *, base: Path, field: str, file: Path | None) -> Secret | None:
    reference = spec.api_key
    if reference is None and spec.base_url.startswith(_OPENAI):
        reference = "env:OPENAI_API_KEY"
    return None if reference is None else resolve_secret(reference, base=base, field=f"{field}.api_key", file=file)


async def score_run(
    store: RunStore,
    scorers: Sequence[BoundScorer],
    *,
    compare: Compare | None = None,
    transport: TransportName | None = None,
) -> dict[str, int]:
    """Score all results of a run with every scorer, replacing its earlier scores but for those of sealed results.

    Judges have graded by now.

    Parameters
    ----------
    store : RunStore
        The run, open for writing.
    compare : Compare, optional
        The arms whose answers judges compare.
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
                async for frame in _scores(store, scorer, items, compare):
                    missing += frame["value"].null_count()
                    write(frame)
            unscored[scorer.name] = missing
    return unscored


async def _scores(
    store: RunStore, scorer: BoundScorer, items: ItemFile, compare: Compare | None
) -> AsyncIterator[pl.DataFrame]:
    """Yield the scores of a run: of what is sealed those that are stored, else what the scorer says now."""
    import polars as pl

    if scorer.parts:  # their scores are stored, also those of what is sealed
        for frame in _combined(store, scorer):
            yield frame
        return
    for scored in store.sealed_scores(scorer=scorer.name, version=scorer.version):
        yield pl.DataFrame(pl.from_arrow(scored))
    grades = {} if scorer.judge is None else read_scores(store.files, scorer.judge, compare)
    for batch in _with_targets(scorer, _results(store, scorer), items):
        yield await _score_batch(scorer, batch, items, grades)


def check_open(store: RunStore) -> None:
    """Refuse to score a run whose outputs were not kept.

    Raises
    ------
    ConfigError
        If any of its results is sealed.
    """
    if store.is_sealed:
        said = f"its outputs were not kept (store.outputs: {store.manifest.outputs}), and cannot be scored again"
        raise ConfigError(said, file=store.files.path, mend="run the suite again into another --out")


def _combined(store: RunStore, scorer: BoundScorer) -> Iterator[pl.DataFrame]:
    files = {part.name: score_path(store.files, scorer=part.name, version=part.version) for part in scorer.parts}
    return (_combine(scorer, parts) for parts in stored_parts(files))


def _combine(scorer: BoundScorer, parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    assert isinstance(scorer.spec, Weighted)
    return weighted_mean(scorer.spec, {part.name: part.spec.weight for part in scorer.parts}, parts)


async def score_rows(
    rows: pl.DataFrame, scorers: Sequence[BoundScorer], items: ItemFile, *, compare: Compare | None = None
) -> list[pl.DataFrame]:
    """Score rows that are at hand, with every scorer; a frame of scores each, with the column ``scorer``.

    The items lie in the run's own folder, and beside them what its judges said.
    """
    import polars as pl

    found: dict[str, pl.DataFrame] = {}
    for scorer in scorers:
        if scorer.parts:
            found[scorer.name] = _combine(scorer, {part.name: found[part.name] for part in scorer.parts})
            continue
        answers = answered(_known(rows, columns_of(scorer.spec)))
        grades: Mapping[str, Score] = {}
        if scorer.judge is not None:
            grades = read_scores(RunFolder(items.path.parent), scorer.judge, compare, rows["job_id"])
        for batch in _with_targets(scorer, iter([answers]), items):
            found[scorer.name] = await _score_batch(scorer, batch, items, grades)
    human = pl.lit(None, pl.Float64).alias("human")
    return [
        (frame if "human" in frame.columns else frame.with_columns(human)).with_columns(scorer=pl.lit(name))
        for name, frame in found.items()
    ]


Ask = Callable[[BoundJudge, Sequence[Row]], Awaitable[list[Score]]]
"""Has a judge grade answers of live traffic."""


async def score_traffic(rows: Sequence[Row], scorer: BoundScorer, *, ask: Ask | None = None) -> list[float | None]:
    """Return the score of each row of live traffic; None where it errored or could not be scored.

    Targets are templates over the columns of the row's record, ``input``, ``output`` and ``target``.

    Parameters
    ----------
    ask : callable, optional
        Who judges, where the scorer is a judge or made of one.
    """
    import polars as pl

    scores = await _score_traffic(rows, scorer, ask)
    found = dict(scores.select(pl.col("job_id").cast(pl.Int64), "value").iter_rows())
    return [found.get(n) for n in range(len(rows))]


async def _score_traffic(rows: Sequence[Row], scorer: BoundScorer, ask: Ask | None) -> pl.DataFrame:
    if scorer.parts:
        return _combine(scorer, {part.name: await _score_traffic(rows, part, ask) for part in scorer.parts})
    frame = _traffic_frame(rows, columns_of(scorer.spec))
    if scorer.judge is not None:
        assert ask is not None
        numbers = [int(number) for number in judged(scorer.spec, frame)["job_id"]]
        return attach_scores(scorer.spec, frame, await ask(scorer.judge, [rows[number] for number in numbers]))
    if scorer.target is not None:
        frame = frame.with_columns(target=traffic_targets(scorer.target, rows))
    columns = {str(number): row_columns(row) for number, row in enumerate(rows)}
    return await _scored(scorer, frame, columns.__getitem__)


def _traffic_frame(rows: Sequence[Row], columns: Sequence[str]) -> pl.DataFrame:
    """Return rows of live traffic as if they were results; what a log does not have is null."""
    import polars as pl

    there = {name: [getattr(row, name, None) for row in rows] for name in ("status", "output", *columns)}
    numbers = pl.Series("job_id", [str(number) for number in range(len(rows))], pl.String)
    frame = pl.DataFrame(there, schema_overrides={"status": pl.String, "output": pl.String})
    return _known(frame.with_columns(numbers, numbers.alias("item_id")), columns)


async def _score_batch(
    scorer: BoundScorer, batch: pl.DataFrame, items: ItemFile, grades: Mapping[str, Score]
) -> pl.DataFrame:
    if scorer.judge is not None:
        given = [grades.get(job, NOT_GRADED) for job in judged(scorer.spec, batch)["job_id"]]
        return attach_labels(attach_scores(scorer.spec, batch, given), batch, scorer.judge.labels)
    found: dict[str, Mapping[str, Any]] = {}
    if isinstance(scorer.spec, Python | Evaluator):
        wanted = set(batch["item_id"].unique())
        found = {item_id: columns for item_id, columns in item_columns(items) if item_id in wanted}
    return await _scored(scorer, batch, found.__getitem__)


async def _scored(
    scorer: BoundScorer, batch: pl.DataFrame, columns: Callable[[str], Mapping[str, Any]]
) -> pl.DataFrame:
    """Score a batch; ``columns``: an item's, for a function that wants them."""
    spec = scorer.spec
    if isinstance(spec, Python | Evaluator):
        call = scorer.call if scorer.evaluator is None else scorer.evaluator.grade
        assert call is not None
        rows = judged(spec, batch).select("output", "item_id").iter_rows()
        pairs = [(output, columns(item)) for output, item in rows]
        return attach_scores(spec, batch, await grade_rows(spec, call, pairs))
    if isinstance(spec, EmbeddingSimilarity):
        from headgate.conduct.embeddings import similarities  # httpx, which no other scorer needs

        texts = judged(spec, batch).select("output", "target").rows()
        return attach_scores(spec, batch, await similarities(spec, scorer.key, texts))
    return await anyio.to_thread.run_sync(score_columns, spec, batch)  # minutes of a slow scorer; others go on


def _results(store: RunStore, scorer: BoundScorer) -> Iterator[pl.DataFrame]:
    import polars as pl

    columns = columns_of(scorer.spec)
    for batch in store.results([*KEYS, "status", "output", *columns]):
        yield answered(_known(pl.DataFrame(pl.from_arrow(batch)), columns))


def _known(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return what a scorer reads of results; a column that they lack is null."""
    import polars as pl

    absent = {name: pl.lit(None, _kind(name)) for name in (*KEYS, *columns) if name not in rows.columns}
    return rows.with_columns(**absent).select(*KEYS, "status", "output", *columns)


def _kind(name: str) -> pl.DataType:
    import polars as pl

    return pl.Int64() if name == "seed" else pl.Float64() if name.endswith(("_s", "_usd", "_tokens")) else pl.String()


def _with_targets(scorer: BoundScorer, batches: Iterator[pl.DataFrame], items: ItemFile) -> Iterator[pl.DataFrame]:
    if scorer.target is None:
        yield from batches
        return
    targets = item_targets(scorer.target, items)
    for batch in batches:
        yield batch.join(targets, on="item_id", how="left", maintain_order="left")


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
