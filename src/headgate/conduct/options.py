"""What a call adds to the suite, for the run that it makes or goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headgate.conduct.watch import STALL_S, check_output
from headgate.execute.cache import NO_CACHE, CacheOptions
from headgate.execute.transport import Transport
from headgate.execute.transports import TransportName


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a call adds to the suite.

    Attributes
    ----------
    limit : int, optional
        Only the first so many items.
    pilot : int, optional
        Only so many items, drawn by the plan's digest; the same ones each time, and more of them with a larger number.
    retry_errors : bool
        Errored jobs are run again.
    transport : Transport or str, optional
        In place of the default one: the name of another, or one that is open; it is closed with the run.
    metrics_file : Path, optional
        Prometheus text, replaced every 15 s and at the end.
    log_file : Path, optional
        JSON lines, appended.
    cache : CacheOptions
        Whether answers are reused, and kept, and where.
    stall_s : float
        Seconds without movement after which a warning says what the run waits for.

    Raises
    ------
    ConfigError
        If a file cannot be written.
    """

    limit: int | None = None
    pilot: int | None = None
    retry_errors: bool = False
    transport: Transport | TransportName | None = None
    metrics_file: Path | None = None
    log_file: Path | None = None
    cache: CacheOptions = NO_CACHE
    stall_s: float = STALL_S

    def __post_init__(self) -> None:
        if self.metrics_file is not None:
            check_output(self.metrics_file, field="metrics_file", replaced=True)
        if self.log_file is not None:
            check_output(self.log_file, field="log_file")
