"""The suite reference is generated, current, and opens with a suite that is valid."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import jsonschema

from headgate.suite.canary import Canary
from headgate.suite.documents import parse_yaml
from headgate.suite.suite import Suite

DOCS = Path(__file__).parent.parent / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate_suite", DOCS / "generate_suite.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current():
    """If this fails: `python docs/generate_suite.py`."""
    assert (DOCS / "suite.md").read_text(encoding="utf-8") == generator().suite_page()


def test_the_example_of_the_page_is_a_suite():
    example = generator().EXAMPLE
    assert example in (DOCS / "suite.md").read_text(encoding="utf-8")
    suite = Suite.model_validate(parse_yaml(example, Path("suite.yaml")).data)
    assert set(suite.model_fields_set) == set(Suite.model_fields)


def test_every_field_has_a_meaning():
    schema = generator().suite_schema()
    for part in [schema, *schema["$defs"].values()]:
        for name, field in part["properties"].items():
            assert field.get("description"), (part["title"], name)


def test_the_canary_page_and_its_schema_are_current():
    """If this fails: `python docs/generate_suite.py`."""
    made = generator()
    assert (DOCS / "canary-file.md").read_text(encoding="utf-8") == made.canary_page()
    assert json.loads((DOCS / "schemas" / "canary-v1.json").read_text(encoding="utf-8")) == made.canary_schema()


def test_the_canary_of_the_page_is_one():
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "canary.md").read_text(encoding="utf-8"), re.DOTALL)
    data = parse_yaml(text, Path("canary.yaml")).data
    jsonschema.validate(data, generator().canary_schema())
    assert Canary.model_validate(data).cluster == "conversation"
