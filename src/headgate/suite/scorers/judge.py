"""A judge as declared: a model that grades answers, how it is asked, and what its verdicts are worth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from headgate.suite.part import Part, TemplateText
from headgate.suite.problems import Problem, did_you_mean
from headgate.suite.scorers.base import ScorerPart
from headgate.suite.scorers.evaluator import Evaluator

Kind = Literal["rubric", "closed_qa", "factuality", "steps", "pairwise"]

CHOICES: Final[Mapping[str, Mapping[str, float]]] = {
    "closed_qa": {"yes": 1.0, "no": 0.0},
    "factuality": {"A": 1.0, "B": 1.0, "C": 1.0, "D": 0.0, "E": 1.0},
    "pairwise": {"first": 0.0, "second": 1.0, "tie": 0.5},
}
"""What a judge may answer where it chooses, and the score of each answer."""

_SCALED: Final = frozenset({"rubric", "steps"})
_FILE: Final = re.compile(r"^\S+\.(txt|md)$")


class Calibrate(Part):
    """Labels by humans, against which a judge is calibrated."""

    labels: str = Field(
        description="CSV, JSONL or Parquet file with the columns item_id and label, and prompt, model and seed where "
        "an item has several answers; relative to the suite file"
    )


class Judge(ScorerPart):
    """A model grades the answer; its verdicts are jobs of their own, and it never learns whose answer it reads."""

    type: Literal["judge"] = Field(description="The kind of scorer")
    kind: Kind = Field(
        "rubric",
        description="What is asked: a grade by a rubric, or by criteria and steps; whether the answer is right "
        "(closed_qa); whether it agrees with the target's facts; or which arm's answer is better",
    )
    model: str | None = Field(None, description="Id of a model with `role: judge`")
    models: list[str] | None = Field(None, min_length=2, description="A panel: ids of several of them")
    panel: Literal["mean", "majority"] = Field("mean", description="What a panel's grades become")
    repeats: int = Field(1, ge=1, le=100, description="Grades of each answer by each model, of which the mean counts")
    rubric: str | None = Field(None, description="What makes an answer good: text, or a .md or .txt file")
    steps: list[str] = Field(default_factory=list[str], description="kind steps: what to look at, one after the other")
    scale: tuple[int, int] = Field((1, 5), strict=False, description="Worst and best grade of `rubric` and `steps`")
    choices: dict[str, float] | None = Field(
        None, description="closed_qa and factuality: the score of each choice, from 0 to 1, in place of the usual ones"
    )
    question: TemplateText | None = Field(
        None, description="What was asked: template over the item's columns; default: all columns but id and target"
    )
    target: TemplateText = Field("{{ target }}", description="Template over the item's columns")
    prompt: str | None = Field(None, description="Prompt file in place of the built-in one of this kind")
    structured: bool = Field(
        False, description="Ask for JSON by the API's `response_format`; without it the JSON is found in the text"
    )
    calibrate: Calibrate | None = Field(None, description="Labels by humans that correct the judge's bias")

    @field_validator("scale")
    @classmethod
    def _rising(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] >= value[1]:
            raise ValueError("the worst grade comes first, and differs from the best")
        return value

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if (self.model is None) == (self.models is None):
            raise ValueError("give either `model` or, for a panel, `models`")
        if len(set(self.asked)) < len(self.asked):
            raise ValueError("a model stands twice in `models`: `repeats` asks one several times")
        if self.kind in _SCALED and not self.rubric and self.prompt is None:
            raise ValueError(f"kind {self.kind} needs a `rubric`: what makes an answer good")
        if (self.kind == "steps") != bool(self.steps):
            raise ValueError("`steps` goes with kind steps, and kind steps needs it")
        self._check_choices()
        return self

    def _check_choices(self) -> None:
        if self.choices is None:
            return
        if self.kind not in {"closed_qa", "factuality"}:
            raise ValueError("`choices` goes with kind closed_qa or factuality")
        if set(self.choices) != set(CHOICES[self.kind]):
            raise ValueError(f"`choices` gives each of {', '.join(CHOICES[self.kind])} a score")
        if not all(0 <= score <= 1 for score in self.choices.values()):
            raise ValueError("the score of a choice is from 0 to 1")

    @property
    def asked(self) -> tuple[str, ...]:
        """Ids of the models that grade."""
        return tuple(self.models or ()) if self.model is None else (self.model,)

    @property
    def is_scaled(self) -> bool:
        """Whether it grades on the scale."""
        return self.kind in _SCALED

    @property
    def scores(self) -> Mapping[str, float]:
        """The score of each choice; empty for grades on a scale."""
        return self.choices or CHOICES.get(self.kind, {})

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest score, before it is negated."""
        return (float(self.scale[0]), float(self.scale[1])) if self.is_scaled else (0.0, 1.0)

    @property
    def rubric_file(self) -> str | None:
        """The file that the rubric stands in, where it does."""
        return self.rubric if self.rubric is not None and _FILE.match(self.rubric) else None


def judge_problems(scorers: Sequence[object], roles: Mapping[str, str], *, compares: bool) -> Iterator[Problem]:
    """Yield what is wrong with the judges of a suite.

    Parameters
    ----------
    roles : mapping of str to str
        Model id to role, in the order of the suite.
    compares : bool
        Whether the suite has two arms.
    """
    judges = [(index, scorer) for index, scorer in enumerate(scorers) if isinstance(scorer, Judge)]
    known = [name for name, role in roles.items() if role == "judge"]
    for index, judge in judges:
        if judge.kind == "pairwise" and not compares:
            mend = "declare `compare`, or use kind rubric"
            yield Problem(
                ("scorers", index, "kind"), "compares two arms, and the suite declares no `compare`", mend=mend
            )
        for place, name in enumerate(judge.asked):
            field = ("model",) if judge.models is None else ("models", place)
            if roles.get(name) == "tested":
                mend = f"declare `role: judge` of a model, and name that: a model under test with id {name!r} is an arm"
                yield Problem(("scorers", index, *field), "is under test, and no judge", name, mend)
            elif name not in known:
                mend = did_you_mean(name, known) if known else "declare a model with `role: judge`"
                yield Problem(("scorers", index, *field), "is no judge that is declared", name, mend)
    asked = {name for scorer in scorers if isinstance(scorer, Judge | Evaluator) for name in scorer.asked}
    for index, name in enumerate(roles):
        if roles[name] == "judge" and name not in asked:
            mend = "name it in a scorer of type judge or evaluator, or leave `role` out"
            yield Problem(("models", index, "role"), "judges nothing: no scorer names it", name, mend)
    if roles and len(known) == len(roles):
        yield Problem(("models",), "are all judges", mend="declare what is under test: a model without `role`")
