from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.score.scorer import check_scorer
from headgate.score.structured import json_valid
from headgate.suite.scorers import JsonField, JsonSchema, JsonValid
from score_rows import scored, values

is_json = json_valid(JsonValid(name="json", type="json_valid"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_json_document_is_valid(document):
    assert is_json(json.dumps(document, indent=1))


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": 1} trailing', "```json\n{}\n```", "[" * 100_000])
def test_other_text_is_not(text):
    assert not is_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('Sure:\n```json\n{"a": 1}\n```\nBye', 1),
        ("```\n[1]\n```", 1),
        ('The result is {"a": {"b": [1, 2]}} as asked.', 1),
        ("set {x} then [1, 2]", 1),
        ('"just text"', 1),
        ("no {json} here", 0),
        ("{" * 10_000, 0),
        ("[" * 100_000, 0),
        ('{"a": NaN}', 0),
    ],
)
def test_json_inside_of_text(text, value):
    assert values(JsonValid(name="j", type="json_valid", extract=True), (text, None)) == [value]


SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"items": {"enum": ["a", "b"]}},
    },
    "additionalProperties": False,
}
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=3) | st.integers(),
        "age": st.integers(-2, 3) | st.floats(0, 2),
        "tags": st.lists(st.sampled_from("abc"), max_size=2),
        "other": st.none(),
    },
)


@given(NEAR | JSON)
@settings(deadline=None)  # the first example imports
def test_a_schema_is_that_of_the_reference_validator(document):
    spec = JsonSchema(name="j", type="json_schema", schema=SCHEMA)
    expected = jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
    assert values(spec, (json.dumps(document), None)) == [float(expected)]


def test_what_does_not_fit_a_schema_is_said():
    spec = JsonSchema(name="j", type="json_schema", schema=SCHEMA, extract=True)
    found = scored(spec, [{"output": text} for text in ('{"name": "x"}', 'So: {"name": "xy"}', "none")])
    assert found["value"].to_list() == [0, 1, 0]
    assert found["explanation"].to_list() == [
        "['name']: \"x\" is shorter than 2 characters",
        None,
        "there is no JSON document in the output",
    ]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "nothing"}, "is no JSON Schema"),
        ({"$ref": "http://127.0.0.1:9/x.json"}, "it refers to http://127.0.0.1:9/x.json"),
        ({"pattern": "("}, "is no JSON Schema"),
    ],
)
def test_a_schema_that_is_none_is_an_error_and_nothing_is_fetched(schema, problem):
    with pytest.raises(ConfigError, match=f"schema: .*{problem}"):
        check_scorer(JsonSchema(name="j", type="json_schema", schema=schema))


@pytest.mark.parametrize(
    ("path", "text", "target", "value"),
    [
        ("a", '{"a": 1}', "1", 1),
        ("a", '{"a": 1.0}', "1", 1),
        ("a", '{"a": "1"}', "1", 1),
        ("a", '{"a": "One"}', "one", 0),
        ("a", '{"a": true}', "true", 1),
        ("a", '{"a": true}', "1", 0),
        ("a", '{"a": null}', "null", 1),
        ("a", '{"a": 3}', "three", 0),
        ("a.b.1", '{"a": {"b": [1, 2]}}', "2", 1),
        ("a.b.2", '{"a": {"b": [1, 2]}}', "2", 0),
        ("1", "[1, 2]", "2", 1),
        ("a", '{"a": {"x": 1, "y": [2]}}', '{"y": [2.0], "x": 1}', 1),
        ("a", '{"a": [1]}', "[1, 2]", 0),
        ("a", "{broken", "1", 0),
        ("a", '{"a": 1}', None, None),
        ("a", '{"a": 1e400}', "1", 0),
    ],
)
def test_a_field_equals_its_target(path, text, target, value):
    assert values(JsonField(name="f", type="json_field", path=path), (text, target)) == [value]


def test_tolerance_case_and_text_around():
    near = JsonField(name="f", type="json_field", path="a", tolerance=0.1)
    assert values(near, ('{"a": 1.05}', "1"), ('{"a": 1.2}', "1")) == [1, 0]
    loose = JsonField(name="f", type="json_field", path="a", ignore_case=True, extract=True)
    assert values(loose, ('it is {"a": "YES"}', "yes")) == [1]
