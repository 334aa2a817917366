"""What a place must be able to do to keep baselines: bundles of files that appear whole, once, and never change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

FACTS: Final = "entry.json"
"""The file that every bundle has; where it can be read, all others can."""

DEPTH: Final = 3
"""A bundle's name has three parts, such as ``entries/KEY/ID``."""

CHUNK: Final = 4 * 2**20


class Bundles(Protocol):
    """A place for bundles; there is no way to change one or to take one back.

    All methods raise :class:`~headgate.errors.StoreError`, naming the place and the file, if it refuses or a file is
    not there.
    """

    @property
    def address(self) -> str:
        """Where it is, without secrets."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the bundles in a folder, such as ``names/main``, sorted."""
        ...

    def create(self, name: str, files: Mapping[str, Path | bytes], *, created: str) -> bool:
        """Make a bundle, durable when the call returns; False, with nothing changed, if there is one of that name.

        Parameters
        ----------
        files : mapping
            File name inside the bundle to a file to copy, or its content; :data:`FACTS` is one of them.
        created : str
            ISO 8601; the date that the place shows, where it can.
        """
        ...

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """Yield the content of a file of a bundle in pieces."""
        ...

    def folder(self, name: str) -> Path | None:
        """Return where a bundle lies as plain files; None where it does not."""
        ...
