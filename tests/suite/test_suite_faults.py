"""Faults that were found by comparing two readings of the same suites."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.registry.load import load_prompts
from headgate.suite.gate import Gate
from headgate.suite.items import read_rows
from headgate.suite.sources import Items
from headgate.suite.suite import Suite
from headgate.suite.templates import Template

FIELDS = {
    "name": "s",
    "items": [{"q": 1}],
    "prompts": {"p": "{{ q }}"},
    "models": [{"id": "m", "provider": "simulated"}],
}


@pytest.mark.parametrize("rule", ["margin", "min", "max"])
def test_a_rule_of_zero_is_a_rule(rule):
    assert Gate(metric="c", **{rule: 0.0}).rule == rule


def test_a_rule_of_zero_beside_another_is_two_rules():
    with pytest.raises(ValueError, match="give exactly one of"):
        Gate(metric="c", min=0.0, max=1.0)


@pytest.mark.parametrize("bounds", [[1], [1, 0], [1, 1], [0, 1, 2]])
def test_bounds_that_are_none_are_told(bounds):
    scorers = [{"name": "c", "type": "python", "call": "m:f", "bounds": bounds}]
    with pytest.raises(ConfigError, match=r"scorers\.0\.bounds"):
        Suite(**FIELDS, scorers=scorers)


def test_a_key_is_no_parameter_and_is_not_repeated():
    with pytest.raises(ConfigError, match="a key is no parameter") as caught:
        Suite(**FIELDS | {"models": [{"id": "m", "provider": "openai", "params": {"api_key": "sk-topsecret"}}]})
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("text", ["prompts/v1", "v1.prmpt"])
def test_a_mistyped_path_is_not_sent_as_a_prompt(text):
    assert Suite(**FIELDS | {"prompts": {"p": text}}).prompts["p"].path == text


@pytest.mark.parametrize("text", ["Hello.", "{{q}}/{{r}}", "Say hi/ho now", "two\nlines.txt"])
def test_a_short_prompt_is_no_path(text):
    assert Suite(**FIELDS | {"prompts": {"p": text}}).prompts["p"].text == text


def test_a_row_without_the_column_of_where_is_not_selected():
    source = Items(rows=[{"q": 1}, {"q": 2, "lang": None}], where={"lang": None})
    assert [row.item_id for row in read_rows(source, base=Path())] == ["2"]


def test_a_github_file_cannot_print_what_jinja2_calls_self(tmp_path):
    (tmp_path / "p.prompt.yml").write_text(json.dumps({"messages": [{"role": "user", "content": "{{self}}"}]}))
    with pytest.raises(ConfigError, match="is not a plain"):
        load_prompts(Suite(**FIELDS | {"prompts": {"p": {"path": str(tmp_path / "p.prompt.yml")}}}))


def test_nothing_in_a_template_is_random():
    with pytest.raises(ConfigError):
        Template("{{ [1, 2, 3] | random }}").render({})
