"""What the store asks of the disk: make it durable, replace it whole, keep others out, say what went wrong."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

from headgate.errors import StoreError, StoreLocked

TEMPORARY: Final = ".tmp"
"""Suffix of files that are not published yet; what still carries it at the next start is removed."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def naming(path: Path, action: str) -> Generator[None]:
    """Turn an ``OSError`` into a :class:`StoreError` that names the path, the action and the mend.

    Examples
    --------
    >>> with naming(Path("gone"), "read"):
    ...     open("/nowhere/gone")
    Traceback (most recent call last):
    headgate.errors.StoreError: gone: cannot read: No such file or directory
    """
    try:
        yield
    except OSError as error:
        what = error if error.errno is None else os.strerror(error.errno)
        raise StoreError(f"{path}: cannot {action}: {what}{_mend(error.errno)}") from error


def _mend(number: int | None) -> str:
    if number in _FULL:
        return "; free some space and run the same command again: committed rows are kept"
    if number == errno.EIO:
        return "; the disk fails: look at it, then run the same command again: committed rows are kept"
    return "; the folder must be writable" if number in _FORBIDDEN else ""


def sync_data(handle: int) -> None:
    """Wait until the data of an open file is on the disk.

    Notes
    -----
    ``fdatasync``, but on macOS, where only ``F_FULLFSYNC`` reaches the medium (on the file systems that know it).
    """
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        except OSError:
            os.fsync(handle)
    else:
        os.fdatasync(handle)


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, durably."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_path(path.parent)


@contextlib.contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a temporary file beside ``path`` that takes its place, durably and at once, when the block ends well.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder) / "a"
    ...     with replacing(target) as temporary:
    ...         _ = temporary.write_text("new")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a']
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        yield temporary
        sync_path(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a small file whole: readers see the old content or the new, never a part."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def remove(path: Path) -> None:
    """Unlink a file, durably; a file that is not there is fine."""
    path.unlink(missing_ok=True)
    sync_path(path.parent)


@contextlib.contextmanager
def staging(parent: Path) -> Generator[Path]:
    """Yield an empty folder of this process's own, to be renamed into its place; else it goes when the block ends.

    What killed processes left in ``parent`` is removed first: each folder is locked while its process lives.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with staging(Path(folder) / ".new") as staged:
    ...         _ = (staged / "a").write_text("whole")
    ...         _ = staged.rename(Path(folder) / "published")
    ...     sorted(path.name for path in Path(folder).rglob("*"))
    ['.new', 'a', 'published']
    """
    make_folder(parent)
    for left in parent.iterdir():
        _remove_left(left)
    folder, handle = _own_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _own_folder(parent: Path) -> tuple[Path, int]:
    """Make a folder and lock it; one that another process removed between the two is made again."""
    while True:
        folder = parent / secrets.token_hex(8)
        folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _remove_left(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # its process is at work
        finally:
            os.close(handle)


class FileLock:
    """An exclusive lock between processes, held until released or until the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The lock file; the holder's process id and host stand in it.
    guards : Path, optional
        What an error names; default: the run whose lock it is.

    Raises
    ------
    StoreLocked
        If another process, or another lock object of this one, holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = FileLock(Path(folder) / "lock")
    ...     lock.release()
    """

    def __init__(self, path: Path, *, guards: Path | None = None) -> None:
        self.path = path
        self._guards = f"{path.parent.parent}: another process writes to this run"
        if guards is not None:
            self._guards = f"{guards}: another process writes there"
        while (handle := self._try()) is None:
            pass
        self._handle: int | None = handle
        os.ftruncate(handle, 0)
        os.write(handle, f"pid {os.getpid()} on {socket.gethostname()}".encode())

    def _try(self) -> int | None:
        """Lock the file, or return None when its holder removed it meanwhile."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_ino == self.path.stat().st_ino:
                return handle
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace") or "process unknown"
            os.close(handle)
            raise StoreLocked(f"{self._guards} ({holder}); wait for it or end it") from None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def release(self) -> None:
        """Remove the lock file and let others in; a second call does nothing."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None
