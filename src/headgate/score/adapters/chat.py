"""A model of the suite as evaluators ask it: one request in OpenAI's shape, and each framework's client over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import msgspec

Ask = Callable[[Mapping[str, Any]], "Future[dict[str, Any]]"]
"""Takes the body of a chat completion request; the future brings the response's."""

_CLIENT_OPTIONS: Final = frozenset({"timeout", "extra_headers", "extra_query", "span_info"})
"""What callers tell an OpenAI client, and not the model."""


class ModelFailed(Exception):
    """The model brought no answer, after all the attempts that it was given: not to be tried again."""


class ChatModel:
    """A model that evaluators ask; its requests go through headgate's lanes, retries, prices and cap.

    Parameters
    ----------
    id : str
        Of the model in the suite.
    ask : callable
        Sends one request.

    Attributes
    ----------
    name : str
        What frameworks that want a model's name are told.

    Examples
    --------
    >>> def ask(request):
    ...     answered = Future()
    ...     answered.set_result({"choices": [{"message": {"role": "assistant", "content": request["model"]}}]})
    ...     return answered
    >>> ChatModel("small", ask).openai().chat.completions.create(messages=[]).choices[0].message.content
    'headgate/small'
    """

    def __init__(self, id: str, ask: Ask) -> None:  # noqa: A002 - the suite's word
        self.id, self.name, self._ask = id, f"headgate/{id}", ask

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and wait for the response.

        Parameters
        ----------
        request : mapping
            As to ``/chat/completions``: ``messages``, and what goes with them.

        Raises
        ------
        ModelFailed
            If there is none.
        """
        return self._ask(self._request(request)).result()

    async def complete_async(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and wait for the response without holding the event loop; as :meth:`complete`."""
        return await asyncio.wrap_future(self._ask(self._request(request)))

    def text(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the answer to one message; of JSON, where a schema is given."""
        return _content(self.complete(_prompted(prompt, schema)))

    async def text_async(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the answer to one message; as :meth:`text`."""
        return _content(await self.complete_async(_prompted(prompt, schema)))

    def openai(self) -> Any:
        """Return it as a client: ``client.chat.completions.create(messages=...)``."""
        from headgate.score.adapters.openai import Client

        return Client(self.complete)

    def async_openai(self) -> Any:
        """Return it as a client: ``await client.chat.completions.create(messages=...)``."""
        from headgate.score.adapters.openai import Client

        return Client(self.complete_async)

    def langchain(self) -> Any:
        """Return it as LangChain's ``BaseChatModel``."""
        from headgate.score.adapters.langchain import chat_model

        return chat_model(self)

    def deepeval(self) -> Any:
        """Return it as deepeval's ``DeepEvalBaseLLM``."""
        from headgate.score.adapters.deepeval import base_llm

        return base_llm(self)

    def ragas(self) -> Any:
        """Return it as the ``InstructorBaseRagasLLM`` of ragas."""
        from headgate.score.adapters.ragas import instructor_llm

        return instructor_llm(self)

    def inspect(self) -> Any:
        """Return it as a ``Model`` of inspect_ai."""
        from headgate.score.adapters.inspect_ai import model

        return model(self)

    def _request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent of a request: JSON data, without what is meant for the client."""
        if request.get("stream"):
            raise ValueError("headgate hands over whole answers: leave `stream` out")
        extra = request.get("extra_body") or {}
        kept = {name: value for name, value in request.items() if name not in {*_CLIENT_OPTIONS, "extra_body"}}
        # OpenAI's markers for what was left out have no JSON form.
        given = {n: v for n, v in kept.items() if type(v).__name__ not in {"NotGiven", "Omit"} and v is not None}
        encoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({**given, **extra, "model": self.name}))
        return encoded


def _prompted(prompt: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]}
    if schema is not None:
        form = {"name": "answer", "schema": dict(schema)}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    return request


def _content(response: Mapping[str, Any]) -> str:
    return response["choices"][0]["message"].get("content") or ""
