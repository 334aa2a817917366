"""prompts.lock: what it holds, and how a change that nobody meant is seen."""

from __future__ import annotations

import json

import pytest

from headgate.errors import ConfigError
from headgate.registry.catalogue import Catalogue
from headgate.registry.lock import check_lock, read_lock, write_lock
from headgate.registry.tree import FolderTree
from repositories import Repo, message

FILES = {"a.prompt": "{{> rules}}", "_rules.prompt": "Be kind.", "b.prompt.yml": message("Hi")}


def lock(folder):
    return write_lock(folder, Catalogue(FolderTree(folder), named=read_lock(FolderTree(folder))))


def problems(folder):
    tree = FolderTree(folder)
    locked = read_lock(tree)
    return list(check_lock(locked, Catalogue(tree, named=locked)))


def test_a_lock_holds_every_digest_in_order(tmp_path):
    Repo(tmp_path).write(FILES)
    digests = lock(tmp_path)
    assert list(digests) == ["a.prompt", "b.prompt.yml"]
    assert json.loads((tmp_path / "prompts.lock").read_text()) == {
        "schema": "headgate.prompts.lock/v1",
        "prompts": digests,
    }
    assert problems(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_changed_partial_changes_its_dependants(tmp_path):
    repo = Repo(tmp_path)
    repo.write(FILES)
    before = lock(tmp_path)["a.prompt"]
    repo.write({"_rules.prompt": "Be brief."})
    now = Catalogue(FolderTree(tmp_path)).digests["a.prompt"]
    assert problems(tmp_path) == [f"a.prompt: is {now}, and prompts.lock says {before}"]


def test_new_and_lost_and_broken_prompts_are_told(tmp_path):
    repo = Repo(tmp_path)
    repo.write(FILES)
    lock(tmp_path)
    repo.write({"c.prompt": "Hi", "a.prompt": None, "b.prompt.yml": "messages: 3"})
    assert problems(tmp_path) == [
        "a.prompt: a.prompt: there is no such file",
        "b.prompt.yml: b.prompt.yml:1: messages: is missing or empty; write a list of {role, content}",
        "c.prompt: is not in prompts.lock",
    ]


def test_what_cannot_be_read_is_not_locked(tmp_path):
    Repo(tmp_path).write({**FILES, "b.prompt.yml": "messages: 3"})
    assert list(lock(tmp_path)) == ["a.prompt"]
    assert problems(tmp_path) == []


def test_locked_text_files_stay_prompts(tmp_path):
    repo = Repo(tmp_path)
    repo.write({"a.txt": "Hi"})
    write_lock(tmp_path, Catalogue(FolderTree(tmp_path), named=["a.txt"]))
    repo.write({"a.txt": "Ho"})
    assert len(problems(tmp_path)) == 1
    assert list(lock(tmp_path)) == ["a.txt"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "prompts.lock:1: is not JSON"),
        ("[]", "prompts.lock: schema: is not of the schema headgate.prompts.lock/v1; update headgate, or mend it"),
        ('{"schema": "headgate.prompts.lock/v2"}', "prompts.lock: schema: is not of the schema"),
        ('{"schema": "headgate.prompts.lock/v1"}', "prompts.lock: prompts: is no mapping of text to text"),
    ],
)
def test_a_broken_lock_is_named(tmp_path, text, message):
    (tmp_path / "prompts.lock").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_lock(FolderTree(tmp_path))
    assert str(caught.value).startswith(message)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_lock(tmp_path / "gone", Catalogue(FolderTree(tmp_path)))
