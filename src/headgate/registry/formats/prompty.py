"""Prompty files (``.prompty``), versions 1 and 2: YAML, and a template where a line such as ``user:`` begins a message.

The format: https://prompty.ai/. Templates are jinja2, or Mustache of which the unescaped variables are rendered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.registry.formats.frontmatter import split_frontmatter
from headgate.registry.formats.parameters import WIRE_NAMES, wire_parameters
from headgate.registry.source import Source
from headgate.suite.plain import Language
from headgate.suite.problems import Problem, join_problems
from headgate.suite.prompts import Prompt
from headgate.suite.templates import Template

ENDINGS: Final = (".prompty",)
TITLE: Final = "Prompty"

_ROLE: Final = re.compile(r"\s*#?\s*(system|user|assistant|developer)(\[[^\]]*\])?\s*:\s*", re.IGNORECASE)
_FIRST_ROLE: Final = re.compile(r"\s*#?\s*(system|user|assistant|function)()\s*:\s*", re.IGNORECASE)
_IMAGE: Final = re.compile(r"!\[[^\]]*\]\(")
_CUT: Final = re.compile(r"-[%}#]\}\s*\Z")
_CUTS: Final = re.compile(r"\s*\{[%{#]-")
_TYPES: Final = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_RICH: Final = ("thread", "image", "file", "audio")


def read(source: Source, *, name: str) -> Prompt:
    """Read a prompt from a ``.prompty`` file.

    Raises
    ------
    ConfigError
        If the file is broken or holds no template.
    """
    document, body = split_frontmatter(source)
    if document is None:
        raise ConfigError("does not begin with ---", file=source.file, line=1)
    if not body.strip():
        raise ConfigError("holds no template", file=source.file, mend="write the prompt below the YAML")
    data: dict[str, Any] = document.data
    if found := list(_problems(data)):
        raise join_problems(found, document=document)
    first = _is_first_version(data)
    language = _language(data, first=first)
    messages = tuple(_messages(body.lstrip(), first=first))
    reasons = chain(_unsent(data, first=first), _unread(messages, body, language), _uncertain(messages, language))
    return Prompt(
        name=name,
        messages=messages,
        params=_params(data),
        language=language,
        defaults={} if first else _defaults(data),
        refused=next(reasons, None),
        file=str(source.file),
    )


def _problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("inputs", "outputs", "tools"):
        declared: Any = data.get(key)
        if not isinstance(declared, list | dict | None):
            yield Problem((key,), "is neither a list nor a mapping", declared)
        listed: list[Any] = declared if isinstance(declared, list) else []
        for index, entry in enumerate(listed):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                yield Problem((key, index), "has no name", entry, "write {name: ...}")
    try:
        canonical_json([_options(data), data.get("inputs"), data.get("tools")])
    except (TypeError, ValueError) as error:
        yield Problem((), f"is not JSON data: {error}")


def _is_first_version(data: Mapping[str, Any]) -> bool:
    model = data.get("model")
    named = isinstance(model, dict) and any(key in model for key in ("api", "configuration", "parameters", "response"))
    return named or isinstance(data.get("template"), str) or any(key in data for key in ("sample", "base"))


def _language(data: Mapping[str, Any], *, first: bool) -> Language:
    template = data.get("template")
    wanted = template.get("format", template.get("type")) if isinstance(template, dict) else template
    kind = wanted.get("kind") if isinstance(wanted, dict) else wanted
    if kind == "mustache":
        return "mustache"
    return "prompty-v1" if first else "prompty"


def _messages(body: str, *, first: bool) -> Iterator[tuple[str, str]]:
    role, texts = "system", list[str]()
    lines = body.removesuffix("\n").split("\n")
    for line in lines[:-1] if first else lines:
        begins = _begins(line, first=first)
        if begins is None:
            texts.append(line)
            continue
        yield from _message(role, texts, first=first)
        role, texts = begins[1].lower(), []
    # In the first version a line that begins a message must be followed by another.
    yield from _message(role, texts + (lines[-1:] if first else []), first=first)


def _begins(line: str, *, first: bool) -> re.Match[str] | None:
    return (_FIRST_ROLE if first else _ROLE).fullmatch(line)


def _message(role: str, lines: list[str], *, first: bool) -> Iterator[tuple[str, str]]:
    text = "\n".join(lines)
    if text.strip() or (lines and not first):
        yield role, text.strip() if first else text.strip("\n")


def _unsent(data: Mapping[str, Any], *, first: bool) -> Iterator[str]:
    """Yield what of the YAML asks for more than a chat of texts."""
    model = _mapping(data.get("model"))
    kind = model.get("api" if first else "apiType", "chat")
    if kind != "chat":
        yield f"it is for the API {kind!r}, and only chats are sent"
    if "base" in data:
        yield "it stands on another file (base)"
    parser = _mapping(data.get("template")).get("parser", "prompty")
    if (parser.get("kind") if isinstance(parser, dict) else parser) not in {"prompty", "", "*", None}:
        yield f"the parser {parser!r} is not Prompty's"
    for entry in _entries(data.get("inputs")):
        if entry.get("kind") in _RICH:
            yield f"the input {entry.get('name')!r} is of kind {entry['kind']}, and only text is sent"
    for tool in _entries(data.get("tools")):
        if tool.get("kind") != "function":
            yield f"the tool {tool.get('name')!r} is of kind {tool.get('kind')!r}, which the application runs"
    if unknown := [key for key in _options(data) if key not in WIRE_NAMES and not first]:
        yield f"the option {unknown[0]!r} has no name on OpenAI's wire"
    read = [data.get("tools"), data.get("outputs"), _options(data), data.get("inputs"), data.get("template")]
    if any(text.startswith("${") for text in _texts(read)):
        yield "a value is read from elsewhere (${...}) when it is loaded"


def _unread(messages: tuple[tuple[str, str], ...], body: str, language: Language) -> Iterator[str]:
    """Yield what of the text becomes no text."""
    for line in body.split("\n"):
        found = _ROLE.fullmatch(line) if language != "prompty-v1" else None
        if found is not None and found[2]:
            yield f"the message {line.strip()!r} has attributes, which are not sent"
    if any(role == "function" for role, _ in messages):
        yield "the role 'function' answers a call that was never made"
    if language == "prompty-v1" and _is_hollow(body):
        yield "a message without text stands before another one"
    if language == "prompty-v1" and any(_IMAGE.search(text) for _, text in messages):
        yield "an image in a message is sent as a part of its own, and only text is sent"


def _is_hollow(body: str) -> bool:
    begun = False
    for line in body.removesuffix("\n").split("\n")[:-1]:
        begins = _begins(line, first=True) is not None
        if begins and begun:
            return True
        begun = begins or (begun and not line.strip())
    return False


def _uncertain(messages: tuple[tuple[str, str], ...], language: Language) -> Iterator[str]:
    """Yield why messages, each rendered by itself, may not be what the whole makes when it is rendered at once."""
    if language == "mustache":
        return
    assigned = set[str]()
    for index, (_, text) in enumerate(messages):
        if (index and _CUTS.match(text)) or (index < len(messages) - 1 and _CUT.search(text)):
            yield "a template cuts white space (-) beside a line that begins a message"
        try:
            template = Template(text)
        except ConfigError:
            return  # told when the prompt is compiled
        if crossing := sorted(template.variables & assigned):
            yield f"{crossing[0]!r} is set in one message and used in another"
        assigned |= template.assigned


def _options(data: Mapping[str, Any]) -> dict[str, Any]:
    model = _mapping(data.get("model"))
    options = {**_mapping(model.get("parameters")), **_mapping(model.get("options"))}
    further = _mapping(options.pop("additionalProperties", None))
    return {**further, **options}


def _params(data: Mapping[str, Any]) -> dict[str, Any]:
    params = wire_parameters(_options(data))
    tools = [_tool(tool) for tool in _entries(data.get("tools"))]
    if tools:
        params["tools"] = tools
    outputs = list(_entries(data.get("outputs"))) if not _is_first_version(data) else []
    if outputs:
        schema = _object(outputs, strict=True) | {"additionalProperties": False}
        params["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "structured_output", "strict": True, "schema": schema},
        }
    return params


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("kind") != "function":
        return dict(tool)  # part of the digest; never sent
    strict = bool(tool.get("strict"))
    function: dict[str, Any] = {"name": tool.get("name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    bound = {entry.get("name") for entry in _entries(tool.get("bindings"))}
    parameters = [entry for entry in _entries(tool.get("parameters")) if entry.get("name") not in bound]
    if tool.get("parameters"):
        function["parameters"] = _object(parameters, strict=strict)
    if strict:
        function["strict"] = True
        if "parameters" in function:
            function["parameters"]["additionalProperties"] = False
    return {"type": "function", "function": function}


def _object(entries: Iterable[Mapping[str, Any]], *, strict: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[Any] = []
    for entry in entries:
        name = str(entry.get("name"))
        properties[name] = _property(entry, strict=strict, optional=strict and not entry.get("required"))
        required += [name] if strict or entry.get("required") else []
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return made | {"required": required} if required else made


def _property(entry: Mapping[str, Any], *, strict: bool, optional: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a property, as Prompty's runtime for OpenAI makes it."""
    kind = str(entry.get("kind", ""))
    made: dict[str, Any] = {"type": _TYPES[kind]} if kind in _TYPES else {}
    if entry.get("description"):
        made["description"] = entry["description"]
    if entry.get("enumValues"):
        made["enum"] = list(entry["enumValues"])
    if kind == "array":
        items = entry.get("items")
        made["items"] = _property(items, strict=strict) if isinstance(items, dict) else {"type": "string"}
    if kind == "object":
        inner = _object(_entries(entry.get("properties")), strict=strict)
        made |= {**inner, "additionalProperties": False}
    if (optional or entry.get("nullable")) and "type" in made:
        made["type"] = [made["type"], "null"]
        if "enum" in made and None not in made["enum"]:
            made["enum"].append(None)
    return made


def _defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    entries = [entry for entry in _entries(data.get("inputs")) if entry.get("default") is not None]
    return {str(entry["name"]): entry["default"] for entry in entries}


def _entries(declared: Any) -> Iterator[dict[str, Any]]:
    """Yield declared things, each with its name, from a list or from a mapping by name (a value alone: an example)."""
    if isinstance(declared, list):
        yield from declared
    elif isinstance(declared, dict):
        for name, entry in declared.items():
            yield {"name": name, **(entry if isinstance(entry, dict) else {"example": entry})}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
