"""GitHub Models prompt files (``.prompt.yml``): chat messages with ``{{name}}``, model parameters, a response format.

The format: https://docs.github.com/en/github-models/use-github-models/storing-prompts-in-github-repositories
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.registry.formats.parameters import parameter_problems, unknown_fields, wire_parameters
from headgate.registry.source import Source
from headgate.suite.documents import Document, Place, load_json, parse_yaml
from headgate.suite.plain import split_template
from headgate.suite.problems import Problem, did_you_mean, join_problems
from headgate.suite.prompts import Prompt

ENDINGS: Final = (".prompt.yml", ".prompt.yaml")
TITLE: Final = "GitHub Models"

_PARAMETERS: Final = (
    "maxTokens",
    "maxCompletionTokens",
    "temperature",
    "topP",
    "topK",
    "frequencyPenalty",
    "presencePenalty",
    "reasoningEffort",
    "stop",
    "seed",
)

_READ_PAST: Final = ("name", "description", "model", "testData", "evaluators")
_KEYS: Final = ("messages", "modelParameters", "responseFormat", "jsonSchema", *_READ_PAST)
_ROLES: Final = ("system", "developer", "user", "assistant")
_RESPONSE_FORMATS: Final = ("text", "json_object", "json_schema")


def read(source: Source, *, name: str) -> Prompt:
    """Read a prompt from a ``.prompt.yml`` file; its own ``name`` is not used.

    Raises
    ------
    ConfigError
        If the file is empty or broken, or holds what this format does not have; one error names every problem with its
        line.
    """
    document = parse_yaml(source.text, source.file)
    if not isinstance(document.data, dict):
        raise ConfigError("is empty" if document.data is None else "is not a mapping", file=source.file, line=1)
    problems = list(_problems(document.data))
    if problems:
        raise join_problems(problems, document=document)
    messages = tuple((message["role"], message["content"]) for message in document.data["messages"])
    _refuse_constructs(document, messages, source.text)
    return Prompt(
        name=name, messages=messages, params=_params(document), language="github-models", file=str(source.file)
    )


def _problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    yield from unknown_fields((), data, _KEYS)
    messages, parameters = data.get("messages"), data.get("modelParameters", {})
    if not isinstance(messages, list) or not messages:
        yield Problem(("messages",), "is missing or empty", mend="write a list of {role, content}")
    else:
        for index, message in enumerate(messages):
            yield from _message_problems(("messages", index), message)
    if isinstance(parameters, dict):
        yield from parameter_problems(("modelParameters",), parameters, _PARAMETERS)
    elif parameters is not None:
        yield Problem(("modelParameters",), "is not a mapping", parameters)
    wanted = data.get("responseFormat", "text")
    if wanted not in _RESPONSE_FORMATS:
        yield Problem(("responseFormat",), "is none of the choices", wanted, did_you_mean(wanted, _RESPONSE_FORMATS))
    if (wanted == "json_schema") != ("jsonSchema" in data):
        yield Problem(("responseFormat",), "`jsonSchema` goes with `responseFormat: json_schema`, and that needs it")


def _message_problems(place: Place, message: Any) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield Problem(place, "is not a mapping", message, "write {role, content}")
        return
    yield from unknown_fields(place, message, ("role", "content"))
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        yield Problem((*place, "role"), "is none of the choices", role, did_you_mean(role, _ROLES))
    if not isinstance(content, str):
        yield Problem((*place, "content"), "is not text", content)


def _refuse_constructs(document: Document, messages: tuple[tuple[str, str], ...], text: str) -> None:
    """Refuse all but ``{{name}}``, without spaces: GitHub's own runners would send it to the model as it stands."""
    for index, (_, content) in enumerate(messages):
        for piece in split_template(content, "github-models"):
            if piece.kind == "construct":
                spelled = piece.text.replace(" ", "")
                spaced = all(part.kind == "variable" for part in split_template(spelled, "github-models"))
                raise ConfigError(
                    "is not a plain {{name}}, which is all that a .prompt.yml file can hold",
                    file=document.file,
                    line=_line(document, index, piece.text, text),
                    field=f"messages.{index}.content",
                    value=piece.text,
                    mend=f"write {spelled}" if spaced else "write a .jinja file for a template with logic",
                )


def _line(document: Document, index: int, construct: str, text: str) -> int | None:
    """Return the line of a construct: the first at or below the message's content whose text holds its first line."""
    start = document.line(("messages", index, "content"))
    if start is None:
        return None
    first = construct.split("\n", 1)[0]
    lines = text.split("\n")
    return next((number for number in range(start, len(lines) + 1) if first in lines[number - 1]), start)


def _params(document: Document) -> dict[str, Any]:
    data = document.data
    params = wire_parameters(data.get("modelParameters") or {})
    wanted = data.get("responseFormat", "text")
    if wanted == "json_schema":
        params["response_format"] = {"type": "json_schema", "json_schema": _json_schema(document)}
    elif wanted != "text":
        params["response_format"] = {"type": wanted}
    return params


def _json_schema(document: Document) -> Any:
    schema = document.data["jsonSchema"]
    try:
        found = load_json(schema) if isinstance(schema, str) else schema
    except ValueError as error:
        raise _schema_error(document, f"is not JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("schema"), dict):
        raise _schema_error(document, "is not an object with `name` and `schema`")
    return found


def _schema_error(document: Document, problem: str) -> ConfigError:
    line = document.line(("jsonSchema",))
    return ConfigError(problem, file=document.file, line=line, field="jsonSchema")
