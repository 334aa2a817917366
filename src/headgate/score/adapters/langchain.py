"""LangChain's string evaluators (``langchain_classic.evaluation``), and a chat model for those that ask one."""

# The package is the user's, and need not be there.
# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import INPUT, OUTPUT, TARGET, Fields
from headgate.score.adapters.framework import Framework, has
from headgate.score.callables import Grade


def bind(evaluator: Any, fields: Fields) -> Grade:
    """Return ``evaluate_strings`` of an evaluator; it is told what it requires, or what the suite names."""
    wanted = {"reference": getattr(evaluator, "requires_reference", True)}
    wanted["input"] = getattr(evaluator, "requires_input", True)

    def grade(output: str, item: Mapping[str, Any]) -> Any:
        # An evaluator warns about what it does not require and will ignore.
        told = {name: value for name, value in fields.of(output, item).items() if wanted.get(name, True)}
        return evaluator.evaluate_strings(**told)

    return grade


@cache
def _chat_model_class() -> type:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, convert_to_openai_messages
    from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

    class HeadgateChatModel(BaseChatModel):  # type: ignore[misc]  # Any, where the package is not there
        """A model of the suite as LangChain's chat model."""

        chat: Any

        @property
        def _llm_type(self) -> str:
            return "headgate"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": self.chat.name}

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
            return _result(self.chat.complete(_request(messages, stop, kwargs)))

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
            return _result(await self.chat.complete_async(_request(messages, stop, kwargs)))

        def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
            choice = "required" if tool_choice == "any" else tool_choice
            shapes = [convert_to_openai_tool(tool) for tool in tools]
            return self.bind(tools=shapes, **({} if choice is None else {"tool_choice": choice}), **kwargs)

        def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Any:
            if include_raw:
                raise NotImplementedError("headgate's chat model hands over what was parsed: leave `include_raw` out")
            wanted = convert_to_json_schema(schema)
            form = {"type": "json_schema", "json_schema": {"name": wanted.get("title", "answer"), "schema": wanted}}
            is_model = isinstance(schema, type) and hasattr(schema, "model_validate")
            parser = PydanticOutputParser(pydantic_object=schema) if is_model else JsonOutputParser()
            return self.bind(response_format=form) | parser

    def _request(messages: Any, stop: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in options.items() if not name.startswith("ls_")}
        return {"messages": convert_to_openai_messages(messages), **kept, **({"stop": stop} if stop else {})}

    def _result(response: Mapping[str, Any]) -> Any:
        message = response["choices"][0]["message"]
        message = AIMessage(
            content=message.get("content") or "",
            tool_calls=_tool_calls(message.get("tool_calls") or []),
            usage_metadata=_usage(response.get("usage") or {}),
            response_metadata={"model_name": response.get("model")},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    return HeadgateChatModel


def _tool_calls(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    import json

    return [
        {
            "name": call["function"]["name"],
            "args": json.loads(call["function"]["arguments"] or "{}"),
            "id": call.get("id"),
            "type": "tool_call",
        }
        for call in calls
    ]


def _usage(usage: Mapping[str, Any]) -> dict[str, int] | None:
    given, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if given is None or made is None:
        return None
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def chat_model(chat: ChatModel) -> Any:
    """Return a model of the suite as LangChain's ``BaseChatModel``: tools and structured output included."""
    return _chat_model_class()(chat=chat)


LANGCHAIN = Framework(
    name="langchain",
    packages=("langchain_classic", "langchain", "langchain_core", "langchain_community"),
    is_evaluator=has("evaluate_strings", "aevaluate_strings"),
    bind=bind,
    usual={"prediction": OUTPUT, "reference": TARGET, "input": INPUT},
    offers={"llm": ChatModel.langchain},
)
