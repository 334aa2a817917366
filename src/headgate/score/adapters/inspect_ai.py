"""Scorers of inspect_ai: each row becomes the state of a finished conversation, and its target."""

# The package is the user's, and need not be there.
# pyright: reportMissingImports=false
from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields, known_columns
from headgate.score.adapters.framework import Framework
from headgate.score.callables import Grade
from headgate.suite.callables import is_async_callable

_MODEL: Final = "headgate/evaluated"
_LABELS: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""What inspect_ai makes of its marks: correct, partly so, incorrect, no answer."""


def is_scorer(target: Any) -> bool:
    """Return whether it is an async function of ``state`` and ``target``."""
    if not callable(target) or not is_async_callable(target):
        return False
    names = list(inspect.signature(target).parameters)
    return names[:2] == ["state", "target"]


def bind(evaluator: Any, fields: Fields) -> Grade:
    """Return a scorer as an async function of (output, item)."""

    async def grade(output: str, item: Mapping[str, Any]) -> Any:
        told = fields.of(output, item)
        return await evaluator(_state(told, item), _target(told))

    return grade


def _target(told: Mapping[str, Any]) -> Any:
    from inspect_ai.scorer import Target

    wanted = told.get("target", "")
    return Target([str(one) for one in wanted] if isinstance(wanted, list) else str(wanted))


def _state(told: Mapping[str, Any], item: Mapping[str, Any]) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelName, ModelOutput
    from inspect_ai.solver import TaskState

    asked, output = str(told["input"]), told["output"]
    return TaskState(
        model=ModelName(_MODEL),
        sample_id=str(item.get("id", "")),
        epoch=1,
        input=asked,
        messages=[ChatMessageUser(content=asked), ChatMessageAssistant(content=output)],
        target=_target(told),
        choices=told.get("choices"),
        output=ModelOutput.from_content(_MODEL, output),
        completed=True,
        metadata=known_columns(item),
    )


@cache
def _api_class() -> Any:
    from inspect_ai.model import ModelAPI, ModelOutput, modelapi

    @modelapi(name="headgate")  # pyright: ignore[reportUntypedClassDecorator]
    class HeadgateAPI(ModelAPI):  # type: ignore[misc]  # Any, where the package is not there
        """A model of the suite as a provider of inspect_ai."""

        def __init__(self, chat: ChatModel) -> None:
            super().__init__(chat.name)
            self.chat = chat

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> Any:  # noqa: A002, ARG002 - the names are inspect_ai's
            messages = [{"role": message.role, "content": message.text} for message in input]
            asked = {"temperature": config.temperature, "max_tokens": config.max_tokens, "stop": config.stop_seqs}
            response = await self.chat.complete_async({"messages": messages, **asked})
            return ModelOutput.from_content(self.model_name, response["choices"][0]["message"].get("content") or "")

    return HeadgateAPI


def model(chat: ChatModel) -> Any:
    """Return a model of the suite as a ``Model`` of inspect_ai: it answers in text, and calls no tools."""
    from inspect_ai.model import GenerateConfig, Model

    return Model(_api_class()(chat), GenerateConfig())


INSPECT = Framework(
    name="inspect",
    packages=("inspect_ai", "inspect_evals"),
    is_evaluator=is_scorer,
    bind=bind,
    usual={"input": INPUT, "output": OUTPUT, "target": TARGET},
    offers={"model": ChatModel.inspect},
    labels=_LABELS,
)
