"""The machine: where the run will be written, how many connections it may hold, whether its clocks go."""

from __future__ import annotations

import contextlib
import importlib.util
import resource
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.conduct.doctor.finding import Finding, ok, refused, warning
from headgate.conduct.lanes import declared_lanes
from headgate.execute.tokens import output_limit
from headgate.store.disk import sync_data
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_ROW_BYTES: Final = 600
_TOKEN_BYTES: Final = 4
_TOKENS: Final = 256
_PARTS: Final = 1.5
"""Rows lie in the journal until they are in parts, which are compressed: for a moment both are there."""

_SLOW_S: Final = 0.5
_SPARE_FILES: Final = 64
_BUILT: Final = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_PAUSE_S: Final = 0.05
_APART_S: Final = 0.5
"""Less may be a busy machine, which stopped us between the two clocks."""

EXTRAS: Final = {"dotprompt": "dotpromptz_handlebars", "keyring": "keyring", "serve": "starlette"}
"""Extras of headgate, and a package of each."""


def examine_machine(suite: Suite, prompts: Sequence[Prompt], *, jobs: int, out: Path) -> Iterator[Finding]:
    """Yield what is found of this machine.

    Parameters
    ----------
    prompts : sequence of Prompt
        Their limits of the output count.
    jobs : int
        To be written.
    out : Path
        The run directory; it is not made.
    """
    yield from _folder(suite, prompts, jobs=jobs, out=out)
    yield from _open_files(suite)
    yield from _clocks()
    installed = [name for name, package in EXTRAS.items() if importlib.util.find_spec(package) is not None]
    yield ok("extras", f"installed: {', '.join(installed) or 'none'}; others: pip install 'headgate[NAME]'")


def _folder(suite: Suite, prompts: Sequence[Prompt], *, jobs: int, out: Path) -> Iterator[Finding]:
    folder = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not folder.is_dir():
        yield refused("disk", f"{folder} is no folder, and the run would be written to {out}", "choose another --out")
        return
    try:
        took_s = _write_durably(folder)
    except OSError as error:
        said = f"{folder}: cannot be written to: {error.strerror}, and the run would be written to {out}"
        yield refused("disk", said, "make it writable, or choose another --out")
        return
    free, needed = shutil.disk_usage(folder).free, needed_bytes(suite, prompts, jobs=jobs)
    said = f"{_size(free)} free in {folder}, and the run takes about {_size(needed)}"
    if free < needed:
        yield refused("disk", said, "free some space, or choose another --out")
    elif free < 2 * needed:
        yield warning("disk", said, "free some space: answers may be longer than assumed")
    else:
        yield ok("disk", said)
    if took_s > _SLOW_S:
        said = f"{folder}: making a few bytes durable took {took_s:.1f} s; rows wait for that"
        yield warning("disk", said, "choose a local disk with --out")


def _write_durably(folder: Path) -> float:
    """Write a small file, wait until it is on the disk, and remove it; return the seconds."""
    path = folder / f".headgate-doctor-{secrets.token_hex(4)}.tmp"
    started = time.monotonic()
    try:
        with path.open("xb") as file:
            file.write(bytes(4096))
            file.flush()
            sync_data(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return time.monotonic() - started


def needed_bytes(suite: Suite, prompts: Sequence[Prompt], *, jobs: int) -> int:
    """Return about how many bytes the results of so many jobs take while they are made.

    Output tokens are those that are allowed, or 256, at four bytes each.
    """
    params = [{**prompt.params, **model.params} for prompt in prompts for model in suite.tested]
    tokens = [output_limit(each) or _TOKENS for each in params] or [_TOKENS]
    return int(jobs * _PARTS * (_ROW_BYTES + _TOKEN_BYTES * sum(tokens) / len(tokens)))


def _size(count: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> _size(512), _size(3_500_000), _size(2e12)
    ('512 B', '3.5 MB', '2,000.0 GB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:.0f} B"


def _open_files(suite: Suite) -> Iterator[Finding]:
    asked = sum(lane.concurrency for lane in declared_lanes(suite))
    needed, (soft, hard) = asked + _SPARE_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        said = f"this shell allows {soft:,} open files, and {asked:,} requests under way at once need {needed:,}"
        raisable = hard == resource.RLIM_INFINITY or hard >= needed
        mend = f"run: ulimit -n {needed}" if raisable else "lower `concurrency` of the lanes, or raise the hard limit"
        yield refused("open files", said, mend)
    else:
        yield ok("open files", f"{asked:,} requests may be under way at once, and there is room for that")


def _clocks() -> Iterator[Finding]:
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(_PAUSE_S)
    apart = abs((time.time() - wall) - (time.monotonic() - monotonic))
    shown = datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
    if wall < _BUILT:
        yield warning("clock", f"says {shown}, which is long past", "set it: times in rows and signatures rest on it")
    elif apart > _APART_S:
        said = f"was set by {apart:.1f} s while it was looked at"
        yield warning("clock", said, "let it settle: times in rows rest on it")
    else:
        yield ok("clock", f"says {shown}")
