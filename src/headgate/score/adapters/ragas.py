"""Metrics of ragas: those of ``ragas.metrics.collections``, and the older ones of single turns."""

# The package is the user's, and need not be there.
# pyright: reportMissingImports=false
from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields, known_columns
from headgate.score.adapters.framework import Framework, has
from headgate.score.callables import Grade

_TURN: Final = (
    "user_input", "response", "reference", "retrieved_contexts", "reference_contexts", "retrieved_context_ids",
    "reference_context_ids", "rubrics",
)  # fmt: skip
"""What a single turn may have."""

_is_single_turn = has("single_turn_ascore")
_is_collected = has("ascore")


def bind(evaluator: Any, fields: Fields) -> Grade:
    """Return the async score of a metric; columns of the item that bear the name of a field fill it."""
    if _is_single_turn(evaluator):
        return _of_sample(evaluator, fields)
    parameters = inspect.signature(evaluator.ascore).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    async def grade(output: str, item: Mapping[str, Any]) -> Any:
        told = {**known_columns(item), **fields.of(output, item)}
        return await evaluator.ascore(**{n: v for n, v in told.items() if takes_all or n in parameters})

    return grade


def _of_sample(evaluator: Any, fields: Fields) -> Grade:
    async def grade(output: str, item: Mapping[str, Any]) -> Any:
        from ragas.dataset_schema import SingleTurnSample

        told = {**known_columns(item), **fields.of(output, item)}
        return await evaluator.single_turn_ascore(SingleTurnSample(**{n: told[n] for n in _TURN if n in told}))

    return grade


@cache
def _llm_class() -> type:
    from ragas.llms.base import InstructorBaseRagasLLM

    class HeadgateLLM(InstructorBaseRagasLLM):  # type: ignore[misc]  # Any, where the package is not there
        """A model of the suite as the LLM of a ragas metric."""

        def __init__(self, chat: ChatModel) -> None:
            self.chat, self.model = chat, chat.name

        def generate(self, prompt: str, response_model: Any) -> Any:
            return response_model.model_validate_json(self.chat.text(prompt, schema=response_model.model_json_schema()))

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            schema = response_model.model_json_schema()
            return response_model.model_validate_json(await self.chat.text_async(prompt, schema=schema))

    return HeadgateLLM


def instructor_llm(chat: ChatModel) -> Any:
    """Return a model of the suite as the LLM of a ragas metric: it is asked for JSON of the metric's schema."""
    return _llm_class()(chat)


RAGAS = Framework(
    name="ragas",
    packages=("ragas",),
    is_evaluator=lambda target: _is_single_turn(target) or _is_collected(target),
    bind=bind,
    usual={"user_input": INPUT, "response": OUTPUT, "reference": TARGET},
    offers={"llm": ChatModel.ragas},
)
