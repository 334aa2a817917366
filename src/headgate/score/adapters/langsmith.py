"""LangSmith's evaluators (objects, and functions by the names of their parameters), and those of openevals."""

# The package is the user's, and need not be there.
# pyright: reportMissingImports=false
from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields, known_columns
from headgate.score.adapters.framework import Framework, has
from headgate.score.callables import Grade
from headgate.suite.callables import is_async_callable

_NAMES: Final = ("run", "example", "inputs", "outputs", "reference_outputs", "attachments")
_WHOLE: Final = frozenset({"run", "outputs"})
"""One of these is what an evaluator grades."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_function(target: Any) -> bool:
    """Return whether a function names its parameters as LangSmith's evaluators do.

    Examples
    --------
    >>> is_function(lambda outputs, reference_outputs: 1), is_function(lambda output, item: 1)
    (True, False)
    """
    parameters = _parameters(target)
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return bool(_WHOLE & {p.name for p in parameters}) and all(name in _NAMES for name in required)


def bind(evaluator: Any, fields: Fields) -> Grade:
    """Return an evaluator as a function of (output, item)."""
    if _is_object(evaluator):
        is_async = getattr(evaluator, "is_async", False)
        return _of_run(evaluator.aevaluate_run if is_async else evaluator.evaluate_run, fields, is_async=is_async)
    is_async, names = is_async_callable(evaluator), [p.name for p in _parameters(evaluator)]
    if not is_function(evaluator) or names == ["run", "example"]:
        return _of_run(evaluator, fields, is_async=is_async)
    return _by_name(evaluator, fields, is_async=is_async)


_is_object = has("evaluate_run", "aevaluate_run")


def _of_run(call: Callable[..., Any], fields: Fields, *, is_async: bool) -> Grade:
    """Return a function of a run and an example as one of (output, item)."""

    def grade(output: str, item: Mapping[str, Any]) -> Any:
        return call(*_run_and_example(_told(fields, output, item)))

    async def grade_async(output: str, item: Mapping[str, Any]) -> Any:
        return await call(*_run_and_example(_told(fields, output, item)))

    return grade_async if is_async else grade


def _by_name(call: Callable[..., Any], fields: Fields, *, is_async: bool) -> Grade:
    """Return a function of named parameters as one of (output, item)."""
    parameters = _parameters(call)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    by_place = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    names = {p.name for p in parameters}

    def arguments(output: str, item: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        told = _told(fields, output, item)
        if names & {"run", "example"}:
            told["run"], told["example"] = _run_and_example(told)
        given = {name: value for name, value in told.items() if name in names or (takes_all and name not in _NAMES)}
        return [told[name] for name in by_place], {n: v for n, v in given.items() if n not in by_place}

    def grade(output: str, item: Mapping[str, Any]) -> Any:
        args, named = arguments(output, item)
        return call(*args, **named)

    async def grade_async(output: str, item: Mapping[str, Any]) -> Any:
        args, named = arguments(output, item)
        return await call(*args, **named)

    return grade_async if is_async else grade


def _told(fields: Fields, output: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {"inputs": known_columns(item), "attachments": {}, **fields.of(output, item)}


def _run_and_example(told: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a run and an example with what evaluators read of them."""
    run_id, inputs, outputs = uuid.uuid4(), _mapped(told["inputs"]), _mapped(told.get("outputs"))
    about: dict[str, Any] = {"id": run_id, "trace_id": run_id, "name": "headgate", "run_type": "chain"}
    about |= {"start_time": _EPOCH, "inputs": inputs, "outputs": outputs}
    wanted = {"id": uuid.uuid4(), "inputs": inputs, "outputs": _mapped(told.get("reference_outputs"))}
    try:
        from langsmith.schemas import Example, Run
    except ImportError:  # a function may have these parameters without the package
        return SimpleNamespace(**about), SimpleNamespace(**wanted)
    return Run(**about), Example(**wanted)


def _mapped(value: Any) -> Any:
    return value if isinstance(value, Mapping) or value is None else {"output": value}


def _parameters(call: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # not callable, or a builtin without a signature
        return []


LANGSMITH = Framework(
    name="langsmith",
    packages=("langsmith",),
    is_evaluator=lambda target: _is_object(target) or (not isinstance(target, type) and is_function(target)),
    bind=bind,
    usual={"outputs.output": OUTPUT, "reference_outputs.output": TARGET},
)

OPENEVALS = Framework(
    name="openevals",
    packages=("openevals", "agentevals"),
    is_evaluator=lambda target: not isinstance(target, type) and is_function(target),
    bind=bind,
    usual={"inputs": INPUT, "outputs": OUTPUT, "reference_outputs": TARGET},
    offers={"judge": ChatModel.langchain},
)
