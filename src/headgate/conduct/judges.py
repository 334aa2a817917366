"""Judges made ready: their prompts read and proved blind, their models found, what their verdicts hang on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from headgate.conduct.labels import read_labels
from headgate.errors import ConfigError
from headgate.identity import canonical_json, digest
from headgate.registry.load import read_prompt
from headgate.score.judge import fence, response_format
from headgate.suite.canary import Canary
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.scorers.judge import Judge
from headgate.suite.sources import Items
from headgate.suite.suite import Suite
from headgate.suite.templates import Template

if TYPE_CHECKING:
    import polars as pl

SWAPPED: Final = ".swapped"
"""What the name of a judge's prompt ends with where the answers of a pair stand in the other order."""

_SWAP: Final = "{% set first, second = second, first %}"
_ARM: Final = frozenset({"prompt", "model", "seed", "arm", "provider", "endpoint", "baseline", "candidate", "job_id"})
_KNOWN: Final = frozenset({"question", "target", "item", "rubric", "steps", "worst", "best"})
_NEEDS_TARGET: Final = frozenset({"closed_qa", "factuality"})


@dataclass(frozen=True, slots=True)
class BoundJudge:
    """A judge whose prompts, templates and models are known to be good.

    Attributes
    ----------
    prompts : tuple of Prompt
        One; of a pair two, for its two orders.
    models : tuple of Model
        Those that grade.
    question : Template, optional
        What was asked, of the item's columns.
    hidden : frozenset of str
        Columns that are no part of the question where there is no such template.
    labels : DataFrame, optional
        What humans said; see :func:`headgate.conduct.labels.read_labels`.
    """

    spec: Judge
    prompts: tuple[Prompt, ...]
    models: tuple[Model, ...]
    question: Template | None
    target: Template
    hidden: frozenset[str] = frozenset()
    labels: pl.DataFrame | None = None

    def key(self, model: Model) -> str:
        """Return what the verdicts of a model hang on, beside the answers: where it is the same, they hold on."""
        facts = [[prompt.digest for prompt in self.prompts], digest(model.identity), self.spec.repeats]
        return digest([*facts, self.spec.question, self.spec.target])[:12]

    @property
    def version(self) -> str:
        """The version of its scores: whatever a verdict hangs on, and how verdicts become a score."""
        declared = self.spec.model_dump(include={"type", "kind", "panel", "scale", "choices", "negate"})
        return digest([declared, [self.key(model) for model in self.models]])[:12]

    def variables(self, columns: Mapping[str, Any], target: str | None, **answers: str) -> dict[str, Any] | None:
        """Return what a request is made of: the item, and one answer, or two; nothing else goes in.

        Parameters
        ----------
        columns : mapping
            The item's.
        answers : str
            ``output``, or ``first`` and ``second``.

        Returns
        -------
        dict or None
            None where the item lacks the target that this kind compares with.
        """
        seen = {"target": target, **columns}
        wanted = self._target(seen)
        if wanted is None and self.spec.kind in _NEEDS_TARGET:
            return None
        question = _describe(columns, self.hidden) if self.question is None else self.question.render(seen)
        fenced = {name: fence(text, key=question, tag=_TAGS[name]) for name, text in answers.items()}
        known: dict[str, Any] = {"question": question, "target": wanted, **fenced}
        return {**known, "item": dict(columns)} if self._names_item else known

    def _target(self, seen: Mapping[str, Any]) -> str | None:
        if [seen.get(name, "") for name in self.target.variables] == [None]:
            return None
        return self.target.render(seen)

    @property
    def _names_item(self) -> bool:
        return any("item" in (prompt.variables or ()) for prompt in self.prompts)


_TAGS: Final = {"output": "answer", "first": "first-answer", "second": "second-answer"}


def bind_judge(suite: Suite | Canary, spec: Judge, *, field: str) -> BoundJudge:
    """Read what a judge of a suite names, and prove that its prompt can see no arm.

    Raises
    ------
    ConfigError
        If a file is missing, the prompt names what would tell the judge whose answer it reads, or leaves the answer
        out.
    """
    models = {model.id: model for model in suite.models}
    where = None if suite.file is None else str(suite.file)
    prompt = _own_prompt(suite, spec, field) if spec.prompt is not None else _built_in(spec)
    _check_blind(prompt, spec, field=f"{field}.prompt")
    params = {**prompt.params, **({"response_format": response_format(spec)} if spec.structured else {})}
    defaults = {
        "rubric": _rubric(suite, spec, field),
        "steps": spec.steps,
        "worst": spec.scale[0],
        "best": spec.scale[1],
    }
    named = prompt.variables or frozenset()
    kept = {name: value for name, value in defaults.items() if name in named}
    prompt = replace(prompt, name=spec.name, params=params, defaults={**prompt.defaults, **kept}).compiled()
    return BoundJudge(
        spec=spec,
        prompts=(prompt, _swapped(prompt)) if spec.kind == "pairwise" else (prompt,),
        models=tuple(models[name] for name in spec.asked),
        question=None if spec.question is None else Template(spec.question, file=where, where=f"{field}.question"),
        target=Template(spec.target, file=where, where=f"{field}.target"),
        hidden=frozenset({"id", "target"}) if isinstance(suite, Canary) else _hidden(suite.items),
        labels=None if isinstance(suite, Canary) else read_labels(suite, spec, field=field),
    )


