"""promptfoo's configurations: prompts, providers, tests and their assertions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.registry.formats.promptfoo import NUMBERED, PROGRAMS, count_prompts
from headgate.registry.importers.assertions import Refused, Scored, render_plain, translate
from headgate.registry.importers.draft import Draft, ScorerDraft
from headgate.registry.importers.promptfoo_tests import Test, expand, read_tests
from headgate.registry.importers.providers import add_models
from headgate.registry.load import read_prompt
from headgate.registry.source import read_source
from headgate.suite.prompts import Prompt

_READ: Final = frozenset(
    {"prompts", "providers", "targets", "tests", "scenarios", "defaultTest", "evaluateOptions", "assertionTemplates"}
    | {"description", "$schema"}
)
_READ_OF_TESTS: Final = frozenset({"vars", "assert", "description", "metadata", "options"})
_READ_OF_ASSERTIONS: Final = frozenset({"type", "value", "transform", "assert", "$ref"})


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
    templates = config.get("assertionTemplates") or {}
    for test in read_tests(draft, config):
        _add_test(draft, test, templates)
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


def _add_test(draft: Draft, test: Test, templates: Mapping[str, Any]) -> None:
    for key in sorted(set(test.data) - _READ_OF_TESTS):
        draft.leave(f"{test.where}.{key}", f"test option {key}", "a suite has nothing like it")
    options = test.data.get("options") or {}
    for key in sorted(set(options) - {"transform", "disableVarExpansion"}):
        draft.leave(f"{test.where}.options.{key}", f"test option {key}", "a suite has nothing like it")
    for variables in expand(draft, test):
        item = {name: _rendered(draft, test, name, value, variables) for name, value in variables.items()}
        extra = {"description": test.data.get("description"), "metadata": test.data.get("metadata") or None}
        item |= {name: value for name, value in extra.items() if value is not None and name not in item}
        number = len(draft.items)
        draft.items.append(item)
        seen: Counter[str] = Counter()
        for where, assertion in _assertions(draft, test, templates):
            _add_assertion(draft, where, assertion, number=number, options=options, seen=seen)


def _rendered(draft: Draft, test: Test, name: str, value: Any, variables: Mapping[str, Any]) -> Any:
    """Return a variable; one may name others."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    text = render_plain(value, variables)
    if isinstance(text, Refused):
        draft.leave(f"{test.where}.vars.{name}", "template in a variable", text.why)
        return value
    return text


def _assertions(draft: Draft, test: Test, templates: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the assertions of a test, those of sets too, with references resolved."""
    waiting = [(f"{test.where}.assert.{index}", one) for index, one in enumerate(test.data.get("assert") or [])]
    while waiting:
        where, assertion = waiting.pop(0)
        if isinstance(assertion, Mapping) and "$ref" in assertion:
            assertion = templates.get(str(assertion["$ref"]).rpartition("/")[2])
        if not isinstance(assertion, Mapping):
            draft.leave(where, "assertion", "it is no mapping, or names a template that is not there")
            continue
        for key in sorted(set(assertion) - _READ_OF_ASSERTIONS):
            draft.leave(f"{where}.{key}", f"assertion option {key}", "a scorer has nothing like it")
        if assertion.get("type") == "assert-set":
            waiting[:0] = [(f"{where}.assert.{index}", one) for index, one in enumerate(assertion.get("assert") or [])]
        else:
            yield where, assertion


def _add_assertion(
    draft: Draft,
    where: str,
    assertion: Mapping[str, Any],
    *,
    number: int,
    options: Mapping[str, Any],
    seen: Counter[str],
) -> None:
    transform = assertion.get("transform", options.get("transform"))
    scored = translate(assertion, draft.items[number], transform=transform)
    if isinstance(scored, Refused):
        draft.leave(where, f"assertion {assertion.get('type')}", scored.why)
        return
    key = digest([scored.kind, dict(scored.fields), None if scored.line.per_item else scored.value])
    seen[key] += 1
    name = _scorer_name(draft, scored, seen[key])
    scorer = draft.scorers.setdefault(name, ScorerDraft(fields=scored.fields, expects=scored.line.expects))
    scorer.values[number] = scored.value or ""


def _scorer_name(draft: Draft, scored: Scored, turn: int) -> str:
    """Return the name of the scorer that does this: the n-th of its kind on an item, with the same fields."""
    base, index, same = scored.kind.replace("-", "_"), 0, 0
    while True:
        index += 1
        name = base if index == 1 else f"{base}_{index}"
        there = draft.scorers.get(name)
        if there is None:
            return name
        alike = dict(there.fields) == dict(scored.fields)
        if alike and (scored.line.per_item or scored.value in there.values.values()):
            same += 1
            if same == turn:
                return name
