"""Everything that can be wrong before the first request: prompts, items, scorers, keys, and the run directory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.conduct.scoring import BoundScorer, bind_scorers
from headgate.errors import ConfigError, PlanMismatch
from headgate.execute.endpoint import resolve_key
from headgate.plan import Plan, differing_keys, plan_suite
from headgate.registry.load import load_prompts
from headgate.shard import Shard
from headgate.store.disk import naming
from headgate.store.layout import RunFolder
from headgate.store.manifest import make_manifest
from headgate.store.run import RunStore, lock_run, unlock_run
from headgate.suite.callables import resolve_callable
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.model import Suite

_STAGED = "items.parquet.new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run directory that is open for writing, and all that its jobs need.

    Attributes
    ----------
    calls : dict of str to callable
        Model id to the callable of provider ``python``.
    resumed : bool
        The run had been started before.
    """

    suite: Suite
    plan: Plan
    store: RunStore
    scorers: tuple[BoundScorer, ...]
    calls: dict[str, Callable[..., Any]]
    resumed: bool


@contextmanager
def open_plan(suite: Suite) -> Generator[Plan]:
    """Plan a suite in a folder that is gone when the block ends; no model is asked.

    Raises
    ------
    ConfigError
        If the suite is wrong.
    """
    prompts = load_prompts(suite)
    bind_scorers(suite)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        write_items(read_rows(suite.items, base=suite.base, file=suite.file), prompts, path)
        yield plan_suite(suite, items=ItemFile(path), prompts=prompts)


def prepare(
    suite: Suite,
    out: Path,
    *,
    seeds: int | None = None,
    shard: Shard | None = None,
    argv: Sequence[str] | None = None,
) -> Prepared:
    """Check a suite and open its run directory, new or to be resumed; ``seeds``: in place of the suite's.

    Raises
    ------
    ConfigError
        If anything that the suite names is missing or wrong, or the folder holds something else.
    PlanMismatch
        If the folder holds a run of another plan, or another shard of this one.
    StoreError
        If the disk refuses, or another process writes to the run.
    """
    _check_budget(suite)
    prompts = load_prompts(suite)
    scorers = bind_scorers(suite)
    calls = dict(_resolve_calls(suite))
    for model in suite.models:
        resolve_key(model, base=suite.base, file=suite.file)
    files = RunFolder(out)
    _check_folder(files)
    lock = lock_run(files)  # before anything is written: two commands may start at once
    staged = out / _STAGED
    try:
        with naming(files.items, "write"):
            write_items(read_rows(suite.items, base=suite.base, file=suite.file), prompts, staged)
        plan = plan_suite(suite, items=ItemFile(staged), prompts=prompts, seeds=seeds)
        resumed = files.manifest.exists()
        if resumed:
            store = RunStore.open(out, lock=lock)
            _check_plan(store, plan, shard)
        else:
            staged.replace(files.items)
            plan = plan_suite(suite, items=ItemFile(files.items), prompts=prompts, seeds=seeds)
            versions = {scorer.name: scorer.version for scorer in scorers}
            manifest = make_manifest(suite, plan, scorers=versions, argv=argv, shard=shard)
            store = RunStore.create(out, manifest, lock=lock)
        staged.unlink(missing_ok=True)
    except BaseException:
        staged.unlink(missing_ok=True)
        unlock_run(files, lock)
        if not files.manifest.exists() and not any(out.iterdir()):
            out.rmdir()
        raise
    plan = plan_suite(suite, items=ItemFile(files.items), prompts=prompts, seeds=seeds)
    return Prepared(suite=suite, plan=plan, store=store, scorers=scorers, calls=calls, resumed=resumed)


def _check_budget(suite: Suite) -> None:
    """Refuse a cap that could not be held: nothing prices requests yet."""
    if suite.budget.max_cost_usd is not None:
        raise ConfigError(
            "cannot be held: this version knows no prices",
            file=suite.file,
            line=suite.line("budget", "max_cost_usd"),
            field="budget.max_cost_usd",
            value=suite.budget.max_cost_usd,
            mend="leave it out, and bound the run with `max_minutes` or --limit",
        )


def _check_folder(files: RunFolder) -> None:
    """Refuse to write into a folder that holds something else."""
    if not files.path.exists() or files.manifest.exists():
        return
    if not files.path.is_dir():
        raise ConfigError("is no folder", file=files.path, mend="choose another --out")
    ours = {files.items.name, files.journal.name, _STAGED, _STAGED + ".tmp", "items.parquet.tmp", "manifest.json.tmp"}
    others = sorted(entry.name for entry in files.path.iterdir() if entry.name not in ours)
    if others:
        raise ConfigError(
            f"is no run directory, and holds {', '.join(others[:3])}", file=files.path, mend="choose another --out"
        )


def _check_plan(store: RunStore, plan: Plan, shard: Shard | None) -> None:
    keys = differing_keys(plan.parts, store.manifest.plan.parts)
    stored = store.manifest.shard
    if keys:
        problem = f"holds a run of another plan: {', '.join(keys)} differ"
        mend = "choose another --out, or restore what the run was started with"
    elif shard != stored:
        keys, problem = ("shard",), f"holds {_part(stored)}, not {_part(shard)}: shard differs"
        again = "leave --shard out" if stored is None else f"give --shard {stored}"
        mend = f"choose another --out, or {again} to resume it"
    else:
        return
    store.close()
    raise PlanMismatch(problem, keys=keys, file=store.files.path, mend=mend)


def _part(shard: Shard | None) -> str:
    return "the whole plan" if shard is None else f"shard {shard} of the plan"


def _resolve_calls(suite: Suite) -> Iterator[tuple[str, Callable[..., Any]]]:
    for model in suite.models:
        if model.call is not None:
            field = f"models.{model.id}.call"
            yield model.id, resolve_callable(model.call, base=suite.base, field=field, file=suite.file)
