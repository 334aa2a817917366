"""What judges and evaluators will ask about answers that are not there yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from headgate.conduct.grading import told
from headgate.conduct.judges import BoundJudge
from headgate.conduct.scoring import BoundScorer
from headgate.conduct.usage import Measured, Usage, measure_evaluator, measure_judge
from headgate.execute.tokens import TokenEstimate
from headgate.plan import Job
from headgate.suite.gate import Compare
from headgate.suite.items import Item
from headgate.suite.scorers import Evaluator
from headgate.suite.suite import Suite


class Requests(NamedTuple):
    """Requests to one model about one answer; a share of one where not every answer has one."""

    model: str
    number: float
    usage: Usage
    measured: bool


class Asking(Protocol):
    """A scorer that asks models about answers."""

    @property
    def scorer(self) -> str:
        """Its name."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models that it asks."""
        ...

    def about(self, job: Job, usage: Usage) -> Iterator[Requests]:
        """Yield what it asks about the answer of a job that takes these tokens, if it is one to be graded."""
        ...


def foresee(
    suite: Suite, scorers: Sequence[BoundScorer], stored: Path | None
) -> tuple[tuple[Asking, ...], tuple[str, ...]]:
    """Return the scorers whose requests are known, and the names of the others.

    Parameters
    ----------
    stored : Path, optional
        An earlier run, in which they are measured.
    """
    known: list[Asking] = []
    unknown: list[str] = []
    for scorer in scorers:
        if scorer.judge is not None:
            measured = {} if stored is None else measure_judge(stored, scorer.judge)
            known.append(JudgeAsking(scorer.judge, suite.compare, measured))
        elif isinstance(scorer.spec, Evaluator) and scorer.spec.model is not None:
            model = scorer.spec.model
            found = None if stored is None else measure_evaluator(stored, scorer=scorer.name, model=model)
            if found is None:
                unknown.append(scorer.name)
            else:
                known.append(EvaluatorAsking(scorer.name, model, *found))
    return tuple(known), tuple(unknown)


class EvaluatorAsking:
    """An evaluator: code that asks what it likes, so that it is known only by what it asked in an earlier run."""

    def __init__(self, scorer: str, model: str, number: float, usage: Usage) -> None:
        self.scorer, self.models = scorer, (model,)
        self._requests = Requests(model, number, usage, measured=True)

    def about(self, job: Job, usage: Usage) -> Iterator[Requests]:  # noqa: ARG002 - it takes the mean of all
        """Yield what it asks about an answer."""
        yield self._requests


class JudgeAsking:
    """A judge: it asks each of its models as often as declared, its own prompt with the item and the answer.

    Parameters
    ----------
    measured : mapping
        Tokens of its own requests in an earlier run. Without them, the input is what the prompt takes without an
        answer and the tokens of the answer, and the output what ``max_tokens`` allows, or 256.
    """

    def __init__(self, judge: BoundJudge, compare: Compare | None, measured: Measured) -> None:
        self._judge, self._compare, self._measured = judge, compare, measured
        self.scorer, self.models = judge.spec.name, tuple(model.id for model in judge.models)
        self._about: tuple[str, tuple[Job, ...]] | None = None

    def about(self, job: Job, usage: Usage) -> Iterator[Requests]:
        """Yield what it asks about an answer; of a pair, which it is asked about in two orders, each brings one."""
        order = self._order(job)
        if order is None:
            return
        if self._about is None or self._about[0] != job.item.item_id:  # neighbours in the plan share their item
            self._about = job.item.item_id, self._jobs(job.item)
        answers = 2 if self._paired else 1
        for asked in self._about[1][order::answers]:
            known = self._measured.get((asked.prompt.name, asked.model.id))
            inputs, outputs = TokenEstimate().reserve(asked)
            guess = Usage(inputs + answers * usage.output_tokens, outputs)
            yield Requests(asked.model.id, self._judge.spec.repeats, known or guess, measured=known is not None)

    @property
    def _paired(self) -> bool:
        return self._judge.spec.kind == "pairwise"

    def _order(self, job: Job) -> int | None:
        """Return which of its prompts the answer of a job brings; None where it is not graded."""
        if not self._paired:
            return 0
        assert self._compare is not None
        arms = (self._compare.candidate, self._compare.baseline)
        asked = (arm.has_prompt(job.prompt.name) and arm.has_model(job.model.id) for arm in arms)
        return next((order for order, yes in enumerate(asked) if yes), None)

    def _jobs(self, item: Item) -> tuple[Job, ...]:
        """Return its jobs about an empty answer to an item, prompt by prompt; none where the item lacks a target."""
        names = ("first", "second") if self._paired else ("output",)
        variables = told(self._judge, {**item.variables, "target": item.target}, dict.fromkeys(names, ""))
        if variables is None:
            return ()
        judge = self._judge
        messages = {prompt.name: prompt.render(variables) for prompt in judge.prompts}
        shown = Item(item_id=item.item_id, cluster=None, target=None, messages=messages)
        return tuple(Job(0, "", shown, prompt, model, 1) for model in judge.models for prompt in judge.prompts)
