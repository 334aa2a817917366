"""Prompts read from their files: the format by the name's ending, the language by the format."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Protocol

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.registry.formats import dotprompt, github_models, promptfoo, prompty, text
from headgate.registry.source import Source, read_source
from headgate.suite.prompts import Content, MessagePart, Prompt
from headgate.suite.sources import Message, PromptSource
from headgate.suite.suite import Suite


class _Read(Protocol):
    def __call__(self, source: Source, *, name: str) -> Prompt: ...


OWN_ENDINGS: Final = (*github_models.ENDINGS, *dotprompt.ENDINGS, *prompty.ENDINGS)
"""Endings that nothing but a prompt has."""

READERS: Final[tuple[tuple[tuple[str, ...], str, _Read], ...]] = (
    (github_models.ENDINGS, github_models.TITLE, github_models.read),
    (dotprompt.ENDINGS, dotprompt.TITLE, dotprompt.read),
    (prompty.ENDINGS, prompty.TITLE, prompty.read),
    (text.ENDINGS, text.TITLE, text.read),
    (promptfoo.CHATS, promptfoo.TITLE, promptfoo.read_chat),
)
"""Endings, title and reader of every format, in the order in which endings are tried."""

_FORMATS: Final = {ending: (title, read) for endings, title, read in READERS for ending in endings}
_ADDRESS: Final = re.compile(r"(?P<path>.+)#(?P<number>[1-9][0-9]*)", re.DOTALL)


def split_address(address: str) -> tuple[str, int | None]:
    """Split the number of a prompt in a promptfoo file from its path.

    Examples
    --------
    >>> split_address("prompts.txt#2"), split_address("a#b.txt")
    (('prompts.txt', 2), ('a#b.txt', None))
    """
    found = _ADDRESS.fullmatch(address)
    return (found["path"], int(found["number"])) if found else (address, None)


def format_of(address: str) -> str | None:
    """Return the title of the format that an address names, if it is one.

    Examples
    --------
    >>> format_of("a.prompty"), format_of("a.txt"), format_of("a.txt#2"), format_of("a.pdf")
    ('Prompty', 'text', 'promptfoo', None)
    """
    path, number = split_address(address)
    if number is not None:
        return promptfoo.TITLE if path.lower().endswith(promptfoo.NUMBERED) else None
    return next((title for ending, (title, _) in _FORMATS.items() if path.lower().endswith(ending)), None)


def parse_prompt(source: Source, *, name: str, number: int | None = None) -> Prompt:
    """Read a prompt from the text of its file.

    Parameters
    ----------
    number : int, optional
        Which of the prompts of a promptfoo file, from 1.

    Raises
    ------
    ConfigError
        If the file is of no format that holds a prompt, or broken.
    """
    prompt = _parse(source, name, number)
    try:
        _ = prompt.digest
    except (TypeError, ValueError) as error:
        raise ConfigError(f"holds what is not JSON data: {error}", file=source.file) from error
    return prompt


def _parse(source: Source, name: str, number: int | None) -> Prompt:
    path = source.file.name.lower()
    if path.endswith(promptfoo.PROGRAMS):
        raise ConfigError(
            "is a program or a table of promptfoo, and only a file with the text of a prompt is read",
            file=source.file,
            mend="write its text into a file of its own",
        )
    if number is not None and path.endswith(promptfoo.NUMBERED):
        return promptfoo.read_numbered(source, name=name, number=number)
    read = next((read for ending, (_, read) in _FORMATS.items() if path.endswith(ending)), None)
    if read is None or number is not None:
        known = promptfoo.NUMBERED if number is not None else _FORMATS
        raise ConfigError("is of no format that holds a prompt", file=source.file, mend=f"use {', '.join(known)}")
    return read(source, name=name)


def read_prompt(address: Path, *, name: str | None = None) -> Prompt:
    """Read a prompt from its file on the disk.

    Parameters
    ----------
    address : Path
        The file; ``file.txt#2`` is the second prompt of a promptfoo file.
    name : str, optional
        Default: the address.

    Raises
    ------
    ConfigError
        If there is no such file, it is of no format that holds a prompt, or broken.
    """
    path, number = split_address(str(address))
    return parse_prompt(read_source(Path(path)), name=str(address) if name is None else name, number=number)


def inline_prompt(source: PromptSource, *, name: str, file: str | None) -> Prompt | None:
    """Return the prompt that stands in a suite itself; None where it stands in a file of its own."""
    if source.text is not None:
        return Prompt(name=name, messages=(("user", source.text),), file=file)
    if source.messages is not None:
        messages = tuple((message.role, _content(message)) for message in source.messages)
        return Prompt(name=name, messages=messages, file=file)
    return None


def _content(message: Message) -> Content:
    if isinstance(message.content, str):
        return message.content
    return tuple(
        MessagePart("text", part.text) if part.text is not None else MessagePart("image", part.image or "", part.detail)
        for part in message.content
    )


def load_prompts(suite: Suite) -> tuple[Prompt, ...]:
    """Read all prompts of a suite, in its order, and compile them.

    Raises
    ------
    ConfigError
        If a file is missing, empty, broken or of another format; if a prompt is one that headgate does not render; if a
        prompt's file and a model give a parameter different values; if two prompts are the same.

    Examples
    --------
    >>> suite = Suite(
    ...     name="sums",
    ...     items=[{"question": "1+1?"}],
    ...     prompts={"plain": "{{ question }}", "short": [{"role": "user", "content": "Briefly: {{ question }}"}]},
    ...     models=[{"id": "small", "provider": "simulated"}],
    ... )
    >>> [(prompt.name, prompt.messages) for prompt in load_prompts(suite)]
    [('plain', (('user', '{{ question }}'),)), ('short', (('user', 'Briefly: {{ question }}'),))]
    """
    prompts = tuple(_load(suite, name).compiled() for name in suite.prompts)
    _refuse_conflicts(suite, prompts)
    _refuse_twins(suite, prompts)
    return prompts


def _load(suite: Suite, name: str) -> Prompt:
    source = suite.prompts[name]
    inline = inline_prompt(source, name=name, file=None if suite.file is None else str(suite.file))
    if inline is not None:
        return inline
    assert source.path is not None
    address = suite.base / source.path
    _refuse_absent(suite, name, address)
    return read_prompt(address, name=name)


def _refuse_absent(suite: Suite, name: str, address: Path) -> None:
    """Refuse, in the suite's own place, what it names and is no file of a format."""
    field, line, written = f"prompts.{name}", suite.line("prompts", name), suite.prompts[name].path
    known = format_of(address.name) is not None or address.name.lower().endswith(promptfoo.PROGRAMS)
    if not known:
        mend = f"use {', '.join(_FORMATS)}"
        raise ConfigError(
            "is of no format that holds a prompt",
            file=suite.file,
            line=line,
            field=field,
            value=written,
            mend=mend,
        )
    if not Path(split_address(str(address))[0]).is_file():
        raise ConfigError("there is no such file", file=suite.file, line=line, field=field, value=written)


def _refuse_conflicts(suite: Suite, prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        for index, model in enumerate(suite.models):
            if model.role != "tested":
                continue
            for key in sorted(set(prompt.params) & set(model.params)):
                ours, theirs = prompt.params[key], model.params[key]
                if canonical_json(ours) != canonical_json(theirs):
                    raise ConfigError(
                        f"but the prompt {prompt.name!r} says {ours!r} ({prompt.file})",
                        file=suite.file,
                        line=suite.line("models", index, "params", key),
                        field=f"models.{index}.params.{key}",
                        value=theirs,
                        mend="give the parameter in one of the two places",
                    )


def _refuse_twins(suite: Suite, prompts: tuple[Prompt, ...]) -> None:
    seen: dict[str, str] = {}
    for prompt in prompts:
        twin = seen.setdefault(prompt.digest, prompt.name)
        if twin != prompt.name:
            line = suite.line("prompts", prompt.name)
            mend = "their jobs would be one; use `seeds` to repeat"
            raise ConfigError(
                f"is the same as {twin!r}", file=suite.file, line=line, field=f"prompts.{prompt.name}", mend=mend
            )
