"""How the servers of chat completions differ: one record each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

LIMITS: Final = ("max_completion_tokens", "max_tokens")
"""Names under which a suite says how long an answer may be."""

EXTRAS: Final = ("top_k", "top_a", "min_p", "typical_p", "repetition_penalty", "guided_json", "structured_outputs")
"""Of the sampling that open-weight servers have, and OpenAI does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one server speaks chat completions.

    Attributes
    ----------
    path : str
        After the base URL.
    versioned_path : str, optional
        The same where the model names a version of the API.
    key : tuple of str
        Header that carries the key, and what stands before it.
    seed : str, optional
        Name of the sampling seed; None: it has none.
    limit : str, optional
        The name under which a limit of the output goes out; None: as the suite spells it.
    force_tool : str
        What ``tool_choice: required`` is called.
    logprobs : {"flag", "count"}
        Asked for as ``logprobs: true, top_logprobs: n``, or as ``logprobs: n``.
    images, schemas : bool
        Whether it takes images, and a JSON schema as ``response_format``.
    untaken : mapping of str to str
        Parameters that it refuses or, worse, ignores, and why.
    defaults : mapping
        What is sent where the suite says nothing, so that a server's own settings do not decide; mappings are merged.
    pins : tuple of str
        Keys of the parameter ``provider`` that say who serves the model; without one of them anybody may.
    """

    path: str = "/chat/completions"
    versioned_path: str | None = None
    key: tuple[str, str] = ("authorization", "Bearer ")
    seed: str | None = "seed"
    limit: str | None = None
    force_tool: str = "required"
    logprobs: Literal["flag", "count"] = "flag"
    images: bool = True
    schemas: bool = True
    untaken: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pins: tuple[str, ...] = ()


def _lacks(who: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, f"{who} does not take it")


DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect(limit="max_completion_tokens", untaken=_lacks("OpenAI", *EXTRAS)),
    "azure": Dialect(
        path="/openai/v1/chat/completions",
        versioned_path="/openai/deployments/{model}/chat/completions?api-version={version}",
        key=("api-key", ""),
        limit="max_completion_tokens",
        untaken=_lacks("Azure OpenAI", *EXTRAS),
    ),
    "mistral": Dialect(
        seed="random_seed",
        limit="max_tokens",
        force_tool="any",
        untaken=_lacks("Mistral", "logit_bias", "min_p", "top_a", "typical_p", "store", "verbosity"),
    ),
    "groq": Dialect(
        limit="max_completion_tokens",
        untaken=_lacks("Groq", "logprobs", "top_logprobs", "logit_bias", *EXTRAS),
    ),
    "together": Dialect(
        limit="max_tokens",
        logprobs="count",
        untaken=_lacks("Together", "parallel_tool_calls", "service_tier", "store", "verbosity"),
    ),
    "openrouter": Dialect(
        limit="max_tokens",
        defaults={"provider": {"allow_fallbacks": False, "require_parameters": True}},
        pins=("only", "order"),
    ),
    "deepseek": Dialect(
        seed=None,
        limit="max_tokens",
        images=False,
        schemas=False,
        untaken=_lacks("DeepSeek", "seed", "n", "logit_bias", "parallel_tool_calls", *EXTRAS),
    ),
    "vllm": Dialect(
        limit="max_tokens",
        defaults={"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    ),
    "tgi": Dialect(
        limit="max_tokens",
        untaken=_lacks("TGI", "logit_bias", "n", "parallel_tool_calls", *EXTRAS),
    ),
    "llama-cpp": Dialect(
        limit="max_tokens",
        untaken=_lacks("llama.cpp", "n", "guided_json", "structured_outputs", "repetition_penalty"),
        defaults={"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
    ),
    "openai-compatible": Dialect(),
    "simulated": Dialect(),
}
"""By the name of the provider."""
