"""What a command left in a run directory, for the systems that report it; no verdict is a finding too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headgate.ci.result import read_result
from headgate.decide.verdict import EXIT_CODES, ArmErrors, ArmFacts, Errors, Verdict
from headgate.errors import HeadgateError
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest


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
    """Read what ``gate`` or ``check`` wrote, as :func:`headgate.ci.result.read_result`.

    Parameters
    ----------
    run : Path
        The run directory; it need not be there.
    ended : int, optional
        Exit code of that command.

    Returns
    -------
    Stored
        Without a verdict that can be read: an ``invalid`` one without rows that says why, and whose exit code is
        ``ended``, or 3 where that is none or a verdict's own.
    """
    found = read_result(run, ended=ended)
    return Stored(found.verdict or _no_verdict(found.missing, ended), _manifest(run))


def _manifest(run: Path) -> Manifest | None:
    try:
        return read_manifest(RunFolder(run).manifest)
    except HeadgateError:
        return None


def _no_verdict(why: str, ended: int | None) -> Verdict:
    nothing = ArmErrors(planned=0, ok=0, refused=0, errored=0, not_run=0, unscored=0, kinds={})
    nowhere = ArmFacts(run="", suite_digest="", plan_digest="", prompt_digests={}, served_models=[], git=None)
    own = ended is None or ended in EXIT_CODES.values()
    return Verdict(
        verdict="invalid",
        reason=f"no verdict: {why}; see the log of the job",
        exit_code=EXIT_CODES["invalid"] if own or ended is None else ended,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=0.05,
        metrics=[],
        errors=Errors(candidate=nothing, baseline=None),
        candidate=nowhere,
        baseline=None,
    )
