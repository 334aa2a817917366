"""The history of a prompt over real commits: changes, merges, cuts, and the verdicts on each version."""

from __future__ import annotations

import subprocess

import pytest

from headgate.errors import ConfigError
from headgate.registry.git import Repository
from headgate.registry.history import label_history, prompt_history
from headgate.registry.labels import write_label
from headgate.registry.load import read_prompt
from headgate.registry.notes import attach_note, make_note
from repositories import SUITE, Repo, message

PROMPT = "prompts/a.prompt.yml"


def subjects(changes):
    return [change.commit.subject for change in changes]


def history(folder, address=PROMPT, start="HEAD"):
    git = Repository(folder)
    return prompt_history(git, address, start=git.resolve(start))


def test_commits_where_the_digest_changed_and_no_others(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {PROMPT: message("Hi"), "other.txt": "x"})
    repo.commit("Spell otherwise", {PROMPT: "# a comment\n" + message("Hi")})
    repo.commit("Elsewhere", {"other.txt": "y"})
    repo.commit("Change", {PROMPT: message("Hello")})
    repo.commit("Remove", {PROMPT: None})
    repo.commit("Break", {PROMPT: "messages: 3"})
    repo.commit("Bring back", {PROMPT: message("Hi")})
    changes = history(tmp_path)
    assert subjects(changes) == ["Bring back", "Remove", "Change", "Add"]
    assert [change.digest is None for change in changes] == [False, True, False, False]
    assert changes[0].digest == changes[3].digest == read_prompt(tmp_path / PROMPT).digest
    assert subjects(history(tmp_path, start="HEAD~3")) == ["Change", "Add"]


def test_a_prompt_that_broke_says_why(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {PROMPT: message("Hi")})
    repo.commit("Break", {PROMPT: "messages: 3"})
    broken = history(tmp_path)[0]
    assert (broken.commit.subject, broken.digest) == ("Break", None)
    assert broken.problem.startswith(f"{broken.commit.id[:12]}:{PROMPT}:1: messages: is missing or empty")


def test_a_changed_partial_is_a_change(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {"p/a.prompt": "{{> rules}}", "p/_rules.prompt": "Be kind.", "p/b.prompt": "x"})
    repo.commit("Change the rules", {"p/_rules.prompt": "Be brief."})
    repo.commit("Change another", {"p/b.prompt": "y"})
    assert subjects(history(tmp_path, "p/a.prompt")) == ["Change the rules", "Add"]


def test_a_merge_that_only_brings_a_change_is_none(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {PROMPT: message("Hi")})
    repo.git("checkout", "--quiet", "-b", "change")
    repo.commit("Change", {PROMPT: message("Hello")})
    repo.git("checkout", "--quiet", "main")
    repo.commit("Elsewhere", {"other.txt": "x"})
    repo.git("merge", "--quiet", "--no-ff", "-m", "Merge", "change")
    assert subjects(history(tmp_path)) == ["Change", "Add"]


def test_a_prompt_is_followed_through_the_suite_that_names_it(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {"suites/s.yaml": SUITE, "prompts/old.prompt.yml": message("Hi"), "prompts/b.txt": "Hello"})
    repo.commit("Comment", {"suites/s.yaml": "# a comment\n" + SUITE})
    repo.commit("Take another file", {"suites/s.yaml": SUITE.replace("old.prompt.yml", "b.txt")})
    repo.commit("Change that", {"prompts/b.txt": "Hello!"})
    repo.commit(
        "Change the one inside", {"suites/s.yaml": SUITE.replace("Sum:", "Add:").replace("old.prompt.yml", "b.txt")}
    )
    assert subjects(history(tmp_path, "suites/s.yaml:old")) == ["Change that", "Take another file", "Add"]
    assert subjects(history(tmp_path, "suites/s.yaml:new")) == ["Change the one inside", "Add"]


def test_verdicts_are_found_by_the_digest_on_whatever_commit(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {PROMPT: message("Hi")})
    later = repo.commit("Elsewhere", {"other.txt": "x"})
    arm = {"run": "r", "suite_digest": "s", "plan_digest": "p", "git": None}
    arm["prompt_digests"] = {"new": read_prompt(tmp_path / PROMPT).digest}
    facts = {"verdict": "fail", "exit_code": 1, "reason": "", "created": "", "alpha": 0.05, "candidate": arm}
    attach_note(Repository(tmp_path), later, make_note(facts, digest="v"))
    repo.commit("Change", {PROMPT: message("Hello")})
    changed, added = history(tmp_path)
    assert changed.verdicts == ()
    assert [(on, note["verdict"]) for on, note in added.verdicts] == [(later, "fail")]


def test_labels_have_a_history_of_their_own(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Add", {PROMPT: message("Hi"), "b.txt": "Hello"})
    write_label(tmp_path, name="support", label="production", address=PROMPT)
    repo.commit("Promote")
    write_label(tmp_path, name="support", label="canary", address="b.txt")
    repo.commit("Try another")
    write_label(tmp_path, name="support", label="production", address="b.txt")
    repo.commit("Promote the other")
    repo.git("revert", "--no-edit", "HEAD")
    git = Repository(tmp_path)
    changes = label_history(git, "support", "production", start=git.resolve("HEAD"))
    assert subjects(changes) == ['Revert "Promote the other"', "Promote the other", "Promote"]
    assert changes[0].digest == changes[2].digest == read_prompt(tmp_path / PROMPT).digest
    with pytest.raises(ConfigError, match="'support stable' is no label in any commit"):
        label_history(git, "support", "stable", start=git.resolve("HEAD"))


def test_a_cut_history_begins_where_it_is_cut(tmp_path):
    repo = Repo(tmp_path / "work")
    repo.commit("Add", {PROMPT: message("Hi")})
    repo.commit("Change", {PROMPT: message("Hello")})
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{tmp_path}/work", tmp_path / "shallow"], check=True
    )
    assert subjects(history(tmp_path / "shallow")) == ["Change"]
    with pytest.raises(ConfigError, match="this clone's history is cut: git fetch --unshallow"):
        history(tmp_path / "shallow", "gone.txt")


def test_history_is_read_in_a_bare_repository_too(tmp_path):
    repo = Repo(tmp_path / "work")
    repo.commit("Add", {PROMPT: message("Hi")})
    repo.commit("Change", {PROMPT: message("Hello")})
    subprocess.run(["git", "clone", "--quiet", "--bare", tmp_path / "work", tmp_path / "bare"], check=True)
    assert subjects(history(tmp_path / "bare")) == ["Change", "Add"]


def test_what_was_never_a_prompt_is_named(tmp_path):
    Repo(tmp_path).commit("First", {"a.pdf": "x"})
    with pytest.raises(ConfigError, match=r"'a\.pdf' is no prompt in any commit of this history"):
        history(tmp_path, "a.pdf")
