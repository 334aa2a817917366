"""Bundles in real git repositories: nothing but refs and objects changes, and git itself carries them."""

from __future__ import annotations

import os
import shutil

import pytest

from headgate.errors import ConfigError, StoreError
from headgate.store.baselines.git import GitRefs
from stored_baselines import git, repository

WHEN = "2026-03-01T12:00:00+00:00"
FILES = {"entry.json": b"{}", "results/a.parquet": b"a", "results/b.parquet": b"b", "scores/c@1.parquet": b"c"}
NAME = "entries/k/one"
REF = f"refs/headgate/baselines/{NAME}"


def content(place, file="results/a.parquet", name=NAME):
    return b"".join(place.read(name, file))


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No name, no mail address, no home: a bare CI runner."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.mark.parametrize("options", [[], ["--bare"], ["--object-format=sha256"]], ids=["work tree", "bare", "sha256"])
def test_it_needs_no_identity_and_touches_no_branch_index_or_file(nobody, tmp_path, options):
    folder = repository(tmp_path / "r", *options)
    before = git(folder, "for-each-ref"), sorted(path.name for path in folder.iterdir())
    place = GitRefs(folder)
    assert place.create(NAME, FILES, created=WHEN)
    assert git(folder, "ls-tree", "-r", "--name-only", REF).split() == sorted(FILES)
    assert (
        git(folder, "log", "--format=%an <%ae> %cI", REF) == "headgate <headgate@localhost> 2026-03-01T12:00:00+00:00\n"
    )
    assert "missing" not in git(folder, "fsck", "--strict", "--no-progress")
    refs = "".join(line for line in git(folder, "for-each-ref").splitlines(keepends=True) if "headgate" not in line)
    assert (refs, sorted(path.name for path in folder.iterdir())) == before
    if not options:
        assert git(folder, "status", "--porcelain") == ""


def test_two_clones_share_baselines_by_push_and_fetch(nobody, tmp_path):
    origin = repository(tmp_path / "origin", "--bare")
    first = repository(tmp_path / "first")
    git(first, "remote", "add", "origin", str(origin))
    git(first, "push", "--quiet", "origin", "main")
    GitRefs(first).create(NAME, FILES, created=WHEN)
    git(first, "push", "--quiet", "origin", "refs/headgate/*")

    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{origin}", "second")
    second = GitRefs(tmp_path / "second")
    assert second.names("entries") == []  # a clone takes branches only
    git(second.path, "fetch", "--quiet", "--depth", "1", "origin", "refs/headgate/*:refs/headgate/*")
    assert second.names("entries") == [NAME]
    assert content(second) == b"a"

    assert second.create("names/main/00000001", {"entry.json": b"{}"}, created=WHEN)
    git(second.path, "push", "--quiet", "origin", "refs/headgate/*")
    git(first, "fetch", "--quiet", "origin", "refs/headgate/*:refs/headgate/*")
    assert GitRefs(first).names("names") == ["names/main/00000001"]


def test_the_same_bundle_of_two_clones_is_one_commit(nobody, tmp_path):
    """So neither push is refused."""
    origin = repository(tmp_path / "origin", "--bare")
    for name in ("first", "second"):
        git(tmp_path, "clone", "--quiet", f"file://{origin}", name)
        GitRefs(tmp_path / name).create(NAME, FILES, created=WHEN)
        git(tmp_path / name, "push", "--quiet", "origin", "refs/headgate/*")
    assert content(GitRefs(origin)) == b"a"


def test_two_clones_that_move_a_name_at_once_are_told_apart_by_push(nobody, tmp_path):
    origin = repository(tmp_path / "origin", "--bare")
    move = "names/main/00000001"
    for name, word in (("first", b"1"), ("second", b"2")):
        git(tmp_path, "clone", "--quiet", f"file://{origin}", name)
        GitRefs(tmp_path / name).create(move, {"entry.json": word}, created=WHEN)
    git(tmp_path / "first", "push", "--quiet", "origin", "refs/headgate/*")
    with pytest.raises(Exception, match="returned non-zero"):
        git(tmp_path / "second", "push", "--quiet", "origin", "refs/headgate/*")
    git(tmp_path / "second", "fetch", "--quiet", "origin", "+refs/headgate/*:refs/headgate/*")
    assert content(GitRefs(tmp_path / "second"), "entry.json", move) == b"1"


def test_a_subfolder_and_a_hook_find_the_repository_by_the_path_alone(nobody, tmp_path, monkeypatch):
    """Git sets GIT_DIR and GIT_INDEX_FILE for its hooks; they must not lead elsewhere."""
    folder, other = repository(tmp_path / "r"), repository(tmp_path / "other")
    (folder / "deep").mkdir()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert GitRefs(folder / "deep").create(NAME, FILES, created=WHEN)
    monkeypatch.delenv("GIT_DIR")
    assert (GitRefs(folder).names("entries"), GitRefs(other).names("entries")) == ([NAME], [])


def test_what_is_no_repository_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match="is no git repository; name one, like git:PATH"):
            GitRefs(path)


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="git cannot be started"):
        GitRefs(tmp_path)


def test_what_git_refuses_is_said_with_its_words(nobody, tmp_path):
    folder = repository(tmp_path / "r", "--bare")
    place = GitRefs(folder)
    (folder / "refs" / "headgate").write_text("a file where a folder must be")
    with pytest.raises(StoreError, match=r"git update-ref failed: .*refs/headgate"):
        place.create(NAME, FILES, created=WHEN)
    shutil.rmtree(folder / "objects")
    with pytest.raises(StoreError, match="failed"):
        place.create("entries/k/two", FILES, created=WHEN)


def test_refs_that_are_no_bundles_are_left_alone(nobody, tmp_path):
    folder = repository(tmp_path / "r")
    for ref in ("entries/a", "entries/a-b/c/d/e", "names/x"):
        git(folder, "update-ref", f"refs/headgate/baselines/{ref}", "HEAD")
    assert GitRefs(folder).names("entries") == GitRefs(folder).names("names") == []


def test_a_damaged_object_is_no_content(nobody, tmp_path):
    folder = repository(tmp_path / "r", "--bare")
    place = GitRefs(folder)
    place.create(NAME, FILES, created=WHEN)
    blob = git(folder, "rev-parse", f"{REF}:results/a.parquet").strip()
    path = folder / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"results/a\.parquet: cannot be read"):
        content(place)
