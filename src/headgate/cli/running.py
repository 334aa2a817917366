"""``headgate run`` and ``headgate check`` at work: progress, signals, and how to resume."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.api import Run, Watch, check_async, pilot_async, run_async
from headgate.conduct.loop import run_loop
from headgate.conduct.run import Conductor
from headgate.decide.table import look_line, one_line
from headgate.errors import Interrupted
from headgate.report.progress import Progress
from headgate.shard import Shard
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    from headgate.conduct.check import CheckSummary
    from headgate.decide.verdict import Look

_TICK_S = 0.5
_T = TypeVar("_T")


def run_shown(
    suite: Suite,
    *,
    out: Path,
    shard: Shard | None = None,
    options: Mapping[str, Any],
    quiet: bool,
    again: str | None = None,
) -> Run:
    """Run a suite with progress on stderr, and with warnings, such as of a stall, even if it is to be quiet.

    SIGINT and SIGTERM end it in order: what is committed stays, the journal is sealed. A second signal ends it at once,
    and no committed row is lost by that either.

    Parameters
    ----------
    options : mapping
        Keywords of :func:`headgate.run`.
    again : str, optional
        The command that resumes it; default: that of ``headgate run``.

    Raises
    ------
    Interrupted
        After a signal.
    """
    part = None if shard is None else str(shard)
    given = {"--shard": part, "--arm": options.get("arm"), "--allow-host": options.get("allow_hosts"), "--out": out}
    again = again or _run_command(suite, given)

    def start(watch: Watch) -> Awaitable[Run]:
        return run_async(suite, out=out, shard=part, watch=watch, **options)

    with _warnings():
        return run_loop(_shown(start, again=again, quiet=quiet))


def _run_command(suite: Suite, given: Mapping[str, object]) -> str:
    first_seed = suite.first_seed if suite.first_seed > 1 else None
    return command_line("run", suite.file, {"--first-seed": first_seed, **given})


def command_line(command: str, suite: Path | None, given: Mapping[str, Any]) -> str:
    """Return a command as a shell takes it; an option without a value is left out, one with several repeated.

    Examples
    --------
    >>> command_line("check", Path("a b.yaml"), {"--store": None, "--allow-host": ["a", "b"], "--out": Path("runs/1")})
    "headgate check 'a b.yaml' --allow-host a --allow-host b --out runs/1"
    """
    words = [str(suite or "SUITE")]
    for name, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [name] if one is True else [name, str(one)]
    return f"headgate {command} {shlex.join(words)}"


def check_shown(suite: Suite, *, out: Path, options: Mapping[str, Any], quiet: bool) -> CheckSummary:
    """Check a suite as :func:`run_shown` runs one; each look is told in a line."""
    with _warnings():
        return run_loop(_check(suite, out=out, options=options, quiet=quiet))


def pilot_shown(suite: Suite, *, out: Path, items: int, allow_hosts: list[str] | None, quiet: bool) -> Run:
    """Run the pilot of a plan as :func:`run_shown` runs a suite."""
    given = {"--pilot": True, "--pilot-items": items, "--pilot-out": out, "--allow-host": allow_hosts}
    again = command_line("plan", suite.file, given)

    def start(watch: Watch) -> Awaitable[Run]:
        return pilot_async(suite, out=out, items=items, allow_hosts=allow_hosts, watch=watch)

    with _warnings():
        return run_loop(_shown(start, again=again, quiet=quiet))


@contextmanager
def _warnings() -> Generator[None]:
    """Show what the run warns of."""
    log, handler = logging.getLogger("headgate"), _Warnings(logging.WARNING)
    handler.addFilter(lambda record: record.levelno == logging.WARNING)  # an error ends the command, which shows it
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        facts: Mapping[str, object] = getattr(record, "facts", {})
        sys.stderr.write(f"headgate: {one_line(str(facts.get('message', record.msg)), limit=4000)}\n")


async def _check(suite: Suite, *, out: Path, options: Mapping[str, Any], quiet: bool) -> CheckSummary:
    given = {f"--{name}": options.get(name) for name in ("baseline", "store")}
    again = command_line("check", suite.file, {**given, "--allow-host": options.get("allow_hosts"), "--out": out})

    def on_look(look: Look) -> None:
        if not quiet:
            sys.stderr.write(f"headgate: {look_line(look)}\n")

    def start(watch: Watch) -> Awaitable[CheckSummary]:
        return check_async(suite, out=out, watch=watch, on_look=on_look, **options)

    return await _shown(start, again=again, quiet=quiet)


async def _shown(start: Callable[[Watch], Awaitable[_T]], *, again: str, quiet: bool) -> _T:
    """Run what ``start`` begins: show how it goes, and end it in order after a signal."""
    conductor: list[Conductor] = []
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if received:
            # At once, without clean-up: committed rows are durable, and a torn segment is read up to its tear.
            os._exit(Interrupted.exit_code)
        received.append(number)
        sys.stderr.write(f"headgate: {number.name}: sealing what is done; once more ends at once\n")
        for running in conductor:
            running.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    shown: list[asyncio.Task[None]] = []

    def watch(running: Conductor) -> None:
        conductor.append(running)
        if received:
            running.stop()
        if not quiet:
            shown.append(asyncio.create_task(_show(running)))

    try:
        return await start(watch)
    except Interrupted as error:
        raise Interrupted(f"{error}\nTo resume: {again}") from error
    finally:
        for task in shown:
            task.cancel()
        await asyncio.gather(*shown, return_exceptions=True)


async def _show(running: Conductor) -> None:
    with Progress(running.statistics, total=lambda: running.todo, stream=sys.stderr) as progress:
        while True:
            await asyncio.sleep(_TICK_S)
            progress.tick()
