"""Parameters that an API does not take: refused where they stand, or left out and said."""

from __future__ import annotations

import pytest
from execute_jobs import a_model

from headgate.errors import ConfigError
from headgate.execute.providers.adapter import choose_params
from headgate.suite.prompts import Prompt

UNTAKEN = {"top_k": "nobody has it"}


def a_prompt(**params: object) -> Prompt:
    return Prompt(name="p", messages=(("user", "Hi"),), params=params, file="p.prompt")


def test_a_models_parameter_is_refused_in_the_suite():
    with pytest.raises(ConfigError) as caught:
        choose_params(a_model("m", params={"top_k": 5}), a_prompt(), UNTAKEN)
    assert (caught.value.file, caught.value.field, caught.value.value) == (None, "models.m.params.top_k", 5)
    assert str(caught.value.placed("s.yaml")) == (
        "s.yaml: models.m.params.top_k: 5 cannot be sent to m (openai-compatible): nobody has it; "
        "take it out, or set `on_unsupported: drop` on the model"
    )


def test_a_prompts_parameter_is_refused_in_its_file():
    with pytest.raises(ConfigError) as caught:
        choose_params(a_model("m"), a_prompt(top_k=5), UNTAKEN)
    assert (caught.value.file, caught.value.field) == ("p.prompt", "prompts.p.params.top_k")
    assert caught.value.placed("s.yaml") is caught.value


def test_what_is_dropped_is_named():
    model = a_model("m", params={"top_k": 5, "top_p": 1}, on_unsupported="drop")
    assert choose_params(model, a_prompt(stop="x"), UNTAKEN) == ({"stop": "x", "top_p": 1}, ("top_k",))


@pytest.mark.parametrize("name", ["stream", "stream_options", "model", "messages"])
def test_some_go_nowhere(name):
    with pytest.raises(ConfigError, match=rf"params.{name}: "):
        choose_params(a_model("m", params={name: True}), a_prompt(), {})
