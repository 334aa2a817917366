"""dotprompt files (``.prompt``): YAML with the model's configuration, and a Handlebars template that makes messages.

The format: https://google.github.io/dotprompt/reference/frontmatter/. Partials are files ``_name.prompt`` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.registry.formats.frontmatter import split_frontmatter
from headgate.registry.formats.parameters import WIRE_NAMES, wire_parameters
from headgate.registry.formats.picoschema import UnknownSchema, json_schema
from headgate.registry.source import Source
from headgate.suite.documents import Document
from headgate.suite.handlebars import ROLES, split_messages
from headgate.suite.plain import split_template
from headgate.suite.problems import Problem, join_problems
from headgate.suite.prompts import Prompt

ENDINGS: Final = (".prompt",)
TITLE: Final = "dotprompt"

_MAPPINGS: Final = ("config", "input", "output", "ext", "raw", "metadata")
_KEYS: Final = (*_MAPPINGS, "description", "model", "name", "toolDefs", "tools", "variant", "version")
_ROLE: Final = re.compile(r"""\{\{\s*role\s+(?:"(\w+)"|'(\w+)')\s*\}\}""")
_HISTORY: Final = re.compile(r"\{\{\s*history\s*\}\}")
_PARTIAL: Final = re.compile(r"\{\{~?#?>\s*([\w.\-/]+)")


def read(source: Source, *, name: str) -> Prompt:
    """Read a prompt from a ``.prompt`` file.

    A template whose only helpers are ``{{role "..."}}`` and ``{{history}}`` is split into messages here; what holds
    more stays whole, and becomes messages as it is rendered. There is never a history.

    Raises
    ------
    ConfigError
        If the file is empty or broken.
    """
    document, body = split_frontmatter(source)
    data: dict[str, Any] = {} if document is None else document.data
    template = body if document is None else body.strip()
    if not template.strip():
        raise ConfigError("holds no template", file=source.file, mend="write the prompt below the YAML")
    if document is not None and (found := list(_problems(data))):
        raise join_problems(found, document=document)
    refused = _Refused()
    return Prompt(
        name=name,
        messages=_messages(template, source),
        params=_params(data, document, refused),
        language="handlebars",
        defaults=(data.get("input") or {}).get("default") or {},
        partials=dict(_partials(template, source)),
        refused=refused.reason,
        file=str(source.file),
    )


class _Refused:
    """Why a prompt can be read and not be sent: the first reason."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def because(self, reason: str) -> None:
        self.reason = self.reason or reason


def _problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in data.items():
        if key not in _KEYS and "." not in key and (close := get_close_matches(key, _KEYS, n=1, cutoff=0.8)):
            yield Problem((key,), "there is no such field", mend=f"did you mean {close[0]!r}?")
        if key in _MAPPINGS and not isinstance(value, dict | None):
            yield Problem((key,), "is not a mapping", value)
    given = data.get("input")
    default = given.get("default") if isinstance(given, dict) else None
    if not isinstance(default, dict | None):
        yield Problem(("input", "default"), "is not a mapping", default)
    for key in ("tools", "toolDefs"):
        if not isinstance(data.get(key), list | None):
            yield Problem((key,), "is not a list", data[key])


def _messages(template: str, source: Source) -> tuple[tuple[str, str], ...]:
    pieces: list[tuple[str, str]] = []
    for piece in split_template(template, "handlebars"):
        role = _ROLE.fullmatch(piece.text) if piece.kind == "construct" else None
        if role is not None and (role[1] or role[2]) in ROLES:
            pieces.append(("role", role[1] or role[2]))
        elif piece.kind == "construct" and _HISTORY.fullmatch(piece.text):
            pieces.append(("role", ""))
        elif piece.kind == "construct":
            return (("user", template),)
        else:
            pieces.append(("text", f"{{{{{piece.text}}}}}" if piece.kind == "variable" else piece.text))
    found = split_messages(pieces, role="user")
    if not found:
        raise ConfigError("holds no message", file=source.file)
    return tuple(found)


def _partials(template: str, source: Source) -> Iterator[tuple[str, str]]:
    """Yield the partials that a template includes, and those that they include."""
    wanted, seen = _PARTIAL.findall(template), set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        folder, _, stem = name.rpartition("/")
        text = source.beside(f"{folder}/_{stem}.prompt" if folder else f"_{stem}.prompt")
        if text is not None:
            yield name, text
            wanted += _PARTIAL.findall(text)


def _params(data: Mapping[str, Any], document: Document | None, refused: _Refused) -> dict[str, Any]:
    config = data.get("config") or {}
    params = wire_parameters(config)
    for key in config:
        if key not in WIRE_NAMES:
            refused.because(f"config.{key} has no name on OpenAI's wire")
    _output(data.get("output") or {}, params, document, refused)
    tools = [_tool(tool, document, refused) for tool in data.get("toolDefs") or []]
    known = {tool["function"]["name"] for tool in tools}
    for tool in data.get("tools") or []:
        if tool not in known:
            refused.because(f"the tool {tool!r} is defined in the application, not in the file")
            tools.append({"type": "function", "function": {"name": tool}})
    if tools:
        params["tools"] = tools
    return params


def _output(output: Mapping[str, Any], params: dict[str, Any], document: Document | None, refused: _Refused) -> None:
    wanted = output.get("format", "json" if "schema" in output else "text")
    if wanted not in {"text", "json"}:
        refused.because(f"the output format {wanted!r} is one that the application makes")
    if output.get("schema"):
        schema = _pico(output["schema"], ("output", "schema"), document, refused)
        params["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
    elif wanted != "text":
        params["response_format"] = {"type": "json_object" if wanted == "json" else wanted}


def _tool(tool: Any, document: Document | None, refused: _Refused) -> dict[str, Any]:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        problem = Problem(("toolDefs",), "is no tool", tool, "write {name, description, inputSchema}")
        raise join_problems([problem], document=document)
    function = {"name": tool["name"]}
    if "description" in tool:
        function["description"] = tool["description"]
    if tool.get("inputSchema"):
        function["parameters"] = _pico(tool["inputSchema"], ("toolDefs",), document, refused)
    return {"type": "function", "function": function}


def _pico(schema: Any, place: tuple[str, ...], document: Document | None, refused: _Refused) -> Any:
    try:
        return json_schema(schema)
    except UnknownSchema as error:
        refused.because(f"the schema {error} is defined in the application, not in the file")
        return schema
    except ValueError as error:
        raise join_problems([Problem(place, f"is no schema: {error}")], document=document) from error
