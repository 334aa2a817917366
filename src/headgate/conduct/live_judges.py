"""Judges of live traffic: a share of its answers, graded once each, whatever order they come in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from headgate.conduct.cap import check_cap
from headgate.conduct.grades import read_grades
from headgate.conduct.grading import Batch, Grading
from headgate.conduct.judges import BoundJudge, judge_prompts
from headgate.conduct.prepare import Prepared, resolve_calls
from headgate.conduct.run import Conductor
from headgate.conduct.scoring import BoundScorer
from headgate.errors import EndpointError
from headgate.execute.endpoint import resolve_key
from headgate.identity import digest
from headgate.prices import find_prices
from headgate.score.callables import Score
from headgate.score.judge import combine
from headgate.store.costs import sum_costs
from headgate.store.layout import RunFolder
from headgate.suite.canary import Canary
from headgate.suite.items import Row as Item
from headgate.traffic.row import Row
from headgate.traffic.units import is_sampled, key_of

_SPENT: Final = "the money for judges is used up: later answers are not graded; raise judges.max_cost_usd"


class LiveJudges:
    """Asks the judges of a canary, and keeps what they said beside its state.

    Parameters
    ----------
    state : Path, optional
        Folder of the canary's state; without it what was graded lasts as long as this object.

    Raises
    ------
    ConfigError
        If a key is missing, or the cap could not be held.
    """

    def __init__(self, declared: Canary, scorers: Sequence[BoundScorer], *, state: Path | None) -> None:
        self._declared, self._scorers = declared, {s.name: s for s in scorers if s.judge is not None}
        self._share = 0.0 if declared.judges is None else declared.judges.share
        self._cap = None if declared.judges is None else declared.judges.max_cost_usd
        self._troubles: dict[str, str] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = RunFolder(state or Path())
        if not self._scorers:
            return
        suite = declared.grading(max_cost_usd=self._cap)
        for model in declared.models:
            resolve_key(model, base=declared.base, file=declared.file)
        self._calls, prices = dict(resolve_calls(suite)), find_prices(declared.models)
        check_cap(suite, (), prices, judges=judge_prompts(scorer.judge for scorer in scorers))
        self._prices = {model: price for model, price in prices.items() if price is not None}
        if state is None:
            self._folder = tempfile.TemporaryDirectory()
            self._files = RunFolder(Path(self._folder.name))

    @property
    def troubles(self) -> list[str]:
        """Why the latest answers were not graded: alarms."""
        return list(self._troubles.values())

    def sees(self, row: Row) -> bool:
        """Tell whether an answer is among those that are graded, by the id of its row alone."""
        return is_sampled(key_of(row.id), self._share)

    async def ask(self, judge: BoundJudge, rows: Sequence[Row]) -> list[Score]:
        """Return the score of each answer; what was graded before is not asked again."""
        import polars as pl

        ids = [_id(row) for row in rows]
        scorer = self._scorers[judge.spec.name]
        wanted = pl.Series(ids, dtype=pl.String)
        self._troubles.pop(scorer.name, None)
        try:
            for batches in self._grading().batches_of(scorer, judge, dict(zip(ids, rows, strict=True)), make=_items):
                for batch in batches:
                    if not await self._run(batch):
                        self._troubles[scorer.name] = _SPENT
        except EndpointError as error:
            self._troubles[scorer.name] = f"a judge cannot serve: {error}"
        grades = read_grades(self._files, judge, wanted)
        missing = Score(None, explanation="it was not graded")
        return [combine(judge.spec, grades[one]) if one in grades else missing for one in ids]

    async def _run(self, batch: Batch) -> bool:
        """Run what is left of a run of a judge; return whether the money was enough for it."""
        left = self._left(batch)
        if left is not None and left <= 0:
            batch.store.close()
            return False
        prepared = Prepared(
            suite=self._declared.grading(max_cost_usd=left),
            plan=batch.plan,
            store=batch.store,
            scorers=(),
            calls=self._calls,
            prices=self._prices,
            routes={},
            resumed=True,
        )
        conductor = Conductor(prepared)
        await conductor.complete()
        return not conductor.expiry

    def _left(self, batch: Batch) -> float | None:
        """Return what of the cap this run may have spent at its end: all that the others have not."""
        if self._cap is None:
            return None
        own = sum_costs(batch.store.files).settled_usd
        return self._cap - sum(sum_costs(run).settled_usd for run in self._files.judge_runs()) + own

    def _grading(self) -> Grading:
        suite = self._declared.grading(max_cost_usd=None)
        return Grading(suite=suite, files=self._files, scorers=tuple(self._scorers.values()), prices=self._prices)

    def close(self) -> None:
        """Remove what lasts no longer than this object."""
        if self._folder is not None:
            self._folder.cleanup()


def _id(row: Row) -> str:
    """Return what tells an answer from every other: the row's id and all that a judge is shown of it."""
    return digest([row.id, row.input, row.target, row.output])


def _items(judge: BoundJudge, rows: Mapping[str, Row]) -> Iterator[Item]:
    """Yield the items of a judge's run: made of what was asked and answered; where the row came from stays out."""
    for number, (name, row) in enumerate(sorted(rows.items()), 1):
        variables = judge.variables({"input": row.input}, row.target, output=row.output or "")
        if variables is not None:
            target = variables["target"]
            yield Item(number=number, line=None, item_id=name, cluster=None, target=target, variables=variables)
