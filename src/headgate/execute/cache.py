"""Answers that were paid for once: a bounded file shared by runs and processes, addressed by what was asked."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import msgspec

from headgate.errors import ConfigError
from headgate.execute.answer import Answer
from headgate.execute.endpoint import HttpEndpoint
from headgate.identity import canonical_json
from headgate.plan import Job
from headgate.suite.model import Model

CacheMode = Literal["off", "read", "write"]
"""``read`` looks answers up; ``write`` also keeps new ones."""

_LOG: Final = logging.getLogger("headgate.engine")
_VERSION: Final = 1
_KEY_VERSION: Final = b"headgate/answer/1"
_BUSY_S: Final = 30.0
_FRESH_S: Final = 3600
"""An answer that was used within the hour is not marked again: a hit is then no write."""
_MOST_PENDING: Final = 4096
"""Answers that wait to be written; more are not kept, as a cache may forget."""
_LEAVES: Final = 0.9
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (key BLOB NOT NULL UNIQUE, used INTEGER NOT NULL, answer BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS answers_used ON answers (used);
"""
_LOOK_UP: Final = "SELECT answer, used FROM answers WHERE key = ?"
_DECODE: Final = msgspec.msgpack.Decoder(Answer).decode
_ENCODE: Final = msgspec.msgpack.Encoder().encode

_T = TypeVar("_T")
_Asked = tuple[bytes, "asyncio.Future[bytes | None]"]


