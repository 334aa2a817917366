"""What promptfoo's assertions ask beyond the text: lengths, limits, log probabilities, tools, SQL, embeddings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from headgate.registry.importers.values import NotCarriedError, Setting, Taken, filled, number_of, text_of, threshold_of

_DIALECTS: Final = {
    **{name: name for name in ("mysql", "bigquery", "snowflake", "sqlite", "redshift", "hive", "trino", "athena")},
    "mariadb": "mysql",
    "postgresql": "postgres",
    "transactsql": "tsql",
}
"""promptfoo's ``databaseType`` in small letters, as sqlglot calls it."""

_AUTHORITY: Final = re.compile(r"\(?([a-z]+(?:\|[a-z]+)*)\)?::(?:null|\(\.\*\))::(\w+)", re.IGNORECASE)
"""An entry of ``allowedTables`` that says statements and a table: ``select::null::orders``."""

_STATEMENTS: Final = frozenset({"select", "insert", "update", "delete"})
_EMBEDDINGS: Final = ("openai:embedding:", "openai:embeddings:")
_DEFAULT_EMBEDDINGS: Final = "text-embedding-3-large"


def words(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a number of words, or its limits."""
    value = assertion.get("value")
    limits = value if isinstance(value, Mapping) else {"min": value, "max": value}
    found = {key: text_of(limits[key], setting).strip() for key in ("min", "max") if key in limits}
    if not found or not all(number.isdecimal() for number in found.values()):
        raise NotCarriedError("its value is no number of words")
    return Taken(fields={"unit": "words", **{key: int(number) for key, number in found.items()}})


def milliseconds(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take a limit in milliseconds."""
    return Taken(fields={"column": "latency_s", "max": _limit(assertion, "latency_s") / 1000})


def dollars(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take a limit in dollars."""
    return Taken(fields={"column": "cost_usd", "max": _limit(assertion, "cost_usd")})


def perplexity(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take the most that the perplexity may be."""
    return Taken(fields={"max": _at_least_one(number_of(assertion.get("threshold")))})


def perplexity_score(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take the least that 1 / (1 + perplexity) may be, as the most that the perplexity may be."""
    limit = number_of(assertion.get("threshold"))
    return Taken(fields={"max": _at_least_one(1 / limit - 1 if limit else math.inf)})


def reason(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take the reason for which the model stops."""
    return Taken(fields={"reasons": [filled(text_of(assertion.get("value"), setting))]})


def tools(_: Mapping[str, Any], setting: Setting) -> Taken:
    """Take the tools that the models have."""
    if setting.tools is None:
        raise NotCarriedError("no model has tools that are carried over, or not all have the same")
    return Taken(fields={"tools": setting.tools})


def _limit(assertion: Mapping[str, Any], metric: str) -> float:
    if assertion.get("threshold") is None:
        raise NotCarriedError(f"it has no threshold, and {metric} is a metric by itself")
    return number_of(assertion["threshold"])


def _at_least_one(value: float) -> float:
    if not 1 <= value < math.inf:
        raise NotCarriedError("no perplexity meets its threshold, or every one does")
    return value


def database(assertion: Mapping[str, Any], _: Setting) -> Taken:
    """Take the dialect, and the statements and tables that are allowed."""
    value = assertion.get("value") or {}
    if not isinstance(value, Mapping):
        raise NotCarriedError("its value is no mapping")
    kind = str(value.get("databaseType") or "MySQL")
    if kind.lower() not in _DIALECTS:
        raise NotCarriedError(f"no parser knows the dialect {kind}")
    if value.get("allowedColumns"):
        raise NotCarriedError("it lists columns that are allowed")
    tables = value.get("allowedTables") or []
    if not isinstance(tables, list):
        raise NotCarriedError("its allowedTables are no list")
    allowed = [_allowed(entry) for entry in tables]
    if len({statements for statements, _ in allowed}) > 1:
        raise NotCarriedError("it allows other statements on other tables")
    fields: dict[str, Any] = {"dialect": _DIALECTS[kind.lower()]}
    if allowed:
        fields |= {"statements": sorted(allowed[0][0]), "tables": [table for _, table in allowed]}
    return Taken(fields=fields)


def _allowed(entry: Any) -> tuple[frozenset[str], str]:
    match = _AUTHORITY.fullmatch(str(entry))
    statements = frozenset(match[1].lower().split("|")) if match else frozenset[str]()
    if match is None or not statements <= _STATEMENTS:
        raise NotCarriedError("its list of tables is no list of statements and tables")
    return statements, match[2]


def similar(assertion: Mapping[str, Any], setting: Setting) -> Taken:
    """Take a text, the cosine that is asked for (three quarters), and the model that embeds both."""
    fields = _embeddings(assertion.get("provider") or setting.embeddings, setting)
    if isinstance(assertion.get("value"), list):
        raise NotCarriedError("it has several values")
    value = filled(text_of(assertion.get("value"), setting))
    return Taken(fields={**fields, "threshold": threshold_of(assertion, 0.75)}, value=value)


def _embeddings(provider: Any, setting: Setting) -> dict[str, Any]:
    key = "env:OPENAI_API_KEY"
    if provider is None and setting.asks_openai:
        return {"model": _DEFAULT_EMBEDDINGS, "api_key": key}
    if provider is None:
        raise NotCarriedError("which model embeds is not said, and hangs on the keys that are there")
    options = provider if isinstance(provider, Mapping) else {"id": provider}
    named = str(options.get("id"))
    start = next((start for start in _EMBEDDINGS if named.startswith(start)), None)
    config = options.get("config") or {}
    if start is None or set(config) - {"apiBaseUrl"} or "{{" in str(config):
        raise NotCarriedError("its embeddings are not OpenAI's, or have options")
    address = {"base_url": config["apiBaseUrl"]} if config else {}
    return {"model": named.removeprefix(start), "api_key": key, **address}
