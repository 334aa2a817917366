"""promptfoo's prompt files: chats in JSON and YAML, and the prompts of a text or JSONL file by their number.

Their templates are Nunjucks, of which plain ``{{ name }}`` is rendered. Prompts that a program makes have no text.
"""

from __future__ import annotations

from typing import Any, Final

from headgate.errors import ConfigError
from headgate.registry.source import Source
from headgate.suite.documents import Document, load_json, parse_json, parse_yaml
from headgate.suite.problems import Problem, did_you_mean, join_problems
from headgate.suite.prompts import Prompt

CHATS: Final = (".json", ".yaml", ".yml")
NUMBERED: Final = (".txt", ".md", ".jinja", ".jinja2", ".j2", ".jsonl")
PROGRAMS: Final = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".sh", ".csv")
"""What promptfoo reads as prompts and no text stands for: functions, programs, tables."""
TITLE: Final = "promptfoo"

_SEPARATOR: Final = "---"
_ROLES: Final = ("system", "developer", "user", "assistant")


def read_chat(source: Source, *, name: str) -> Prompt:
    """Read a list of ``{role, content}`` from a JSON or YAML file.

    Raises
    ------
    ConfigError
        If the file is broken, or holds anything but such a list.
    """
    parse = parse_json if source.file.name.lower().endswith(".json") else parse_yaml
    return _chat(parse(source.text, source.file), name=name)


def read_numbered(source: Source, *, name: str, number: int) -> Prompt:
    """Read the prompt of a number, from 1: of a text file whose prompts stand between ``---``, or a line of JSONL.

    Raises
    ------
    ConfigError
        If there are fewer prompts.
    """
    prompts = _prompts(source)
    if number > len(prompts):
        count = "there is 1 prompt" if len(prompts) == 1 else f"there are {len(prompts)} prompts"
        raise ConfigError("is no prompt of this file", file=source.file, value=f"#{number}", mend=count)
    text = prompts[number - 1]
    if text.startswith(("[", "{")):
        try:
            data = load_json(text)
        except ValueError:
            pass  # promptfoo takes it for text, too
        else:
            return _chat(Document(file=source.file, data=data), name=name)
    refused = "text that begins with `- role:` becomes a chat after it is rendered" if _looks_yaml(text) else None
    return Prompt(name=name, messages=(("user", text),), language="nunjucks", refused=refused, file=str(source.file))


def count_prompts(source: Source) -> int:
    """Return how many prompts a text file or JSON lines hold."""
    return len(_prompts(source))


def _looks_yaml(text: str) -> bool:
    return text.startswith("- role:")


def _prompts(source: Source) -> list[str]:
    ending = source.file.suffix.lower()
    if ending == ".jsonl":
        return [line for line in source.text.split("\n") if line]
    if ending != ".txt":
        return [source.text]
    found, lines = list[str](), list[str]()
    for line in [*source.text.split("\n"), _SEPARATOR]:
        if line.strip() != _SEPARATOR:
            lines.append(line)
            continue
        found.append("\n".join(lines).strip())
        lines = []
    return [text for text in found if text]


def _chat(document: Document, *, name: str) -> Prompt:
    data = document.data
    if not isinstance(data, list) or not data:
        raise ConfigError("is no chat", file=document.file, mend="write a list of {role, content}")
    problems = [problem for index, message in enumerate(data) for problem in _problems(index, message)]
    if problems:
        raise join_problems(problems, document=document)
    messages = tuple((message["role"], message["content"]) for message in data)
    return Prompt(name=name, messages=messages, language="nunjucks", file=str(document.file))


def _problems(index: int, message: Any) -> list[Problem]:
    if not isinstance(message, dict):
        return [Problem((index,), "is not a mapping", message, "write {role, content}")]
    found = [Problem((index, key), "is no text that can be sent") for key in message if key not in {"role", "content"}]
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        found.append(Problem((index, "role"), "is none of the choices", role, did_you_mean(role, _ROLES)))
    if not isinstance(content, str):
        found.append(Problem((index, "content"), "is not text", content))
    elif content.startswith("file://"):
        found.append(Problem((index, "content"), "names a file", content, "write its text here"))
    return found
