"""Bundles in a directory: a disk, a CI cache, or the folder of an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from headgate.store.baselines.bundles import CHUNK, DEPTH, FACTS
from headgate.store.disk import make_folder, naming, staging, sync_path

_STAGED: Final = ".new"


class Directory:
    """Each bundle is a folder, renamed into its place once it is whole and on the disk.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Directory(Path(folder))
    ...     files = {"entry.json": b"{}"}
    ...     [place.create("names/main/00000001", files, created="2026-01-01") for _ in range(2)], place.names("names")
    ([True, False], ['names/main/00000001'])
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def address(self) -> str:
        """The path."""
        return str(self.path)

    def names(self, folder: str) -> list[str]:
        """Return the names of the bundles in a folder."""
        deeper = "/*" * (DEPTH - len(folder.split("/")))
        with naming(self.path, "read"):
            found = self.path.glob(f"{folder}{deeper}/{FACTS}")
            return sorted(file.parent.relative_to(self.path).as_posix() for file in found)

    def create(self, name: str, files: Mapping[str, Path | bytes], *, created: str) -> bool:  # noqa: ARG002 - the disk dates it
        """Make a bundle."""
        target = self.path / name
        with naming(target, "write"):
            if (target / FACTS).exists():
                return False
            with staging(self.path / _STAGED) as folder:
                for file, source in files.items():
                    _write(folder / file, source)
                sync_path(folder)
                make_folder(target.parent)
                try:
                    folder.rename(target)
                except OSError:
                    if not (target / FACTS).exists():
                        raise
                    return False  # another process was first
            sync_path(target.parent)
        return True

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        path = self.path / name / file
        with naming(path, "read"), path.open("rb") as opened:
            while piece := opened.read(CHUNK):
                yield piece

    def folder(self, name: str) -> Path | None:
        """Return the bundle's own folder."""
        return self.path / name


def _write(path: Path, source: Path | bytes) -> None:
    make_folder(path.parent)
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    sync_path(path)
    sync_path(path.parent)
