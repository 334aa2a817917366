"""SHA-256 of every finished file of a run, in the form of ``sha256sum -c``.

Files are hashed once, when they are new. A file that is replaced on purpose is forgotten first; so a crash in between
leaves a file without a line, which the next refresh adds, and damage is never hashed over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from headgate.errors import StoreError
from headgate.store.disk import naming, replace_bytes
from headgate.store.layout import RunFolder

_LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$")


def listed_files(run: RunFolder) -> list[Path]:
    """Return the finished files: manifest, items, parts, scores and what evaluators asked."""
    single = [path for path in (run.manifest, run.items) if path.is_file()]
    return single + run.parts() + run.score_files() + run.evaluator_files()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with naming(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(run: RunFolder) -> dict[str, str]:
    """Return the recorded sums by path relative to the run, with forward slashes; none if the file is not there.

    Raises
    ------
    StoreError
        If a line is not one of ``sha256sum``.
    """
    if not run.sums.exists():
        return {}
    with naming(run.sums, "read"):
        lines = run.sums.read_text(errors="replace").splitlines()
    found = [_LINE.match(line) for line in lines]
    for number, match in enumerate(found, 1):
        if match is None:
            raise StoreError(f"{run.sums}:{number}: is not a line of sha256sum; remove the file and run again")
    return {match[2]: match[1] for match in found if match}


def refresh(run: RunFolder) -> None:
    """Add the files that have no line yet, drop the lines of files that are gone, leave all others as they are."""
    old = read_sums(run)
    names = {path: path.relative_to(run.path).as_posix() for path in listed_files(run)}
    _write(run, old, {name: old.get(name) or sha256(path) for path, name in names.items()})


def forget(run: RunFolder, files: Iterable[Path]) -> None:
    """Drop the lines of files that are about to be replaced."""
    old = read_sums(run)
    gone = {path.relative_to(run.path).as_posix() for path in files}
    _write(run, old, {name: value for name, value in old.items() if name not in gone})


def write_sums(run: RunFolder, sums: Mapping[str, str]) -> None:
    """Record these sums, by path relative to the run, and no others."""
    lines = [f"{value}  {name}\n" for name, value in sorted(sums.items())]
    with naming(run.sums, "write"):
        replace_bytes(run.sums, "".join(lines).encode())


def _write(run: RunFolder, old: dict[str, str], new: dict[str, str]) -> None:
    if new != old:
        write_sums(run, new)
