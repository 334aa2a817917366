"""What can be wrong with the names in a list of scorers: their own, and those of the scorers that they are made of."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from headgate.suite.problems import Problem, did_you_mean, repeated
from headgate.suite.scorers import F1, Classification, Derived, OverLabels, PassAtK, Scorer, Weighted


def parts_of(scorer: Scorer) -> Sequence[str]:
    """Return the names of the scorers that a scorer is made of."""
    if isinstance(scorer, Weighted):
        return scorer.of
    return [scorer.of] if isinstance(scorer, PassAtK | OverLabels) else []


def scorer_problems(scorers: Sequence[Scorer], *, taken: Container[str]) -> Iterator[Problem]:
    """Yield what is wrong with the names of scorers; ``taken``: those of built-in metrics."""
    yield from repeated([(("scorers", index, "name"), scorer.name) for index, scorer in enumerate(scorers)])
    named = {scorer.name: scorer for scorer in scorers}
    for index, scorer in enumerate(scorers):
        if scorer.name in taken:
            yield Problem(("scorers", index, "name"), "is the name of a built-in metric", scorer.name, "choose another")
        for part in parts_of(scorer):
            yield from _part_problems(index, scorer, part, named)


def _part_problems(index: int, scorer: Scorer, part: str, named: Mapping[str, Scorer]) -> Iterator[Problem]:
    place = ("scorers", index, "of")
    if part not in named:
        yield Problem(place, "is not declared", part, did_you_mean(part, named))
    elif _reaches(part, scorer.name, named, seen=set()):
        yield Problem(place, "is made of this scorer itself", part)
    elif isinstance(named[part], Derived):
        yield Problem(place, "has no score of each answer", part)
    elif isinstance(scorer, Weighted) and not any(named[name].weight for name in scorer.of if name in named):
        yield Problem(place, "has no part with a weight above 0", scorer.name)
    elif isinstance(scorer, OverLabels):
        yield from _label_problems(index, scorer, named[part])


def _label_problems(index: int, scorer: OverLabels, part: Scorer) -> Iterator[Problem]:
    if not isinstance(part, Classification):
        mend = "name a scorer of type `classification`"
        yield Problem(("scorers", index, "of"), "gives no labels", part.name, mend)
    elif isinstance(scorer, F1) and scorer.label is not None and scorer.label not in part.names:
        yield Problem(("scorers", index, "label"), "is no label", scorer.label, did_you_mean(scorer.label, part.names))


def _reaches(name: str, goal: str, named: Mapping[str, Scorer], *, seen: set[str]) -> bool:
    if name == goal:
        return True
    if name in seen or name not in named:
        return False
    seen.add(name)
    return any(_reaches(part, goal, named, seen=seen) for part in parts_of(named[name]))


def in_order(scorers: Sequence[Scorer]) -> list[Scorer]:
    """Return scorers with those that others are made of first; else in the order in which they are declared.

    Examples
    --------
    >>> from headgate.suite.scorers import JsonValid, Weighted
    >>> scorers = [Weighted(name="all", type="weighted", of=["json"]), JsonValid(name="json", type="json_valid")]
    >>> [scorer.name for scorer in in_order(scorers)]
    ['json', 'all']
    """
    named = {scorer.name: scorer for scorer in scorers}
    found: dict[str, Scorer] = {}

    def take(scorer: Scorer) -> None:
        for part in parts_of(scorer):
            if part not in found:
                take(named[part])
        found[scorer.name] = scorer

    for scorer in scorers:
        take(scorer)
    return list(found.values())
