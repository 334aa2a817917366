"""Bundles in a directory: what refuses, and what a killed writer leaves."""

from __future__ import annotations

import fcntl
import os

import pytest

from headgate.errors import StoreError
from headgate.store.baselines.directory import Directory

FILES = {"entry.json": b"{}", "results/a.parquet": b"a"}
WHEN = "2026-01-01T00:00:00+00:00"


def test_what_ended_processes_left_is_cleared_and_what_others_write_is_not(tmp_path):
    staged = tmp_path / ".new"
    for name in ("left", "busy"):
        (staged / name).mkdir(parents=True)
        (staged / name / "half.parquet").write_bytes(b"half")
    holder = os.open(staged / "busy", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        assert Directory(tmp_path).create("entries/k/one", FILES, created=WHEN)
        assert [path.name for path in staged.iterdir()] == ["busy"]
        assert (staged / "busy" / "half.parquet").exists()
    finally:
        os.close(holder)


def test_a_bundle_that_cannot_be_written_leaves_nothing(tmp_path):
    place = Directory(tmp_path / "place")
    with pytest.raises(StoreError, match="entries/k/one: cannot write: No such file"):
        place.create("entries/k/one", {**FILES, "gone": tmp_path / "gone"}, created=WHEN)
    assert place.names("entries") == []
    assert list((tmp_path / "place" / ".new").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="the folder must be writable"):
            Directory(tmp_path / "place").create("entries/k/one", FILES, created=WHEN)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "place").write_text("a file")
    with pytest.raises(StoreError, match="place"):
        Directory(tmp_path / "place").create("entries/k/one", FILES, created=WHEN)


def test_a_place_that_is_not_there_yet_is_empty(tmp_path):
    assert Directory(tmp_path / "none").names("entries") == []
    assert not (tmp_path / "none").exists()
