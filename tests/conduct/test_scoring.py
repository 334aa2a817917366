"""Scorers in whole runs: every type side by side, parts, files, targets, bad input, checks and live traffic."""

from __future__ import annotations

import json

import anyio
import polars as pl
import pytest

import headgate as hg
from headgate.conduct.scoring import bind_scorers, score_traffic
from headgate.errors import ConfigError
from headgate.suite.canary import Canary
from headgate.traffic.row import Row


def say(messages):
    """The prompt is the answer; some prompts make it fail."""
    text = messages[-1]["content"]
    if text == "raise":
        raise ValueError("no answer")
    return "" if text == "nothing" else text


def suite(scorers, items, **changes):
    declared = {
        "name": "said",
        "items": items,
        "prompts": {"say": "{{ output }}"},
        "models": [{"id": "m", "provider": "python", "call": say, "max_attempts": 1}],
        "scorers": scorers,
    }
    return hg.Suite(**{**declared, **changes})


def scores(tmp_path, scorers, items, **changes):
    run = hg.run(suite(scorers, items, **changes), out=tmp_path / "run")
    assert hg.verify(run.path) == []
    return hg.scan_scores(run).sort("item_id", "scorer").collect()


def by_item(frame, scorer):
    return dict(frame.filter(scorer=scorer).select("item_id", "value").iter_rows())


def test_targets_are_texts_lists_and_columns_of_lists(tmp_path):
    items = [
        {"id": "a", "output": "Paris, France", "target": "Paris", "names": ["Paris", "Lutetia"], "country": "France"},
        {"id": "b", "output": "Lutetia", "target": ["Rome", "Lutetia"], "names": ["Paris", "Lutetia"], "country": "x"},
        {"id": "c", "output": "Rome", "target": None, "names": [], "country": "Rome"},
    ]
    scorers = [
        {"name": "one", "type": "contains"},
        {"name": "both", "type": "contains", "target": ["Paris", "{{ country }}"], "match": "all"},
        {"name": "any", "type": "contains", "target": "{{ names }}", "several": True},
        {"name": "listed", "type": "exact_match", "several": True},
    ]
    found = scores(tmp_path, scorers, items)
    assert by_item(found, "one") == {"a": 1, "b": 0, "c": None}
    assert by_item(found, "both") == {"a": 1, "b": 0, "c": 0}
    assert by_item(found, "any") == {"a": 1, "b": 1, "c": None}
    assert by_item(found, "listed") == {"a": None, "b": 1, "c": None}  # of a, the target is no list


def test_a_weighted_scorer_is_the_mean_of_its_parts(tmp_path):
    said = [("a", "yes and more", "yes"), ("b", "yes", "yes"), ("c", "nothing", "yes"), ("d", "no", None)]
    items = [{"id": item, "output": output, "target": target} for item, output, target in said]
    scorers = [
        {"name": "all", "type": "weighted", "of": ["exact", "has", "own", "brief"]},
        {"name": "passes", "type": "weighted", "of": ["all", "has"], "threshold": 0.6},
        {"name": "exact", "type": "exact_match", "weight": 3},
        {"name": "has", "type": "contains"},
        {"name": "own", "type": "python", "call": lambda output: len(output) < 5, "weight": 0},
        {"name": "brief", "type": "length", "unit": "words", "max": 2, "negate": True},
    ]
    found = scores(tmp_path, scorers, items)
    assert by_item(found, "all") == {"a": 0.4, "b": 0.8, "c": 0, "d": None}
    assert by_item(found, "passes") == {"a": 1, "b": 1, "c": 0, "d": None}
    reasons = found.filter(pl.col("value").is_null(), scorer="all")["explanation"].to_list()
    assert reasons == ["exact could not be scored"]


def test_a_weighted_scorer_has_another_version_when_a_part_has(tmp_path):
    parts = [{"name": "exact", "type": "exact_match"}, {"name": "all", "type": "weighted", "of": ["exact"]}]
    items = [{"id": "a", "output": "x", "target": "x"}]
    first = {bound.name: bound.version for bound in bind_scorers(suite(parts, items))}
    for change in ({"ignore_case": True}, {"weight": 2}):
        other = {b.name: b.version for b in bind_scorers(suite([{**parts[0], **change}, parts[1]], items))}
        assert other["all"] != first["all"]
        assert (other["exact"] == first["exact"]) == ("weight" in change)


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"type": "perplexity"}, "not between 0 and 1"),
        ({"type": "refusal"}, "lower ones are better"),
        ({"type": "python", "call": len, "bounds": (0, 10)}, "not between 0 and 1"),
    ],
)
def test_parts_are_between_0_and_1_and_higher_is_better(part, problem):
    scorers = [{"name": "part", **part}, {"name": "all", "type": "weighted", "of": ["part"]}]
    with pytest.raises(ConfigError, match=f"scorers.1.of: 'part' has scores.*{problem}.*negate it"):
        bind_scorers(suite(scorers, [{"output": "x"}]))


def test_schemas_and_tools_stand_in_files_and_are_part_of_the_version(tmp_path):
    (tmp_path / "shape.yaml").write_text("type: object\nrequired: [a]\n")
    (tmp_path / "suite.json").write_text(
        json.dumps(
            {
                "name": "shapes",
                "items": [{"output": "x"}],
                "prompts": {"say": "{{ output }}"},
                "models": [{"id": "m", "provider": "simulated"}],
                "scorers": [{"name": "shape", "type": "json_schema", "schema": "shape.yaml"}],
            }
        )
    )
    (first,) = bind_scorers(hg.load_suite(tmp_path / "suite.json"))
    assert first.spec.schema == {"type": "object", "required": ["a"]}
    (tmp_path / "shape.yaml").write_text("type: object\n")
    (second,) = bind_scorers(hg.load_suite(tmp_path / "suite.json"))
    assert first.version != second.version
    (tmp_path / "shape.yaml").write_text("type: nothing\n")
    with pytest.raises(ConfigError, match=r"suite\.json: scorers\.0\.schema: is no JSON Schema: \"nothing\" is"):
        bind_scorers(hg.load_suite(tmp_path / "suite.json"))
    (tmp_path / "shape.yaml").unlink()
    with pytest.raises(ConfigError, match=r"scorers\.0\.schema: 'shape\.yaml'"):
        bind_scorers(hg.load_suite(tmp_path / "suite.json"))


