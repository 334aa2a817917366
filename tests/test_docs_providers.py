"""The page of the providers: its table is current, and its suites are valid."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from headgate.execute.providers.catalogue import PROVIDERS
from headgate.registry.load import load_prompts
from headgate.suite.documents import parse_yaml
from headgate.suite.suite import Suite

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "providers.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
REST = {
    "name": "page",
    "items": [{"photo": "https://h/x.png", "name": "Ada"}],
    "prompts": {"p": "{{ name }}"},
    "models": [{"id": "m", "provider": "simulated"}],
}


def test_the_table_is_current():
    """If this fails: `python docs/generate_providers.py`."""
    spec = importlib.util.spec_from_file_location("generate_providers", DOCS / "generate_providers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.providers_page() == PAGE
    assert all(f"| `{name}` |" in PAGE for name in PROVIDERS)


def test_there_are_snippets():
    assert len(SNIPPETS) >= 2


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_is_part_of_a_suite(number):
    suite = Suite.model_validate(REST | parse_yaml(SNIPPETS[number], Path("suite.yaml")).data)
    assert load_prompts(suite)
