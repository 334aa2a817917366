"""Whether runs are the shards of one whole: one plan, each shard once, nothing missing, nothing damaged."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from headgate.errors import ConfigError, PlanMismatch, StoreError
from headgate.plan import cell_key, differing_keys, make_job_id
from headgate.shard import Shard
from headgate.store.index import JobKeys, done_keys
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, PlanFacts, differences, read_manifest
from headgate.store.part import RESTORE
from headgate.store.run import unscored_files
from headgate.store.verify import verify
from headgate.suite.items import ItemFile

_JUDGED: Final = ("scorers", "compare", "gates", "policy", "store")
"""What of a suite decides the verdict, and what is kept; limits, addresses and deadlines may differ by machine."""
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class ShardRun:
    """A run of one shard."""

    files: RunFolder
    manifest: Manifest
    shard: Shard

    def __str__(self) -> str:
        return f"shard {self.shard} ({self.files.path})"

    @property
    def resume(self) -> str:
        """The command that goes on with it."""
        return f"headgate run SUITE --shard {self.shard} --out {shlex.quote(str(self.files.path))}"


def read_shards(paths: Iterable[Path]) -> list[ShardRun]:
    """Read the manifests of shards and check that they belong together.

    Returns
    -------
    list of ShardRun
        In the order of their shards; some may be missing.

    Raises
    ------
    ConfigError
        If one is no shard, the counts differ, or a shard is there twice.
    PlanMismatch
        If they are of different plans, or of suites that judge differently.
    """
    first, *others = [_read_shard(path) for path in paths]
    known = {first.shard.index: first}
    for other in others:
        _check_alike(first, other)
        twin = known.setdefault(other.shard.index, other)
        if twin is not other:
            problem = f"is shard {other.shard}, and so is {twin.files.path}"
            raise ConfigError(problem, file=other.files.path, mend="merge each shard once")
    return [known[index] for index in sorted(known)]


def check_whole(shards: Sequence[ShardRun]) -> None:
    """Check that shards are all there is to run, all of it scored, and undamaged.

    Raises
    ------
    StoreError
        If a shard is missing or lacks jobs or scores (the message names them all), holds jobs that are not its own, or
        a file is damaged.

    Notes
    -----
    Reads every file once, one row group at a time, and the job ids of one shard: 48 bytes of memory per row of it.
    """
    items = _digests(shards[0])
    lines = [*_missing(shards), *(line for shard in shards for line in _lacking(shard, items))]
    if lines := lines or list(_unlike_scores(shards)):
        raise StoreError("the shards are not complete:" + "".join(f"\n  {line}" for line in lines))
    for shard in shards:
        for problem in verify(shard.files.path):
            raise StoreError(str(problem))


def _read_shard(path: Path) -> ShardRun:
    files = RunFolder(path)
    manifest = read_manifest(files.manifest)
    if manifest.shard is None:
        raise ConfigError("is no shard of a run", file=path, mend="merge what was run with --shard i/n")
    return ShardRun(files, manifest, manifest.shard)


def _check_alike(first: ShardRun, other: ShardRun) -> None:
    plan = differences(first.manifest.plan, other.manifest.plan)
    judged = differing_keys(*({key: run.manifest.suite.get(key) for key in _JUDGED} for run in (first, other)))
    if plan or judged:
        what = "plan" if plan else "suite"
        raise PlanMismatch(
            f"is a shard of another {what} than {first.files.path}: {', '.join(plan or judged)} differ",
            keys=plan or judged,
            file=other.files.path,
            mend=f"merge shards of one {what}",
        )
    if other.shard.count != first.shard.count:
        problem = f"is shard {other.shard}, and {first.files.path} is shard {first.shard}"
        raise ConfigError(problem, file=other.files.path, mend="merge shards of one count")


def _digests(shard: ShardRun) -> bytes:
    items = ItemFile(shard.files.items)
    if items.digest != shard.manifest.plan.items.digest:
        raise StoreError(f"{items.path}: its items are not those of the manifest; restore it from a copy of the run")
    return items.digests


def _missing(shards: Sequence[ShardRun]) -> Iterator[str]:
    count, there = shards[0].shard.count, {shard.shard.index for shard in shards}
    absent = [str(Shard(index, count)) for index in range(1, count + 1) if index not in there]
    if absent:
        more = "" if len(absent) <= _SHOWN else f" and {len(absent) - _SHOWN} more"
        names = ", ".join(absent[:_SHOWN]) + more
        yield f"shard {names} is missing" if len(absent) == 1 else f"shards {names} are missing"


def _lacking(shard: ShardRun, items: bytes) -> Iterator[str]:
    planned = _planned(shard.manifest.plan, items, shard.shard)
    found = done_keys(shard.files.sources())
    foreign = np.setdiff1d(found, planned, assume_unique=True)
    if len(foreign):
        problem = f"holds {len(foreign):,} jobs of other shards, such as {foreign[:1].tobytes().hex()}"
        raise StoreError(f"{shard.files.results}: {problem}; {RESTORE}")
    if len(found) < len(planned):
        yield f"{shard} lacks {len(planned) - len(found):,} of {len(planned):,} jobs; resume it: {shard.resume}"
    elif shard.files.journal.is_dir() and any(shard.files.journal.iterdir()):
        yield f"{shard} is still being written, or its end was lost; wait for it, or resume it: {shard.resume}"
    else:
        yield from _unscored(shard)


def _planned(plan: PlanFacts, items: bytes, shard: Shard) -> JobKeys:
    """Return the keys of all jobs of a shard, sorted."""
    cells = [
        cell_key(prompt.digest, model.digest, seed)
        for prompt in plan.prompts.values()
        for model in plan.models.values()
        for seed in range(plan.first_seed, plan.first_seed + plan.seeds)
    ]
    starts = range(0, len(items), 16)[shard.items]
    ids = (make_job_id(items[start : start + 16], cell) for start in starts for cell in cells)
    return np.sort(np.fromiter(ids, "S16", count=len(starts) * len(cells)))


def _unscored(shard: ShardRun) -> Iterator[str]:
    """Name the scores that were not computed again after the last jobs ran."""
    for file, rows, answers in unscored_files(shard.files):
        again = f"headgate score {shlex.quote(str(shard.files.path))}"
        yield f"{shard} has {rows:,} scores {file.stem} for {answers:,} answers; score it again: {again}"


def _unlike_scores(shards: Sequence[ShardRun]) -> Iterator[str]:
    """Name the scorers that not all shards have in one version."""
    where: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for shard in shards:
        for file in shard.files.score_files():
            scorer, _, version = file.stem.rpartition("@")
            where[scorer][version].append(str(shard.shard))
    for scorer, versions in where.items():
        if len(versions) > 1 or len(*versions.values()) < len(shards):
            listed = "; ".join(f"version {version} in {', '.join(names)}" for version, names in versions.items())
            mend = "score all by one suite: headgate score RUN --suite SUITE"
            yield f"not all shards have the same scores of {scorer!r} ({listed}); {mend}"
