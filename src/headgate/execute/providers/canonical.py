"""The one form of what every API says in its own words: tool calls, log probabilities, why an answer ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

STOPS: Final[Mapping[str, str]] = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
}
"""Other names of ``stop``, ``length`` and ``tool_calls``; a reason that is not here stands as it is."""


class TokenLogprob(msgspec.Struct, omit_defaults=True):
    """A token of the answer, its log probability, and the likeliest tokens in its place, where they were asked for."""

    token: str
    logprob: float
    top: list[TokenLogprob] = []


def encode_tool_calls(calls: Iterable[tuple[str | None, str | None, Any]]) -> str | None:
    r"""Return tool calls (id, name, arguments) in OpenAI's form; None where there are none.

    Examples
    --------
    >>> print(encode_tool_calls([("c1", "add", {"a": 1})]))
    [{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]
    """
    found = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": _arguments(arguments)}}
        for id_, name, arguments in calls
    ]
    return msgspec.json.encode(found).decode() if found else None


def encode_logprobs(tokens: Iterable[TokenLogprob]) -> str | None:
    """Return log probabilities as JSON; None where there are none.

    Examples
    --------
    >>> encode_logprobs([TokenLogprob("4", -0.1, [TokenLogprob("4", -0.1), TokenLogprob("5", -2.5)])])
    '[{"token":"4","logprob":-0.1,"top":[{"token":"4","logprob":-0.1},{"token":"5","logprob":-2.5}]}]'
    """
    found = list(tokens)
    return msgspec.json.encode(found).decode() if found else None


def _arguments(arguments: Any) -> str | None:
    if arguments is None or isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode()
