"""The canaries behind the service: which are open, what is new of each, and what stands ready to be told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from headgate.conduct.canary import SAVED_S, Watcher
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.identity import digest
from headgate.serve.inbox import Inbox
from headgate.store.disk import FileLock, make_folder, naming
from headgate.suite.canary import Canary

MOST_PAIRS: Final = 32
"""Pairs of arms of one canary that are watched at once; the one that was asked for longest ago makes room."""
_STEP: Final = 500
_LABEL: Final = 256

_log = logging.getLogger("headgate.serve")


class UnknownCanary(HeadgateError):
    """There is no canary of that name; ``str`` says which there are."""


class BadRequest(HeadgateError):
    """A request asks for what cannot be asked."""


Pair = tuple[str, str, str]
"""Name of the canary, stable's arm, the canary's arm; the arms are empty where they are declared."""


class Service:
    """Holds the watchers, and keeps them up to date in the background.

    Parameters
    ----------
    declared : sequence of Canary
        Their names differ.
    data : Path
        Where what is received and seen is kept; one service at a time.
    keep : int
        Bytes of received rows to keep.
    poll_s : float
        Seconds between two looks at sources that nobody announces.

    Raises
    ------
    ConfigError
        If two canaries have one name, or one cannot be watched as it is declared.
    StoreError
        If the disk refuses, or another service has the folder.
    """

    def __init__(
        self,
        declared: Sequence[Canary],
        *,
        data: Path,
        keep: int = 1 << 32,
        poll_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._declared = {canary.name: canary for canary in declared}
        if len(self._declared) < len(declared):
            names = [canary.name for canary in declared]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError("is the name of two canaries", field="--config", value=twice)
        self._data, self._poll_s, self._clock = data, poll_s, clock
        with naming(data, "write"):
            make_folder(data)
            self._lock = FileLock(data / "lock", guards=data)
        try:
            self.inboxes = {kind: Inbox(data / "received" / kind, keep=keep) for kind in ("traces", "rows")}
            self._watchers: dict[Pair, Watcher] = {}
            self._faults: dict[Pair, str] = {}
            self._news, self._saved = asyncio.Event(), 0.0
            self._stopping = False
            self.ready = False
            for canary in declared:
                if canary.traffic.stable and canary.traffic.canary:
                    self._watch((canary.name, "", ""))
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        """Names of the canaries."""
        return list(self._declared)

    def verdict(self, name: str | None, stable: str, canary: str) -> tuple[Pair, Verdict | str]:
        """Return the pair that is meant and its verdict as it stands; where it cannot be watched, why.

        Raises
        ------
        UnknownCanary, BadRequest
            If the question cannot be asked.
        """
        pair = self._pair(name, stable, canary)
        watcher = self._watchers.pop(pair, None)
        if watcher is not None:
            self._watchers[pair] = watcher  # asked for last
            return pair, watcher.verdict()
        try:
            return pair, self._watch(pair).verdict()
        except HeadgateError as error:
            _log.error("%s", error)
            return pair, str(error)

    def verdicts(self) -> Iterator[tuple[Pair, Verdict]]:
        """Yield the verdict of each pair that is watched, with its labels."""
        for (name, _, _), watcher in list(self._watchers.items()):
            yield (name, *watcher.places), watcher.verdict()

    async def receive(self, kind: str, lines: bytes) -> None:
        """Keep lines durably, and have them read.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        self.inboxes[kind].append(lines)
        await asyncio.to_thread(self.inboxes[kind].sync)
        self._news.set()

    def stop(self) -> None:
        """Have :meth:`run` end after its step: one that is cut off would leave rows that are read and not counted."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        """Keep all pairs up to date, until stopped."""
        while not self._stopping:
            moved = False
            for pair in list(self._watchers):
                if not self._stopping:
                    moved |= await self._step(pair)
            self.ready = True
            if time.monotonic() - self._saved > SAVED_S:
                await self._save()
            if not moved and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), self._poll_s)
            self._news.clear()

    def close(self) -> None:
        """Save what was seen, and let others in."""
        for watcher in getattr(self, "_watchers", {}).values():
            with contextlib.suppress(HeadgateError):
                watcher.save()
            watcher.close()
        for inbox in getattr(self, "inboxes", {}).values():
            inbox.close()
        self._lock.release()

    async def _step(self, pair: Pair) -> bool:
        watcher = self._watchers.get(pair)
        try:
            return watcher is not None and await watcher.step(_STEP)
        except Exception as error:  # noqa: BLE001  # a fault is told, decides nothing, and takes no other canary along
            _log.exception("canary %s cannot be brought up to date", pair[0])
            # What it holds may be half done: when it is asked for again it goes on from what was saved.
            self._watchers.pop(pair).close()
            self._faults[pair] = f"cannot be brought up to date: {type(error).__name__}"
            return False

    async def _save(self) -> None:
        for pair in list(self._watchers)[: -MOST_PAIRS or None]:
            watcher = self._watchers.pop(pair)
            await self._saving(watcher)
            watcher.close()
        for watcher in list(self._watchers.values()):
            await self._saving(watcher)
        self._saved = time.monotonic()

    async def _saving(self, watcher: Watcher) -> None:
        try:
            await asyncio.to_thread(watcher.save)
        except HeadgateError as error:
            _log.error("%s", error)
            watcher.troubles = [str(error)]

    def _pair(self, name: str | None, stable: str, canary: str) -> Pair:
        if name is None and len(self._declared) == 1:
            (name,) = self._declared
        declared = None if name is None else self._declared.get(name)
        if declared is None or name is None:
            raise UnknownCanary(f"name one of the canaries: {', '.join(self._declared)}")
        places = (declared.traffic.stable or "", declared.traffic.canary or "")
        given = (stable or places[0], canary or places[1])
        if given == places:
            given = ("", "")
        elif declared.traffic.arm is None:
            # They would be places: whoever asks could have any file of this machine read.
            raise BadRequest("the places of this canary are declared; leave baseline and candidate out")
        if not all(places) and not all(given):
            raise BadRequest("give baseline and candidate: the values that tell the arms apart")
        if given[0] == given[1] != "":
            raise BadRequest("baseline and candidate are the same")
        if any(len(label) > _LABEL or not label.isprintable() for label in given):
            raise BadRequest(f"baseline and candidate are at most {_LABEL} printable characters")
        return name, given[0], given[1]

    def _watch(self, pair: Pair) -> Watcher:
        name, stable, canary = pair
        declared = self._declared[name]
        if len(self._watchers) >= 2 * MOST_PAIRS * len(self._declared):
            raise BadRequest("too many pairs of arms are asked for at once")
        inbox = self._data / "received" / ("traces" if declared.format == "otlp" else "rows")
        folder = self._data / "canaries" / name / (digest(list(pair[1:]))[:16] if stable else "declared")
        watcher = Watcher(
            declared,
            stable=stable or None,
            canary=canary or None,
            state=folder,
            inbox=inbox,
            clock=self._clock,
        )
        self._watchers[pair] = watcher
        if (fault := self._faults.pop(pair, None)) is not None:
            watcher.troubles = [fault]  # until a step goes well
        self._news.set()
        return watcher


def inconclusive(reason: str) -> bytes:
    """Return the answer where nothing can be judged."""
    return msgspec.json.encode({"verdict": "inconclusive", "reason": reason, "traffic": {"alarms": [reason]}})
