"""Bundles in an object store: whatever obstore opens by its URL, with the credentials that the environment holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import HTTPStore, ObjectStore, from_url

from headgate.errors import ConfigError, StoreError
from headgate.store.baselines.bundles import CHUNK, DEPTH, FACTS
from headgate.store.provenance import hide_login

_QUERY: Final = re.compile(r"\?[^\s'\"<>]*")


class Objects:
    """Each bundle is a set of objects; :data:`FACTS` is put last, and only if it is not there yet.

    What a killed writer leaves is not listed, and the same bundle, written again, takes its place.

    Parameters
    ----------
    store : obstore.store.ObjectStore
        Where they are.
    address : str
        Its URL.

    Examples
    --------
    >>> from obstore.store import MemoryStore
    >>> place = Objects(MemoryStore(), address="memory:///")
    >>> files = {"entry.json": b"{}"}
    >>> [place.create("names/main/00000001", files, created="2026-01-01") for _ in range(2)], place.names("names")
    ([True, False], ['names/main/00000001'])
    """

    def __init__(self, store: ObjectStore, *, address: str) -> None:
        self._store, self._address = store, _shown(address)

    @property
    def address(self) -> str:
        """The URL, without a login or a signature."""
        return self._address

    def names(self, folder: str) -> list[str]:
        """Return the names of the bundles in a folder."""
        with self._naming(folder, "list"):
            paths = [found["path"].split("/") for batch in obstore.list(self._store, prefix=folder) for found in batch]
        # Over plain HTTP a path starts with that of the URL.
        return sorted("/".join(path[-DEPTH - 1 : -1]) for path in paths if path[-1] == FACTS)

    def create(self, name: str, files: Mapping[str, Path | bytes], *, created: str) -> bool:  # noqa: ARG002 - the store dates it
        """Make a bundle."""
        if isinstance(self._store, HTTPStore):
            raise self._unable()
        if self._has(name):
            return False
        for file, source in files.items():
            if file != FACTS:
                with self._naming(f"{name}/{file}", "write"):
                    obstore.put(self._store, f"{name}/{file}", source)
        with self._naming(f"{name}/{FACTS}", "write"):
            try:
                obstore.put(self._store, f"{name}/{FACTS}", files[FACTS], mode="create")
            except AlreadyExistsError:
                return False
        return True

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        with self._naming(f"{name}/{file}", "read"):
            for piece in obstore.get(self._store, f"{name}/{file}").stream(min_chunk_size=CHUNK):
                yield bytes(piece)

    def folder(self, name: str) -> Path | None:  # noqa: ARG002 - objects are no files
        """Return None: the files are objects."""
        return None

    def _has(self, name: str) -> bool:
        with self._naming(name, "read"):
            try:
                obstore.head(self._store, f"{name}/{FACTS}")
            except FileNotFoundError:
                return False
        return True

    def _unable(self) -> ConfigError:
        mend = "save to s3://, gs://, az://, a folder or git; this address can be read"
        return ConfigError(
            "cannot create an object only if there is none", field="store", value=self.address, mend=mend
        )

    @contextlib.contextmanager
    def _naming(self, path: str, action: str) -> Generator[None]:
        """Turn what obstore raises into an error that names the object."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError(f"{self.address}/{path}: is not there") from error
        except NotImplementedError as error:
            raise self._unable() from error
        except (BaseError, OSError) as error:
            raise StoreError(f"{self.address}/{path}: cannot {action}: {_first_line(error)}") from error


def open_objects(url: str) -> Objects:
    """Open an object store by its URL.

    Raises
    ------
    ConfigError
        If obstore knows no such URL, or the environment lacks what it needs.
    """
    return Objects(_memory() if url.startswith("memory:") else _connect(url), address=url)


@cache
def _memory() -> ObjectStore:
    """Return the one store that lives as long as the process."""
    return _connect("memory:///")


def _connect(url: str) -> ObjectStore:
    try:
        if url.startswith("http:"):
            return HTTPStore.from_url(url, client_options={"allow_http": True})
        return from_url(url)
    except (BaseError, ValueError, TypeError) as error:
        mend = "write it like s3://bucket/folder; credentials come from the environment"
        raise ConfigError(
            f"cannot be opened: {_first_line(error)}", field="store", value=_shown(url), mend=mend
        ) from error


def _shown(url: str) -> str:
    """Return a URL as it may be shown: a login or a signature in it is a secret."""
    return _QUERY.sub("", hide_login(url)).rstrip("/")


def _first_line(error: Exception) -> str:
    return _shown((str(error).splitlines() or [type(error).__name__])[0])[:500]
