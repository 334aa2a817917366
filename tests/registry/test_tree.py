"""The files of a folder and of a commit, by the same paths."""

from __future__ import annotations

import os

import pytest

from headgate.errors import ConfigError
from headgate.registry.git import Repository
from headgate.registry.tree import CommitTree, FolderTree, beside, open_source, read_text
from repositories import Repo

FILES = {"a.txt": "a\r\n", "deep/b.txt": "b"}


def test_a_folder_and_its_commit_hold_the_same(tmp_path):
    repo = Repo(tmp_path)
    commit = repo.commit("First", FILES)
    for tree in (FolderTree(tmp_path), CommitTree(Repository(tmp_path), commit)):
        tree.warm(["a.txt", "gone.txt"])
        assert (tree.paths, tree.read("deep/b.txt"), read_text(tree, "a.txt")) == ({"a.txt", "deep/b.txt"}, b"b", "a\n")


def test_what_git_ignores_and_what_is_gone_is_not_there(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("First", {**FILES, ".gitignore": "*.log\n"})
    repo.write({"x.log": "x", "new.txt": "new", "a.txt": None})
    assert FolderTree(tmp_path).paths == {"deep/b.txt", "new.txt", ".gitignore"}


def test_outside_of_git_all_but_hidden_and_installed_files_are_there(tmp_path):
    names = ["a.txt", "deep/b.txt", ".git-not/c", "node_modules/d", "env/pyvenv.cfg", "env/e", "__pycache__/f"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.txt").symlink_to("a.txt")
    assert FolderTree(tmp_path).paths == {"a.txt", "deep/b.txt"}


def test_a_name_that_is_not_utf8_can_be_read(tmp_path):
    name = os.fsdecode(b"a\xff.txt")
    (tmp_path / name).write_text("x")
    tree = FolderTree(tmp_path)
    assert (tree.paths, tree.read("a\\xff.txt")) == ({"a\\xff.txt"}, b"x")


def test_errors_name_the_commit(tmp_path):
    commit = Repo(tmp_path).commit("First", FILES)
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    tree = CommitTree(Repository(tmp_path), commit)
    with pytest.raises(ConfigError) as caught:
        tree.read("gone.txt")
    assert str(caught.value) == f"{commit[:12]}:gone.txt: there is no such file"
    with pytest.raises(ConfigError, match=r"^bad.txt:1: is not UTF-8"):
        read_text(FolderTree(tmp_path), "bad.txt")
    with pytest.raises(ConfigError, match=r"^gone.txt: there is no such file"):
        FolderTree(tmp_path).read("gone.txt")


def test_a_source_finds_what_lies_beside_it_and_nothing_outside(tmp_path):
    (tmp_path / "outside.txt").write_text("secret")
    root = tmp_path / "root"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    source = open_source(FolderTree(root), "deep/b.txt")
    assert source.text == "b"
    assert [source.beside(name) for name in ("../a.txt", "b.txt", "../../outside.txt", "gone")] == [
        "a\n",
        "b",
        None,
        None,
    ]


def test_beside_stays_as_it_is_written_outside_of_the_root():
    assert beside("a.yaml", "../x.txt") == "../x.txt"
    assert beside("a/b.yaml", "/etc/x") == "/etc/x"
