"""Whether a run directory is whole: every file against its checksum, its schema, its manifest and the others."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import StoreError
from headgate.store import checksums
from headgate.store.index import JobKeys, repeated, source_keys
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest
from headgate.store.part import RESTORE, first_line, footer, open_part
from headgate.store.schema import RESULTS, SCHEMA_VERSION, SCORES
from headgate.store.seal import sealing_of
from headgate.store.segment import inspect_segment

_COPY: Final = "restore it from a copy of the run"
_RESUME: Final = "run the same command again to resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it should be.

    Attributes
    ----------
    file : Path
        Where.
    problem : str
        What.
    mend : str
        What to do.
    unfinished : bool
        The run is only not finished; nothing is damaged.
    """

    file: Path
    problem: str
    mend: str
    unfinished: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.mend}"


def verify(path: Path) -> list[Problem]:
    """Check every file of a run.

    Parameters
    ----------
    path : Path
        The run directory.

    Returns
    -------
    list of Problem
        Empty for a finished run that is whole.

    Raises
    ------
    ConfigError
        If the folder is no run.

    Notes
    -----
    Reads all data once, one row group at a time; 48 bytes of memory per row.
    """
    run = RunFolder(path)
    try:
        manifest = read_manifest(run.manifest)
    except StoreError as error:
        return [Problem(file=run.manifest, problem=str(error), mend=_COPY)]
    checks: list[Callable[[RunFolder, Manifest], Iterator[Problem]]] = [
        _check_sums, _check_files, _check_items, _check_journal, _check_outputs, _check_strays, _check_jobs,
    ]  # fmt: skip
    found = [problem for check in checks for problem in check(run, manifest)]
    found += [problem for judged in run.judge_runs() for problem in verify(judged.path)]
    return list(dict.fromkeys(found))


def _check_sums(run: RunFolder, _: Manifest) -> Iterator[Problem]:
    try:
        sums = checksums.read_sums(run)
    except StoreError as error:
        yield Problem(file=run.sums, problem=str(error), mend=_COPY)
        return
    for file in checksums.listed_files(run):
        expected = sums.pop(file.relative_to(run.path).as_posix(), None)
        if expected is None:
            yield Problem(file=file, problem="has no line in SHA256SUMS", mend=_RESUME, unfinished=True)
        elif checksums.sha256(file) != expected:
            yield Problem(file=file, problem="differs from its checksum in SHA256SUMS", mend=RESTORE)
    for name in sums:
        yield Problem(file=run.path / name, problem="is listed in SHA256SUMS and is not there", mend=RESTORE)


def _check_files(run: RunFolder, manifest: Manifest) -> Iterator[Problem]:
    for file in run.parts():
        yield from _check_parquet(file, RESULTS, manifest)
    for file in run.evaluator_files():
        yield from _check_parquet(file, RESULTS, manifest)
    for file in run.score_files():
        yield from _check_parquet(file, SCORES, manifest)


def _check_parquet(path: Path, schema: pa.Schema, manifest: Manifest) -> Iterator[Problem]:
    try:
        file = open_part(path)
        for group in range(file.num_row_groups):
            file.read_row_group(group)
    except (StoreError, pa.ArrowException, OSError) as error:
        yield Problem(file=path, problem=f"cannot be read: {first_line(error)}", mend=RESTORE)
        return
    facts = footer(file)
    if facts.get("headgate.schema", "") not in map(str, range(1, SCHEMA_VERSION + 1)):
        yield Problem(file=path, problem=f"its footer names schema {facts.get('headgate.schema')!r}", mend=RESTORE)
    if facts.get("headgate.plan") != manifest.plan.digest:
        plan = facts.get("headgate.plan")
        yield Problem(file=path, problem=f"belongs to another plan ({plan!r})", mend="move it away")
    yield from _check_columns(path, file.schema_arrow, schema)


