"""What a CI system is told: a verdict, the manifest behind it, and what the run has cost."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.decide.verdict import EXIT_CODES, Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.identity import digest
from headgate.store.costs import sum_costs
from headgate.store.disk import naming
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest

MOST_BYTES: Final = 8 << 20
"""A verdict file that is larger is not read."""

ENDINGS: Final = {
    1: "a fault, or a Python error",
    2: "a usage or configuration error",
    3: "no verdict was possible",
    130: "interrupted, resumable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A verdict and where it comes from.

    Attributes
    ----------
    verdict : Verdict or None
        None where there is none; ``missing`` then says why.
    missing : str
        One sentence; empty where there is a verdict.
    verdict_file : Path
        Where the verdict stands, or should.
    manifest : Manifest or None
        Of the candidate's run, where it is at hand.
    cost_usd : float or None
        What the run's jobs have cost; None where no price was known.
    """

    verdict: Verdict | None
    missing: str
    verdict_file: Path
    manifest: Manifest | None = None
    cost_usd: float | None = None

    @property
    def word(self) -> str:
        """The verdict's word, or ``none``."""
        return "none" if self.verdict is None else self.verdict.verdict

    @property
    def n_items(self) -> int:
        """Items behind the verdict: those of the row that has most."""
        return 0 if self.verdict is None else max((row.n_items for row in self.verdict.metrics), default=0)

    @property
    def digests(self) -> tuple[str, str]:
        """Content ids of the candidate's and the baseline's prompts; empty where there is none."""
        arms = (None, None) if self.verdict is None else (self.verdict.candidate, self.verdict.baseline)
        candidate, baseline = (_digest({} if arm is None else arm.prompt_digests) for arm in arms)
        return candidate, baseline


def _digest(prompts: dict[str, str]) -> str:
    """Return the digest of the only prompt, or one over all of them."""
    digests = sorted(prompts.values())
    return digests[0] if len(digests) == 1 else digest(digests) if digests else ""


def read_result(run: Path, *, ended: int | None = None) -> Result:
    """Read the verdict that ``gate`` or ``check`` wrote.

    Parameters
    ----------
    run : Path
        A run directory with ``verdict.json`` in it, or a verdict file.
    ended : int, optional
        Exit code of the command that should have written it. A verdict with another one is of an earlier run.

    Returns
    -------
    Result
        Without a verdict where the file is not there or is none: that is a finding too. Without a manifest where it
        cannot be read.

    Examples
    --------
    >>> read_result(Path("nowhere"), ended=2).missing
    'nowhere/verdict.json is not there; the command ended with exit code 2: a usage or configuration error'
    """
    path = run if run.is_file() else run / "verdict.json"
    if not path.is_file():
        return Result(verdict=None, missing=f"{path} is not there{_ending(ended)}", verdict_file=path)
    try:
        verdict = read_verdict(path)
    except HeadgateError as error:
        return Result(verdict=None, missing=f"{error}{_ending(ended)}", verdict_file=path)
    if ended is not None and ended != verdict.exit_code:
        missing = f"{path} is of an earlier run{_ending(ended)}"
        return Result(verdict=None, missing=missing, verdict_file=path)
    manifest, cost_usd = _behind(RunFolder(path.parent))
    return Result(verdict=verdict, missing="", verdict_file=path, manifest=manifest, cost_usd=cost_usd)


def _ending(ended: int | None) -> str:
    if ended is None:
        return "; the command that writes it was interrupted or failed"
    meaning = ENDINGS.get(ended, "it was ended from outside" if ended > 128 else "")
    return f"; the command ended with exit code {ended}" + (f": {meaning}" if meaning else "")


def read_verdict(path: Path) -> Verdict:
    """Read a verdict file that may come from anywhere: a plain file, not too large, of the schema, and in itself true.

    Raises
    ------
    ConfigError
        If it is not that.
    StoreError
        If it cannot be read.
    """
    with naming(path, "read"):
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError("is not a plain file", file=path)
        if facts.st_size > MOST_BYTES:
            raise ConfigError(f"has {facts.st_size:,} bytes, and a verdict has at most {MOST_BYTES:,}", file=path)
        data = path.read_bytes()
    try:
        verdict = Verdict.from_json(data)
    except ConfigError as error:
        raise ConfigError(error.problem, file=path, field=error.field) from error
    codes = set(EXIT_CODES.values()) - {3} if verdict.verdict == "inconclusive" else {EXIT_CODES[verdict.verdict]}
    if verdict.exit_code not in codes:
        raise ConfigError(f"is not that of {verdict.verdict}", file=path, field="exit_code", value=verdict.exit_code)
    held = [row for row in verdict.metrics if row.tier == "blocking" and row.verdict != "pass"]
    if verdict.verdict == "pass" and held:
        raise ConfigError("says pass, and a blocking row does not", file=path, field="verdict")
    return verdict


def _behind(run: RunFolder) -> tuple[Manifest | None, float | None]:
    """Return the manifest and the cost of the run beside a verdict, as far as they can be read."""
    try:
        return read_manifest(run.manifest), sum_costs(run).cost_usd
    except HeadgateError:
        return None, None
