"""promptfoo's tests: lists, files, tables with ``__expected``, scenarios; each of them made one item or several."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from headgate.errors import ConfigError
from headgate.registry.importers.assertions import is_type
from headgate.registry.importers.draft import Draft
from headgate.suite.documents import read_document, read_text
from headgate.suite.records import read_records

_TABLES: Final = (".csv", ".jsonl")
_DOCUMENTS: Final = (".json", ".yaml", ".yml")
_TEXTS: Final = (".txt", ".md", ".sql", ".html", ".xml")
_JUDGED: Final = re.compile(r"(?:grade|llm-rubric):(.*)", re.DOTALL)
_PROGRAM: Final = re.compile(r"(javascript|fn|eval|python|file)(?::)(.*)", re.DOTALL)
_TYPED: Final = re.compile(r"((?:not-)?[a-z]+(?:-[a-z]+)*)(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.DOTALL)
_DEFAULTS: Final = {
    "similar": 0.8,
    **dict.fromkeys(("answer-relevance", "context-faithfulness", "context-recall", "context-relevance"), 0.75),
    **dict.fromkeys(("classifier", "cost", "latency", "levenshtein", "perplexity", "perplexity-score"), 0.75),
    **dict.fromkeys(("rouge-n", "starts-with"), 0.75),
}
"""Thresholds of assertions written in short, which are not those of assertions written out."""


class Test(NamedTuple):
    """One test: where it stands, and what it says."""

    where: str
    data: Mapping[str, Any]


def read_tests(draft: Draft, config: Mapping[str, Any]) -> Iterator[Test]:
    """Yield the tests of a configuration, defaults included; without any, promptfoo asks each prompt once."""
    default = config.get("defaultTest")
    if default is not None and not isinstance(default, Mapping):
        draft.leave("defaultTest", "defaultTest", "it is a file")
        default = None
    found = False
    for test in itertools.chain(_listed(draft, config.get("tests"), "tests"), _scenarios(draft, config)):
        found = True
        yield Test(test.where, merged(default or {}, test.data))
    if not found and not config.get("tests") and not config.get("scenarios"):
        yield Test("defaultTest", default or {})


def merged(base: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    """Return a test on its defaults: variables and options by their names, assertions one after another."""
    joined = {**base, **test}
    for key in ("vars", "options", "metadata"):
        if isinstance(base.get(key), Mapping) and isinstance(test.get(key), Mapping):
            joined[key] = {**base[key], **test[key]}
    joined["assert"] = [*(base.get("assert") or []), *(test.get("assert") or [])]
    return joined


def _listed(draft: Draft, tests: Any, where: str) -> Iterator[Test]:
    if tests is None:
        return
    if isinstance(tests, str):
        yield from _file(draft, tests, where)
        return
    for index, test in enumerate(tests if isinstance(tests, list) else [tests]):
        place = f"{where}.{index}"
        if isinstance(test, str):
            yield from _file(draft, test, place)
        elif isinstance(test, Mapping):
            yield Test(place, test)
        else:
            draft.leave(place, "test", "it is no mapping")


def _scenarios(draft: Draft, config: Mapping[str, Any]) -> Iterator[Test]:
    for index, scenario in enumerate(config.get("scenarios") or []):
        where = f"scenarios.{index}"
        if not isinstance(scenario, Mapping):
            draft.leave(where, "scenario", "it is a file")
            continue
        tests = list(_listed(draft, scenario.get("tests"), f"{where}.tests"))
        for number, base in enumerate(_listed(draft, scenario.get("config"), f"{where}.config")):
            for test in tests:
                yield Test(f"{test.where} on config.{number}", merged(base.data, test.data))


def _file(draft: Draft, address: str, where: str) -> Iterator[Test]:
    name = address.removeprefix("file://")
    path = draft.source.parent / name
    ending = path.suffix.lower()
    if "://" in name or ending not in (*_TABLES, *_DOCUMENTS):
        draft.leave(where, f"tests of {address}", "they are not in a table or document that is read")
    elif not path.is_file():
        draft.leave(where, f"tests of {address}", "there is no such file")
    elif ending in _DOCUMENTS:
        yield from _listed(draft, read_document(path).data, name)
    else:
        for line, row in read_records(path, field="tests"):
            place = f"{name}:{line}"
            yield Test(place, _of_row(draft, row, place) if ending == ".csv" else row)


def _of_row(draft: Draft, row: Mapping[str, str], where: str) -> dict[str, Any]:
    test: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}}
    for column, cell in row.items():
        name = column.strip()
        if not name.startswith("__"):
            test["vars"][name] = cell
        elif re.fullmatch(r"__expected\d*", name):
            if cell.strip():
                test["assert"].append(expected(cell))
        elif name == "__description":
            test["description"] = cell
        elif name.startswith("__metadata:"):
            key = name.removeprefix("__metadata:")
            listed = re.split(r"(?<!\\),", cell)
            is_list = key.endswith("[]")
            test["metadata"][key.removesuffix("[]")] = [one.replace("\\,", ",") for one in listed] if is_list else cell
        elif name == "__threshold" and (threshold := _number(cell)) is not None:
            test["threshold"] = threshold
        elif cell.strip() and name != "__metric":
            draft.leave(where, f"column {name}", "no field of a suite is like it")
    if row.get("__metric"):
        test["assert"] = [{**one, "metric": row["__metric"]} for one in test["assert"]]
    return test


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def expected(cell: str) -> dict[str, Any]:
    """Return the assertion that a cell of ``__expected`` writes in short.

    Examples
    --------
    >>> expected("icontains: bonjour"), expected("Yarr"), expected("similar(0.8):Ahoy")["threshold"]
    ({'type': 'icontains', 'value': 'bonjour'}, {'type': 'equals', 'value': 'Yarr'}, 0.8)
    """
    text = cell.strip()
    if found := _JUDGED.fullmatch(text):
        return {"type": "llm-rubric", "value": found[1].strip()}
    if found := _PROGRAM.fullmatch(text):
        return {"type": "python" if found[1] == "python" else "javascript", "value": found[2]}
    found = _TYPED.fullmatch(text)
    if found is None or not is_type(found[1]):
        return {"type": "equals", "value": text}
    written: dict[str, Any] = {"type": found[1]}
    default = _DEFAULTS.get(found[1].removeprefix("not-"))
    if default is not None:
        written["threshold"] = default if found[2] is None else float(found[2])
    if found[3] is not None:
        written["value"] = found[3].strip()
    return written


def expand(draft: Draft, test: Test) -> Iterator[dict[str, Any]]:
    """Yield the variables of each item of a test: lists of texts stand for one item each."""
    variables = test.data.get("vars") or {}
    if not isinstance(variables, Mapping):
        draft.leave(test.where, "test", "its variables stand in files")
        return
    options = test.data.get("options") or {}
    choices = dict[str, list[Any]]()
    for name, value in variables.items():
        values = value if _is_choice(value) and not options.get("disableVarExpansion") else [value]
        try:
            choices[str(name)] = [_value(draft.source.parent, one) for one in values]
        except ConfigError as error:
            draft.leave(test.where, "test", f"its variable {name} {error.problem}")
            return
    for chosen in itertools.product(*choices.values()):
        yield dict(zip(choices, chosen, strict=True))


def _is_choice(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)


def _value(base: Path, value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("file://"):
        return value
    path = base / value.removeprefix("file://")
    ending = path.suffix.lower()
    if ending not in (*_TEXTS, *_DOCUMENTS):
        raise ConfigError(f"is of {path.name}, which is no text")
    if not path.is_file():
        raise ConfigError(f"is of {path.name}, and there is no such file")
    return read_document(path).data if ending in _DOCUMENTS else read_text(path).strip()
