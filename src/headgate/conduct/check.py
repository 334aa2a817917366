"""The gate in the loop: a run that looks at itself, and stops when the verdict stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headgate.conduct.judging import known_facts, read_facts
from headgate.conduct.prepare import Prepared
from headgate.conduct.run import Conductor, RunOptions, RunSummary
from headgate.conduct.scoring import score_rows
from headgate.decide.cells import Match, cells_of, differing, matches
from headgate.decide.course import Course, Declared
from headgate.decide.facts import RunFacts
from headgate.decide.looks import LookPlan, plan_looks
from headgate.decide.tables import number_clusters
from headgate.decide.verdict import Look, Verdict
from headgate.errors import ConfigError
from headgate.stats.values import Ints
from headgate.store.dataset import scan
from headgate.suite.items import ItemFile
from headgate.suite.model import Suite

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
        Jobs that asking every item would have taken.
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
    makes the same looks, and comes to the same verdict.

    Parameters
    ----------
    prepared : Prepared
        Its suite has gates.
    baseline : Path, optional
        A stored run with the baseline arm; only the candidate's cells are then asked.
    on_look : callable, optional
        Receives each look.

    Raises
    ------
    ConfigError
        If there are no gates, or one that a check cannot judge.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        options: RunOptions | None = None,
        baseline: Path | None = None,
        on_look: Callable[[Look], object] | None = None,
    ) -> None:
        super().__init__(prepared, options=options)
        suite = prepared.suite
        _check_gates(prepared)
        store, columns = prepared.store, _columns(suite)
        self._baseline = None if baseline is None else read_facts(baseline, None, columns=columns)
        versions = {scorer.name: scorer.version for scorer in prepared.scorers}
        self._facts = known_facts(store.files.path, store.manifest, scorers=versions, columns=columns)
        self._columns = self._facts.columns
        self._scored: list[pl.DataFrame] = []
        self._on_look = on_look
        declared = Declared(gates=suite.gates, scorers=suite.scorers, compare=suite.compare, policy=suite.policy)
        found = matches(self._facts, self._baseline, compare=suite.compare)
        self._wanted = _wanted_cells(prepared, found, stored=self._baseline is not None)
        self._items = _read_items(prepared.plan.items)
        self._looks = _looks(prepared, self._facts, self._items, cells=len(found))
        self._course = Course(declared, self._looks)
        self._keep_wanted()

    @property
    def plan(self) -> LookPlan:
        """The looks, fixed before the first request."""
        return self._looks

    async def execute(self) -> None:
        """Ask the items of one look after the other until nothing is open; nothing, if the baseline does not fit."""
        if self._baseline is not None and self._mismatch(self._baseline):
            return
        async with self._at_work() as work_off:
            start = 0
            for size in self._looks.sizes:
                items = self._looks.order[start:size]
                await work_off(self._of_items(items))
                if self.stopped:
                    return
                self._facts = await self._with(items)
                look = self._course.look(self._facts, self._restricted_baseline())
                if self._on_look is not None:
                    self._on_look(look)
                if self._course.over:
                    return
                start = size

    def _mismatch(self, baseline: RunFacts) -> list[str]:
        declared = self._course.declared
        scored = [gate.metric for gate in declared.gates if gate.metric in self._facts.scorers]
        return differing(self._facts, baseline, compare=declared.compare, scorers=scored)

    @property
    def looked(self) -> bool:
        """Whether a look was made: there is a verdict then, if only an inconclusive one."""
        return bool(self._course.looks)

    def verdict(self) -> Verdict:
        """Return the verdict on what was looked at."""
        return self._course.verdict(self._facts, self._restricted_baseline())

    def summary(self, run: RunSummary) -> CheckSummary:
        """Return what came of it, once the run is complete."""
        planned = len(self._prepared.plan.items) * sum(self._wanted)
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
            return RunSummary.of(store, unscored=unscored)
        finally:
            store.close()

    def _keep_wanted(self) -> None:
        """Ask only the cells that are compared."""
        flags = np.frombuffer(self._todo, np.uint8).reshape(-1, len(self._wanted))
        flags[:, ~np.array(self._wanted)] = 0

    def _of_items(self, items: Ints) -> bytearray:
        """Return the jobs of some items that are still to be run."""
        todo = bytearray(len(self._todo))
        ours = np.frombuffer(self._todo, np.uint8).reshape(-1, len(self._wanted))
        np.frombuffer(todo, np.uint8).reshape(-1, len(self._wanted))[items] = ours[items]
        return todo

    async def _with(self, items: Ints) -> RunFacts:
        """Return what was seen so far, with the rows of more items, scored."""
        import polars as pl

        store, plan = self._prepared.store, self._prepared.plan
        ids = self._items["item_id"].gather(items).implode()
        rows = scan(store.files.path).filter(_is_in(ids)).collect(engine="streaming")
        scores, facts = await score_rows(rows, self._prepared.scorers, plan.items), self._facts
        self._scored += [frame for frame in scores if frame.height]
        seen = pl.concat([facts.results["item_id"], rows["item_id"]]).unique().implode()
        return replace(
            facts,
            n_items=facts.n_items + items.size,
            columns=None if self._columns is None else self._columns.filter(_is_in(seen)),
            results=pl.concat([facts.results, rows.select(facts.results.columns)]),
            scores=pl.concat([facts.scores, *(frame.select(facts.scores.columns) for frame in scores)]),
        )

    def _restricted_baseline(self) -> RunFacts | None:
        """Return the stored baseline on the items that were looked at."""
        if self._baseline is None:
            return None
        ids = self._facts.results["item_id"].unique().implode()
        return replace(
            self._baseline,
            n_items=self._facts.n_items,
            results=self._baseline.results.filter(_is_in(ids)),
            scores=self._baseline.scores.filter(_is_in(ids)),
        )


def _is_in(ids: pl.Series) -> pl.Expr:
    import polars as pl

    return pl.col("item_id").is_in(ids)


def _columns(suite: Suite) -> list[str]:
    """Return the item columns that gates choose by."""
    return sorted({name for gate in suite.gates for name in (*gate.where, *gate.slices)})


def _check_gates(prepared: Prepared) -> None:
    suite = prepared.suite
    if not any(gate.tier == "blocking" for gate in suite.gates):
        mend = "declare a gate of tier `blocking`, or use run and gate"
        raise ConfigError("there is nothing to check by", file=suite.file, field="gates", mend=mend)
    for index, gate in enumerate(suite.gates):
        if gate.against == "anchor":
            mend = "leave it out, and judge the finished run: headgate gate RUN --anchor RELEASE"
            raise ConfigError(
                "cannot be looked at while the run goes on",
                file=suite.file,
                field=f"gates.{index}.against",
                value="anchor",
                mend=mend,
            )


def _wanted_cells(prepared: Prepared, found: Sequence[Match], *, stored: bool) -> list[bool]:
    """Say which cells of the plan the gates look at; a stored baseline's are not asked again."""
    ours, theirs = cells_of(found)
    cells = {(cell.prompt, cell.model) for cell in (ours if stored else [*ours, *theirs])}
    return [(cell.prompt.name, cell.model.id) in cells for cell in prepared.plan.cells]


def _looks(prepared: Prepared, facts: RunFacts, items: pl.DataFrame, *, cells: int) -> LookPlan:
    """Fix the looks: the permutation hangs on the plan alone, and slices come evenly."""
    policy, clustered = prepared.suite.policy, items["cluster"].null_count() < items.height
    tests = cells * sum(gate.rule != "zero_tolerance" and gate.tier == "blocking" for gate in prepared.suite.gates)
    columns = [] if facts.columns is None else facts.columns.drop("item_id").get_columns()
    strata = [column.rank("dense").fill_null(0) for column in columns]
    return plan_looks(
        items.height,
        key=prepared.plan.digest,
        cluster=number_clusters(items) if clustered else None,
        strata=[labels.to_numpy().astype(np.int64) for labels in strata],
        alpha=policy.alpha / max(tests, 1),
    )


def _read_items(items: ItemFile) -> pl.DataFrame:
    """Return item_id and cluster of all items, in order."""
    import polars as pl

    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in items.batches(["item_id", "cluster"])])
