"""Where traffic lies: a file, a folder, a pattern, or a bucket."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from headgate.errors import ConfigError, StoreError

_KNOWN: Final = re.compile(r"\.(jsonl|ndjson|json|log|parquet)(\.\d+)?$")
_URL: Final = re.compile(r"^[a-z][a-z0-9+.-]*://")


class File(msgspec.Struct, frozen=True):
    """A file as it is now; ``version`` changes when it is replaced, or grows."""

    name: str
    size: int
    version: str


class Storage(Protocol):
    """What holds files of traffic."""

    def files(self) -> list[File]:
        """Return the files that are there, by name; none is fine."""
        ...

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes of a file, fewer at its end."""
        ...


class LocalFiles:
    """A file, the files of a folder and its folders, or those that a pattern names.

    Examples
    --------
    >>> LocalFiles("/nowhere/*.jsonl").files()
    []
    """

    def __init__(self, location: str) -> None:
        self.location = location

    def files(self) -> list[File]:
        """Return the files that are there; temporary and hidden ones are left out where a folder is given."""
        found: list[File] = []
        for path in self._paths():
            try:
                stat = path.stat()
            except OSError:  # it has just been removed or renamed
                continue
            found.append(File(str(path), stat.st_size, f"{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"))
        return sorted(found, key=lambda file: file.name)

    def _paths(self) -> list[Path]:
        path = Path(self.location)
        if path.is_dir():
            inner = (file for file in path.rglob("*") if _KNOWN.search(file.name) and file.is_file())
            return [file for file in inner if not any(part[:1] == "." for part in file.relative_to(path).parts)]
        if path.exists():
            return [path]
        return [file for name in glob.glob(self.location, recursive=True) if (file := Path(name)).is_file()]  # noqa: PTH207  # an absolute pattern

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes of a file.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        try:
            with Path(name).open("rb") as file:
                file.seek(start)
                return file.read(stop - start)
        except OSError as error:
            raise StoreError(f"{name}: cannot read: {error.strerror}") from error


class BucketFiles:
    """The objects under a URL such as ``s3://bucket/prefix``; credentials are those of the environment.

    Raises
    ------
    ConfigError
        If there is no such kind of URL.
    """

    def __init__(self, url: str) -> None:
        import obstore  # noqa: PLC0415
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import from_url  # noqa: PLC0415

        self.url, self._obstore, self._error = url, obstore, BaseError
        try:
            self._store: Any = from_url(url)
        except (BaseError, ValueError) as error:
            raise ConfigError(f"cannot be opened: {_short(error)}", field="traffic", value=url) from error

    def files(self) -> list[File]:
        """Return the objects of the formats that are read here.

        Raises
        ------
        StoreError
            If the bucket does not answer.
        """
        try:
            listed = [entry for batch in self._obstore.list(self._store) for entry in batch]
        except (self._error, OSError) as error:
            raise StoreError(f"{self.url}: cannot list: {_short(error)}") from error
        found = [File(e["path"], e["size"], str(e.get("e_tag") or e["last_modified"])) for e in listed]
        return sorted((file for file in found if _KNOWN.search(file.name)), key=lambda file: file.name)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes of an object.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        try:
            return bytes(self._obstore.get_range(self._store, name, start=start, end=stop))
        except (self._error, OSError) as error:
            raise StoreError(f"{self.url}/{name}: cannot read: {_short(error)}") from error


def open_storage(location: str) -> Storage:
    """Return the files of a path, pattern or URL.

    Raises
    ------
    ConfigError
        If it is a URL that cannot be opened.
    """
    return BucketFiles(location) if _URL.match(location) else LocalFiles(location)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
