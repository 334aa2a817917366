"""Every exception that headgate raises.

::

    HeadgateError                  .exit_code
    |-- ConfigError            2   something the user wrote is wrong: names file, field, value and mend
    |   `-- PlanMismatch       2   the run directory holds another plan: names the keys that differ
    |-- StoreError             3   the disk refuses, or a file is not what it should be
    |   |-- StoreLocked        3   another process writes to this run directory
    |   `-- BaselineMissing    3   no stored baseline fits; names what differs in the nearest one
    |-- GitError               3   git is not there, or refuses
    |-- EndpointError          3   an endpoint cannot serve this run at all (refused key, unknown host)
    |-- Interrupted          130   a signal or its budget ended the run; what is committed stays and the run resumes
    `-- StatisticsError        3   an estimate is not defined for these values (also a ValueError)

A model's failure is no exception: it is a row with ``status = error``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

_ABSENT: Final = object()


class HeadgateError(Exception):
    """Base of all headgate errors.

    Attributes
    ----------
    exit_code : int
        What the command line returns when the error ends it.
    """

    exit_code: ClassVar[int] = 3


class ConfigError(HeadgateError):
    """Something the user wrote is wrong.

    Parameters
    ----------
    problem : str
        What is wrong, in one sentence without a full stop.
    file : str or Path, optional
        The file it stands in.
    line : int, optional
        Line (or row, for tables) in the file, from 1.
    field : str, optional
        Dotted path of the field, such as ``models.0.provider``.
    value : object, optional
        The offending value; shown with ``repr``, shortened.
    mend : str, optional
        What to write instead.

    Examples
    --------
    >>> print(ConfigError("is not a provider", file="suite.yaml", line=4, field="models.0.provider",
    ...                   value="opnai", mend="did you mean 'openai'?"))
    suite.yaml:4: models.0.provider: 'opnai' is not a provider; did you mean 'openai'?
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        value: Any = _ABSENT,
        mend: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.field, self.mend = problem, file, line, field, mend
        self.value, self._given = None if value is _ABSENT else value, value
        where = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        name = "" if field is None else f"{field}: "
        shown = "" if value is _ABSENT else f"{_shorten(repr(value))} "
        super().__init__(f"{where}{name}{shown}{problem}" + (f"; {mend}" if mend else ""))

    def placed(self, file: str | Path | None) -> ConfigError:
        """Return the same error in a file, if it names none."""
        if self.file is not None or file is None:
            return self
        return ConfigError(self.problem, file=file, field=self.field, value=self._given, mend=self.mend)

    def with_mend(self, mend: str) -> ConfigError:
        """Return the same error with another mend."""
        return ConfigError(self.problem, file=self.file, line=self.line, field=self.field, value=self._given, mend=mend)

    def inside(self, field: str, *, file: str | Path | None = None) -> ConfigError:
        """Return the same error, of a field inside of another one and in a file.

        Examples
        --------
        >>> print(ConfigError("is no dialect", field="dialect", value="x").inside("scorers.0", file="suite.yaml"))
        suite.yaml: scorers.0.dialect: 'x' is no dialect
        """
        inner = field if self.field is None else f"{field}.{self.field}"
        return ConfigError(self.problem, file=file, field=inner, value=self._given, mend=self.mend)


class PlanMismatch(ConfigError):
    """The run directory holds another plan; ``keys`` are the parts that differ."""

    def __init__(self, problem: str, *, keys: tuple[str, ...], file: str | Path | None = None, mend: str) -> None:
        super().__init__(problem, file=file, mend=mend)
        self.keys = keys


class StoreError(HeadgateError):
    """The disk refuses, or a file of a run is not what it should be."""


class StoreLocked(StoreError):
    """Another process writes to this run directory."""


class GitError(HeadgateError):
    """git is not there, or refuses."""


class BaselineMissing(StoreError):
    """No stored baseline is what was asked for; ``keys`` are the parts in which the nearest one differs."""

    def __init__(self, message: str, *, keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class EndpointError(HeadgateError):
    """An endpoint cannot serve this run at all: refused key, unknown host, unknown model."""


class Interrupted(HeadgateError):
    """A signal, or its time or money, ended the run; committed rows stay, and the same command resumes it."""

    exit_code = 130


class StatisticsError(HeadgateError, ValueError):
    """An estimate is not defined for these values."""


def _shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
