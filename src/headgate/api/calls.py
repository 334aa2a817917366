"""What every call shares: the handle of a run, how requests are sent, and a loop to wait in."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.conduct.loop import run_loop
from headgate.conduct.options import RunOptions
from headgate.conduct.run import Conductor
from headgate.conduct.summary import RunSummary
from headgate.errors import ConfigError, Interrupted
from headgate.execute.cache import CacheMode, CacheOptions
from headgate.execute.transport import Transport
from headgate.execute.transports import TRANSPORTS, TransportName
from headgate.store.costs import Costs

if TYPE_CHECKING:
    import httpx


_T = TypeVar("_T")


RunPath = str | os.PathLike[str]


Watch = Callable[[Conductor], object]


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory, and how it stood when the call returned.

    Attributes
    ----------
    path : Path
        The directory.
    planned : int
        Jobs in the plan, or in the run's shard of it.
    counts : mapping of str to int
        Jobs that have a row, by status.
    cost_usd : float or None
        What the answers have cost, as far as that is known; None where nothing is.
    unpriced : int
        Answers whose cost is not known.
    lost : tuple of str
        Why endpoints could not serve at its end, of models that others served.
    """

    path: Path
    planned: int
    counts: Mapping[str, int]
    cost_usd: float | None = None
    unpriced: int = 0
    lost: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """Jobs that have a row."""
        return sum(self.counts.values())

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def make_run(path: Path, planned: int, counts: Mapping[str, int], costs: Costs, *, lost: tuple[str, ...] = ()) -> Run:
    """Return the handle of a run."""
    return Run(path, planned, counts, costs.cost_usd, costs.unpriced, lost)


def interrupted(conductor: Conductor, summary: RunSummary) -> Interrupted:
    """Say how far a run came, and what ended it."""
    left = summary.planned - summary.done
    rest = f"{left:,} left" if left else "and judges have answers left to grade"
    stands = f"{summary.done:,} of {summary.planned:,} jobs done, {rest}; the same call resumes"
    return Interrupted(f"{conductor.expiry}: {stands}" if conductor.expiry else f"stopped with {stands}")


def make_options(
    client: httpx.AsyncClient | None,
    transport: TransportName | None,
    metrics_file: RunPath | None,
    log_file: RunPath | None,
    cache: CacheMode | CacheOptions | None = None,
) -> RunOptions:
    """Return what a call adds to the suite."""
    chosen = cache if isinstance(cache, CacheOptions) else CacheOptions(mode=cache or "off")
    files = as_path(metrics_file), as_path(log_file)
    sent = _transport(client, transport)
    return RunOptions(transport=sent, metrics_file=files[0], log_file=files[1], cache=chosen)


def _transport(client: httpx.AsyncClient | None, name: TransportName | None) -> Transport | TransportName | None:
    if name is not None and name not in TRANSPORTS:
        raise ConfigError("is unknown", field="transport", value=name, mend=f"use one of {', '.join(TRANSPORTS)}")
    if name is not None and client is not None:
        raise ConfigError("a client is given too", field="transport", value=name, mend="give one of the two")
    if client is None:
        return name
    from headgate.execute.transports.httpx_client import HttpxTransport  # httpx brings click and rich along

    return HttpxTransport(client)


def as_path(path: RunPath | None) -> Path | None:
    """Return a path, where there is one."""
    return None if path is None else Path(path)


def complete(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, in a thread of its own where an event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_loop(work)
    outcome: list[_T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(run_loop(work))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=target, name="headgate-run")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
