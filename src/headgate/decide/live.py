"""The verdict on a canary: its gates' rows, what was read of each arm, and what someone should look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from headgate.decide.canary import Evidence, Question
from headgate.decide.judge import exit_code
from headgate.decide.verdict import WORST_FIRST, ArmErrors, ArmFacts, ArmTraffic, Errors, MetricRow, Traffic, Verdict
from headgate.decide.verdict import Word as VerdictWord
from headgate.suite.gate import Policy
from headgate.traffic.row import Row
from headgate.traffic.units import Passed

_KINDS: Final = 50
_NAMES: Final = 20


class ArmSeen(msgspec.Struct):
    """What was read of one arm; names come from the traffic, so only so many are kept."""

    ok: int = 0
    refused: int = 0
    errored: int = 0
    unscored: int = 0
    kinds: dict[str, int] = {}
    models: list[str] = []
    prompts: list[str] = []

    def count(self, row: Row) -> None:
        """Count a row in."""
        match row.status:
            case "ok":
                self.ok += 1
            case "refused":
                self.refused += 1
            case "error":
                self.errored += 1
                kind = (row.error_kind or "unknown")[:200]
                kind = kind if kind in self.kinds or len(self.kinds) < _KINDS else "other"
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
        for names, name in ((self.models, row.model), (self.prompts, row.prompt_digest)):
            if name is not None and name not in names and len(names) < _NAMES:
                names.append(name[:200])

    @property
    def rows(self) -> int:
        """All that was read."""
        return self.ok + self.refused + self.errored

    @property
    def error_share(self) -> float:
        """Share of errors; 0 of none."""
        return self.errored / self.rows if self.rows else 0.0

    @property
    def errors(self) -> ArmErrors:
        """The counts, as verdicts tell them."""
        return ArmErrors(
            planned=self.rows,
            ok=self.ok,
            refused=self.refused,
            errored=self.errored,
            not_run=0,
            unscored=self.unscored,
            kinds=dict(sorted(self.kinds.items())),
        )


class Sight(msgspec.Struct, kw_only=True):
    """All that was seen of the traffic, beside the evidence.

    Attributes
    ----------
    since : float or None
        Time of the first row.
    bad, bad_lines : int, list of str
        Lines that could not be read; the first few by name.
    arms : tuple of ArmSeen
        Stable, and the canary.
    """

    since: float | None = None
    bad: int = 0
    bad_lines: list[str] = []
    unmatched: int = 0
    arms: tuple[ArmSeen, ArmSeen] = msgspec.field(default_factory=lambda: (ArmSeen(), ArmSeen()))

    def count_bad(self, lines: Sequence[str]) -> None:
        """Count lines that could not be read."""
        self.bad += len(lines)
        self.bad_lines += [line[:400] for line in lines[: max(0, _NAMES - len(self.bad_lines))]]


def decide_live(
    questions: Sequence[Question],
    evidence: Sequence[Evidence],
    *,
    sight: Sight,
    passed: tuple[Passed, Passed],
    until: float | None,
    waiting: int,
    places: tuple[str, str],
    digest: str,
    policy: Policy,
    troubles: Sequence[str] = (),
) -> Verdict:
    """Return the verdict as it stands now; it is never ``invalid``, so that a broken judge rolls nothing back.

    Parameters
    ----------
    questions, evidence : sequence
        The gates, and what each has seen.
    places : tuple of str
        Where the rows of stable and of the canary are, or the labels that tell them.
    digest : str
        Of the declaration.
    troubles : sequence of str
        What keeps traffic from being read: alarms.
    """
    found = [question.row(seen) for question, seen in zip(questions, evidence, strict=True)]
    rows = [_held_back(row, questions, sight, policy) for row in found]
    word, reason = _worst(rows)
    absent = [name for name, arm in zip(("stable", "the canary"), sight.arms, strict=True) if not arm.rows]
    if absent:
        word, reason = "inconclusive", f"no traffic of {' and '.join(absent)} yet"
    alarms = [f"{row.name}: {row.reason}" for row in rows if {"drift", "errors"} & set(row.flags)]
    baseline, candidate = (_facts(place, arm, digest) for place, arm in zip(places, sight.arms, strict=True))
    stable, canary = (_traffic(arm, left) for arm, left in zip(sight.arms, passed, strict=True))
    return Verdict(
        verdict=word,
        reason=reason,
        exit_code=exit_code(word, policy),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=policy.alpha,
        metrics=rows,
        errors=Errors(candidate=sight.arms[1].errors, baseline=sight.arms[0].errors),
        candidate=candidate,
        baseline=baseline,
        traffic=Traffic(
            since=_iso(sight.since),
            until=_iso(until),
            candidate=canary,
            baseline=stable,
            waiting=waiting,
            unmatched=sight.unmatched,
            bad=sight.bad,
            bad_lines=list(sight.bad_lines),
            alarms=[*alarms, *troubles],
        ),
    )


def _held_back(row: MetricRow, questions: Sequence[Question], sight: Sight, policy: Policy) -> MetricRow:
    """Return a row that does not pass where errors, which have no score, may be what made it pass."""
    watched = any(q.gate.metric == "error_rate" and q.gate.tier == "blocking" for q in questions)
    share = max(arm.error_share for arm in sight.arms)
    if watched or row.verdict != "pass" or share <= policy.max_error_rate:
        return row
    reason = (
        f"{share:.1%} of the requests of an arm errored, which no blocking gate watches: "
        "declare one on error_rate, or raise policy.max_error_rate"
    )
    return msgspec.structs.replace(row, verdict="inconclusive", reason=reason, flags=[*row.flags, "errors"])


def _worst(rows: Sequence[MetricRow]) -> tuple[VerdictWord, str]:
    blocking = [row for row in rows if row.tier == "blocking"]
    if not blocking:
        return "pass", "no gate of tier `blocking` stands in the way"
    word: VerdictWord = next(word for word in WORST_FIRST if any(row.verdict == word for row in blocking))
    those = [row for row in blocking if row.verdict == word]
    if word == "pass" and len(those) > 1:
        return word, f"all {len(those)} blocking rows pass"
    more = f" (and {len(those) - 1} more)" if len(those) > 1 else ""
    return word, f"{those[0].name}: {those[0].reason}{more}"


def _facts(place: str, arm: ArmSeen, digest: str) -> ArmFacts:
    prompts = {name: name for name in arm.prompts}
    return ArmFacts(
        run=place, suite_digest=digest, plan_digest=digest, prompt_digests=prompts, served_models=arm.models, git=None
    )


def _traffic(arm: ArmSeen, left: Passed) -> ArmTraffic:
    return ArmTraffic(
        rows=arm.rows + left.late + left.duplicate,
        units=left.units,
        late=left.late,
        duplicate=left.duplicate,
        repeated=left.repeated,
        crossed=left.crossed,
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
