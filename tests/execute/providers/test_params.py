"""Every parameter that a suite may use with every provider is sent by each of them, or is left out and said."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.errors import ConfigError
from headgate.execute.providers.params import OPENAI, ParamReader
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from provider_jobs import FORMAT, TOOL, adapter_of, asked, job_of

VALUES: dict[str, Any] = {
    **dict.fromkeys(OPENAI, 1),
    "logprobs": True,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "response_format": FORMAT,
    "stop": "END",
    "tool_choice": "auto",
    "tools": [TOOL],
}


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini", "ollama"])
@pytest.mark.parametrize("name", sorted(OPENAI))
def test_each_name_is_sent_or_dropped(provider: str, name: str):
    params = {"max_tokens": 9, name: VALUES[name]}
    model = Model(id="m", provider=provider, params=params, on_unsupported="drop")
    without = model.model_copy(update={"params": {"max_tokens": 9}})
    dropped = adapter_of(model).form(model, job_of(model).prompt).dropped
    assert dropped in {(), (name,)}
    if name not in {"max_tokens", "seed"}:  # one stands in both, the other gives way to the job's
        assert (asked(model) == asked(without)) is bool(dropped)


def test_a_null_is_no_parameter():
    model = Model(id="m", provider="gemini", params={"temperature": None})
    assert asked(model)["generationConfig"] == {"seed": 1}


def test_an_error_in_a_prompts_file_names_the_file():
    prompt = Prompt(name="p", messages=(), params={"topp": 1}, file="prompts/p.prompt.yml")
    with pytest.raises(
        ConfigError, match=r"^prompts/p\.prompt\.yml: prompts\.p\.params\.topp: 1 .*did you mean 'top_p'\?"
    ):
        ParamReader(Model(id="m", provider="gemini"), prompt, untaken={})
