"""Where the files of a run lie, and what their names say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_STEM = re.compile(r"^(\d{4,})-(\d{4,})-([0-9a-z]+)-(\d{4,})$")


def make_stem(*, generation: int, shard: int, writer: str, sequence: int) -> str:
    """Return the name shared by a segment and its part.

    Examples
    --------
    >>> make_stem(generation=2, shard=0, writer="9f3a", sequence=1)
    '0002-0000-9f3a-0001'
    """
    return f"{generation:04d}-{shard:04d}-{writer}-{sequence:04d}"


def generation_of(path: Path) -> int:
    """Return the generation in a segment's or part's name, 0 for files with other names.

    Examples
    --------
    >>> generation_of(Path("results/0002-0000-9f3a-0001.parquet")), generation_of(Path("results/imported.parquet"))
    (2, 0)
    """
    found = _STEM.match(path.stem)
    return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run.

    Examples
    --------
    >>> RunFolder(Path("runs/a")).manifest.as_posix()
    'runs/a/manifest.json'
    """

    path: Path

    @property
    def manifest(self) -> Path:
        """The run's facts."""
        return self.path / "manifest.json"

    @property
    def items(self) -> Path:
        """Items and rendered prompts."""
        return self.path / "items.parquet"

    @property
    def sums(self) -> Path:
        """Checksums of all files that are finished."""
        return self.path / "SHA256SUMS"

    @property
    def journal(self) -> Path:
        """Folder of the segments; it is gone when a run is finished."""
        return self.path / "journal"

    @property
    def lock(self) -> Path:
        """The file that keeps a second writer out."""
        return self.journal / "lock"

    @property
    def results(self) -> Path:
        """Folder of the parts."""
        return self.path / "results"

    @property
    def scores(self) -> Path:
        """Folder of the scores."""
        return self.path / "scores"

    @property
    def judges(self) -> Path:
        """Folder of what judges were asked: a run directory in each of its subfolders' subfolders."""
        return self.path / "judges"

    def judge_runs(self) -> list[RunFolder]:
        """Return the runs of judges over this run's answers, in the order of their names."""
        return [RunFolder(file.parent) for file in sorted(self.judges.glob("*/*/manifest.json"))]

    @property
    def evaluators(self) -> Path:
        """Folder of what evaluators asked of models."""
        return self.path / "evaluators"

    def evaluator_files(self) -> list[Path]:
        """Rows of what evaluators asked, in the order in which they were written."""
        return sorted(self.evaluators.glob("*.parquet"))

    def parts(self) -> list[Path]:
        """Parts in the order of their names: generation, shard, writer, sequence."""
        return sorted(self.results.glob("*.parquet"))

    def segments(self) -> list[Path]:
        """All segments, in the same order."""
        return sorted(self.journal.glob("*.arrows"))

    def score_files(self) -> list[Path]:
        """Scores, one file per scorer and version."""
        return sorted(self.scores.glob("*.parquet"))

    def sources(self) -> list[Path]:
        """Files that together hold every row: all parts, and the segments that have no part of the same stem."""
        # Segments are listed first: one that becomes a part in between is then seen twice, never missed.
        segments, parts = self.segments(), self.parts()
        stems = {part.stem for part in parts}
        return parts + [segment for segment in segments if segment.stem not in stems]

    def part_of(self, segment: Path) -> Path:
        """Return the part that a segment becomes."""
        return self.results / f"{segment.stem}.parquet"
