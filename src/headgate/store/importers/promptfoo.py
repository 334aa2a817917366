"""promptfoo's results: the JSON of ``promptfoo eval --output``, of every version since 2023, and its JSON lines.

An item is a test: its variables, description and assertions. Tests are known by these, not by their number, so that
a test that was put in between moves no other; what ``--repeat`` asked again is a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.store.importers.plain import decode_json, read_json
from headgate.store.importers.row import Row
from headgate.suite.records import read_jsonl

_FAILED: Final = 2
"""``failureReason`` of a request that failed; 1 is an assertion that did, 0 is none."""

_NAMING: Final = {"javascript", "python", "ruby", "webhook"}
"""Assertions that name scores as they run."""

_OF_THE_RUN: Final = {"_conversation", "sessionId"}
_LONGEST_ID: Final = 80


def is_results(data: Any) -> bool:
    """Tell whether a JSON document is promptfoo's."""
    found = data.get("results") if isinstance(data, dict) else None
    if isinstance(found, dict):
        found = found.get("results")
    return isinstance(found, list) and all(isinstance(result, dict) and "vars" in result for result in found)


def is_result(data: Mapping[str, Any]) -> bool:
    """Tell whether a JSON line is a result of promptfoo."""
    return "promptIdx" in data and "testIdx" in data


def read_results(path: Path, wanted: Collection[str] = ()) -> Iterator[Row]:
    """Read the results of a JSON document, which is in memory whole."""
    data = read_json(path)
    if not is_results(data):
        raise ConfigError("holds no results of promptfoo", file=path, field="results.results")
    found = data["results"]
    return _rows(enumerate(found["results"] if isinstance(found, dict) else found, 1), wanted)


def read_result_lines(path: Path, wanted: Collection[str] = ()) -> Iterator[Row]:
    """Read the results of JSON lines."""
    return _rows(read_jsonl(path, decode_json), wanted)


def _rows(results: Iterable[tuple[int | None, dict[str, Any]]], wanted: Collection[str]) -> Iterator[Row]:
    drawn: Counter[tuple[str, str, str]] = Counter()
    for line, result in results:
        item, content = _item(result)
        prompt, model = _named(result.get("prompt"), "display"), _named(result.get("provider"), "id")
        drawn[content, prompt, model] += 1
        named = result.get("namedScores") or {}
        columns = {
            **named,
            "item_id": item,
            "seed": drawn[content, prompt, model],
            "prompt": prompt,
            "model": model,
            "score": result.get("score", result.get("success")),
            "success": result.get("success"),
            "latency_s": _seconds(result.get("latencyMs")),
            "cost_usd": result.get("cost"),
            "vars": result.get("vars"),
        }
        failed = "request_failed" if _has_failed(result) else None
        asked = _asked(result, wanted if failed else ())
        metrics = tuple(dict.fromkeys(("score", *named, *asked)))
        yield Row(line, columns, metrics, prompt=prompt, model=model, failed=failed, content=content)


def _item(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return an id that people recognise, and the digest of the whole test."""
    test = result.get("testCase") or {}
    variables = {name: value for name, value in (result.get("vars") or {}).items() if name not in _OF_THE_RUN}
    content = digest({"vars": variables, "assert": test.get("assert"), "description": test.get("description")})
    shown = " ".join(f"{name}={value}" for name, value in variables.items()) or f"test {result.get('testIdx', 0)}"
    short = shown if len(shown) <= _LONGEST_ID else shown[:_LONGEST_ID] + "..."
    return f"{short} [{content[:8]}]", content


def _asked(result: Mapping[str, Any], unsure: Collection[str]) -> Iterator[str]:
    """Yield the named scores that a test asks for; where it may ask for others, what one is unsure of too."""
    test = result.get("testCase")
    if test is None:
        yield from unsure
    waiting = list((test or {}).get("assert") or [])
    while waiting:
        assertion = waiting.pop()
        if not isinstance(assertion, Mapping):
            continue
        waiting += assertion.get("assert") or []
        metric = assertion.get("metric")
        if isinstance(metric, str):
            yield metric
        if str(assertion.get("type")).removeprefix("not-") in _NAMING or "{{" in str(metric):
            yield from unsure


def _named(value: Any, second: str) -> str:
    """Return the label of a prompt or provider, or else its other name."""
    if isinstance(value, Mapping):
        return str(value.get("label") or value.get(second) or "")
    return str(value or "")


def _seconds(milliseconds: Any) -> Any:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else milliseconds


def _has_failed(result: Mapping[str, Any]) -> bool:
    reason = result.get("failureReason")
    if reason is not None:
        return bool(reason == _FAILED)
    response = result.get("response") or {}
    return bool(result.get("error")) and (not isinstance(response, Mapping) or response.get("output") is None)
