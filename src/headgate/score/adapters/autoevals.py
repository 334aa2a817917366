"""Braintrust's autoevals."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields, known_columns
from headgate.score.adapters.framework import Framework, has
from headgate.score.callables import Grade


def bind(evaluator: Any, fields: Fields) -> Grade:
    """Return ``eval`` of a scorer, which is told the item's columns too, as far as it takes them.

    ``eval_async`` is left alone: by default it runs the sync body on the event loop.
    """
    parameters = inspect.signature(getattr(evaluator, "_run_eval_sync", evaluator.eval)).parameters
    second = next(iter(list(parameters)[1:2]), "expected")  # ValidJSON takes a schema there
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def grade(output: str, item: Mapping[str, Any]) -> Any:
        told = {**known_columns(item), **fields.of(output, item)}
        answer, expected = told.pop("output"), told.pop(second, None)
        told.pop("expected", None)
        more = {name: value for name, value in told.items() if takes_all or name in parameters}
        return evaluator.eval(answer, expected, **more)

    return grade


AUTOEVALS = Framework(
    name="autoevals",
    packages=("autoevals",),
    is_evaluator=has("eval", "eval_async"),
    bind=bind,
    usual={"output": OUTPUT, "expected": TARGET, "input": INPUT},
    offers={"client": ChatModel.openai, "model": lambda chat: chat.name},
)
