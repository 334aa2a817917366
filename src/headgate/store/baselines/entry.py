"""One stored baseline: what it answers for, and which run it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict

import msgspec

from headgate.errors import StoreError
from headgate.identity import digest, digest_bytes
from headgate.store.baselines.bundles import FACTS
from headgate.store.disk import naming
from headgate.store.provenance import Git
from headgate.suite.gate import Arm

SCHEMA_ID: Final = "headgate.baseline/v1"
_FILE: Final = re.compile(r"(manifest\.json|items\.parquet|(results|scores)/[A-Za-z0-9][A-Za-z0-9_.@-]*\.parquet)")

Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*\Z")]


class Parts(TypedDict):
    """What a baseline's key covers: names and digests of the arm, the number of seeds, scorers and their versions."""

    items: Hex
    prompts: dict[_Word, Hex]
    models: dict[_Word, Hex]
    seeds: int
    scorers: dict[_Word, _Word]


class Baseline(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA_ID):
    """The facts of a stored baseline.

    Attributes
    ----------
    key : str
        Digest of ``parts``: a suite with the same key may use it.
    id : str
        Content id of the run, by the checksums of its files.
    parts : dict
        What its key covers, see :class:`Parts`.
    suite : str
        Name of the suite.
    run_id, created : str
        Of the run; ``created`` is when it began, UTC, ISO 8601.
    git : Git, optional
        State of the working tree that the run began in.
    ci_url : str, optional
        The CI job that made the run.
    n_items, first_seed : int
        Number of items, and of the first seed.
    size : int
        Bytes of its files.
    """

    key: Hex
    id: Hex
    parts: Parts
    suite: str
    run_id: str
    created: str
    git: Git | None
    ci_url: str | None
    n_items: int
    first_seed: int
    size: int

    @property
    def bundle(self) -> str:
        """Name of its bundle."""
        return f"entries/{self.key}/{self.id}"

    @property
    def address(self) -> str:
        """How `--baseline` names it."""
        return f"baseline:{self.id}"

    @property
    def last_seed(self) -> int:
        """Number of the last seed."""
        return self.first_seed + self.parts["seeds"] - 1

    def age_s(self, now: datetime | None = None) -> float:
        """Return the seconds since the run began."""
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(self.created)).total_seconds()

    def to_json(self) -> bytes:
        """Return indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def baseline_parts(plan: Mapping[str, Any], *, arm: Arm | None, scorers: Mapping[str, str]) -> Parts:
    """Return what must be the same for a stored arm to be used in the place of this one.

    Names belong to it, because arms pair by name. Which seeds were drawn does not: it is how a baseline is drawn again.

    Parameters
    ----------
    plan : mapping
        The parts of a plan, as :attr:`headgate.plan.Plan.parts`.
    arm : Arm, optional
        The arm that is the baseline; without one it is the whole plan.
    scorers : mapping
        Scorer name to version.

    Examples
    --------
    >>> plan = {"items": "i", "prompts": {"old": "p", "new": "q"}, "models": {"m": "r"}, "seeds": 3, "axis": "prompt"}
    >>> baseline_parts(plan, arm=Arm(prompt="old"), scorers={"correct": "1"})
    {'items': 'i', 'prompts': {'old': 'p'}, 'models': {'m': 'r'}, 'seeds': 3, 'scorers': {'correct': '1'}}
    """
    return Parts(
        items=plan["items"],
        prompts={name: one for name, one in plan["prompts"].items() if arm is None or arm.has_prompt(name)},
        models={name: one for name, one in plan["models"].items() if arm is None or arm.has_model(name)},
        seeds=plan["seeds"],
        scorers=dict(scorers),
    )


def content_id(sums: bytes) -> str:
    """Return the id of a run from the content of its ``SHA256SUMS``."""
    return digest_bytes(sums)


def decode_baseline(data: bytes, *, where: str) -> Baseline:
    """Read the facts of a stored baseline.

    Raises
    ------
    StoreError
        If they are damaged, or of a later version.
    """
    try:
        found = msgspec.json.decode(data, type=Baseline)
        if datetime.fromisoformat(found.created).tzinfo is not None and found.key == digest(found.parts):
            return found
        problem = "does not hold together"
    except (ValueError, TypeError) as error:
        problem = f"cannot be read: {error}"
    raise StoreError(f"{where}: {problem}; restore it from a copy, or update headgate")


def read_stored(folder: Path) -> Baseline | None:
    """Return the facts of the stored baseline whose files lie in a folder; None for any other run.

    Raises
    ------
    StoreError
        If they are damaged.
    """
    path = folder / FACTS
    if not path.is_file():
        return None
    with naming(path, "read"):
        return decode_baseline(path.read_bytes(), where=str(path))


def is_run_file(name: str) -> bool:
    """Tell whether a file of this name may stand in a run; what a store says is not trusted.

    Examples
    --------
    >>> is_run_file("scores/correct@1.parquet"), is_run_file("../results/a.parquet")
    (True, False)
    """
    return _FILE.fullmatch(name) is not None
