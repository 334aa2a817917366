"""promptfoo's configurations: prompts, providers, tests and their assertions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.registry.formats.promptfoo import NUMBERED, PROGRAMS, count_prompts
from headgate.registry.importers.draft import Draft
from headgate.registry.importers.promptfoo_tests import Test, expand, read_tests
from headgate.registry.importers.providers import add_models
from headgate.registry.importers.scored import AssertionReader
from headgate.registry.importers.values import NotCarriedError, render_plain
from headgate.registry.load import read_prompt
from headgate.registry.source import read_source
from headgate.suite.prompts import Prompt

_READ: Final = frozenset(
    {"prompts", "providers", "targets", "tests", "scenarios", "defaultTest", "evaluateOptions", "assertionTemplates"}
    | {"description", "$schema"}
)
_READ_OF_TESTS: Final = frozenset({"vars", "assert", "description", "metadata", "options", "threshold"})


def is_config(data: Any) -> bool:
    """Tell whether a document is a configuration of promptfoo."""
    return isinstance(data, Mapping) and "prompts" in data and bool({"providers", "targets", "tests"} & set(data))


def read_config(draft: Draft, config: Mapping[str, Any]) -> None:
    """Read a configuration into a draft."""
    for key in sorted(set(config) - _READ):
        draft.leave(key, key, "a suite has nothing like it")
    draft.seeds = _seeds(draft, config)
    prompts = config["prompts"]
    for index, prompt in enumerate(prompts if isinstance(prompts, list) else [prompts]):
        _add_prompt(draft, prompt, f"prompts.{index}")
    add_models(draft, config.get("providers", config.get("targets")))
    reader = AssertionReader(draft, config)
    for test in read_tests(draft, config):
        _add_test(draft, test, reader)
    reader.note()
    needed = {name for prompt in draft.prompts.values() for name in prompt.variables or ()}
    for item in draft.items:  # what Nunjucks does not know it writes as nothing
        item.update({name: "" for name in sorted(needed) if name not in item})


def _seeds(draft: Draft, config: Mapping[str, Any]) -> int:
    options = config.get("evaluateOptions") or {}
    for key in sorted(set(options) - {"repeat"}):
        draft.leave(f"evaluateOptions.{key}", key, "a suite has nothing like it, or says it by its lanes")
    repeat = options.get("repeat", 1)
    return repeat if isinstance(repeat, int) and repeat >= 1 else 1


def _add_prompt(draft: Draft, prompt: Any, where: str) -> None:
    options = prompt if isinstance(prompt, Mapping) else {"id": prompt}
    text, label = options.get("raw", options.get("id")), options.get("label")
    if not isinstance(text, str):
        draft.leave(where, "prompt", "it is no text")
        return
    for key in sorted(set(options) - {"id", "raw", "label"}):
        draft.leave(
            f"{where}.{key}", f"prompt option {key}", "parameters of a prompt stand in its file, or in the model"
        )
    if "raw" not in options and _is_address(draft.source.parent, text):
        _add_files(draft, text.removeprefix("file://"), label, where)
        return
    name = str(label) if label else f"prompt-{len(draft.prompts) + 1}"
    _add(draft, name, Prompt(name=name, messages=(("user", text),), language="nunjucks"), where)


def _is_address(base: Path, text: str) -> bool:
    if text.startswith(("file://", "exec:")):
        return True
    return "\n" not in text and "{{" not in text and len(text) < 256 and (base / text).is_file()


def _add_files(draft: Draft, address: str, label: Any, where: str) -> None:
    base = draft.source.parent
    paths = sorted(base.glob(address)) if "*" in address else [base / address]
    if not paths or not all(path.is_file() for path in paths):
        draft.leave(where, f"prompt {address}", "there is no such file, or it is called as a program")
        return
    for path in paths:
        name = path.relative_to(base).as_posix()
        if path.suffix.lower() in PROGRAMS:
            draft.leave(where, f"prompt {name}", "it is a program or a table")
            continue
        count = count_prompts(read_source(path)) if path.name.lower().endswith(NUMBERED) else None
        for number in [None] if count is None else range(1, count + 1):
            called = str(label or path.stem) + ("" if number is None or count == 1 else f"-{number}")
            _add_file(draft, path, number, called, where)


def _add_file(draft: Draft, path: Path, number: int | None, name: str, where: str) -> None:
    address = path if number is None else path.with_name(f"{path.name}#{number}")
    try:
        _add(draft, name, read_prompt(address, name=name), where)
    except ConfigError as error:
        draft.leave(where, f"prompt {address.name}", error.problem)


def _add(draft: Draft, name: str, prompt: Prompt, where: str) -> None:
    try:
        draft.add_prompt(name, prompt.compiled(), where=where)
    except ConfigError as error:
        draft.leave(where, f"prompt {name}", error.problem)


def _add_test(draft: Draft, test: Test, reader: AssertionReader) -> None:
    for key in sorted(set(test.data) - _READ_OF_TESTS):
        draft.leave(f"{test.where}.{key}", f"test option {key}", "a suite has nothing like it")
    options = test.data.get("options") or {}
    for key in sorted(set(options) - {"transform", "disableVarExpansion", "provider"}):
        draft.leave(f"{test.where}.options.{key}", f"test option {key}", "a suite has nothing like it")
    for variables in expand(draft, test):
        item = {name: _rendered(draft, test, name, value, variables) for name, value in variables.items()}
        extra = {"description": test.data.get("description"), "metadata": test.data.get("metadata") or None}
        item |= {name: value for name, value in extra.items() if value is not None and name not in item}
        draft.items.append(item)
        reader.add(test)


def _rendered(draft: Draft, test: Test, name: str, value: Any, variables: Mapping[str, Any]) -> Any:
    """Return a variable; one may name others."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        return render_plain(value, variables)
    except NotCarriedError as error:
        draft.leave(f"{test.where}.vars.{name}", "template in a variable", str(error))
        return value
