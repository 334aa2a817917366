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


def read_stored(run: Path, *, left_with: int | None = None) -> Stored:
    """Read what ``gate`` or ``check`` wrote.

    Parameters
    ----------
    run : Path
        The run directory; it need not be there.
    left_with : int, optional
        Exit code of that command, which says more where it left no verdict.

    Returns
    -------
    Stored
        Without a verdict that can be read: an ``invalid`` one without rows that says why, and whose exit code is
        ``left_with``, or 3 where that is none or a verdict's own.
    """
    try:
        verdict = Verdict.from_json((run / VERDICT).read_bytes())
        if verdict.exit_code not in _CODES[verdict.verdict]:
            verdict = _no_verdict(f"{VERDICT} contradicts itself", left_with)
    except (OSError, ConfigError) as error:
        why = f"{VERDICT} is not there" if isinstance(error, FileNotFoundError) else f"{VERDICT} cannot be read"
        verdict = _no_verdict(why, left_with)
    return Stored(verdict, _manifest(run))


def _manifest(run: Path) -> Manifest | None:
    try:
        return read_manifest(RunFolder(run).manifest)
    except HeadgateError:
        return None


def _no_verdict(why: str, left_with: int | None) -> Verdict:
    meaning = _MEANINGS.get(left_with) if left_with is not None else None
    code = f"; the command before left with {left_with}" if left_with else ""
    nothing = ArmErrors(planned=0, ok=0, refused=0, errored=0, not_run=0, unscored=0, kinds={})
    nowhere = ArmFacts(run="", suite_digest="", plan_digest="", prompt_digests={}, served_models=[], git=None)
    own = left_with is None or left_with in EXIT_CODES.values()
    return Verdict(
        verdict="invalid",
        reason=f"no verdict: {why}{code}{f' ({meaning})' if meaning else ''}; see the log of the job",
        exit_code=EXIT_CODES["invalid"] if own or left_with is None else left_with,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=0.05,
        metrics=[],
        errors=Errors(candidate=nothing, baseline=None),
        candidate=nowhere,
        baseline=None,
    )
