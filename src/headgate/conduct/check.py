"""The gate in the loop: a run that looks at itself, and stops when the verdict stands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headgate.conduct.evaluators import serving
from headgate.conduct.judges import check_pairs
from headgate.conduct.judging import collect_results, known_facts, labelled_by, read_facts, serving_of
from headgate.conduct.options import RunOptions
from headgate.conduct.prepare import Prepared
from headgate.conduct.run import Conductor
from headgate.conduct.scoring import check_open, score_rows
from headgate.conduct.summary import RunSummary
from headgate.decide.cells import Cell, cells_of, differing, matches
from headgate.decide.course import Course, Declared, count_tests
from headgate.decide.facts import RunFacts
from headgate.decide.judge import invalidate
from headgate.decide.looks import LookPlan, plan_looks
from headgate.decide.missing import leave_out_substitutes
from headgate.decide.tables import number_clusters
from headgate.decide.verdict import Look, Verdict
from headgate.errors import ConfigError
from headgate.plan import Cell as PlanCell
from headgate.stats.values import Ints
from headgate.store.dataset import scan
from headgate.suite.items import ItemFile
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSummary:
    """What a check came to.

    Attributes
    ----------
    verdict : Verdict
        With its looks.
    run : RunSummary
        The jobs behind it; jobs that were not needed have no row.
    planned : int
        Jobs that asking every item, with as many seeds as there may be, would have taken.
    expiry : str
        What ended it before the verdict stood, time or money, in words; empty where nothing did.
    """

    verdict: Verdict
    run: RunSummary
    planned: int
    expiry: str = ""

    @property
    def saved(self) -> int:
        """Jobs that were not needed."""
        return self.planned - self.run.done


class Checker(Conductor):
    """Runs both arms prefix by prefix, judges each, and ends when nothing is open.

    A prefix is asked whole before it is looked at, so nothing of what comes later is paid for in advance, and slow
    failures cannot hide behind quick answers. What is stored decides: a check that was killed and is started again
    makes the same looks, and comes to the same verdict. Rows are scored between the jobs of a look and the look itself,
    while lanes and connections are open: what a judge is asked belongs to the look, which waits for its grades too.

    Parameters
    ----------
    prepared : Prepared
        Its suite has gates; its plan has as many seeds as :func:`most_seeds` says.
    baseline : Path, optional
        A stored run with the baseline arm; only the candidate's cells are then asked, and of the baseline's a share.
    anchor : Path, optional
        The stored run of the last release, for gates with ``against: anchor``.
    on_look : callable, optional
        Receives each look; what it returns is awaited, if it can be, before anything more is asked.

    Raises
    ------
    ConfigError
        If there are no gates, or one that cannot be judged.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        options: RunOptions | None = None,
        baseline: Path | None = None,
        anchor: Path | None = None,
        on_look: Callable[[Look], object] | None = None,
    ) -> None:
        super().__init__(prepared, options=options)
        suite = prepared.suite
        _check_gates(suite, anchor)
        check_pairs(suite, whole=baseline is None)
        store, columns, labelled = prepared.store, _columns(suite), labelled_by(suite)
        self._baseline, self._anchor = (
            None if path is None else read_facts(path, None, columns=columns, labelled=labelled)
            for path in (baseline, anchor)
        )
        versions = {scorer.name: scorer.version for scorer in prepared.scorers}
        facts = known_facts(store.files.path, store.manifest, scorers=versions, columns=columns, labelled=labelled)
        self._facts = replace(facts, seeds=suite.seeds)
        self._columns = self._facts.columns
        self._scored: list[pl.DataFrame] = []
        self._on_look = on_look
        declared = Declared(gates=suite.gates, scorers=suite.scorers, compare=suite.compare, policy=suite.policy)
        self._matches = matches(self._facts, self._baseline, compare=suite.compare)
        items = _read_items(prepared.plan.items)
        self._items = items["item_id"]
        tests = count_tests(declared, self._facts, self._baseline, self._anchor)
        self._looks = _looks(prepared, self._facts, items, tests=tests)
        self._course = Course(declared, self._looks)
        self._again = self._drawn_again()
        self._asked = self._choose()
        self._grid(self._todo)[~self._asked] = 0

    @property
    def plan(self) -> LookPlan:
        """The looks, fixed before the first request."""
        return self._looks

    async def execute(self) -> None:
        """Ask for one look after the other until nothing is open; nothing, if a stored run does not fit."""
        check_open(self._prepared.store)  # a look scores all rows before it
        stored = [run for run in (self._baseline, self._anchor) if run is not None]
        if self._unlike or any(self._mismatch(run) for run in stored):
            return
        async with self._at_work() as work_off:
            asked = 0
            for number in range(len(self._looks)):
                items = self._looks.order[asked : self._looks.n_items(number)]
                cells = self._cells_of_look(number)
                asked = 0 if number + 1 >= len(self._looks.sizes) else self._looks.n_items(number)
                await work_off(self._of(items, cells))
                rows = self._rows_of(items, cells)
                await self._grade(rows["job_id"])
                if self.stopped:
                    return
                self._facts = await self._with(rows, items, cells)
                await self._look()
                if self._course.over or self.judge_down:
                    return

    async def _look(self) -> None:
        baseline, anchor = map(self._restricted, (self._baseline, self._anchor))
        look = self._course.look(self._facts, baseline, anchor)
        if baseline is not None and self._again:
            self._course.look_for_drift(self._facts, baseline, cells=self._again)
        if self._on_look is not None:
            answer = self._on_look(look)
            if inspect.isawaitable(answer):
                await answer

    def _mismatch(self, stored: RunFacts) -> list[str]:
        declared = self._course.declared
        scored = [gate.metric for gate in declared.gates if gate.metric in self._facts.scorers]
        return differing(self._facts, stored, compare=declared.compare, scorers=scored)

    def _drawn_again(self) -> list[Cell]:
        """Return the stored baseline's cells that this suite declares too, and so can ask again."""
        if self._baseline is None or self._prepared.suite.compare is None:
            return []  # without `compare` the cell of that name is the candidate's
        return cells_of(self._matches)[1]

    @property
    def _unlike(self) -> str | None:
        """The key of the baseline arm, where it was not run as the suite declares it."""
        baseline, compare = self._baseline, self._prepared.suite.compare
        if baseline is None or compare is None:
            return None
        axis, value = compare.baseline.axis, compare.baseline.value
        ours, theirs = (getattr(facts, f"{axis}s")[value] for facts in (self._facts, baseline))
        return f"{axis}s.{value}" if ours != theirs else None

    @property
    def looked(self) -> bool:
        """Whether a look was made: there is a verdict then, if only an inconclusive one."""
        return bool(self._course.looks)

    def verdict(self) -> Verdict:
        """Return the verdict on what was looked at."""
        verdict = self._course.verdict(self._facts, self._restricted(self._baseline), self._restricted(self._anchor))
        if self.judge_down:
            return invalidate(verdict, verdict.metrics, reason=f"a judge cannot serve: {self.judge_down}")
        if self._unlike is None:
            return verdict
        reason = f"the stored baseline is not what the suite declares: {self._unlike} differs"
        return invalidate(verdict, verdict.metrics, reason=f"{reason}; leave it out, and both arms are asked")

    def summary(self, run: RunSummary) -> CheckSummary:
        """Return what came of it, once the run is complete."""
        planned = int(self._asked.sum())
        return CheckSummary(verdict=self.verdict(), run=run, planned=planned, expiry=self.expiry)

    async def finish(self) -> RunSummary:
        """Store the scores that the looks were made with, close the store, and say how the run stands."""
        if self.stopped:  # rows beyond the last look are not scored yet
            return await super().finish()
        import polars as pl

        store = self._prepared.store
        try:
            unscored: dict[str, int] = {}
            for scorer in self._prepared.scorers if self._scored else ():
                scores = pl.concat([frame for frame in self._scored if frame["scorer"].first() == scorer.name])
                unscored[scorer.name] = scores["value"].null_count()
                store.write_scores(scores.drop("scorer"), scorer=scorer.name, version=scorer.version)
            store.seal()
            return RunSummary.of(store, unscored=unscored)
        finally:
            store.close()

    def _grid(self, flags: bytearray) -> NDArray[np.uint8]:
        """Return one byte per job as a table of items by cells of the plan."""
        return np.frombuffer(flags, np.uint8).reshape(len(self._items), -1)

    def _choose(self) -> NDArray[np.bool_]:
        """Say which jobs may be asked: those of the compared cells, and a share of a stored baseline once more."""
        ours, theirs = cells_of(self._matches)
        whole = set(map(_name, ours if self._baseline is not None else [*ours, *theirs]))
        again, seeds = set(map(_name, self._again)), self._looks.seeds
        cells = self._prepared.plan.cells
        asked = np.zeros((len(self._items), len(cells)), np.bool_)
        asked[:, [_name(cell) in whole for cell in cells]] = True
        items = self._looks.every(self._prepared.suite.policy.redraw)
        places = [place for place, cell in enumerate(cells) if _name(cell) in again and self._rank(cell) <= seeds]
        asked[items[:, np.newaxis], places] = True
        return asked

    def _cells_of_look(self, number: int) -> NDArray[np.bool_]:
        """Say which cells of the plan a look asks: the first seeds of all, or the next ones where they may decide."""
        cells, seeds = self._prepared.plan.cells, self._looks.n_seeds(number)
        if seeds == self._looks.seeds:
            return np.array([self._rank(cell) <= seeds for cell in cells])
        asked = self._looks.n_seeds(number - 1)
        worth = set(self._course.cells_worth_seeds)
        chosen = [match for match in self._matches if match.candidate in worth]
        names = {_name(cell) for both in cells_of(chosen) for cell in both}
        return np.array([asked < self._rank(cell) <= seeds and _name(cell) in names for cell in cells])

    def _rank(self, cell: PlanCell) -> int:
        """Return which seed of its cell it is, from 1."""
        return cell.seed - self._facts.first_seed + 1

    def _of(self, items: Ints, cells: NDArray[np.bool_]) -> bytearray:
        """Return the jobs of some items and cells that are still to be run."""
        todo = bytearray(len(self._todo))
        place = np.ix_(items, np.flatnonzero(cells))
        self._grid(todo)[place] = self._grid(self._todo)[place]
        return todo

    def _chosen(self, cells: NDArray[np.bool_]) -> list[PlanCell]:
        return [cell for cell, wanted in zip(self._prepared.plan.cells, cells, strict=True) if wanted]

    def _rows_of(self, items: Ints, cells: NDArray[np.bool_]) -> pl.DataFrame:
        """Return the rows of some items and cells."""
        import polars as pl

        store, facts, chosen = self._prepared.store, self._facts, self._chosen(cells)
        keys: dict[str, pl.DataType] = {name: facts.results.schema[name] for name in ("prompt", "model", "seed")}
        wanted = pl.LazyFrame([(*_name(cell), cell.seed) for cell in chosen], schema=keys, orient="row")
        ids = self._items.gather(items).implode()
        found = scan(store.files.path).filter(_is_in(ids)).join(wanted, on=[*keys], how="semi")
        return found.collect(engine="streaming")

    async def _with(self, rows: pl.DataFrame, items: Ints, cells: NDArray[np.bool_]) -> RunFacts:
        """Return what was seen so far, with the rows of more items or seeds, scored."""
        import polars as pl

        prepared, facts, chosen = self._prepared, self._facts, self._chosen(cells)
        with serving(prepared.scorers, prepared.store) as asked:
            scores = await score_rows(rows, prepared.scorers, prepared.plan.items, compare=prepared.suite.compare)
        self._charge(asked)
        self._scored += [frame for frame in scores if frame.height]
        told = collect_results(rows.lazy()).select(*facts.results.columns, "substitute")
        kept = [leave_out_substitutes(told, frame.select(facts.scores.columns))[1] for frame in scores]
        results, _ = leave_out_substitutes(told, facts.scores.head(0))
        served = [] if facts.serving is None else [facts.serving, serving_of(rows.lazy())]
        seen = pl.concat([facts.results["item_id"], rows["item_id"]]).unique().implode()
        seeds = max(map(self._rank, chosen))
        more = {_name(cell): seeds for cell in chosen} if seeds > self._looks.seeds else {}
        return replace(
            facts,
            n_items=facts.n_items + (0 if more else items.size),
            more_seeds={**facts.more_seeds, **more},
            columns=None if self._columns is None else self._columns.filter(_is_in(seen)),
            results=pl.concat([facts.results, results]),
            scores=pl.concat([facts.scores, *kept]),
            serving=pl.concat(served),
        )

    def _restricted(self, stored: RunFacts | None) -> RunFacts | None:
        """Return a stored run on the items that were looked at."""
        if stored is None:
            return None
        ids = self._facts.results["item_id"].unique().implode()
        return replace(
            stored,
            n_items=self._facts.n_items,
            results=stored.results.filter(_is_in(ids)),
            scores=stored.scores.filter(_is_in(ids)),
        )


