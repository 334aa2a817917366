"""Finished runs to be stored as baselines, and places to store them in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from obstore.store import LocalStore, MemoryStore

from headgate.conduct.baselines import describe_run
from headgate.shard import WHOLE
from headgate.store.baselines.bundles import Bundles
from headgate.store.baselines.directory import Directory
from headgate.store.baselines.entry import Baseline
from headgate.store.baselines.git import GitRefs
from headgate.store.baselines.objects import Objects, open_objects
from headgate.store.layout import RunFolder
from headgate.store.manifest import make_manifest
from headgate.store.run import RunStore
from store_rows import fill, make_plan, make_suite, plan_results, scores_of

PLACES = ("directory", "work tree", "bare", "memory", "local", "s3")
BUCKET = "baselines"


def finished_run(folder: Path, *, errors: int = 0, shard: Any = None, **changes: Any) -> Path:
    """Write a finished, scored run of ten items' jobs; its first rows may be errors."""
    suite = make_suite(**changes)
    plan = make_plan(folder, suite)
    manifest = make_manifest(suite, plan, scorers={"correct": "1"}, argv=["headgate", "run"], shard=shard)
    marks = (shard or WHOLE).mark_jobs(len(plan.items), cells=len(plan.cells))
    rows = [row for row, ours in zip(plan_results(plan), marks, strict=True) if ours]
    failed = {"status": "error", "error_kind": "timeout", "output": None}
    with RunStore.create(folder, manifest) as store:
        fill(store, [replace(row, **failed) for row in rows[:errors]] + rows[errors:])
        store.compact()
        store.write_scores(scores_of(folder), scorer="correct", version="1")
    return folder


def described(run: Path) -> tuple[RunFolder, Baseline]:
    return RunFolder(run), describe_run(RunFolder(run))


def git(folder: Path, *words: str, **options: Any) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, **options)
    return done.stdout


def repository(folder: Path, *options: str) -> Path:
    """A repository with one commit on `main`, where it has a work tree."""
    subprocess.run(["git", "init", "--quiet", "-b", "main", *options, str(folder)], check=True)
    if "--bare" not in options:
        (folder / "a.txt").write_text("a")
        git(folder, "add", "a.txt")
        who = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
        git(folder, *who, "commit", "--quiet", "-m", "first")
    return folder


def make_place(kind: str, folder: Path) -> Bundles:
    """Open an empty place for bundles; `s3` is asked for where the environment names it."""
    if kind == "directory":
        return Directory(folder / "place")
    if kind in {"work tree", "bare"}:
        return GitRefs(repository(folder / "place", *(["--bare"] if kind == "bare" else [])))
    if kind == "memory":
        return Objects(MemoryStore(), address="memory:///")
    if kind == "local":
        (folder / "place").mkdir()
        return Objects(LocalStore(folder / "place"), address="file:///place")
    return open_objects(f"s3://{BUCKET}/{folder.name}")
