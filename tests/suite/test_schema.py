"""The JSON Schema of the suite file is current, takes what is right and refuses what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from headgate.suite.documents import read_document
from headgate.suite.schema import suite_schema

ROOT = Path(__file__).parents[2]
SUITES = sorted(path for path in ROOT.glob("examples/*/suite.*") if path.suffix in {".yaml", ".toml", ".json"})
SUITES += sorted(ROOT.glob("src/headgate/ci/templates/suite/suite.yaml"))

GOOD = {"name": "s", "items": "a.csv", "prompts": {"p": "x"}, "models": [{"id": "m", "provider": "simulated"}]}


def validator():
    schema = suite_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_is_current():
    """If this fails: `python docs/generate_suite.py`."""
    assert json.loads((ROOT / "docs/schemas/suite-v1.json").read_text()) == suite_schema()


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.parent.name)
def test_examples_are_valid(path):
    validator().validate(read_document(path).data)


def test_there_are_examples():
    assert {path.suffix for path in SUITES} == {".yaml", ".toml", ".json"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"items": [{"q": 1}]},
        {"items": {"path": "a.csv", "limit": 3, "where": {"split": "test"}}},
        {"prompts": {"p": [{"role": "user", "content": "x"}], "q": {"text": "y"}, "r": "z"}},
        {"scorers": [{"name": "a", "type": "python", "call": "m:f", "bounds": None}]},
        {"$schema": "suite-v1.json"},
    ],
)
def test_short_and_long_forms_are_valid(change):
    validator().validate(GOOD | change)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a b"},
        {"items": 3},
        {"items": {"path": "a.csv", "rows": []}},
        {"prompts": {}},
        {"prompts": {"a b": "x"}},
        {"prompts": {"p": {"text": "x", "path": "y.txt"}}},
        {"models": []},
        {"models": [{"id": "m", "provider": "opnai"}]},
        {"models": [{"id": "m", "provider": "openai", "api_key": "sk-1"}]},
        {"scorers": [{"name": "a", "type": "regex"}]},
        {"gates": [{"metric": "a", "min": 1, "max": 2}]},
        {"compare": {"baseline": {"prompt": "p"}}},
        {"seeds": 0},
        {"sede": 1},
    ],
)
def test_what_is_wrong_is_invalid(change):
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(GOOD | change)
