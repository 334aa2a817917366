"""Merging: the finished shards of one plan become one run, their parts as they are.

The shards are only read. The new run is made in a hidden folder beside its place and renamed when it is whole and on
the disk: a merge that is killed leaves no run behind, and the next one clears what it left.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from msgspec.structs import replace

from headgate.errors import ConfigError, StoreLocked
from headgate.prices import ModelPrice
from headgate.store import checksums
from headgate.store.disk import TEMPORARY, make_folder, naming, sync_path
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, new_run_id, way_to, write_manifest
from headgate.store.part import ROW_GROUP_ROWS, read_batches, write_part
from headgate.store.provenance import ci_url, hide_secrets
from headgate.store.schema import SCORES, conform
from headgate.store.shards import ShardRun, check_whole, read_shards


def merge_shards(paths: Iterable[Path], out: Path) -> Manifest:
    """Make one run of the finished shards of a plan.

    Parameters
    ----------
    paths : iterable of Path
        Run directories, in any order; they stay as they are.
    out : Path
        The new run directory; it must not be there, or be empty.

    Returns
    -------
    Manifest
        Of the new run.

    Raises
    ------
    ConfigError
        If ``out`` holds something, or the runs are not shards of one plan, each once.
    StoreError
        If a shard is missing, not finished or damaged, or the disk refuses.

    Notes
    -----
    Parts are hard links where the disk allows it, else copies, with the checksums that they had. No row is written
    again but those of the scores, which are streamed into one file per scorer.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("is there already", file=out, field="--out", mend="choose another, or remove it")
    shards = read_shards(paths)
    check_whole(shards)
    manifest = _describe(shards, out)
    with naming(out, "merge"), _appearing(Path(os.path.abspath(out))) as files:  # noqa: PTH100 - symlinks stay
        _link_files(shards, files)
        _join_scores(shards, files)
        _link_judges(shards, files)
        write_manifest(files.manifest, manifest)
        checksums.refresh(files)
    return manifest


@contextlib.contextmanager
def _appearing(path: Path) -> Generator[RunFolder]:
    """Yield a hidden folder that becomes ``path``, durably and at once, when the block ends well."""
    hidden = path.with_name(f".{path.name}.merge{TEMPORARY}")
    make_folder(hidden)
    handle = os.open(hidden, os.O_RDONLY)
    try:
        _lock(handle, path)
        _clear(hidden)
        try:
            yield RunFolder(hidden)
            sync_path(hidden)
            hidden.rename(path)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        sync_path(path.parent)
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    """Keep other merges out; the system lets go of the folder when this process ends, however it ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreLocked(f"{path}: another process merges into it; wait for it or end it") from None


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _describe(shards: Sequence[ShardRun], out: Path) -> Manifest:
    """Return the manifest of the whole: the first shard's, but for what belongs to the merge itself."""
    manifests = [shard.manifest for shard in shards]
    first, now = manifests[0], datetime.now(UTC)
    folder = None if first.suite_folder is None else shards[0].files.path.resolve() / first.suite_folder
    return replace(
        first,
        run_id=new_run_id(now),
        created=now.isoformat(timespec="seconds"),
        git=first.git if all(manifest.git == first.git for manifest in manifests) else None,
        ci_url=ci_url(os.environ),
        argv=hide_secrets(sys.argv),
        shard=None,
        merged=[manifest.run_id for manifest in manifests],
        suite_folder=None if folder is None else way_to(folder, out),
        prices={model: _common(model, manifests) for model in first.prices},
    )


def _common(model: str, manifests: Sequence[Manifest]) -> ModelPrice | None:
    """Return the price that all shards had; None where a model's price has changed from one to the next."""
    prices = [manifest.prices.get(model) for manifest in manifests]
    return prices[0] if len({None if price is None else price.rates for price in prices}) == 1 else None


def _link_files(shards: Sequence[ShardRun], files: RunFolder) -> None:
    """Give the new run the parts of all shards, and the items, with their checksums."""
    sums: dict[str, str] = {}
    make_folder(files.results)
    for shard in shards:
        known = checksums.read_sums(shard.files)
        own = [*shard.files.parts(), *shard.files.evaluator_files()]
        for folder in {source.parent.name for source in own}:
            make_folder(files.path / folder)
        for source in [*own, *([shard.files.items] if shard is shards[0] else [])]:
            name = source.relative_to(shard.files.path).as_posix()
            _link(source, files.path / name)
            sums[name] = known[name]
    for made in filter(Path.exists, (files.results, files.evaluators)):
        sync_path(made)
    checksums.write_sums(files, sums)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        with source.open("rb") as old, target.open("xb") as new:
            shutil.copyfileobj(old, new)
        sync_path(target)


def _link_judges(shards: Sequence[ShardRun], files: RunFolder) -> None:
    """Give the new run what the judges of all shards were asked, each run of a judge as it is."""
    for shard in shards:
        for run in shard.files.judge_runs():
            folder = files.judges / run.path.parent.name / f"{run.path.name}-{shard.shard.index}"
            for source in sorted(path for path in run.path.rglob("*") if path.is_file()):
                target = folder / source.relative_to(run.path)
                make_folder(target.parent)
                _link(source, target)
            for made in (folder, *(path for path in folder.iterdir() if path.is_dir()), folder.parent, files.judges):
                sync_path(made)


def _join_scores(shards: Sequence[ShardRun], files: RunFolder) -> None:
    for file in shards[0].files.score_files():
        batches = _batches(shard.files.scores / file.name for shard in shards)
        write_part(files.scores / file.name, batches, plan=shards[0].manifest.plan.digest, schema=SCORES, ordered=False)


def _batches(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        for batch in read_batches(path, rows=ROW_GROUP_ROWS):
            yield conform(batch, schema=SCORES)