def _check_columns(path: Path, found: pa.Schema, schema: pa.Schema) -> Iterator[Problem]:
    for field in schema:
        if field.name not in found.names:
            if not field.nullable:
                yield Problem(file=path, problem=f"column {field.name!r} is missing", mend=RESTORE)
        elif found.field(field.name).type != field.type:
            kind = found.field(field.name).type
            yield Problem(file=path, problem=f"column {field.name!r} is {kind}, not {field.type}", mend=RESTORE)


def _check_items(run: RunFolder, manifest: Manifest) -> Iterator[Problem]:
    expected = manifest.plan.items.n_items
    try:
        rows = pq.read_metadata(run.items).num_rows
    except (pa.ArrowException, OSError) as error:
        yield Problem(file=run.items, problem=f"cannot be read: {first_line(error)}", mend=_COPY)
        return
    if rows != expected:
        yield Problem(file=run.items, problem=f"has {rows} items, the manifest says {expected}", mend=RESTORE)


def _check_journal(run: RunFolder, _: Manifest) -> Iterator[Problem]:
    for segment in run.segments():
        try:
            state = inspect_segment(segment)
        except StoreError as error:
            yield Problem(file=segment, problem=str(error), mend=_RESUME)
            continue
        if state.torn:
            mend = f"if no process writes to the run, {_RESUME}: these rows are kept, lost ones are run again"
            yield Problem(file=segment, problem=f"is torn after {state.rows} rows", mend=mend, unfinished=True)
        else:
            problem = f"holds {state.rows} rows that are not in a part yet"
            yield Problem(file=segment, problem=problem, mend=_RESUME, unfinished=True)


def _check_outputs(run: RunFolder, manifest: Manifest) -> Iterator[Problem]:
    if manifest.outputs == "keep":
        return
    for part in run.parts():
        try:
            sealed = sealing_of(part)
        except StoreError:
            continue  # reported as unreadable already
        if sealed is None:
            problem = f"holds outputs, and the suite says {manifest.outputs}"
            yield Problem(file=part, problem=problem, mend=_RESUME, unfinished=True)


def _check_strays(run: RunFolder, _: Manifest) -> Iterator[Problem]:
    expected = {*run.parts(), *run.score_files(), *run.segments(), run.lock}
    for folder in (run.results, run.scores, run.journal):
        for file in sorted(folder.glob("*")):
            if file not in expected:
                yield Problem(file=file, problem="does not belong here", mend="move it away; nothing reads it")


def _check_jobs(run: RunFolder, manifest: Manifest) -> Iterator[Problem]:
    try:
        keys = np.concatenate([np.empty(0, "S16"), *(source_keys(source) for source in run.sources())])
    except StoreError:
        return  # reported as unreadable already
    twice = repeated(keys)
    if len(twice) and not run.segments():
        first = twice[:1].tobytes().hex()
        yield Problem(file=run.results, problem=f"{len(twice)} jobs have two rows, such as {first}", mend=_RESUME)
    jobs = np.unique(keys)
    planned = manifest.n_jobs
    if len(jobs) > planned:
        whole = "the plan" if manifest.shard is None else f"shard {manifest.shard}"
        problem = f"has {len(jobs)} jobs, {whole} {planned}"
        yield Problem(file=run.results, problem=problem, mend="move parts of other runs away")
    elif len(jobs) < planned:
        mend = f"{_RESUME} (after --limit or a check, a part of the plan is all there is)"
        yield Problem(file=run.results, problem=f"has {len(jobs)} of {planned} jobs", mend=mend, unfinished=True)
    yield from _check_scored(run, jobs)


def _check_scored(run: RunFolder, jobs: JobKeys) -> Iterator[Problem]:
    for file in run.score_files():
        try:
            unknown = np.setdiff1d(source_keys(file), jobs)
        except StoreError:
            continue  # reported as unreadable already
        if len(unknown):
            problem = f"scores {len(unknown)} jobs that have no result, such as {unknown[:1].tobytes().hex()}"
            yield Problem(file=file, problem=problem, mend="score the run again")
