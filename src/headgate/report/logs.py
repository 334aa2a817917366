"""What happens in a run as JSON lines: a formatter and a file for the ``headgate`` tree of the standard ``logging``."""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError

RUN_ID: Final[ContextVar[str | None]] = ContextVar("headgate_run_id", default=None)
"""The run that the running code works for; it stands in every line."""

_TREE: Final = logging.getLogger("headgate")
_TREE.addHandler(logging.NullHandler())  # a library is silent unless it is asked
_LOG: Final = logging.getLogger("headgate.conduct")
_LOCK: Final = threading.Lock()
_LONGEST: Final = 500
_DEEPEST: Final = 4


class JsonFormatter(logging.Formatter):
    r"""Makes one JSON object a line, in ASCII: time, level, event, run_id, then the record's ``facts``.

    Examples
    --------
    >>> record = logging.LogRecord("headgate.engine", logging.WARNING, "", 0, "lane paused", None, None)
    >>> record.created, record.facts = 0.25, {"lane": "small\x1b[2J", "seconds": 3.0}
    >>> print(JsonFormatter().format(record))
    {"time": "1970-01-01T00:00:00.250Z", "level": "warning", "event": "lane paused", "run_id": null, "lane": "small\u001b[2J", "seconds": 3.0}
    """  # noqa: E501

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": _text(record.getMessage()),
            "run_id": RUN_ID.get(),
        }
        facts: Any = getattr(record, "facts", None)
        if isinstance(facts, Mapping):
            for name, value in _data(facts).items():
                line.setdefault(name, value)
        if record.exc_info and record.exc_info[1] is not None:
            line.setdefault("error", _text(repr(record.exc_info[1])))
        return json.dumps(line).replace("\x7f", "\\u007f")


class LogFile(logging.Handler):
    """Appends the lines of one run to a file, each whole as soon as it is said.

    When the disk refuses a line it is lost, a warning says so once, and the run goes on.

    Parameters
    ----------
    path : Path
        Made if need be.
    run_id : str
        Lines of other runs in this process are left out.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path, *, run_id: str) -> None:
        super().__init__()
        self.path, self.level_before = path, _TREE.level
        self._failed = self._torn = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self.setFormatter(JsonFormatter())
        self.addFilter(lambda _: RUN_ID.get() in {None, run_id})

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line."""
        try:
            line = b"\n" * self._torn + self.format(record).encode() + b"\n"
            written = self._file.write(line)
            self._torn = written != len(line)
            if self._torn:
                raise OSError(f"{written} of {len(line)} bytes were written")  # noqa: TRY301 - handled as any other
        except Exception:  # noqa: BLE001 - a log never ends what it tells of
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the base class names it
        """Say once that lines are lost."""
        if not self._failed:
            self._failed = True
            said = f"lines of the log file {self.path} are lost: {sys.exc_info()[1]}"
            _LOG.warning("log file failed", extra={"facts": {"message": said}})

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextmanager
def open_log(path: Path | None, *, run_id: str) -> Generator[None]:
    """Name the run in every line that is logged inside the block and, with a path, append these lines to a file.

    Inside the block everything that headgate says is logged, whatever the level of the ``headgate`` logger was.

    Raises
    ------
    ConfigError
        If the file cannot be opened.
    """
    token = RUN_ID.set(run_id)
    try:
        if path is None:
            yield
        else:
            with _attached(_open(path, run_id)):
                yield
    finally:
        RUN_ID.reset(token)


def _open(path: Path, run_id: str) -> LogFile:
    try:
        return LogFile(path, run_id=run_id)
    except OSError as error:
        why = f"cannot be written: {error.strerror}"
        raise ConfigError(why, file=path, field="log_file", mend="choose another file") from error


@contextmanager
def _attached(handler: LogFile) -> Generator[None]:
    """Let a handler hear all; the tree's level is what it was when the last one has left."""
    with _LOCK:
        others = _log_files()
        handler.level_before = others[0].level_before if others else _TREE.level
        _TREE.addHandler(handler)
        _TREE.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        with _LOCK:
            _TREE.removeHandler(handler)
            if not _log_files():
                _TREE.setLevel(handler.level_before)
        handler.close()


def _log_files() -> list[LogFile]:
    return [handler for handler in _TREE.handlers if isinstance(handler, LogFile)]


def _data(value: Any, depth: int = 0) -> Any:
    """Return JSON data: texts cut, numbers that are not finite as null, other things as their text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {_text(str(key)): _data(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes) and depth < _DEEPEST:
        return [_data(item, depth + 1) for item in value]
    return _text(str(value))


def _text(text: str) -> str:
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    return shown.encode("utf-8", "backslashreplace").decode()