def test_a_library_that_is_absent_is_an_error_before_the_first_request(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sqlglot", None)
    declared = suite([{"name": "sql", "type": "sql_valid"}], [{"output": "SELECT 1"}])
    with pytest.raises(ConfigError, match=r"scorers\.0: needs the package sqlglot.*pip install 'headgate\[scorers\]'"):
        hg.run(declared, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_bad_row_is_missing_and_counted_and_the_others_stand(tmp_path):
    """NaN, a wrong type, an exception, broken JSON: each costs its row, and the verdict counts it."""

    def grade(output):
        return {"nan": float("nan"), "type": "good", "bounds": 2}.get(output, 1) if output != "error" else 1 / 0

    said = ["nan", "type", "bounds", "error", "raise", "nothing", *(f"answer {n}" for n in range(194))]
    items = [{"id": f"{n:03}", "output": text, "target": '{"broken'} for n, text in enumerate(said)]
    scorers = [
        {"name": "own", "type": "python", "call": grade},
        {"name": "field", "type": "json_field", "path": "a"},
        {"name": "valid", "type": "json_valid"},
    ]
    declared = suite(scorers, items, gates=[{"metric": "own", "min": 0.5}, {"metric": "valid", "max": 0.5}])
    run = hg.run(declared, out=tmp_path / "run")
    found = hg.scan_scores(run).filter(pl.col("scorer") == "own").sort("item_id").collect()
    assert found.height == 199  # the error is no score
    assert found["explanation"].to_list()[:5] == [
        "the scorer returned nan",
        "the scorer returned str 'good', not a number",
        "the scorer returned 2.0, outside its bounds [0, 1]",
        "ZeroDivisionError: division by zero",
        "empty answer",
    ]
    assert found["value"].to_list()[:5] == [None, None, None, None, 0]
    verdict = hg.gate(run)
    assert verdict.errors.candidate.unscored == 4
    assert verdict.verdict == "pass"
    assert "missing_at_bounds" in verdict.metrics[0].flags


def test_scores_that_are_missing_can_decide_nothing_for_better_or_worse(tmp_path):
    items = [{"id": f"{n:03}", "output": str(n)} for n in range(100)]

    def grade(output):
        return None if int(output) % 2 else 1

    declared = suite([{"name": "own", "type": "python", "call": grade}], items, gates=[{"metric": "own", "min": 0.8}])
    verdict = hg.gate(hg.run(declared, out=tmp_path / "run"))
    assert verdict.verdict == "inconclusive"
    assert "missing_values_decide" in verdict.metrics[0].flags


def test_scores_stand_in_the_order_of_the_results(tmp_path):
    items = [{"id": f"{n:03}", "output": "nothing" if n % 3 else str(n)} for n in range(30)]
    run = hg.run(suite([{"name": "own", "type": "python", "call": len, "bounds": (0, 9)}], items), out=tmp_path / "run")
    assert hg.scan_scores(run).collect()["job_id"].to_list() == hg.scan(run).collect()["job_id"].to_list()


def test_a_check_scores_as_a_run_does(tmp_path):
    items = [{"id": f"{n:03}", "output": f"text {n % 4}", "target": "text 1"} for n in range(40)]
    scorers = [
        {"name": "near", "type": "string_similarity"},
        {"name": "fast", "type": "limit", "column": "latency_s", "max": 5},
        {"name": "all", "type": "weighted", "of": ["near", "fast"]},
    ]
    declared = suite(
        scorers,
        items,
        prompts={"old": "{{ output }}", "new": "{{ output }}!"},
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "all", "margin": 0.3}],
    )
    checked = hg.check(declared, out=tmp_path / "check").verdict
    assert checked.verdict == "pass"
    whole = hg.gate(hg.run(declared, out=tmp_path / "run"))
    assert checked.metrics[0].candidate_mean == pytest.approx(whole.metrics[0].candidate_mean, abs=0.05)


def test_live_traffic_is_scored_alike():
    declared = Canary(
        name="c",
        traffic={"stable": "a", "canary": "b"},
        scorers=[
            {"name": "has", "type": "contains", "target": "{{ wanted }}", "several": True},
            {"name": "fast", "type": "limit", "column": "latency_s", "max": 1},
            {"name": "whole", "type": "stop_reason"},
            {"name": "sure", "type": "perplexity", "normalized": True},
            {"name": "all", "type": "weighted", "of": ["has", "fast"]},
        ],
    )
    rows = [
        Row(time=0, id="1", output="red", latency_s=0.5, stop_reason="stop", attributes={"wanted": ["red", "blue"]}),
        Row(time=1, id="2", output="green", latency_s=2.0, stop_reason="length", attributes={"wanted": ["red"]}),
        Row(time=2, id="3", status="error"),
        Row(time=3, id="4", output="blue", latency_s=None),
    ]
    found = {scorer.name: anyio.run(score_traffic, rows, scorer) for scorer in bind_scorers(declared)}
    assert found == {
        "has": [1, 0, None, None],
        "fast": [1, 0, None, None],
        "whole": [1, 0, None, None],
        "sure": [None] * 4,
        "all": [1, 0, None, None],
    }