def most_seeds(suite: Suite) -> int:
    """Return the seeds that a check may go up to."""
    return max(suite.seeds, suite.policy.max_seeds or 0)


def _name(cell: Cell | PlanCell) -> tuple[str, str]:
    """Return prompt and model by name, as rows have them."""
    return (cell.prompt, cell.model) if isinstance(cell, Cell) else (cell.prompt.name, cell.model.id)


def _is_in(ids: pl.Series) -> pl.Expr:
    import polars as pl

    return pl.col("item_id").is_in(ids)


def _columns(suite: Suite) -> list[str]:
    """Return the item columns that gates choose by."""
    return sorted({name for gate in suite.gates for name in (*gate.where, *gate.slices)})


def _check_gates(suite: Suite, anchor: Path | None) -> None:
    if not any(gate.tier == "blocking" for gate in suite.gates):
        mend = "declare a gate of tier `blocking`, or use run and gate"
        raise ConfigError("there is nothing to check by", file=suite.file, field="gates", mend=mend)
    for index, gate in enumerate(suite.gates):
        if gate.against == "anchor" and anchor is None:
            raise ConfigError(
                "needs an anchor run, and there is none",
                file=suite.file,
                field=f"gates.{index}.against",
                value="anchor",
                mend="name the last release: --anchor RUN",
            )


def _looks(prepared: Prepared, facts: RunFacts, items: pl.DataFrame, *, tests: int) -> LookPlan:
    """Fix the looks: the permutation hangs on the plan alone, and slices come evenly."""
    suite, clustered = prepared.suite, items["cluster"].null_count() < items.height
    columns = [] if facts.columns is None else facts.columns.drop("item_id").get_columns()
    strata = [column.rank("dense").fill_null(0) for column in columns]
    return plan_looks(
        items.height,
        key=prepared.plan.digest,
        cluster=number_clusters(items) if clustered else None,
        strata=[labels.to_numpy().astype(np.int64) for labels in strata],
        alpha=suite.policy.alpha / max(tests, 1),
        seeds=suite.seeds,
        most_seeds=most_seeds(suite),
    )


def _read_items(items: ItemFile) -> pl.DataFrame:
    """Return item_id and cluster of all items, in order."""
    import polars as pl

    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in items.batches(["item_id", "cluster"])])
