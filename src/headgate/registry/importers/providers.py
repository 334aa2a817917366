"""promptfoo's providers as models: what speaks OpenAI's API; keys are named, never copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.registry.importers.draft import Draft, safe_name
from headgate.suite.documents import read_document

_OPENAI_KINDS: Final = ("chat", "")
_PARAMS: Final = frozenset(
    {"temperature", "max_tokens", "max_completion_tokens", "top_p", "presence_penalty", "frequency_penalty", "stop"}
    | {
        "response_format",
        "reasoning_effort",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "verbosity",
        "logprobs",
    }
    | {"top_logprobs"}
)
_COMPATIBLE: Final = {
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "togetherai": ("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "ollama": ("http://localhost:11434/v1", None),
}
"""Where providers that speak OpenAI's API are, and the variable of their key."""

PLACEHOLDER: Final = {"id": "placeholder", "provider": "simulated"}
"""Stands where no provider could be carried over: a suite has a model, and this one costs nothing."""


def add_models(draft: Draft, providers: Any) -> None:
    """Add the models that promptfoo's providers name, and leave the others."""
    listed = providers if isinstance(providers, list) else [] if providers is None else [providers]
    for index, provider in enumerate(listed):
        _add(draft, provider, f"providers.{index}")
    if not draft.models:
        draft.notes.append("no provider could be carried over: a simulated model stands in its place")
        draft.models.append(dict(PLACEHOLDER))


def _add(draft: Draft, provider: Any, where: str) -> None:
    identifier, options = _parts(provider)
    kind, name = _names(identifier)
    if not name:
        draft.leave(
            where, f"provider {identifier or provider!r}", "headgate does not speak its API, or it is a program"
        )
        return
    model = _address(kind) | {"model": name}
    config = options.get("config") or {}
    model["params"] = _params(draft, config, where)
    if isinstance(url := config.get("apiBaseUrl"), str) and "{{" not in url:
        model |= {"provider": "openai-compatible", "base_url": url}
    for key in sorted(set(options) - {"id", "label", "config"}):
        draft.leave(f"{where}.{key}", f"provider option {key}", "every prompt is asked of every model")
    if any(_identity(other) == _identity(model) for other in draft.models):
        draft.leave(
            where, f"provider {options.get('label', identifier)}", "another one asks the same of the same model"
        )
        return
    label = str(options.get("label") or name)
    draft.models.append({"id": safe_name(label, "model", taken={one["id"] for one in draft.models}), **model})


def judge_model(provider: Any) -> dict[str, Any] | None:
    """Return the model that a provider names, as one that judges; None where it cannot be carried over whole."""
    identifier, options = _parts(provider)
    kind, name = _names(identifier)
    config = options.get("config") or {}
    if not name or set(config) - _PARAMS or "{{" in str(config) or "file://" in str(config):
        return None
    return {**_address(kind), "model": name, "role": "judge", "params": dict(config)}


def _names(identifier: str) -> tuple[str, str]:
    """Return whose API a provider speaks, and its model; no model where headgate does not speak it."""
    kind, _, name = identifier.partition(":")
    name = name.removeprefix("chat:")
    known = kind in _COMPATIBLE or (kind == "openai" and (":" not in name or name.startswith("ft:")))
    return kind, name if known else ""


def _parts(provider: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the id and the options: ``id``, ``{id: ..., config: ...}`` and ``{ID: {config: ...}}`` say the same."""
    if isinstance(provider, str):
        return provider, {}
    if not isinstance(provider, Mapping):
        return "", {}
    if isinstance(provider.get("id"), str):
        return provider["id"], provider
    if len(provider) == 1:
        ((name, options),) = provider.items()
        return str(name), options if isinstance(options, Mapping) else {}
    return "", {}


def _address(kind: str) -> dict[str, Any]:
    if kind == "openai":
        return {"provider": "openai", "api_key": "env:OPENAI_API_KEY"}
    url, key = _COMPATIBLE[kind]
    found = {"provider": "openai-compatible", "base_url": url}
    return found if key is None else found | {"api_key": f"env:{key}"}


def _params(draft: Draft, config: Mapping[str, Any], where: str) -> dict[str, Any]:
    kept = dict[str, Any]()
    for key, given in config.items():
        if key == "apiBaseUrl":
            continue
        value = _tools_of(draft, given) if key in {"tools", "functions"} else given
        text = str(value)
        if key in _PARAMS and "file://" not in text and "{{" not in text:
            kept[key] = value
        else:
            why = "it is not sent as it stands" if key in _PARAMS else "it is no parameter of a request"
            draft.leave(f"{where}.config.{key}", f"provider option {key}", why)
    return kept


def _tools_of(draft: Draft, value: Any) -> Any:
    """Return tools; where a document holds them, what it holds."""
    path = Path(str(value).removeprefix("file://"))
    if not str(value).startswith("file://") or path.suffix.lower() not in {".json", ".yaml", ".yml"}:
        return value
    try:
        return read_document(draft.source.parent / path).data
    except ConfigError:
        return value  # named with what is left


def _identity(model: Mapping[str, Any]) -> str:
    return digest({key: model.get(key) for key in ("provider", "model", "params")})
