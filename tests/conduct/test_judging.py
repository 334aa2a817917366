"""From run directories to verdicts: item columns choose slices, and a run can be the anchor."""

from __future__ import annotations

import pytest

import headgate as hg
from headgate.errors import ConfigError


def answer(messages, item, prompt):
    """Right, but for the new prompt on billing."""
    return "wrong" if prompt == "new" and item["topic"] == "billing" else item["target"]


def suite(**changes):
    topics = ("billing", "orders", 3)
    fields = {
        "name": "topics",
        "items": [{"q": f"{n}?", "target": str(n), "topic": topics[n % 3]} for n in range(120)],
        "prompts": {"old": "{{ q }}", "new": "Say: {{ q }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.6, "slices": ["topic"]}],
    }
    return hg.Suite(**(fields | changes))


def test_slices_are_read_from_the_items(tmp_path):
    verdict = hg.gate(hg.run(suite(), out=tmp_path / "run"))
    found = {row.cell.get("topic"): (row.tier, row.verdict) for row in verdict.metrics}
    assert found == {
        None: ("blocking", "pass"),
        "billing": ("monitor", "fail"),
        "orders": ("monitor", "pass"),
        "3": ("monitor", "pass"),  # a number is chosen by its text
    }
    assert verdict.verdict == "pass"


def test_a_column_that_items_do_not_have_is_a_mistake(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run")
    wrong = suite(gates=[{"metric": "correct", "margin": 0.6, "where": {"colour": "red"}}])
    with pytest.raises(ConfigError, match="is no column of the items"):
        hg.gate(run, suite=wrong)


def test_the_last_release_is_the_anchor(tmp_path):
    release = hg.run(suite(prompts={"old": "{{ q }}"}, compare=None, gates=[]), out=tmp_path / "v1")
    run = hg.run(suite(gates=[{"metric": "correct", "margin": 0.1, "against": "anchor"}]), out=tmp_path / "run")
    verdict = hg.gate(run, anchor=release)
    assert (verdict.verdict, verdict.metrics[0].baseline_mean) == ("fail", 1.0)
    with pytest.raises(ConfigError, match="--anchor RUN"):
        hg.gate(run)


def test_arms_that_say_the_same_word_for_word_are_suspect(tmp_path):
    models = [{"id": "m", "provider": "python", "call": repeat}]
    verdict = hg.gate(hg.run(suite(models=models), out=tmp_path / "run"))
    whole = verdict.metrics[0]
    assert whole.flags == ["identical_responses"]
    assert "cached" in whole.reason
    cold = suite(models=[{**models[0], "params": {"temperature": 0}}])
    assert hg.gate(hg.run(cold, out=tmp_path / "cold")).metrics[0].flags == []
    assert hg.gate(hg.run(suite(), out=tmp_path / "other")).metrics[0].flags != ["identical_responses"]


def test_they_are_suspect_whatever_their_seeds_are_called(tmp_path):
    models = [{"id": "m", "provider": "python", "call": repeat}]
    run = hg.run(suite(models=models, seeds=2), out=tmp_path / "run", arm="candidate")
    stored = hg.run(suite(models=models, seeds=2, first_seed=9), out=tmp_path / "stored", arm="baseline")
    assert hg.gate(run, baseline=stored).metrics[0].flags == ["identical_responses"]


def repeat(messages, item):
    return item["target"]
