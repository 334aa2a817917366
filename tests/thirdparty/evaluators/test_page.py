"""The examples of docs/evaluators.md, copied and run with the real packages; run by ``nox -s evaluators``."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

import headgate as hg
from evaluator_runs import evaluator_suite
from judge_server import judge_server

PAGE = (Path(__file__).parents[3] / "docs" / "evaluators.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"\n## (.+?)\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL))
NEEDS = {
    "LangChain": "langchain_classic",
    "LangSmith": "langsmith",
    "openevals": "openevals",
    "autoevals": "autoevals",
    "ragas": "ragas",
    "deepeval": "deepeval",
    "inspect_ai": "inspect_ai",
    "Anything else": "headgate",
}
ITEMS = [{"question": "2+2?", "answer": "It is 4", "target": "4", "passages": ["2+2 is 4"]}]
LIKES = {"choice": "A", "score": 1, "verdict": 1}


def block(section, language):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL))


@pytest.mark.parametrize("section", NEEDS)
def test_an_example_scores(section, tmp_path, monkeypatch):
    if importlib.util.find_spec(NEEDS[section]) is None:
        pytest.skip(f"{NEEDS[section]} is installed by `nox -s evaluators`")
    likes = {**LIKES, "verdict": "yes"} if section == "deepeval" else LIKES
    module = f"evals_{section[:8].strip().lower()}"  # a name of its own: modules stay loaded
    (tmp_path / f"{module}.py").write_text(block(section, "python"))
    monkeypatch.syspath_prepend(tmp_path)
    scorers = yaml.safe_load(block(section, "yaml").replace('"evals:', f'"{module}:'))["scorers"]
    for scorer in scorers:
        scorer["model"] = None if scorer.get("model") is None else "judge"
        scorer["bounds"] = None if "bounds" in scorer else [0, 1]
    with judge_server(text="yes\n\nY\nGRADE: C", likes=likes) as judge:
        suite = evaluator_suite(scorers, ITEMS, judge=judge.base_url if any(s["model"] for s in scorers) else None)
        scores = hg.scan_scores(hg.run(suite, out=tmp_path / "run")).collect()
    assert scores.height == len(scorers)
    assert scores["value"].null_count() == 0, scores["explanation"].to_list()
    assert bool(judge.requests) == any(scorer["model"] for scorer in scorers)


def test_every_framework_has_an_example():
    assert set(NEEDS) == set(SECTIONS) - {"Models that evaluators ask"}


@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_is_a_suite(section):
    declared = yaml.safe_load(block(section, "yaml"))
    judge = {"id": "judge-small", "role": "judge", "provider": "openai"}
    asks = any("model" in scorer for scorer in declared["scorers"])
    models = declared.get("models") or [{"id": "small", "provider": "openai"}, *([judge] if asks else [])]
    fields = {"name": "page", "items": [{"q": 1}], "prompts": {"p": "{{ q }}"}, "models": models}
    suite = hg.Suite(**fields, scorers=declared["scorers"], lanes=declared.get("lanes", []))
    assert {scorer.type for scorer in suite.scorers} == {"evaluator"}
