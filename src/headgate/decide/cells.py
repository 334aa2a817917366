"""Which cells stand against each other: every value of the axis that is not compared is a row of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from headgate.decide.facts import RunFacts
from headgate.errors import ConfigError
from headgate.plan import differing_keys
from headgate.suite.gate import Arm, Compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One prompt on one model."""

    prompt: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A cell of the candidate and its baseline (None: there is none), under the name that the row bears.

    ``where`` chooses items by their columns; empty: all of them.
    """

    candidate: Cell
    baseline: Cell | None
    name: dict[str, str]
    where: dict[str, str] = field(default_factory=dict[str, str])

    def narrowed(self, where: dict[str, str]) -> Match:
        """Return the match on the items whose columns have these values."""
        return replace(self, name=self.name | where, where=self.where | where) if where else self


def matches(candidate: RunFacts, baseline: RunFacts | None, *, compare: Compare | None) -> list[Match]:
    """Return the cells that are judged.

    Raises
    ------
    ConfigError
        If an arm is not in its run, or cells of two runs do not pair.
    """
    if compare is not None:
        return _compared(candidate, baseline or candidate, compare.candidate, compare.baseline)
    if baseline is not None:
        _same("prompts", candidate.prompts, baseline.prompts)
        _same("models", candidate.models, baseline.models)
    return single_cells(prompts=candidate.prompts, models=list(candidate.models), paired=baseline is not None)


def anchored(candidate: RunFacts, anchor: RunFacts, *, compare: Compare | None) -> list[Match]:
    """Return the cells that are held against an anchor run, paired by name.

    Where the anchor does not have the candidate's prompt or model, it is asked for the baseline's: what was released
    last is what changes are compared with.
    """
    if compare is None:
        return matches(candidate, anchor, compare=None)
    known = anchor.prompts if compare.candidate.axis == "prompt" else anchor.models
    arm = compare.candidate if compare.candidate.value in known else compare.baseline
    return _compared(candidate, anchor, compare.candidate, arm, name="anchor")


def differing(candidate: RunFacts, baseline: RunFacts, *, compare: Compare | None, scorers: Iterable[str]) -> list[str]:
    """Return the keys that two runs must share and do not: items, the axis that is not compared, scorers."""
    keys = [] if candidate.items_digest == baseline.items_digest else ["items"]
    if compare is not None:
        axis = "models" if compare.baseline.axis == "prompt" else "prompts"
        keys += differing_keys({axis: getattr(candidate, axis)}, {axis: getattr(baseline, axis)})
    return keys + [f"scorers.{name}" for name in scorers if candidate.scorers.get(name) != baseline.scorers.get(name)]


def _compared(candidate: RunFacts, other: RunFacts, ours: Arm, theirs: Arm, *, name: str = "baseline") -> list[Match]:
    """Pair two arms that their runs must have."""
    axis = ours.axis
    _present(axis, ours.value, getattr(candidate, f"{axis}s"), arm="candidate")
    _present(axis, theirs.value, getattr(other, f"{axis}s"), arm=name)
    return pair_arms(ours, theirs, prompts=candidate.prompts, models=candidate.models)


def pair_arms(ours: Arm, theirs: Arm, *, prompts: Iterable[str], models: Iterable[str]) -> list[Match]:
    """Pair two arms in every value of the axis that is not compared."""
    if ours.axis == "prompt":
        return [
            Match(
                candidate=Cell(prompt=ours.value, model=model),
                baseline=Cell(prompt=theirs.value, model=model),
                name={"model": model},
            )
            for model in models
        ]
    return [
        Match(
            candidate=Cell(prompt=prompt, model=ours.value),
            baseline=Cell(prompt=prompt, model=theirs.value),
            name={"prompt": prompt},
        )
        for prompt in prompts
    ]


def single_cells(*, prompts: Iterable[str], models: Sequence[str], paired: bool) -> list[Match]:
    """Return every cell by itself; ``paired``: held against the cell of the same name in another run."""
    cells = [Cell(prompt=prompt, model=model) for prompt in prompts for model in models]
    return [Match(candidate=cell, baseline=cell if paired else None, name=_shown(cell)) for cell in cells]


def _shown(cell: Cell) -> dict[str, str]:
    """Return the names of a cell; scores of another tool may have none."""
    return {axis: name for axis, name in (("prompt", cell.prompt), ("model", cell.model)) if name}


def _present(axis: str, value: str, known: Iterable[str], *, arm: str) -> None:
    if value not in known:
        raise ConfigError(
            f"is no {axis} of the {arm} run",
            field=f"compare.{arm}.{axis}",
            value=value,
            mend=f"it has {', '.join(known)}",
        )


def _same(axis: str, ours: Iterable[str], theirs: Iterable[str]) -> None:
    alone = sorted(set(ours) ^ set(theirs))
    if alone:
        raise ConfigError(
            f"stands in one of the two runs only: without `compare`, {axis} pair by name",
            field=axis,
            value=alone[0],
            mend="give the suite a `compare`, or run the same names in both",
        )


def cells_of(found: Sequence[Match]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells of the candidate arm and of the baseline arm."""
    return [match.candidate for match in found], [match.baseline for match in found if match.baseline is not None]
