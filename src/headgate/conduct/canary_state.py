"""What a canary has seen, in one file that is replaced whole: a kill loses nothing and counts nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from headgate.decide.canary import Evidence
from headgate.decide.live import Sight
from headgate.errors import PlanMismatch, StoreError
from headgate.identity import digest
from headgate.store.disk import FileLock, make_folder, naming, replace_bytes
from headgate.traffic.cursor import Mark
from headgate.traffic.units import FlowState

VERSION: Final = 1


class CanaryState(msgspec.Struct, kw_only=True):
    """Everything that a canary goes on from.

    Attributes
    ----------
    parts : dict of str to str
        Digest of each part of the declaration that the evidence rests on.
    marks : list of dict
        How far each file of each source was read.
    flow : FlowState
        Rows that wait, clusters that are open, clusters that had their unit.
    evidence : list of Evidence
        One per gate.
    """

    parts: dict[str, str]
    marks: list[dict[str, Mark]]
    flow: FlowState
    evidence: list[Evidence]
    sight: Sight
    version: int = VERSION


class _Head(msgspec.Struct):
    version: int
    parts: dict[str, str]


class StateFile:
    """The state of one canary in a folder that no other process writes to meanwhile.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    StoreLocked
        If another process holds it.
    StoreError
        If the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     state = StateFile(Path(folder))
    ...     state.load({"gates": "1"})
    ...     state.close()
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.msgpack"
        with naming(folder, "write"):
            make_folder(folder)
            self._lock = FileLock(folder / "lock", guards=folder)

    def load(self, parts: Mapping[str, str]) -> CanaryState | None:
        """Return the state, or None where there is none yet.

        Raises
        ------
        PlanMismatch
            If it is of another declaration; the message names what differs.
        StoreError
            If it cannot be read.
        """
        with naming(self.path, "read"):
            if not self.path.exists():
                return None
            data = self.path.read_bytes()
        mend = "give another folder, or remove this one to begin anew"
        try:
            head = msgspec.msgpack.decode(data, type=_Head)
            if head.version != VERSION:
                raise StoreError(f"{self.path}: is of version {head.version}, not {VERSION}; {mend}")
            different = tuple(sorted(k for k in {*head.parts, *parts} if head.parts.get(k) != parts.get(k)))
            if different:
                problem = f"holds the evidence of another canary: {', '.join(different)} differ"
                raise PlanMismatch(problem, keys=different, file=self.path, mend=mend)
            return msgspec.msgpack.decode(data, type=CanaryState)
        except msgspec.DecodeError as error:
            raise StoreError(f"{self.path}: cannot be read: {error}; {mend}") from error

    def save(self, state: CanaryState) -> None:
        """Replace the state, durably and at once.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        with naming(self.path, "write"):
            replace_bytes(self.path, msgspec.msgpack.encode(state))

    def close(self) -> None:
        """Let other processes in."""
        self._lock.release()


def parts_of(facts: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each part of a declaration.

    Examples
    --------
    >>> sorted(parts_of({"alpha": 0.05, "gates": []}))
    ['alpha', 'gates']
    """
    return {name: digest(value) for name, value in facts.items()}


def whole(parts: Mapping[str, str]) -> str:
    """Return the digest of all parts."""
    return digest(dict(parts))