def _hidden(items: Items) -> frozenset[str]:
    return frozenset({"id", "target", items.id, items.target, items.cluster or "id"})


def _swapped(prompt: Prompt) -> Prompt:
    messages = tuple(
        (role, _SWAP + content if isinstance(content, str) and "first" in content else content)
        for role, content in prompt.messages
    )
    return replace(prompt, name=prompt.name + SWAPPED, messages=messages).compiled()


def _built_in(spec: Judge) -> Prompt:
    text = resources.files("headgate.score").joinpath("judges", f"{spec.kind}.txt").read_text(encoding="utf-8")
    return Prompt(name=spec.name, messages=(("user", text),), file=f"headgate/score/judges/{spec.kind}.txt")


def _own_prompt(suite: Suite | Canary, spec: Judge, field: str) -> Prompt:
    assert spec.prompt is not None
    path = suite.base / spec.prompt
    if not path.is_file():
        raise ConfigError("there is no such file", file=suite.file, field=f"{field}.prompt", value=spec.prompt)
    prompt = read_prompt(path, name=spec.name)
    if prompt.language != "jinja2":
        mend = "write it as a .txt, .md or .prompt.yml file"
        raise ConfigError(
            f"is written in {prompt.language}, not in jinja2", file=path, field=f"{field}.prompt", mend=mend
        )
    return prompt


def _check_blind(prompt: Prompt, spec: Judge, *, field: str) -> None:
    """Refuse a prompt that names anything but the item and the answer."""
    named = prompt.variables or frozenset()
    answers = frozenset({"first", "second"} if spec.kind == "pairwise" else {"output"})
    allowed = _KNOWN | answers | frozenset(prompt.defaults)
    for name in sorted(named - allowed):
        if name in _ARM:
            mend = "a judge sees the item and the answer alone; a column of the item of that name is item." + name
            raise ConfigError(
                "would tell the judge whose answer it grades", file=prompt.file, field=field, value=name, mend=mend
            )
        mend = f"it may name {', '.join(sorted(allowed))}"
        raise ConfigError("is nothing that a judge is told", file=prompt.file, field=field, value=name, mend=mend)
    for name in sorted(answers - named):
        mend = "write {{ " + name + " }} where the answer is to stand"
        raise ConfigError("leaves out the answer that it grades", file=prompt.file, field=field, value=name, mend=mend)


def _rubric(suite: Suite | Canary, spec: Judge, field: str) -> str | None:
    if spec.rubric_file is None:
        return spec.rubric
    path = suite.base / spec.rubric_file
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        mend = "the path is relative to the suite file; a rubric that is no file has more than one word"
        raise ConfigError(
            f"cannot be read: {type(error).__name__}",
            file=suite.file,
            field=f"{field}.rubric",
            value=spec.rubric,
            mend=mend,
        ) from error
    if not text:
        raise ConfigError(
            "is empty", file=path, field=f"{field}.rubric", mend="write into it what makes an answer good"
        )
    return text


def _describe(columns: Mapping[str, Any], hidden: frozenset[str]) -> str:
    """Return the item's columns as text: the value where there is one, else a line for each."""
    shown = [(name, value) for name, value in sorted(columns.items()) if name not in hidden]
    if len(shown) == 1:
        return _text(shown[0][1])
    return "\n".join(f"{name}: {_text(value)}" for name, value in shown)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def judge_prompts(judges: Iterable[BoundJudge | None]) -> dict[str, list[Prompt]]:
    """Return the prompts that each judge model is asked, by its id."""
    found: dict[str, list[Prompt]] = {}
    for judge in filter(None, judges):
        for model in judge.models:
            found.setdefault(model.id, []).extend(judge.prompts)
    return found


def check_pairs(suite: Suite, *, whole: bool) -> None:
    """Refuse a judge of pairs where only one arm is asked.

    Raises
    ------
    ConfigError
        If there is one.
    """
    for index, scorer in enumerate(suite.scorers):
        if isinstance(scorer, Judge) and scorer.kind == "pairwise" and not whole:
            raise ConfigError(
                "compares the answers of both arms, and only one is asked",
                file=suite.file,
                field=f"scorers.{index}.kind",
                value=scorer.name,
                mend="ask both arms in one run, or use kind rubric",
            )
