"""The prompts of a suite, read from their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.registry.formats import github_models, text
from headgate.suite.model import Suite
from headgate.suite.prompts import Prompt

_READERS: Final[dict[str, Callable[..., Prompt]]] = {
    ending: module.read for module in (github_models, text) for ending in module.ENDINGS
}


def load_prompts(suite: Suite) -> tuple[Prompt, ...]:
    """Read all prompts of a suite, in its order.

    Raises
    ------
    ConfigError
        If a file is missing, empty, broken or of another format; if a prompt's file and a model give a parameter
        different values; if two prompts are the same.

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
    prompts = tuple(_load(suite, name) for name in suite.prompts)
    _refuse_conflicts(suite, prompts)
    _refuse_twins(suite, prompts)
    return prompts


def _load(suite: Suite, name: str) -> Prompt:
    source = suite.prompts[name]
    file = None if suite.file is None else str(suite.file)
    if source.text is not None:
        return Prompt(name=name, messages=(("user", source.text),), file=file)
    if source.messages is not None:
        messages = tuple((message.role, message.content) for message in source.messages)
        return Prompt(name=name, messages=messages, file=file)
    assert source.path is not None
    return _read(suite, name, suite.base / source.path)


def _read(suite: Suite, name: str, path: Path) -> Prompt:
    field, line = f"prompts.{name}", suite.line("prompts", name)
    ending = next((ending for ending in _READERS if path.name.lower().endswith(ending)), None)
    if ending is None:
        mend = f"use {', '.join(_READERS)}"
        raise ConfigError(
            "is of no format that holds a prompt", file=suite.file, line=line, field=field, value=str(path), mend=mend
        )
    if not path.is_file():
        raise ConfigError("there is no such file", file=suite.file, line=line, field=field, value=str(path))
    return _READERS[ending](path, name=name)


def _refuse_conflicts(suite: Suite, prompts: tuple[Prompt, ...]) -> None:
    for prompt in prompts:
        for index, model in enumerate(suite.models):
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
