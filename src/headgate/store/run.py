"""One run directory, opened for writing by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from headgate.errors import ConfigError, StoreError
from headgate.result import Result
from headgate.store import checksums
from headgate.store.columns import make_mask
from headgate.store.compact import compact
from headgate.store.disk import FileLock, make_folder, naming, sync_path
from headgate.store.index import JobKeys, contains, done_keys, read_columns, source_keys, superseded
from headgate.store.journal import JournalLimits, JournalWriter
from headgate.store.layout import RunFolder, generation_of
from headgate.store.manifest import Manifest, read_manifest, write_manifest
from headgate.store.part import open_part, read_batches, write_part
from headgate.store.schema import to_batch
from headgate.store.scores import score_path, write_scores, writing_scores
from headgate.store.seal import open_parts, seal

_BATCH_ROWS: Final = 8192


class RunStore:
    """The writer's view of a run directory: it holds the lock from the start to :meth:`close`.

    Use :meth:`create` for a new run and :meth:`open` to resume one. To read, see :mod:`headgate.store.dataset`.

    Attributes
    ----------
    files : RunFolder
        Its paths.
    manifest : Manifest
        Its facts.
    generation : int
        Which start of the run this is, from 1.

    Raises
    ------
    StoreLocked
        If another process has the run open; the message names its pid.
    StoreError
        If the disk refuses, or a file is damaged.
    """

    def __init__(self, files: RunFolder, *, manifest: Manifest, lock: FileLock) -> None:
        self.files, self.manifest, self._lock = files, manifest, lock
        self._writer: JournalWriter | None = None
        self.generation = 1 + max((generation_of(file) for file in [*files.parts(), *files.segments()]), default=0)

    @classmethod
    def create(cls, path: str | os.PathLike[str], manifest: Manifest, *, lock: FileLock | None = None) -> Self:
        """Make a new run in a folder that holds none; ``items.parquet`` may already lie there.

        Parameters
        ----------
        lock : FileLock, optional
            The lock of the run, if the caller has taken it with :func:`lock_run`.
        """
        files = RunFolder(Path(path))
        lock = lock or lock_run(files)
        try:
            _refuse_results(files)
            _keep_items(files)
            write_manifest(files.manifest, manifest)
            checksums.refresh(files)
        except BaseException:
            unlock_run(files, lock)
            raise
        return cls(files, manifest=manifest, lock=lock)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, lock: FileLock | None = None) -> Self:
        """Open an existing run; what earlier generations left in the journal is compacted first.

        Parameters
        ----------
        lock : FileLock, optional
            As for :meth:`create`.

        Raises
        ------
        ConfigError
            If the folder is no run.
        """
        files = RunFolder(Path(path))
        manifest = read_manifest(files.manifest)
        lock = lock or lock_run(files)
        try:
            store = cls(files, manifest=manifest, lock=lock)
            store.compact()
        except BaseException:
            unlock_run(files, lock)
            raise
        return store

    def done_job_ids(self, *, retry_errors: bool = False) -> JobKeys:
        """Return the jobs that need not run: those whose row can be read back.

        Parameters
        ----------
        retry_errors : bool
            Errored jobs count as not done.

        Returns
        -------
        numpy S16 array
            Sorted 16-byte keys, 16 bytes per job; ask :func:`headgate.store.index.contains`.
        """
        return done_keys(self.files.sources(), retry_errors=retry_errors)

    def writer(
        self,
        *,
        on_commit: Callable[[list[Result]], object] | None = None,
        limits: JournalLimits | None = None,
    ) -> JournalWriter:
        """Start the journal of this generation; one at a time."""
        if self._writer is not None and not self._writer.closed:
            raise StoreError(f"{self.files.path}: the journal is open already")
        shard = 0 if self.manifest.shard is None else self.manifest.shard.index
        self._writer = JournalWriter(
            self.files.journal, generation=self.generation, shard=shard, on_commit=on_commit, limits=limits
        )
        return self._writer

    def compact(self) -> None:
        """Turn sealed segments into parts, keep one row per job, and renew the checksums."""
        live = None if self._writer is None else self._writer.segment
        compact(self.files, plan=self.manifest.plan.digest, live=live)

    def write_scores(self, frame: Any, *, scorer: str, version: str) -> Path:
        """Write the scores of one scorer; see :func:`headgate.store.scores.write_scores`."""
        return write_scores(self.files, frame, scorer=scorer, version=version, **self._score_facts)

    def writing_scores(self, *, scorer: str, version: str) -> AbstractContextManager[Callable[[Any], None]]:
        """Take the scores of one scorer table by table; see :func:`headgate.store.scores.writing_scores`."""
        return writing_scores(self.files, scorer=scorer, version=version, **self._score_facts)

    @property
    def _score_facts(self) -> dict[str, Any]:
        return {"plan": self.manifest.plan.digest, "explained": self.manifest.outputs == "keep"}

    def write_evaluator_rows(self, rows: Sequence[Result]) -> None:
        """Write what evaluators asked of models, in a file of its own: none is ever replaced, as all of it was paid."""
        shard = 0 if self.manifest.shard is None else self.manifest.shard.index
        path = self.files.evaluators / f"{shard:04d}-{len(self.files.evaluator_files()) + 1:06d}.parquet"
        write_part(path, [to_batch(rows)], plan=self.manifest.plan.digest, ordered=False)

    def refresh_checksums(self) -> None:
        """Record the checksums of files that are new."""
        checksums.refresh(self.files)

    def results(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield some columns of all results that are not sealed, as Arrow record batches of a few thousand rows.

        No journal may be open.
        """
        for part in open_parts(self.files):
            yield from read_batches(part, columns, rows=_BATCH_ROWS)

    @property
    def is_sealed(self) -> bool:
        """Whether outputs of this run, or of some of its jobs, are gone but for a hash."""
        return len(open_parts(self.files)) < len(self.files.parts())

    def seal(self) -> None:
        """Keep of the outputs what the suite says, once they are scored; see :mod:`headgate.store.seal`."""
        if self.manifest.outputs != "keep":
            seal(self.files, self.manifest.outputs, plan=self.manifest.plan.digest)

    def sealed_scores(self, *, scorer: str, version: str) -> Iterator[Any]:
        """Yield the stored scores of sealed results, which cannot be computed again, as Arrow record batches.

        Raises
        ------
        ConfigError
            If there are none of this scorer in this version.
        """
        if not self.is_sealed:
            return
        path = score_path(self.files, scorer=scorer, version=version)
        if not path.exists():
            raise ConfigError(
                f"its outputs were not kept, and it has no scores of {scorer!r} as declared now",
                file=self.files.path,
                mend="restore the scorer as it was, or run the suite again into another --out",
            )
        keys = [source_keys(part) for part in open_parts(self.files)]
        again = np.sort(np.concatenate([np.empty(0, "S16"), *keys]))
        for batch in read_batches(path, rows=_BATCH_ROWS):
            yield batch.filter(make_mask(~contains(again, batch.column("job_id").to_pylist())))

    def counts(self) -> dict[str, int]:
        """Return the number of jobs by status."""
        return count_statuses(self.files)

    def close(self) -> None:
        """Seal the journal if it is open, and let others in; a second call does nothing."""
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            unlock_run(self.files, self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def count_statuses(files: RunFolder) -> dict[str, int]:
    """Return the number of jobs by status, one row per job."""
    counts: dict[str, int] = {"ok": 0, "error": 0, "refused": 0}
    sources = files.sources()
    repeats = superseded(sources) if files.segments() else [np.empty(0, np.int64) for _ in sources]
    for source, lost in zip(sources, repeats, strict=True):
        status = read_columns(source, ["status"])["status"]
        kept = np.ones(len(status), np.bool_)
        kept[lost] = False
        for pair in status.filter(make_mask(kept)).value_counts().to_pylist():
            counts[pair["values"]] += pair["counts"]
    return counts


def unscored_files(files: RunFolder) -> Iterator[tuple[Path, int, int]]:
    """Yield the score files that were not computed again after the last jobs ran: file, its scores, the answers."""
    counts = count_statuses(files)
    answers = counts["ok"] + counts["refused"]
    for file in files.score_files():
        rows = open_part(file).metadata.num_rows
        if rows != answers:
            yield file, rows, answers


def lock_run(files: RunFolder) -> FileLock:
    """Keep every other writer out of a run directory, which is made if need be; undone by :func:`unlock_run`."""
    with naming(files.path, "open the run"):
        make_folder(files.journal)
        return FileLock(files.lock)


def _refuse_results(files: RunFolder) -> None:
    if not files.manifest.exists() and files.sources():
        raise StoreError(f"{files.path}: holds results but no manifest.json; use another folder")


def _keep_items(files: RunFolder) -> None:
    """Make the items durable before the manifest says that they are there."""
    if files.items.exists():
        with naming(files.items, "write"):
            sync_path(files.items)
            sync_path(files.path)


def unlock_run(files: RunFolder, lock: FileLock) -> None:
    """Give up the lock; a journal that is empty then goes. A second call does nothing."""
    lock.release()
    if files.journal.is_dir() and not any(files.journal.iterdir()):
        try:
            files.journal.rmdir()
        except OSError:
            return  # another process has just come in
