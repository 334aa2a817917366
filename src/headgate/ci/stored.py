"""What a command left in a run directory, for the systems that report it; no verdict is a finding too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.decide.verdict import EXIT_CODES, ArmErrors, ArmFacts, Errors, Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest

VERDICT: Final = "verdict.json"
_CODES: Final = {word: {code} for word, code in EXIT_CODES.items()} | {"inconclusive": {0, 1, 20}}
_MEANINGS: Final = {2: "usage or configuration error", 3: "no verdict was possible", 130: "interrupted"}


@dataclass(frozen=True, slots=True)
class Stored:
    """The verdict of a run directory, and the facts of its run where they can be read."""

    verdict: Verdict
    manifest: Manifest | None

    @property
    def name(self) -> str:
        """Name of the suite; ``headgate`` where it is not known."""
        return "headgate" if self.manifest is None else self.manifest.name


def read_stored(run: Path, *, ended: int | None = None) -> Stored:
    """Read what ``gate`` or ``check`` wrote.

    Parameters
    ----------
    run : Path
        The run directory; it need not be there.
    ended : int, optional
        Exit code of that command. It says more where there is no verdict; a verdict with another one is of an earlier
        run.

    Returns
    -------
    Stored
        Without a verdict that can be read: an ``invalid`` one without rows that says why, and whose exit code is
        ``ended``, or 3 where that is none or a verdict's own.
    """
    try:
        verdict = Verdict.from_json((run / VERDICT).read_bytes())
        if problem := _contradiction(verdict, ended):
            verdict = _no_verdict(f"{VERDICT} {problem}", ended)
    except (OSError, ConfigError) as error:
        why = f"{VERDICT} is not there" if isinstance(error, FileNotFoundError) else f"{VERDICT} cannot be read"
        verdict = _no_verdict(why, ended)
    return Stored(verdict, _manifest(run))


def _contradiction(verdict: Verdict, ended: int | None) -> str | None:
    held = any(row.tier == "blocking" and row.verdict != "pass" for row in verdict.metrics)
    if verdict.exit_code not in _CODES[verdict.verdict] or (verdict.verdict == "pass" and held):
        return "contradicts itself"
    return None if ended in {None, verdict.exit_code} else "is of an earlier run"


def _manifest(run: Path) -> Manifest | None:
    try:
        return read_manifest(RunFolder(run).manifest)
    except HeadgateError:
        return None


def _no_verdict(why: str, ended: int | None) -> Verdict:
    meaning = _MEANINGS.get(ended) if ended is not None else None
    code = f"; the command before ended with {ended}" if ended else ""
    nothing = ArmErrors(planned=0, ok=0, refused=0, errored=0, not_run=0, unscored=0, kinds={})
    nowhere = ArmFacts(run="", suite_digest="", plan_digest="", prompt_digests={}, served_models=[], git=None)
    own = ended is None or ended in EXIT_CODES.values()
    return Verdict(
        verdict="invalid",
        reason=f"no verdict: {why}{code}{f' ({meaning})' if meaning else ''}; see the log of the job",
        exit_code=EXIT_CODES["invalid"] if own or ended is None else ended,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=0.05,
        metrics=[],
        errors=Errors(candidate=nothing, baseline=None),
        candidate=nowhere,
        baseline=None,
    )
