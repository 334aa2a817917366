"""Every example loads and plans; the offline ones need no key and no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.plan import plan_suite
from headgate.registry.load import load_prompts
from headgate.suite.callables import resolve_callable
from headgate.suite.files import load_suite
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.scorers import Python

EXAMPLES = Path(__file__).parent.parent / "examples"
SIZES = {
    "support-bot/suite.yaml": 40 * 2 * 3,
    "minimal/suite.toml": 8,
    "json/suite.json": 4 * 2 * 2,
    "vllm/suite.yaml": 2,
}


def test_no_example_is_forgotten():
    found = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*/suite.*")}
    assert found == set(SIZES)


@pytest.mark.parametrize(("name", "jobs"), SIZES.items())
def test_an_example_plans(tmp_path, name, jobs):
    suite = load_suite(EXAMPLES / name)
    prompts = load_prompts(suite)
    path = tmp_path / "items.parquet"
    write_items(read_rows(suite.items, base=suite.base, file=suite.file), prompts, path)
    plan = plan_suite(suite, items=ItemFile(path), prompts=prompts)
    assert len(plan) == jobs
    assert len(set(plan.job_ids())) == jobs


@pytest.mark.parametrize("name", sorted(SIZES))
def test_an_example_has_its_scorers(name):
    suite = load_suite(EXAMPLES / name)
    for scorer in suite.scorers:
        if isinstance(scorer, Python):
            call = resolve_callable(scorer.call, base=suite.base, field=scorer.name)
            assert call("30 days", {"question": "How long?", "target": "30 days"}) in {0, 1}


@pytest.mark.parametrize("name", sorted(set(SIZES) - {"vllm/suite.yaml"}))
def test_an_offline_example_is_simulated(name):
    assert {model.provider for model in load_suite(EXAMPLES / name).models} == {"simulated"}
