"""``headgate ci github``: what it prints, and what it leaves with."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from github_runner import obeyed, read_pairs, runner_environment
from headgate.cli.main import run_command
from made_verdicts import ATTACKS, VERDICTS, attacked

PULL = {"pull_request": {"number": 12, "head": {"sha": "a" * 40}}}


@dataclass
class Called:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "repository"
    place.mkdir()
    return place


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """Return the command in a job whose workspace is the folder."""
    monkeypatch.chdir(folder)

    def run(*words, event_name="push", event=None, **environ):
        env = runner_environment(folder, event=event or {}, event_name=event_name)
        for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_STEP_SUMMARY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (env | {"GITHUB_OUTPUT": str(folder / "output"), **environ}).items():
            monkeypatch.setenv(name, value)
        code = run_command(["ci", "github", *map(str, words)])
        return Called(code, *capsys.readouterr())

    return run


def written(folder, verdict):
    path = folder / "verdict.json"
    path.write_bytes(verdict.to_json())
    return path


def test_the_table_is_quoted_and_the_annotations_are_commands(folder, call):
    ran = call(written(folder, attacked(VERDICTS["fail"], "::error::x ##[error]y")))
    assert (ran.returncode, ran.stderr) == (1, "")
    assert {name for name, _, _ in obeyed(ran.stdout)} == {"error", "warning"}
    assert all(properties for _, properties, _ in obeyed(ran.stdout))
    assert "FAIL: ::error::x" in ran.stdout
    quiet = call("--quiet", folder / "verdict.json")
    assert "FAIL" not in quiet.stdout
    assert obeyed(quiet.stdout) == obeyed(ran.stdout)


@pytest.mark.parametrize("attack", ATTACKS)
def test_json_is_one_document_and_commands_go_elsewhere(folder, call, attack):
    written(folder, attacked(VERDICTS["fail"], attack))
    ran = call("--json", "verdict.json")
    facts = json.loads(ran.stdout)
    assert (facts["verdict"], facts["exit_code"], facts["reason"]) == ("fail", 1, attack)
    assert facts["n_items"] == 60
    assert obeyed(ran.stdout) == []
    assert {name for name, _, _ in obeyed(ran.stderr)} == {"error", "warning"}


def test_a_run_that_left_nothing_is_exit_code_3(folder, call):
    ran = call("runs/none", "--fail-on", "never", "--ended", "137")
    assert ran.returncode == 3
    assert "exit code 137: it was ended from outside" in ran.stdout
    assert read_pairs(folder / "output")["verdict"] == "none"


def test_a_comment_that_cannot_be_written_is_a_warning(folder, call):
    ran = call(written(folder, VERDICTS["pass"]), event_name="pull_request", event=PULL)
    assert ran.returncode == 0
    warnings = [text for name, _, text in obeyed(ran.stdout) if name == "warning"]
    assert "headgate: no comment was written: there is no token in GITHUB_TOKEN" in warnings
    never = call("verdict.json", "--comment", "never", event_name="pull_request", event=PULL)
    assert "no comment" not in never.stdout


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["verdict.json", "--fail-on", "maybe"], "--fail-on: 'maybe' is unknown; use inconclusive, fail, never"),
        (["verdict.json", "--comment", "always"], "--comment: 'always' is unknown; use auto, never"),
        ([], "RUN: is missing; name a run directory, a verdict file or --from-artifact DIR"),
        (["verdict.json", "--from-artifact", "x"], "--from-artifact: takes no RUN beside it"),
        (["--from-artifact", "x"], "GITHUB_EVENT_NAME: 'push' is not workflow_run"),
    ],
)
def test_wrong_words_are_usage_errors(folder, call, words, problem):
    written(folder, VERDICTS["pass"])
    ran = call(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert problem in ran.stderr


def test_the_token_is_never_shown(folder, call):
    api = {"GITHUB_TOKEN": "ghs_very_secret", "GITHUB_API_URL": "http://127.0.0.1:1\n"}
    ran = call(written(folder, VERDICTS["pass"]), event_name="pull_request", event=PULL, **api)
    assert ran.returncode == 2
    assert "ghs_very_secret" not in ran.stdout + ran.stderr


def test_outside_github_it_prints_the_table_and_commands_nobody(folder, call):
    ran = call(written(folder, VERDICTS["fail"]), GITHUB_ACTIONS="")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("FAIL: ")
    assert "::" not in ran.stdout
    ran = call("verdict.json", event_name="pull_request", event=PULL, GITHUB_ACTIONS="")
    assert ran.stderr == "headgate: no comment was written: there is no token in GITHUB_TOKEN\n"
    assert call("gone", GITHUB_ACTIONS="").stdout.startswith("no verdict: gone/verdict.json is not there")
