"""Metrics of deepeval: they keep score and reason in themselves, so every row has a metric of its own."""

# The package is the user's, and need not be there.
# pyright: reportMissingImports=false
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields, known_columns
from headgate.score.adapters.framework import Framework, has
from headgate.score.callables import Grade, Score

_CASE: Final = ("input", "actual_output", "expected_output", "context", "retrieval_context")
"""What is told of a row; columns of the item that bear the name of a field fill it."""


def bind(make: Callable[[], Any], fields: Fields) -> Grade:
    """Return a function that makes a metric, measures one row with it, and reads what it then holds."""
    quiet = {"_show_indicator": False} if _takes_indicator(make()) else {}

    async def grade(output: str, item: Mapping[str, Any]) -> Any:
        from deepeval.test_case import LLMTestCase

        told = {**known_columns(item), **fields.of(output, item)}
        metric = make()
        returned = await metric.a_measure(LLMTestCase(**{n: told[n] for n in _CASE if n in told}), **quiet)
        score = getattr(metric, "score", None)
        if getattr(metric, "skipped", False):
            score = returned = None
        reason = getattr(metric, "reason", None) or getattr(metric, "error", None)
        return Score(returned if score is None else score, explanation=None if reason is None else str(reason))

    return grade


def _takes_indicator(metric: Any) -> bool:
    parameters = inspect.signature(metric.a_measure).parameters
    return "_show_indicator" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@cache
def _llm_class() -> type:
    from deepeval.models import DeepEvalBaseLLM

    class HeadgateLLM(DeepEvalBaseLLM):  # type: ignore[misc]  # Any, where the package is not there
        """A model of the suite as the model of a deepeval metric."""

        def __init__(self, chat: ChatModel) -> None:
            self.chat = chat
            super().__init__(chat.name)

        def load_model(self, *_: Any, **__: Any) -> Any:
            return self.chat

        def generate(self, prompt: str, schema: Any = None) -> Any:
            return _read(self.chat.text(prompt, schema=_shape(schema)), schema)

        async def a_generate(self, prompt: str, schema: Any = None) -> Any:
            return _read(await self.chat.text_async(prompt, schema=_shape(schema)), schema)

        def get_model_name(self, *_: Any, **__: Any) -> str:
            return self.chat.name

    return HeadgateLLM


def _shape(schema: Any) -> Any:
    return None if schema is None else schema.model_json_schema()


def _read(text: str, schema: Any) -> Any:
    return text if schema is None else schema.model_validate_json(text)


def base_llm(chat: ChatModel) -> Any:
    """Return a model of the suite as the model of a deepeval metric: it is asked for JSON of the metric's schema."""
    return _llm_class()(chat)


DEEPEVAL = Framework(
    name="deepeval",
    packages=("deepeval",),
    is_evaluator=has("measure", "a_measure"),
    bind=bind,
    usual={"input": INPUT, "actual_output": OUTPUT, "expected_output": TARGET},
    offers={"model": ChatModel.deepeval},
    fresh=True,
)
