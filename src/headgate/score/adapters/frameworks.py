"""All frameworks, and which of them an evaluator is of: told by what it has, so that none is imported to find out."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from headgate.score.adapters.autoevals import AUTOEVALS
from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.deepeval import DEEPEVAL
from headgate.score.adapters.fields import Fields
from headgate.score.adapters.framework import Framework, Offers
from headgate.score.adapters.inspect_ai import INSPECT
from headgate.score.adapters.langchain import LANGCHAIN
from headgate.score.adapters.langsmith import LANGSMITH, OPENEVALS
from headgate.score.adapters.ragas import RAGAS
from headgate.score.adapters.returned import read_returned
from headgate.score.callables import Grade, Score, bind_item
from headgate.suite.callables import is_async_callable
from headgate.suite.scorers.evaluator import Evaluator

_ANY: Final = Framework(
    name="auto",
    packages=(),
    is_evaluator=callable,
    bind=lambda call, _: bind_item(call),
    usual={},
    offers={
        "judge": lambda chat: chat,
        "model": lambda chat: chat,
        "client": ChatModel.openai,
        "async_client": ChatModel.async_openai,
        "llm": ChatModel.langchain,
    },
)
"""Any callable of (output) or (output, item)."""

FRAMEWORKS: Final = (DEEPEVAL, LANGCHAIN, AUTOEVALS, RAGAS, INSPECT, LANGSMITH, OPENEVALS)
"""In the order in which they are tried: those that take functions last. Those of openevals are functions as LangSmith's
are, and told by their module alone."""

_BY_NAME: Final = {framework.name: framework for framework in (*FRAMEWORKS, _ANY)}

QUIET: Final[Mapping[str, str]] = {
    "LANGSMITH_TRACING": "false",
    "RAGAS_DO_NOT_TRACK": "true",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
}
"""What keeps the frameworks from calling home, where the user has not said otherwise."""


class NotAnEvaluator(Exception):
    """What the suite names is none; the message says why, and what to do."""


def silence() -> None:
    """Switch off the frameworks' telemetry for this process; variables that are set stay as they are."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def bind_evaluator(declared: Evaluator, target: Any, chat: ChatModel | None) -> Grade:
    """Return the evaluator that a suite names as a function of (output, item), sync or async, that returns a score.

    Parameters
    ----------
    declared : Evaluator
        How it is made, told and read.
    target : object
        What ``call`` names: an evaluator, its class, or a function that makes it.
    chat : ChatModel, optional
        What it may ask; handed to what makes it, where that names a parameter for it.

    Raises
    ------
    NotAnEvaluator
        If it is none, or nothing takes the model.
    Exception
        Whatever making it raises.
    """
    family = _family(declared, target)
    fields_of = partial(Fields, declared=declared.inputs)
    if not makes_evaluator(declared, target):
        if declared.model is not None:
            raise NotAnEvaluator("takes no model: name a class or a function that makes the evaluator")
        if declared.arguments and not callable(target):
            raise NotAnEvaluator("is made already: `arguments` go to a class or a function")
        evaluator, make = partial(target, **declared.arguments) if declared.arguments else target, None
    else:
        make = partial(target, **_arguments(declared, target, family, chat))
        evaluator = make()
    framework = _framework(declared, evaluator, family)
    if framework.fresh and make is None:
        raise NotAnEvaluator("keeps its result in itself, and each row needs its own: name its class or a function")
    bound = framework.bind(make if framework.fresh else evaluator, fields_of(framework.usual))
    return _read(bound, key=declared.key, labels={**framework.labels, **declared.labels})


def makes_evaluator(declared: Evaluator, target: Any) -> bool:
    """Tell whether ``call`` names what makes the evaluator, and not the evaluator itself."""
    if isinstance(target, type):
        return True
    bound = partial(target, **declared.arguments) if declared.arguments and callable(target) else target
    if any(framework.is_evaluator(bound) or framework.is_evaluator(target) for framework in FRAMEWORKS):
        return False
    if declared.arguments or declared.model is not None:
        return True
    return _required(target) == []


def _family(declared: Evaluator, target: Any) -> Framework | None:
    """Return the framework that is declared, or that the module of the target belongs to."""
    if declared.framework != "auto":
        return _BY_NAME[declared.framework]
    package = str(getattr(target, "__module__", None) or type(target).__module__).partition(".")[0]
    return next((framework for framework in FRAMEWORKS if package in framework.packages), None)


def _framework(declared: Evaluator, evaluator: Any, family: Framework | None) -> Framework:
    if declared.framework != "auto":
        assert family is not None
        if not family.is_evaluator(evaluator) and not (family is LANGSMITH and callable(evaluator)):
            raise NotAnEvaluator(f"{type(evaluator).__name__} is no evaluator of {family.name}")
        return family
    own = _family(declared, evaluator)
    for framework in filter(None, (own, family, *FRAMEWORKS)):
        if framework.is_evaluator(evaluator):
            return framework
    if not callable(evaluator):
        raise NotAnEvaluator(f"{type(evaluator).__name__} is no evaluator, and cannot be called")
    return _ANY


def _arguments(
    declared: Evaluator, target: Callable[..., Any], family: Framework | None, chat: ChatModel | None
) -> dict[str, Any]:
    if chat is None:
        return dict(declared.arguments)
    offers: Offers = {**_ANY.offers, **({} if family is None else family.offers)}
    named = [p.name for p in _parameters(target) if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    taken = {name: offers[name](chat) for name in named if name in offers and name not in declared.arguments}
    if not taken:
        raise NotAnEvaluator(f"takes no model: none of its parameters is named {', '.join(offers)}")
    return {**declared.arguments, **taken}


def _read(bound: Grade, *, key: str | None, labels: Mapping[str, float]) -> Grade:
    """Return a function that reads what another returns as a score."""

    def grade(output: str, item: Mapping[str, Any]) -> Score:
        return read_returned(bound(output, item), key=key, labels=labels)

    async def grade_async(output: str, item: Mapping[str, Any]) -> Score:
        return read_returned(await bound(output, item), key=key, labels=labels)

    return grade_async if is_async_callable(bound) else grade


def _parameters(target: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # no callable, or a builtin without a signature
        return []


def _required(target: Any) -> list[str] | None:
    """Return the parameters that must be given; None where that is not known."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
