"""What was received, as files of lines that canaries read like any other log."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from headgate.store.disk import make_folder, naming, sync_data, sync_path

_SEGMENT: Final = 1 << 26


class Inbox:
    """Appends lines to numbered files of 64 MiB; the oldest go when all of them are larger than ``keep``.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    keep : int
        Bytes.

    Raises
    ------
    StoreError
        If the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     inbox = Inbox(Path(folder), keep=1 << 30)
    ...     inbox.append(b'{"id": "a"}')
    ...     inbox.sync()
    ...     inbox.close()
    ...     [file.name for file in Path(folder).iterdir()]
    ['00000001.jsonl']
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder, self._keep = folder, keep
        with naming(folder, "write"):
            make_folder(folder)
        # A file that a crash left with half a line is not gone on with.
        self._number = max((int(file.stem) for file in folder.glob("[0-9]*.jsonl")), default=0)
        self._handle: int | None = None
        self._size = 0
        self._changing = threading.Lock()

    def append(self, lines: bytes) -> None:
        """Append lines, without the last line end.

        Raises
        ------
        StoreError
            If the disk refuses; the rest of a line that was torn is on a line of its own then.
        """
        with naming(self.folder, "write"):
            if self._handle is None or self._size >= _SEGMENT:
                self._next()
            assert self._handle is not None
            data = memoryview(lines + b"\n")
            try:
                while data:
                    written = os.write(self._handle, data)
                    self._size += written
                    data = data[written:]
            except OSError:
                self.close()
                raise

    def sync(self) -> None:
        """Wait until what was appended is on the disk; for any thread.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        with naming(self.folder, "write"):
            with self._changing:  # what was in an earlier file was synced as that was closed
                handle = None if self._handle is None else os.dup(self._handle)
            if handle is not None:
                try:
                    sync_data(handle)
                finally:
                    os.close(handle)

    def close(self) -> None:
        """Close the file; the next append begins another."""
        with self._changing:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _next(self) -> None:
        if self._handle is not None:
            sync_data(self._handle)
        self.close()
        self._number += 1
        path = self.folder / f"{self._number:08d}.jsonl"
        self._handle, self._size = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), 0
        sync_path(self.folder)
        files = sorted(self.folder.glob("[0-9]*.jsonl"))
        total = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if total <= self._keep:
                break
            total -= file.stat().st_size
            file.unlink()
