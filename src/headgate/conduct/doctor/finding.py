"""What the doctor finds: a level, what it is about, and words that a person can act on."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from headgate.errors import ConfigError, EndpointError, HeadgateError

Level = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes
    ----------
    level : {"ok", "warning", "problem"}
        Whether it is as it should be, may spoil a run, or will.
    about : str
        What was looked at, such as ``items`` or ``models.small``.
    said : str
        What was seen; never a key.
    mend : str, optional
        What to do.
    exit_code : int
        What the command leaves with because of it: 2 where the suite is wrong, 3 where an endpoint or this machine is.
    """

    level: Level
    about: str
    said: str
    mend: str | None = None
    exit_code: int = 0


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All findings on a suite.

    Attributes
    ----------
    suite : str
        Its file, or its name.
    live : bool
        Whether its models were asked.
    versions : dict of str to str
        headgate, Python and what shapes results.
    findings : tuple of Finding
        In the order in which they were made.
    """

    suite: str
    live: bool
    versions: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """What the command leaves with: 0 without a problem, 2 before 3.

        Examples
        --------
        >>> found = (ok("disk", "1 GB free"), refused("endpoint", "nothing listens", "start it"))
        >>> Diagnosis(suite="s", live=False, versions={}, findings=found).exit_code
        3
        """
        codes = {finding.exit_code for finding in self.findings} - {0}
        return min(codes, default=0)

    def facts(self) -> dict[str, Any]:
        """Return it as JSON data."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return {"exit_code": self.exit_code, **facts}


def ok(about: str, said: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level="ok", about=about, said=said)


def warning(about: str, said: str, mend: str) -> Finding:
    """Return that something may spoil a run."""
    return Finding(level="warning", about=about, said=said, mend=mend)


def refused(about: str, said: str, mend: str) -> Finding:
    """Return that an endpoint, or this machine, will not do."""
    return Finding(level="problem", about=about, said=said, mend=mend, exit_code=EndpointError.exit_code)


def from_error(about: str, error: HeadgateError) -> Finding:
    """Return an error as a problem.

    Examples
    --------
    >>> from_error("items", ConfigError("is not there", file="items.csv", mend="write it")).said
    'items.csv: is not there'
    """
    mend = error.mend if isinstance(error, ConfigError) else None
    said = str(error) if mend is None else str(error).removesuffix(f"; {mend}")
    return Finding(level="problem", about=about, said=said, mend=mend, exit_code=error.exit_code)
