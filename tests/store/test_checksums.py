import hashlib
import shutil
import subprocess

import pytest

from headgate.errors import StoreError
from headgate.store.checksums import forget, read_sums, refresh, sha256
from headgate.store.layout import RunFolder


@pytest.fixture
def run(tmp_path):
    for folder in ("results", "scores", "journal"):
        (tmp_path / folder).mkdir()
    for name in ("manifest.json", "items.parquet", "results/b.parquet", "results/a.parquet", "scores/s@1.parquet"):
        (tmp_path / name).write_text(name)
    for name in ("verdict.json", "results/a.parquet.tmp", "journal/c.arrows"):
        (tmp_path / name).write_text("changes, and is not listed")
    return RunFolder(tmp_path)


def test_sha256sum_agrees(run):
    refresh(run)
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=run.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "items.parquet: OK", "manifest.json: OK", "results/a.parquet: OK", "results/b.parquet: OK",
        "scores/s@1.parquet: OK",
    ]  # fmt: skip


def test_sums_are_sha256(run):
    assert sha256(run.manifest) == hashlib.sha256(b"manifest.json").hexdigest()


def test_damage_is_not_hashed_over(run):
    refresh(run)
    before = read_sums(run)
    (run.results / "a.parquet").write_text("damaged")
    (run.results / "c.parquet").write_text("new")
    (run.results / "b.parquet").unlink()
    refresh(run)
    after = read_sums(run)
    assert after["results/a.parquet"] == before["results/a.parquet"]
    assert after["results/c.parquet"] == hashlib.sha256(b"new").hexdigest()
    assert "results/b.parquet" not in after


def test_what_is_replaced_on_purpose_is_forgotten_first(run):
    refresh(run)
    forget(run, [run.results / "a.parquet"])
    assert "results/a.parquet" not in read_sums(run)
    (run.results / "a.parquet").write_text("replaced")
    refresh(run)
    assert read_sums(run)["results/a.parquet"] == hashlib.sha256(b"replaced").hexdigest()


def test_nothing_changed_writes_nothing(run):
    refresh(run)
    before = run.sums.stat().st_ino
    refresh(run)
    forget(run, [run.results / "unknown.parquet"])
    assert run.sums.stat().st_ino == before


def test_a_broken_line_is_named(run):
    refresh(run)
    run.sums.write_text(run.sums.read_text() + "nonsense\n")
    with pytest.raises(StoreError, match=r"SHA256SUMS:6: is not a line of sha256sum; remove the file and run again"):
        read_sums(run)


def test_no_file_is_no_sums(run):
    assert read_sums(run) == {}
