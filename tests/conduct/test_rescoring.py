"""A run scored again without its suite: the files that its scorers name are those that they named then."""

from __future__ import annotations

import json

import pytest

import headgate as hg
from headgate.errors import ConfigError

RUBRIC = {"name": "kind", "type": "judge", "model": "judge-small", "rubric": "rubrics/kind.md"}
SHAPE = {"name": "shape", "type": "json_schema", "schema": "shape.json"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of a suite in a folder of its own, made and left from elsewhere."""
    home = tmp_path / "evals"
    (home / "rubrics").mkdir(parents=True)
    (home / "rubrics" / "kind.md").write_text("Kind and short.")
    (home / "shape.json").write_text(json.dumps({"type": "object"}))
    suite = {
        "name": "s",
        "items": [{"question": f"{n} + 1", "target": n + 1} for n in range(4)],
        "prompts": {"p": "{{ question }}"},
        "models": [
            {"id": "small", "provider": "simulated"},
            {"id": "judge-small", "provider": "simulated", "role": "judge", "simulate": {"judge": {}}},
        ],
        "scorers": [RUBRIC, SHAPE],
    }
    (home / "suite.json").write_text(json.dumps(suite))
    hg.run(hg.load_suite(home / "suite.json"), out=home / "runs" / "main")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home / "runs" / "main"


def test_files_are_found_wherever_the_command_is_given(run):
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert manifest["suite_folder"] == "../.."  # and no path of this machine
    asked = hg.scan(f"{run}/judges/*/*").collect().height
    assert hg.score_run(run) == {"kind": 0, "shape": 0}
    assert hg.scan(f"{run}/judges/*/*").collect().height == asked  # the same rubric: what was graded holds
    moved = run.parents[2] / "archive"
    run.parents[1].rename(moved)
    assert hg.score_run(moved / "runs" / "main") == {"kind": 0, "shape": 0}


def test_a_run_without_its_suites_folder_says_where_it_looked(run, tmp_path):
    alone = tmp_path / "far" / "away" / "run"
    alone.parent.mkdir(parents=True)
    run.rename(alone)
    said = rf"scorers\.0\.rubric: 'rubrics/kind\.md' cannot be read: .*paths start from {tmp_path}/far.*--suite"
    with pytest.raises(ConfigError, match=said):
        hg.score_run(alone)
    suite = hg.load_suite(tmp_path / "evals" / "suite.json")
    assert hg.score_run(alone, suite=suite) == {"kind": 0, "shape": 0}


def test_a_merged_run_knows_the_way_too(run, tmp_path):
    suite = hg.load_suite(tmp_path / "evals" / "suite.json")
    shards = [hg.run(suite, out=tmp_path / "shards" / str(n), shard=f"{n}/2") for n in (1, 2)]
    whole = hg.merge(shards, out=tmp_path / "a" / "b" / "whole")
    assert hg.score_run(whole) == {"kind": 0, "shape": 0}
