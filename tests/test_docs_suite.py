"""The suite reference is generated, current, and opens with a suite that is valid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from headgate.suite.documents import parse_yaml
from headgate.suite.model import Suite

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
