"""Scorers of tool calls: the right ones, with the right arguments, that fit their schemas."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.score.callables import Score
from headgate.score.structured import first_fault, schema_validator

if TYPE_CHECKING:
    from headgate.suite.scorers import ToolCall, ToolCallValid

_UNREADABLE: Final = "the arguments of {} are no JSON object"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: its name, and its arguments; None: any will do."""

    name: str
    arguments: Any


def made_calls(text: str | None) -> list[Call]:
    r"""Return the calls of an answer, from the column ``tool_calls_json``; arguments that are no JSON stay text.

    Examples
    --------
    >>> made_calls('[{"function": {"name": "find", "arguments": "{\\"q\\": 1}"}}]')
    [Call(name='find', arguments={'q': 1})]
    """
    if text is None:
        return []
    return [_call(entry, default={}) for entry in msgspec.json.decode(text)]


def wanted_calls(target: str) -> list[Call]:
    """Return the calls of a target: JSON, or names with commas.

    Examples
    --------
    >>> wanted_calls('find, book')[1], wanted_calls('{"name": "find", "arguments": {"q": 1}}')
    (Call(name='book', arguments=None), [Call(name='find', arguments={'q': 1})])
    """
    text = target.strip()
    if not text.startswith(("[", "{", '"')):
        return [Call(name.strip(), None) for name in text.split(",") if name.strip()]
    found = msgspec.json.decode(text)
    return [_call(entry, default=None) for entry in (found if isinstance(found, list) else [found])]


def _call(entry: Any, *, default: Any) -> Call:
    if isinstance(entry, str):
        return Call(entry, None)
    inner = entry.get("function") or entry
    arguments = next((inner[key] for key in ("arguments", "args", "input") if inner.get(key) is not None), default)
    if isinstance(arguments, str):
        with contextlib.suppress(msgspec.DecodeError):  # a model wrote it: text equals no arguments that are wanted
            arguments = msgspec.json.decode(arguments or "{}")
    return Call(str(inner["name"]), arguments)


def tool_call(spec: ToolCall) -> Callable[[str | None, str | None], float | Score]:
    """Return a function: how well the calls of an answer match those of a target.

    Examples
    --------
    >>> from headgate.suite.scorers import ToolCall
    >>> score = tool_call(ToolCall(name="tools", type="tool_call", compare="name", measure="f1"))
    >>> score('[{"function": {"name": "find", "arguments": "{}"}}]', "find, book")
    0.6666666666666666
    """

    def grade(made: str | None, target: str | None) -> float | Score:
        if target is None:
            return Score(None, explanation="the item has no target to compare with")
        try:
            wanted = wanted_calls(target)
        except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
            return Score(None, explanation="the target is no list of tool calls")
        value = _match(spec, made_calls(made), wanted)
        return value if spec.threshold is None else float(value >= spec.threshold)

    return grade


def _match(spec: ToolCall, made: Sequence[Call], wanted: Sequence[Call]) -> float:
    if not made and not wanted:
        return 1.0
    if spec.measure == "f1":
        return 2 * _shared(spec, made, wanted) / (len(made) + len(wanted))
    if len(made) != len(wanted):
        return 0.0
    if spec.ordered:
        return float(all(_same(spec, *pair) for pair in zip(made, wanted, strict=True)))
    return float(_shared(spec, made, wanted) == len(wanted))


def _shared(spec: ToolCall, made: Sequence[Call], wanted: Sequence[Call]) -> int:
    """Return how many calls match, each with one of the other side.

    Targets with arguments choose first: those without take whatever is left.
    """
    if spec.compare == "name":
        return (Counter(call.name for call in made) & Counter(call.name for call in wanted)).total()
    left, shared = list(made), 0
    for call in sorted(wanted, key=lambda call: call.arguments is None):
        found = next((one for one in left if _same(spec, one, call)), None)
        if found is not None:
            left.remove(found)
            shared += 1
    return shared


def _same(spec: ToolCall, made: Call, wanted: Call) -> bool:
    if made.name != wanted.name:
        return False
    if spec.compare == "name" or wanted.arguments is None:
        return True
    return canonical_json(made.arguments) == canonical_json(wanted.arguments)


def tool_call_valid(spec: ToolCallValid) -> Callable[[str | None], bool | Score]:
    """Return a function: whether each call of an answer names a tool and fits its schema; no call is wrong."""
    validators = tool_validators(spec.tools)

    def grade(made: str | None) -> bool | Score:
        calls = made_calls(made)
        if not calls:
            return Score(0.0, explanation="there is no tool call")
        faults = (_call_fault(call, validators) for call in calls)
        fault = next(filter(None, faults), None)
        return True if fault is None else Score(0.0, explanation=fault)

    return grade


def _call_fault(call: Call, validators: dict[str, Any]) -> str | None:
    if call.name not in validators:
        return f"there is no tool {call.name[:100]}"
    if not isinstance(call.arguments, dict):
        return _UNREADABLE.format(call.name)
    validator = validators[call.name]
    return None if validator.is_valid(call.arguments) else f"{call.name}: {first_fault(validator, call.arguments)}"


def tool_validators(tools: Any) -> dict[str, Any]:
    """Return the validator of each tool's arguments, by name.

    Raises
    ------
    ConfigError
        If a tool has no name, or its parameters are no JSON Schema.
    """
    found: dict[str, Any] = {}
    for tool in tools:
        inner = tool.get("function") or tool
        if not isinstance(inner.get("name"), str):
            raise ConfigError("a tool has no name", field="tools", mend='write {"name": ..., "parameters": {...}}')
        found[inner["name"]] = schema_validator(inner.get("parameters", inner.get("input_schema", {})))
    return found
