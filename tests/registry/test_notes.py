"""Verdicts on commits, as git notes."""

from __future__ import annotations

import subprocess

import pytest

from headgate.errors import ConfigError
from headgate.registry.git import Repository
from headgate.registry.notes import attach_note, commit_of, make_note, read_notes
from repositories import Repo


def verdict(word="pass", *, digest="d1", git=None):
    arm = {"run": "r1", "suite_digest": "s", "plan_digest": "p", "prompt_digests": {"new": digest}, "git": git}
    facts = {"verdict": word, "exit_code": 0, "reason": "line\nfeed \x1b[2J", "created": "2026", "alpha": 0.05}
    return {**facts, "candidate": arm, "metrics": []}


def note(word="pass", **facts):
    return make_note(verdict(word, **facts), digest=f"digest of {word}")


def test_several_verdicts_stand_on_one_commit_each_once(tmp_path):
    commit = Repo(tmp_path).commit("First")
    git = Repository(tmp_path)
    assert [attach_note(git, commit, note(word)) for word in ("pass", "fail", "pass")] == [True, True, False]
    assert [(on, found["verdict"]) for on, found in read_notes(git)] == [(commit, "fail"), (commit, "pass")]
    lines = git.run("notes", "--ref=refs/notes/headgate", "show", commit).decode().splitlines()
    assert len(lines) == 2
    assert lines == sorted(lines)
    assert read_notes(git)[1][1] == note("pass")


def test_no_identity_is_needed(tmp_path, monkeypatch):
    commit = Repo(tmp_path).commit("First")
    for name, value in (("HOME", tmp_path), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")):
        monkeypatch.setenv(name, str(value))
    git = Repository(tmp_path)
    attach_note(git, commit, note())
    assert git.run("log", "-1", "--format=%an %ae %cn", "refs/notes/headgate").decode() == (
        "headgate headgate@localhost headgate\n"
    )


def test_notes_of_two_clones_merge(tmp_path):
    repo = Repo(tmp_path / "one")
    commit = repo.commit("First")
    subprocess.run(["git", "clone", "--quiet", tmp_path / "one", tmp_path / "two"], check=True)
    attach_note(Repository(tmp_path / "one"), commit, note("pass"))
    attach_note(Repository(tmp_path / "two"), commit, note("fail"))
    repo.git("fetch", "--quiet", str(tmp_path / "two"), "refs/notes/headgate:refs/notes/theirs")
    repo.git("notes", "--ref=headgate", "merge", "--quiet", "-s", "cat_sort_uniq", "refs/notes/theirs")
    assert [found["verdict"] for _, found in read_notes(Repository(tmp_path / "one"))] == ["fail", "pass"]


def test_lines_of_others_stay_and_are_passed_over(tmp_path):
    repo = Repo(tmp_path)
    commit = repo.commit("First")
    repo.git(
        "notes", "--ref=headgate", "add", "-m", 'A word from a person\n{"schema": "headgate.note/v1"}\n[1]', commit
    )
    git = Repository(tmp_path)
    assert read_notes(git) == []
    attach_note(git, commit, note())
    assert [found["verdict"] for _, found in read_notes(git)] == ["pass"]
    assert "A word from a person" in git.run("notes", "--ref=refs/notes/headgate", "show", commit).decode()


def test_a_verdict_speaks_of_the_commit_it_was_run_from():
    clean = {"commit": "c" * 40, "branch": "main", "dirty": False}
    assert commit_of(verdict(git=clean)) == "c" * 40
    with pytest.raises(ConfigError, match=r"files differed from the commit .* name the commit that it holds for"):
        commit_of(verdict(git={**clean, "dirty": True}))
    with pytest.raises(ConfigError, match="the candidate was run outside of git"):
        commit_of(verdict())
