"""Judges at work: a second plan over the answers of a run, in runs of its own below it.

What a judge has said of an answer holds as long as its prompt, its model and what it was shown do: such verdicts share
a key, and stand in ``RUN/judges/SCORER/KEY-NUMBER/``, each a run directory whose items are answers. Answers that came
later have a run of their own, so that none is changed once it has begun.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np

from headgate.conduct.grades import judge_runs, pair_frame
from headgate.conduct.judges import BoundJudge
from headgate.conduct.scoring import BoundScorer
from headgate.conduct.targets import item_columns
from headgate.errors import ConfigError
from headgate.plan import Plan
from headgate.prices import ModelPrice
from headgate.score.scorer import is_failure
from headgate.store.dataset import scan
from headgate.store.index import contains, done_keys
from headgate.store.layout import RunFolder
from headgate.store.manifest import make_manifest
from headgate.store.run import RunStore
from headgate.suite.items import ItemFile, Row, write_items
from headgate.suite.model import Model
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import polars as pl

Answered = TypeVar("Answered")
Rows: TypeAlias = Callable[[list[str]], Iterator[list[Row]]]
"""Ids that stand in a run of the judge already -> the items of new runs."""

_ROWS: Final = 20_000
"""Answers of one run of a judge at most: their texts are in memory while it is made."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of a judge that has jobs left.

    Attributes
    ----------
    todo : bytearray
        One byte per job of the plan: 1 where it is still to be run.
    """

    store: RunStore
    plan: Plan
    todo: bytearray


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """What the judges of a run have to do.

    Attributes
    ----------
    prices : mapping of str to ModelPrice
        Model id to what its tokens cost, where that is known.
    """

    suite: Suite
    files: RunFolder
    scorers: Sequence[BoundScorer]
    prices: Mapping[str, ModelPrice]

    @property
    def judges(self) -> list[tuple[BoundScorer, BoundJudge]]:
        """The scorers that ask a model."""
        return [(scorer, scorer.judge) for scorer in self.scorers if scorer.judge is not None]

    def batches(
        self, scorer: BoundScorer, judge: BoundJudge, wanted: pl.Series | None = None, *, retry_errors: bool = False
    ) -> Iterator[list[Batch]]:
        """Yield what is to be asked about the answers at hand, one run of every model of the judge at a time.

        Runs that are there and not finished come first; then new ones, for answers that stand in none.

        Parameters
        ----------
        wanted : Series, optional
            Ids of the graded jobs; default: all that have an answer.
        retry_errors : bool
            Jobs of the judge that errored are run again.
        """

        def rows(covered: list[str]) -> Iterator[list[Row]]:
            return self._rows(judge, wanted, covered)

        yield from self._grouped(scorer, judge, wanted, rows, retry_errors=retry_errors)

    def batches_of(
        self,
        scorer: BoundScorer,
        judge: BoundJudge,
        answers: Mapping[str, Answered],
        *,
        make: Callable[[BoundJudge, Mapping[str, Answered]], Iterable[Row]],
    ) -> Iterator[list[Batch]]:
        """Yield what is to be asked about answers that stand in no run, by their ids; as :meth:`batches`."""
        import polars as pl

        def rows(covered: list[str]) -> Iterator[list[Row]]:
            known = set(covered)
            made = list(make(judge, {name: one for name, one in answers.items() if name not in known}))
            yield from [made] if made else []

        yield from self._grouped(scorer, judge, pl.Series(list(answers), dtype=pl.String), rows, retry_errors=False)

    def _grouped(
        self, scorer: BoundScorer, judge: BoundJudge, wanted: pl.Series | None, rows: Rows, *, retry_errors: bool
    ) -> Iterator[list[Batch]]:
        made = [self._of_model(scorer, judge, model, wanted, rows, retry_errors=retry_errors) for model in judge.models]
        for group in zip_longest(*made):
            yield [batch for batch in group if batch is not None]

    def _of_model(
        self,
        scorer: BoundScorer,
        judge: BoundJudge,
        model: Model,
        wanted: pl.Series | None,
        rows: Rows,
        *,
        retry_errors: bool,
    ) -> Iterator[Batch]:
        runs, covered = judge_runs(self.files, judge, judge.key(model)), list[str]()
        for run in runs:
            ids = [item for batch in ItemFile(run.items).batches(["item_id"]) for item in batch.column(0).to_pylist()]
            covered += ids
            chosen = None if wanted is None else np.isin(np.array(ids), wanted.to_numpy())
            batch = _unfinished(run, judge, model, chosen, retry_errors=retry_errors)
            if batch is not None:
                yield batch
        for number, new in enumerate(rows(covered), len(runs) + 1):
            yield self._make(scorer, judge, model, number, new)

    def _rows(self, judge: BoundJudge, wanted: pl.Series | None, covered: list[str]) -> Iterator[list[Row]]:
        """Yield the answers that no run of the judge holds, as the items of new ones."""
        import polars as pl

        known = pl.Series(covered, dtype=pl.String).implode()
        if judge.spec.kind == "pairwise":
            assert self.suite.compare is not None
            pairs = pair_frame(self.files, self.suite.compare, wanted)
            frame = pairs.filter(~(pl.col("failed") | pl.col("failed_baseline") | pl.col("job_id").is_in(known)))
            frames = frame.iter_slices(_ROWS)
        else:
            frames = self._answers(wanted, known)
        items = ItemFile(self.files.items)
        for frame in frames:
            asked = set(frame["item_id"].unique())
            columns = {item_id: found for item_id, found in item_columns(items) if item_id in asked}
            rows = list(_rows_of(judge, frame, columns))
            if rows:
                yield rows

    def _answers(self, wanted: pl.Series | None, known: pl.Series) -> Iterator[pl.DataFrame]:
        import polars as pl

        answers = scan(self.files.path).filter((pl.col("status") != "error") & ~is_failure())
        new = answers.filter(~pl.col("job_id").is_in(known))
        new = new if wanted is None else new.filter(pl.col("job_id").is_in(wanted.implode()))
        ids = new.select("job_id").collect(engine="streaming").to_series().sort()
        for start in range(0, len(ids), _ROWS):
            some = ids.slice(start, _ROWS).implode()
            chosen = answers.filter(pl.col("job_id").is_in(some)).select("job_id", "item_id", "output")
            yield chosen.collect(engine="streaming").sort("job_id")

    def _make(self, scorer: BoundScorer, judge: BoundJudge, model: Model, number: int, rows: list[Row]) -> Batch:
        run = RunFolder(self.files.judges / scorer.name / f"{judge.key(model)}-{number:04d}")
        if run.path.exists():  # without a manifest: its making was cut off
            shutil.rmtree(run.path)
        run.path.mkdir(parents=True)
        write_items(rows, judge.prompts, run.items)
        plan = _plan(run, judge, model)
        prices = {model.id: self.prices.get(model.id)}
        manifest = make_manifest(self.suite, plan, scorers={scorer.name: scorer.version}, prices=prices)
        return Batch(RunStore.create(run.path, manifest), plan, bytearray(b"\x01") * len(plan))


def _plan(run: RunFolder, judge: BoundJudge, model: Model) -> Plan:
    return Plan(ItemFile(run.items), prompts=judge.prompts, models=[model], seeds=judge.spec.repeats)


def _unfinished(run: RunFolder, judge: BoundJudge, model: Model, chosen: Any, *, retry_errors: bool) -> Batch | None:
    """Open a run that has wanted jobs left; None where it has none."""
    plan = _plan(run, judge, model)
    todo = np.ones((len(plan.items), len(plan.cells)), np.uint8)
    if chosen is not None:
        todo[~chosen] = 0
    left = todo.reshape(-1)
    done = done_keys(run.sources(), retry_errors=retry_errors)
    if len(done):
        left[contains(done, plan.job_ids())] = 0
    return Batch(RunStore.open(run.path), plan, bytearray(left.tobytes())) if left.any() else None


def _rows_of(judge: BoundJudge, frame: pl.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """Yield the items of a judge's run: made of the item and the answers, and of nothing else of the job."""
    paired = judge.spec.kind == "pairwise"
    for number, row in enumerate(frame.iter_rows(named=True), 1):
        item = columns[row["item_id"]]
        answers = {"first": row["output_baseline"], "second": row["output"]} if paired else {"output": row["output"]}
        variables = told(judge, item, answers)
        if variables is not None:
            target = variables["target"]
            yield Row(
                number=number,
                line=None,
                item_id=row["job_id"],
                cluster=row["item_id"],
                target=target,
                variables=variables,
            )


def told(judge: BoundJudge, item: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a judge is told of an item and answers; None where its templates do not fit, or a target lacks."""
    columns = {name: value for name, value in item.items() if name != "target"}
    try:
        variables = judge.variables(columns, item["target"], **answers)
        if variables is not None and "item" in variables:
            for prompt in judge.prompts:
                prompt.render(variables)
    except ConfigError:
        return None
    return variables


def check_judges(scorers: Sequence[BoundScorer], items: ItemFile) -> None:
    """Fill the prompts of all judges in for the first item: what does not fit is found before anything runs.

    Raises
    ------
    ConfigError
        If a template names a column that the item lacks.
    """
    judges = [scorer.judge for scorer in scorers if scorer.judge is not None]
    if not judges or not len(items):
        return
    first = items[0]
    for judge in judges:
        names = ("first", "second") if judge.spec.kind == "pairwise" else ("output",)
        columns = {name: value for name, value in first.variables.items() if name != "target"}
        variables = judge.variables(columns, first.target, **dict.fromkeys(names, "an answer"))
        for prompt in judge.prompts if variables is not None else ():
            prompt.render(variables or {}, row=f"item {first.item_id}")
