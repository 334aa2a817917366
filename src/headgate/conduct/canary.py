"""A canary under watch: what is new in its traffic is read, scored and judged, step by step."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from headgate.conduct.canary_state import CanaryState, StateFile, parts_of, whole
from headgate.conduct.live_judges import LiveJudges
from headgate.conduct.scoring import bind_scorers, score_traffic
from headgate.decide.canary import questions_of
from headgate.decide.live import Sight, decide_live
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError, StoreError
from headgate.suite.canary import Canary
from headgate.suite.gate import STATUS_RATES
from headgate.traffic.feed import READERS, Feed
from headgate.traffic.otlp import MAPPING
from headgate.traffic.row import Row
from headgate.traffic.storage import Storage, open_storage
from headgate.traffic.units import Flow, is_sampled, key_of

STEP: Final = 2000
"""Rows of one step."""
SAVED_S: Final = 5.0
"""Seconds between two savings while there is more to read."""

_COUNTED: Final = ("latency_s", "cost_usd", "output_tokens")


class Watcher:
    """Watches one canary against its stable.

    Parameters
    ----------
    declared : Canary
        What it is, and what may pass.
    stable, canary : str, optional
        In place of those that are declared: places, or values of the column that tells the arms apart.
    state : Path, optional
        Folder in which what was seen survives; without it every watcher begins anew.
    inbox : Path, optional
        Where a service keeps what it receives: the place of a declaration that names none.
    clock : callable
        Returns now, in seconds since 1970.

    Raises
    ------
    ConfigError
        If the declaration lacks something, names what cannot be, or the state is of another one.
    StoreLocked
        If another process has the state.
    """

    def __init__(
        self,
        declared: Canary,
        *,
        stable: str | None = None,
        canary: str | None = None,
        state: Path | None = None,
        inbox: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.declared = declared
        self.places = (
            _needed(declared, "stable", stable or declared.traffic.stable),
            _needed(declared, "canary", canary or declared.traffic.canary),
        )
        if self.places[0] == self.places[1]:
            raise ConfigError(
                "is both stable and the canary", file=declared.file, field="traffic", value=self.places[0]
            )
        self._scorers = bind_scorers(declared, keys=True)
        self._judges = LiveJudges(declared, self._scorers, state=state)
        self._questions = questions_of(declared.gates, declared.scorers, declared.policy, min_units=declared.min_units)
        self._metrics = sorted({question.metric.name for question in self._questions})
        self.troubles: list[str] = []
        parts = self._parts()
        self.digest = whole(parts)
        evidence = [question.open() for question in self._questions]
        storages = self._storages(stable is None, canary is None, inbox)
        self._file = None if state is None else StateFile(state)
        try:
            known = None if self._file is None else self._file.load(parts)
        except BaseException:
            self.close()
            raise
        self._parts_known = parts
        self._evidence = evidence if known is None else known.evidence
        self._sight = Sight() if known is None else known.sight
        self._flow = Flow(
            self._metrics,
            window_s=declared.window_s,
            lateness_s=declared.lateness_s,
            state=None if known is None else known.flow,
        )
        self._feed = Feed(
            storages,
            READERS[declared.format],
            columns=self._columns(),
            marks=[] if known is None else known.marks,
            clock=clock,
        )

    async def step(self, limit: int = STEP) -> bool:
        """Read, score and judge what is new, about ``limit`` rows of it; return whether there was any.

        A source that cannot be read is a trouble that the verdict tells of; the next step tries again. After a step
        that was cut off, by a cancellation or a fault, nothing may be saved: its rows are read and not counted.
        """
        try:
            batch = await asyncio.to_thread(self._feed.take, limit)
        except StoreError as error:
            self.troubles = [str(error)]
            return False
        self.troubles = []
        self._sight.count_bad(batch.bad)
        sampled: list[tuple[Row, list[float], bool]] = []
        for number, row in batch.rows:
            canary = self._arm(number, row)
            if canary is None:
                self._sight.unmatched += 1
            else:
                self._take(row, canary, sampled)
        if sampled:
            await self._score(sampled)
        units = self._flow.release()
        if units.canary.size:
            self._evidence = [
                question.update(seen, units) for question, seen in zip(self._questions, self._evidence, strict=True)
            ]
        return bool(batch.rows or batch.bad)

    def verdict(self) -> Verdict:
        """Return the verdict as it stands."""
        state = self._flow.state
        return decide_live(
            self._questions,
            self._evidence,
            sight=self._sight,
            passed=state.passed,
            until=None if state.latest is None else self._flow.watermark,
            waiting=len(state.waiting),
            places=self.places,
            digest=self.digest,
            policy=self.declared.policy,
            troubles=[*self.troubles, *self._judges.troubles],
        )

    def save(self) -> None:
        """Make durable what was seen, if there is a folder for it.

        Raises
        ------
        StoreError
            If the disk refuses; what was saved before stays.
        """
        if self._file is not None:
            self._file.save(
                CanaryState(
                    parts=self._parts_known,
                    marks=self._feed.marks(),
                    flow=self._flow.state,
                    evidence=self._evidence,
                    sight=self._sight,
                )
            )

    def close(self) -> None:
        """Let other processes in; what was not saved is read again by the next watcher."""
        self._judges.close()
        if self._file is not None:
            self._file.close()

    def _parts(self) -> dict[str, str]:
        declared = self.declared
        facts: dict[str, object] = declared.model_dump(
            include={"format", "columns", "cluster", "window_s", "lateness_s", "sample", "gates"}
        )
        facts["traffic"] = {**declared.traffic.model_dump(), "stable": self.places[0], "canary": self.places[1]}
        facts["policy"] = declared.policy.model_dump(include={"alpha", "fail_rule"})
        facts["scorers"] = [[scorer.name, scorer.version] for scorer in self._scorers]
        facts["mapping"] = MAPPING
        if declared.judges is not None:
            facts["judges"] = declared.judges.share
        return parts_of(facts)

    def _columns(self) -> dict[str, str]:
        more = {"cluster": self.declared.cluster, "arm": self.declared.traffic.arm}
        return self.declared.columns | {name: column for name, column in more.items() if column is not None}

    def _storages(self, stable_declared: bool, canary_declared: bool, inbox: Path | None) -> list[Storage]:
        base, traffic = self.declared.base, self.declared.traffic
        if traffic.arm is None:
            declared = (stable_declared, canary_declared)
            placed = zip(self.places, declared, strict=True)
            return [open_storage(_place(base, place) if own else place) for place, own in placed]
        if traffic.path is not None:
            return [open_storage(_place(base, traffic.path))]
        if inbox is None:
            mend = "give the file, folder or bucket that holds the rows of both arms"
            raise ConfigError("is missing", file=self.declared.file, field="traffic.path", mend=mend)
        return [open_storage(str(inbox))]

    def _arm(self, number: int, row: Row) -> bool | None:
        """Return whether a row met the canary; None if it met neither."""
        if self.declared.traffic.arm is None:
            return number == 1
        return None if row.arm not in self.places else row.arm == self.places[1]

    def _take(self, row: Row, canary: bool, sampled: list[tuple[Row, list[float], bool]]) -> None:
        key = key_of(row.id)
        if not self._flow.expects(row.time, key, canary=canary):
            return
        self._sight.arms[canary].count(row)
        if self._sight.since is None or row.time < self._sight.since:
            self._sight.since = row.time
        values = [_built_in(row, name) for name in self._metrics]
        cluster = None if row.cluster is None else key_of(row.cluster)
        self._flow.add((row.time, key, canary, cluster, values))
        if self._scorers and row.status != "error" and is_sampled(key, self.declared.sample):
            sampled.append((row, values, canary))

    async def _score(self, sampled: Sequence[tuple[Row, list[float], bool]]) -> None:
        """Fill in the scores; the events hold the same lists."""
        for scorer in self._scorers:
            if scorer.name not in self._metrics:
                continue
            place = self._metrics.index(scorer.name)
            seen = sampled if scorer.judge is None else [one for one in sampled if self._judges.sees(one[0])]
            scores = await score_traffic([row for row, _, _ in seen], scorer, ask=self._judges.ask)
            for (_, values, canary), score in zip(seen, scores, strict=True):
                if score is None:
                    self._sight.arms[canary].unscored += 1
                else:
                    values[place] = score


async def watch(
    watcher: Watcher,
    *,
    max_minutes: float = 0.0,
    poll_s: float = 5.0,
    on_verdict: Callable[[Verdict], object] | None = None,
) -> Verdict:
    """Read all that is there, and then what comes, until the verdict stands or the time is over.

    Parameters
    ----------
    max_minutes : float
        0: only what is there now.
    poll_s : float
        Seconds between two looks at the sources.
    on_verdict : callable, optional
        Receives the verdict after each look.

    Returns
    -------
    Verdict
        As it was saved.
    """
    end = time.monotonic() + 60 * max_minutes
    while True:
        saved = time.monotonic()
        while await watcher.step():
            if time.monotonic() - saved > SAVED_S:
                watcher.save()
                saved = time.monotonic()
                if max_minutes and saved > end:
                    break
        watcher.save()
        verdict = watcher.verdict()
        if on_verdict is not None:
            on_verdict(verdict)
        left = end - time.monotonic()
        if verdict.verdict in {"pass", "fail"} or left <= 0:
            return verdict
        await asyncio.sleep(min(poll_s, left))


def _built_in(row: Row, name: str) -> float:
    """Return a row's value of a built-in metric; nan where it has none, or a scorer is to give it."""
    if name == "error_rate":
        return float(row.status == "error")
    if row.status == "error":
        return math.nan
    if name in STATUS_RATES:
        return float(row.status == STATUS_RATES[name])
    value: float | None = getattr(row, name) if name in _COUNTED else None
    return math.nan if value is None else value


def _needed(declared: Canary, arm: str, given: Any) -> str:
    if not given:
        mend = f"give a place, or --{arm}" if declared.traffic.arm is None else f"give the arm's value, or --{arm}"
        raise ConfigError("is missing", file=declared.file, field=f"traffic.{arm}", mend=mend)
    return str(given)


def _place(base: Path, place: str) -> str:
    return place if "://" in place else str(base / place)
