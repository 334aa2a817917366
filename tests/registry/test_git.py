"""git as the registry uses it: real repositories, bare and cut ones, names that look like options."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headgate.errors import ConfigError, GitError
from headgate.registry.git import Repository, shown_path
from repositories import Repo

ODD = ["-n.txt", "a b.txt", "line\nfeed.txt", "ünï.txt", "quo\"te'.txt", ":(glob)*.txt", "tab\t.txt"]


def test_files_and_blobs_of_any_name(tmp_path):
    repo = Repo(tmp_path)
    commit = repo.commit("First", dict.fromkeys(ODD, "text") | {"deep/er/a.txt": "a\n"})
    git = Repository(tmp_path)
    files = git.files(commit)
    assert set(files) == {*ODD, "deep/er/a.txt"}
    texts = git.read_blobs(list(files.values()))
    assert {path: texts[blob] for path, blob in files.items()} == dict.fromkeys(ODD, b"text") | {
        "deep/er/a.txt": b"a\n"
    }
    assert set(git.files(commit, "deep")) == {"deep/er/a.txt"}
    assert set(git.files(commit, ":(glob)*.txt")) == {":(glob)*.txt"}


def test_links_and_submodules_are_no_files(tmp_path):
    repo = Repo(tmp_path)
    repo.write({"a.txt": "a"})
    (tmp_path / "link.txt").symlink_to("a.txt")
    assert set(Repository(tmp_path).files(repo.commit("First"))) == {"a.txt"}


def test_paths_are_relative_to_the_folder(tmp_path):
    commit = Repo(tmp_path).commit("First", {"sub/a.txt": "a", "b.txt": "b"})
    git = Repository(tmp_path / "sub")
    assert set(git.files(commit)) == {"a.txt"}
    assert [found.subject for found in git.commits(commit, "a.txt")] == ["First"]
    assert git.top() == tmp_path


@pytest.mark.parametrize(
    "revision", ["--all", "-n1", "--output=x", "main;id", "$(id)", "nothing", "", "main\n", "HEAD^9"]
)
def test_a_revision_is_data(tmp_path, revision):
    Repo(tmp_path).commit("First")
    with pytest.raises(ConfigError, match="is no commit of this repository"):
        Repository(tmp_path).resolve(revision)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("branch", ["feat/a;id", "a'b", "$(id)", "ünï"])
def test_branches_of_odd_names_resolve(tmp_path, branch):
    repo = Repo(tmp_path)
    commit = repo.commit("First")
    repo.git("branch", branch)
    assert Repository(tmp_path).resolve(branch) == commit


def test_commits_of_a_path_with_their_parents(tmp_path):
    repo = Repo(tmp_path)
    first = repo.commit("First", {"a.txt": "1"})
    repo.commit("Elsewhere", {"b.txt": "1"})
    third = repo.commit("Third \x1f with \x1b[2J signs", {"a.txt": "2"})
    found = list(Repository(tmp_path).commits(third, "a.txt"))
    assert [commit.id for commit in found] == [third, first]
    assert found[0].subject == "Third \x1f with \x1b[2J signs"
    assert (found[1].parents, len(found[0].parents)) == ((), 1)


def test_a_bare_repository_has_no_top(tmp_path):
    commit = Repo(tmp_path / "work").commit("First", {"a.txt": "a"})
    subprocess.run(["git", "clone", "--quiet", "--bare", tmp_path / "work", tmp_path / "bare"], check=True)
    git = Repository(tmp_path / "bare")
    assert git.top() is None
    assert set(git.files(git.resolve("HEAD"))) == {"a.txt"}
    assert git.resolve("HEAD") == commit


def test_a_cut_history_is_told(tmp_path):
    repo = Repo(tmp_path / "work")
    first = repo.commit("First")
    repo.commit("Second")
    origin = f"file://{tmp_path}/work"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", origin, tmp_path / "shallow"], check=True)
    git = Repository(tmp_path / "shallow")
    assert git.is_shallow
    with pytest.raises(ConfigError, match="the history of this clone is cut: fetch more of it"):
        git.resolve(first)
    assert git.merge_base(git.resolve("HEAD"), git.resolve("HEAD")) == git.resolve("HEAD")


def test_outside_of_git_and_without_it(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="is in no git repository"):
        Repository(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GitError, match="git rev-parse cannot be run"):
        Repository(tmp_path)


def test_gits_own_words_are_kept(tmp_path):
    Repo(tmp_path)
    with pytest.raises(GitError, match="git ls-tree: fatal: Not a valid object name gone"):
        Repository(tmp_path).run("ls-tree", "gone")


def test_a_missing_blob_is_told(tmp_path):
    Repo(tmp_path)
    with pytest.raises(GitError, match=f"{'0' * 40} is not in this clone"):
        Repository(tmp_path).read_blobs(["0" * 40])


def test_a_path_that_is_not_utf8_is_shown():
    assert shown_path(b"a\xffb") == "a\\xffb"
    assert Path(shown_path("ü".encode())).name == "ü"
