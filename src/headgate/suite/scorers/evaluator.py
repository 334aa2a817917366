"""An evaluator of another framework as declared: what makes it, what it is told of a row, how its result is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from headgate.suite.part import Params
from headgate.suite.problems import Problem, did_you_mean
from headgate.suite.scorers.base import Called

FrameworkName = Literal["auto", "langchain", "langsmith", "openevals", "autoevals", "ragas", "deepeval", "inspect"]


class Evaluator(Called):
    """An evaluator of LangChain, LangSmith, openevals, autoevals, ragas, deepeval or inspect_ai, or one like theirs."""

    type: Literal["evaluator"] = Field(description="The kind of scorer")
    call: str | SkipJsonSchema[Any] = Field(
        description="'module:name' of an evaluator, its class, or a function that makes it; may lie beside the suite"
    )
    framework: FrameworkName = Field("auto", description="Whose evaluator it is; default: told by what it is like")
    arguments: Params = Field(default_factory=dict, description="Keyword arguments that make the evaluator")
    inputs: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="The framework's field to the item's column, or `output`; `outputs.answer: output` makes a mapping",
    )
    key: str | None = Field(None, description="Which of several results is the score")
    labels: dict[str, float] = Field(
        default_factory=dict[str, float], description="Score of each label, where the evaluator returns labels"
    )
    model: str | None = Field(
        None, description="Id of a model with `role: judge`, handed to what makes the evaluator: its traffic is metered"
    )

    @property
    def asked(self) -> tuple[str, ...]:
        """Ids of the models that it asks through headgate."""
        return () if self.model is None else (self.model,)


def evaluator_problems(scorers: Sequence[object], roles: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with the models that the evaluators of a suite name.

    Parameters
    ----------
    roles : mapping of str to str
        Model id to role.
    """
    known = [name for name, role in roles.items() if role == "judge"]
    for index, scorer in enumerate(scorers):
        if isinstance(scorer, Evaluator) and scorer.model is not None and scorer.model not in known:
            mend = did_you_mean(scorer.model, known) if known else "declare a model with `role: judge`"
            yield Problem(("scorers", index, "model"), "is no judge that is declared", scorer.model, mend)
