"""Where a registry begins."""

from __future__ import annotations

from headgate.registry.root import find_root
from repositories import Repo


def test_the_root_is_that_of_lock_or_labels_else_of_git_else_here(tmp_path):
    (tmp_path / "prompts.lock").write_text("{}")  # above the repository: another's
    top = tmp_path / "work"
    Repo(top)
    deep = top / "app" / "src"
    deep.mkdir(parents=True)
    assert find_root(deep) == top
    (top / "app" / "prompts.labels.json").write_text("{}")
    assert find_root(deep) == top / "app"
    outside = tmp_path / "outside"
    outside.mkdir()
    assert find_root(outside) == tmp_path
    (tmp_path / "prompts.lock").unlink()
    assert find_root(outside) == outside


def test_a_bare_repository_is_its_own_root(tmp_path):
    Repo(tmp_path, "--bare")
    assert find_root(tmp_path) == tmp_path