def cache_folder(given: Path | None) -> Path:
    """Return where the cache is: as given, else ``HEADGATE_CACHE``, else ``headgate`` in the user's cache folder.

    Examples
    --------
    >>> cache_folder(Path("here"))
    PosixPath('here')
    """
    if given is not None:
        return given
    if named := os.environ.get("HEADGATE_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """Whether a run uses the response cache, and where it is.

    Attributes
    ----------
    mode : {"off", "read", "write"}
        Take nothing, take answers, or take them and keep new ones.
    folder : Path, optional
        Default: ``HEADGATE_CACHE``, else ``headgate`` in the user's cache folder.
    max_mb : float
        Most megabytes.

    Raises
    ------
    ConfigError
        If the mode or the size is none.
    """

    mode: CacheMode = "off"
    folder: Path | None = None
    max_mb: float = 1024

    def __post_init__(self) -> None:
        if self.mode not in get_args(CacheMode):
            raise ConfigError("is unknown", field="cache", value=self.mode, mend="use off, read or write")
        if not 1 <= self.max_mb < float("inf"):
            mend = "give at least 1 MB"
            raise ConfigError("is no size of a cache", field="cache_max_mb", value=self.max_mb, mend=mend)


NO_CACHE: Final = CacheOptions()


def open_cache(options: CacheOptions) -> ResponseCache | None:
    """Return the cache that is asked for; None where it is off. Inside a running event loop."""
    if options.mode == "off":
        return None
    return ResponseCache(cache_folder(options.folder), mode=options.mode, max_mb=options.max_mb)


class CacheKeys:
    """The keys of what one endpoint is asked by one model.

    A key covers the body as it goes over the wire, the endpoint (its origin, and the path), the version of the API,
    the model's identity, and the seed: another seed is another draw, also where no seed is sent.
    """

    def __init__(self, endpoint: HttpEndpoint, model: Model) -> None:
        self._endpoint, self._model = endpoint, canonical_json(model.identity)
        self._paths: dict[str, bytes] = {}

    def key(self, job: Job) -> bytes:
        """Return the key of a job, 16 bytes."""
        request = self._endpoint.encode(job, 1)
        where = self._paths.get(request.target.url) or self._where(request.target.url)
        return blake2b(where + job.seed.to_bytes(4, "big") + request.body, digest_size=16).digest()

    def _where(self, url: str) -> bytes:
        """Return what goes before the seed and the body; never a login."""
        endpoint = self._endpoint
        parts = (endpoint.name, urlsplit(url).path, endpoint.api_version or "")
        where = self._paths[url] = _KEY_VERSION + canonical_json(parts) + self._model
        return where


class ResponseCache:
    """Looks answers up and keeps them, in a thread of its own.

    What is asked for while the thread is busy is done at once when it is free: one transaction, one wake-up of the
    event loop. A file that cannot be used is told once, and the run goes on without.

    Parameters
    ----------
    folder : Path
        Made if it is missing, for this user alone (0700); the file in it is ``answers.sqlite`` (0600).
    mode : {"read", "write"}
        Whether new answers are kept.
    max_mb : float
        Size of the file; the answers that were not used for longest leave.

    Raises
    ------
    ConfigError
        If the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> async def twice(folder):
    ...     cache = ResponseCache(Path(folder), mode="write")
    ...     cache.put(b"k" * 16, Answer(output="yes"))
    ...     await cache.aclose()
    ...     cache = ResponseCache(Path(folder), mode="read")
    ...     found = await cache.get(b"k" * 16), await cache.get(b"-" * 16)
    ...     await cache.aclose()
    ...     return found
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found, missing = asyncio.run(twice(folder))
    >>> found.output, missing
    ('yes', None)
    """

    def __init__(self, folder: Path, *, mode: Literal["read", "write"], max_mb: float = 1024) -> None:
        self.file, self.writes = folder / "answers.sqlite", mode == "write"
        self._most = int(max_mb * 1e6)
        self._asked: deque[_Asked] = deque()
        self._kept: deque[tuple[bytes, bytes]] = deque()
        self._work, self._closed, self._broken = threading.Event(), False, False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.writes:
                os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            mend = "name a folder that can be written to, or leave the cache off"
            raise ConfigError(f"cannot be used: {error.strerror}", file=folder, field="cache", mend=mend) from error
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="headgate-cache", daemon=True)
        self._thread.start()

    async def get(self, key: bytes) -> Answer | None:
        """Return the answer of a key; None where there is none."""
        if self._broken:
            return None
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        self._asked.append((key, future))
        self._work.set()
        found = await future
        if found is None:
            return None
        try:
            return _DECODE(found)
        except msgspec.DecodeError:  # of another version, or damaged: it is asked anew, and replaced
            return None

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, if the mode says so and the thread keeps up."""
        if self.writes and not self._broken and len(self._kept) < _MOST_PENDING:
            self._kept.append((key, _ENCODE(msgspec.structs.replace(answer, quota=None, ttfb_s=None))))
            self._work.set()

    async def aclose(self) -> None:
        """Write what waits, and close the file."""
        self._closed = True
        self._work.set()
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        try:
            if not self.writes and not self.file.exists():
                self._answer_none()  # nothing was ever kept here
            else:
                with closing(self._open()) as file:
                    self._work_off(file)
        except sqlite3.Error as error:
            self._broken = True
            said = f"the response cache {self.file} cannot be used ({error}), and the run goes on without; "
            said += "delete the file if that stays so"
            _LOG.warning("cache unusable", extra={"facts": {"message": said}})
            self._answer_none()

    def _answer_none(self) -> None:
        closed = False
        while not closed:
            closed = self._closed
            self._tell([(future, None) for _, future in _drain(self._asked)])
            if not closed:
                self._work.wait()
                self._work.clear()

    def _open(self) -> sqlite3.Connection:
        """Open the file; whoever comes first makes its tables."""
        how = "rwc" if self.writes else "ro"
        uri = f"{self.file.absolute().as_uri()}?mode={how}"
        file = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            if self.writes:
                _patiently(file, "PRAGMA journal_mode = WAL")
                file.execute("PRAGMA synchronous = NORMAL")
                file.execute("PRAGMA journal_size_limit = 16000000")
                file.execute("BEGIN IMMEDIATE")
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    file.execute(statement)
                if file.execute("PRAGMA user_version").fetchone()[0] in {0, _VERSION}:
                    file.execute(f"PRAGMA user_version = {_VERSION}")
                file.execute("COMMIT")
            _check_version(file)
        except BaseException:
            file.close()
            raise
        return file

    def _work_off(self, file: sqlite3.Connection) -> None:
        closed = False
        while not closed:
            self._work.wait()
            self._work.clear()
            closed = self._closed
            asked = list(_drain(self._asked))
            try:
                rows = [file.execute(_LOOK_UP, (key,)).fetchone() for key, _ in asked]
            except sqlite3.Error:
                self._asked.extendleft(asked)  # they are answered once it is told why
                raise
            pairs = list(zip(asked, rows, strict=True))
            self._tell([(future, None if row is None else row[0]) for (_, future), row in pairs])
            if self.writes:
                marks = [key for (key, _), row in pairs if row is not None and _is_old(row[1])]
                self._write(file, list(_drain(self._kept)), marks)

    def _write(self, file: sqlite3.Connection, kept: Sequence[tuple[bytes, bytes]], used: Iterable[bytes]) -> None:
        now, marks = int(time.time()), list(used)
        if not kept and not marks:
            return
        file.execute("BEGIN IMMEDIATE")
        file.executemany("UPDATE answers SET used = ? WHERE key = ?", [(now, key) for key in marks])
        pending = 0
        for key, answer in kept:
            if len(answer) > self._most / 10:
                continue
            file.execute("INSERT OR REPLACE INTO answers (key, used, answer) VALUES (?, ?, ?)", (key, now, answer))
            pending += len(answer)
            if pending > self._most / 20:
                pending = 0
                self._bound(file)
        self._bound(file)
        file.execute("COMMIT")

    def _bound(self, file: sqlite3.Connection) -> None:
        while self._size(file) > self._most and self._shrink(file):
            pass

    def _size(self, file: sqlite3.Connection) -> int:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (int(file.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
        return (pages - free) * size

    def _shrink(self, file: sqlite3.Connection) -> bool:
        """Let a tenth of the answers go, those first that were not used for longest; say whether any was left."""
        (count,) = file.execute("SELECT count(*) FROM answers").fetchone()
        oldest = "SELECT rowid FROM answers ORDER BY used, rowid LIMIT ?"
        leaving = max(1, round((1 - _LEAVES) * count))
        return file.execute(f"DELETE FROM answers WHERE rowid IN ({oldest})", (leaving,)).rowcount > 0  # noqa: S608

    def _tell(self, found: Sequence[tuple[asyncio.Future[bytes | None], bytes | None]]) -> None:
        """Hand over what was found: the event loop is woken once for all of it."""
        if found:
            self._loop.call_soon_threadsafe(_hand_over, found)


def _check_version(file: sqlite3.Connection) -> None:
    (version,) = file.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, and this headgate knows {_VERSION}")


def _hand_over(found: Sequence[tuple[asyncio.Future[bytes | None], bytes | None]]) -> None:
    for future, answer in found:
        if not future.done():  # else cancelled
            future.set_result(answer)


def _drain(waiting: deque[_T]) -> Iterator[_T]:
    while waiting:
        yield waiting.popleft()


def _is_old(used: int) -> bool:
    return time.time() - used > _FRESH_S


def _patiently(file: sqlite3.Connection, statement: str) -> None:
    """Run a statement for which SQLite does not wait while another process holds the file."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            file.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
