"""The declared evaluation: the suite with all its parts, frozen and validated.

Field names are the keys of the suite file; the JSON Schema is generated from these classes. Paths stay text until
:mod:`headgate.suite.items` and :mod:`headgate.registry` open them, relative to ``Suite.base``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, field_validator, model_validator

from headgate.identity import digest
from headgate.suite.declaration import Declaration
from headgate.suite.gate import BUILTIN_METRICS, Arm, Compare, Gate, Policy
from headgate.suite.model import Lane, Model
from headgate.suite.part import Name, Part
from headgate.suite.problems import Problem, Problems, repeated, unknown
from headgate.suite.scorers import OverLabels, PassAtK, Scorer
from headgate.suite.scorers.evaluator import evaluator_problems
from headgate.suite.scorers.judge import judge_problems
from headgate.suite.scorers.names import scorer_problems
from headgate.suite.sources import Items, PromptSource, prompt_source


class Budget(Part):
    """What a run may spend."""

    max_cost_usd: float | None = Field(
        None, gt=0, description="Most US dollars: every model needs a price then, and a limit of its output"
    )
    max_tokens: int | None = Field(
        None, gt=0, description="Most tokens, input and output together: every model needs a limit of its output then"
    )
    max_minutes: float | None = Field(None, gt=0, description="Most minutes")


class Store(Part):
    """What a run keeps of what models say."""

    outputs: Literal["keep", "hash", "drop"] = Field(
        "keep", description="Outputs as they are; or once they are scored only a hash of each, or nothing"
    )
    redact: list[str] = Field(
        default_factory=list[str],
        description="Regular expressions (Python's); what matches in an output or an error is `[redacted]` before it "
        "is scored, logged or stored",
    )

    @field_validator("redact")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        for pattern in value:
            try:
                matches_nothing = re.compile(pattern).search("") is not None
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
            if matches_nothing:
                raise ValueError(f"{pattern!r} matches where nothing stands, and so everywhere")
        return value


class Suite(Declaration):
    """The declared evaluation.

    Attributes
    ----------
    name : str
        Name of the suite.
    items : str, list of dict, or Items
        A path, the rows themselves, or both with options.
    prompts : dict of str to str, dict or PromptSource
        Prompt name to source. A plain text is a path when it names a file type, else the template itself.
    models, lanes, scorers, gates : list
        See the classes of the same name.
    seeds : int
        Replicates of every (item, prompt, model).
    first_seed : int
        Their numbers are ``first_seed`` and up.
    compare : Compare, optional
        The two arms.

    Raises
    ------
    ConfigError
        If something is wrong; one error names every problem, one a line.

    Examples
    --------
    >>> suite = Suite(
    ...     name="sums",
    ...     items=[{"question": "1+1?", "target": "2"}],
    ...     prompts={"plain": "{{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated"}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ... )
    >>> suite.prompts["plain"].text, suite.models[0].name, suite.seeds
    ('{{ question }}', 'small', 1)
    """

    name: Name = Field(description="Name of the suite")
    items: Items = Field(description="A path, the rows themselves, or a mapping with options")
    prompts: dict[Name, PromptSource] = Field(
        min_length=1, description="By name: a path, the text of one user message, a list of messages, or a mapping"
    )
    models: list[Model] = Field(min_length=1, description="What answers")
    lanes: list[Lane] = Field(default_factory=list, description="Quotas; a model in no lane has one of its own")
    seeds: int = Field(1, ge=1, le=1000, description="Replicates of every (item, prompt, model)")
    first_seed: int = Field(1, ge=1, le=1_000_000, description="Number of the first seed; others draw independently")
    scorers: list[Scorer] = Field(default_factory=list, description="How answers are scored")
    compare: Compare | None = Field(
        None, description="The two arms; without it gates are absolute, or meet another run"
    )
    gates: list[Gate] = Field(default_factory=list, description="What may pass")
    policy: Policy = Field(Policy.model_construct(), description="How verdicts are made")
    budget: Budget = Field(Budget.model_construct(), description="What a run may spend")
    store: Store = Field(Store.model_construct(), description="What a run keeps of what models say")

    @property
    def places(self) -> list[Model]:
        """All models at all of their endpoints; see :attr:`Model.places`."""
        return [place for model in self.models for place in model.places]

    @property
    def tested(self) -> list[Model]:
        """The models under test: all but the judges."""
        return [model for model in self.models if model.role == "tested"]

    @property
    def judges(self) -> list[Model]:
        """The models that grade answers."""
        return [model for model in self.models if model.role == "judge"]

    @field_validator("items", mode="before")
    @classmethod
    def _short_items(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return {"path": str(value)}
        return {"rows": value} if isinstance(value, list) else value

    @field_validator("prompts", mode="before")
    @classmethod
    def _short_prompts(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: prompt_source(source) for name, source in value.items()}  # pyright: ignore[reportUnknownVariableType]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        found = [*self._repeated(), *self._unresolved()]
        if found:
            raise Problems(found)
        return self

    def _repeated(self) -> Iterator[Problem]:
        yield from repeated([(("models", index, "id"), model.id) for index, model in enumerate(self.models)])
        shared = [
            (("lanes", i, "models", k), name) for i, lane in enumerate(self.lanes) for k, name in enumerate(lane.models)
        ]
        yield from repeated(shared)
        identities: dict[tuple[str, str], str] = {}
        for index, model in enumerate(self.models):
            twin = identities.setdefault((model.role, digest(model.identity)), model.id)
            if twin != model.id:
                mend = "give one of them another `model` or `params`, or use `seeds` to repeat"
                yield Problem(("models", index), f"asks the same of the same model as {twin!r}", model.id, mend)

    def _unresolved(self) -> Iterator[Problem]:
        models, tested = [model.id for model in self.models], [model.id for model in self.tested]
        metrics = [*(scorer.name for scorer in self.scorers), *BUILTIN_METRICS]
        places = [place.id for place in self.places]
        for index, lane in enumerate(self.lanes):
            for place, name in enumerate(lane.models):
                yield from unknown(("lanes", index, "models", place), name, list(dict.fromkeys([*models, *places])))
        for side in ("baseline", "candidate") if self.compare else ():
            arm: Arm = getattr(self.compare, side)
            yield from unknown(("compare", side, arm.axis), arm.value, tested if arm.axis == "model" else self.prompts)
        roles = {model.id: model.role for model in self.models}
        yield from judge_problems(self.scorers, roles, compares=self.compare is not None)
        if self.store.outputs != "keep" and any(getattr(scorer, "asked", ()) for scorer in self.scorers):
            said = "cannot be with judges: what they are asked holds the answers, and stays in the run"
            yield Problem(("store", "outputs"), said, self.store.outputs, "keep outputs, or redact what is sensitive")
        yield from evaluator_problems(self.scorers, roles)
        whole = {scorer.name for scorer in self.scorers if isinstance(scorer, OverLabels)}
        for index, gate in enumerate(self.gates):
            yield from unknown(("gates", index, "metric"), gate.metric, metrics)
            if gate.metric in whole and gate.rule in {"max_ratio", "zero_tolerance"}:
                said = "looks at items one by one, and this metric is one of all of them together"
                yield Problem(("gates", index, gate.rule), said, gate.metric, "give a `margin`, `min` or `max`")
        yield from scorer_problems(self.scorers, taken=BUILTIN_METRICS)
        for index, scorer in enumerate(self.scorers):
            if isinstance(scorer, PassAtK) and scorer.k > self.seeds:
                mend = f"give the suite at least {scorer.k} seeds"
                yield Problem(("scorers", index, "k"), f"needs more seeds than {self.seeds}", scorer.k, mend)

    # The last validator stands around all others.
    @model_validator(mode="wrap")
    @classmethod
    def _own_errors(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        return cls._declared(data, handler, info)
