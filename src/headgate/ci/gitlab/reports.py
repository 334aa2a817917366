"""A verdict in GitLab's own forms: the files of ``artifacts:reports``, and the text of a merge request's note."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from headgate.ci.stored import Stored
from headgate.decide.verdict import MetricRow, Verdict, Word
from headgate.report.codequality import Place, verdict_codequality
from headgate.report.junit import verdict_junit
from headgate.report.markdown import verdict_markdown
from headgate.report.openmetrics import verdict_openmetrics
from headgate.store.disk import make_folder, naming, replace_bytes

PAGE: Final = "verdict.md"
_GIT_TIMEOUT_S: Final = 10.0
_URL: Final = re.compile(r"https?://[\w.\-~:/%@\[\]]+")
_DIGEST: Final = re.compile(r"[0-9a-f]{8,64}")
_HUNK: Final = re.compile(rb"^@@ -\S+ \+(\d+)", re.MULTILINE)
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")
_COUNTED: Final[tuple[Word, ...]] = ("pass", "fail", "inconclusive", "invalid")


def write_reports(stored: Stored, out: Path, *, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Write every report that GitLab reads from a job, each whole or not at all.

    Parameters
    ----------
    stored : Stored
        What was judged.
    out : Path
        Folder of the reports; made if it is not there.
    environ : mapping
        GitLab's predefined variables; those that are missing leave out what needs them.

    Returns
    -------
    list of Path
        ``junit.xml``, ``metrics.txt``, ``gl-code-quality.json``, ``annotations.json``, ``verdict.env``, ``verdict.md``.

    Raises
    ------
    StoreError
        If the disk refuses.

    References
    ----------
    GitLab, CI/CD artifacts reports types.
    """
    verdict, root = stored.verdict, _work_tree(environ)
    place = prompt_places(stored, root, base=environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""))
    reports = {
        "junit.xml": verdict_junit(verdict, suite=stored.name),
        "metrics.txt": verdict_openmetrics(verdict).encode(),
        "gl-code-quality.json": verdict_codequality(verdict, place=place, suite=stored.name),
        "annotations.json": _json({"headgate": _links(out, root, environ)}),
        "verdict.env": dotenv(verdict).encode(),
        PAGE: verdict_markdown(verdict).encode(),
    }
    with naming(out, "write"):
        make_folder(out)
        for name, data in reports.items():
            replace_bytes(out / name, data)
    return [out / name for name in reports]


def _work_tree(environ: Mapping[str, str]) -> Path:
    named = Path(environ.get("CI_PROJECT_DIR", ""))
    return named if named.is_absolute() and named.is_dir() else Path.cwd()


def dotenv(verdict: Verdict) -> str:
    """Return the variables that later jobs get: words, counts and digests, never a text that someone else wrote.

    GitLab expands ``$`` in these values, and allows 5 KiB of them.
    """
    rows = [row for row in verdict.metrics if row.tier == "blocking"]
    values: dict[str, object] = {"VERDICT": verdict.verdict, "EXIT_CODE": verdict.exit_code, "GATES": len(rows)}
    values |= {f"GATES_{word.upper()}": sum(row.verdict == word for row in rows) for word in _COUNTED}
    digests = {"SUITE_DIGEST": verdict.candidate.suite_digest, "PLAN_DIGEST": verdict.candidate.plan_digest}
    if len(verdict.candidate.prompt_digests) == 1:
        digests["PROMPT_DIGEST"] = next(iter(verdict.candidate.prompt_digests.values()))
    values |= {name: value for name, value in digests.items() if _DIGEST.fullmatch(value)}
    return "".join(f"HEADGATE_{name}={value}\n" for name, value in values.items())


def note_page(verdict: Verdict, *, environ: Mapping[str, str] = os.environ, limit: int = 60_000) -> str:
    """Return the text of a note: the verdict's page, cut at the end of a line, and a link to the job.

    Parameters
    ----------
    limit : int
        Most characters of the page; GitLab takes 1,000,000, and nobody reads them.
    """
    page = verdict_markdown(verdict)
    if len(page) > limit:
        page = page[: page.rindex("\n", 0, limit) + 1] + "\nCut here; the rest stands in the reports of the job.\n"
    job = _job_url(environ)
    return page if job is None else f"{page}\n[Reports and rows of this job]({job})\n"


def prompt_places(stored: Stored, root: Path, *, base: str) -> Callable[[MetricRow], Place | None]:
    """Return a function that finds where the prompt of a row stands in the repository.

    Parameters
    ----------
    stored : Stored
        Its manifest names the file of each prompt.
    root : Path
        The work tree.
    base : str
        Commit that the merge request starts from; the line is the first that changed since, else 1.
    """
    found: dict[str, Place | None] = {}

    def place(row: MetricRow) -> Place | None:
        name = _prompt_name(row, stored.verdict)
        if name is None or stored.manifest is None or name not in stored.manifest.plan.prompts:
            return None
        if name not in found:
            path = _in_tree(stored.manifest.plan.prompts[name].file, root)
            found[name] = None if path is None else Place(path, _changed_line(root, path, base))
        return found[name]

    return place


def _prompt_name(row: MetricRow, verdict: Verdict) -> str | None:
    names = list(verdict.candidate.prompt_digests)
    return row.cell.get("prompt") or (names[0] if len(names) == 1 else None)


def _in_tree(file: str | None, root: Path) -> str | None:
    """Return a file's path in the work tree; the run may have been made in another folder, on another runner."""
    parts = [] if file is None else [part for part in Path(file).parts if part not in {"/", "..", "."}]
    tails = (Path(*parts[start:]) for start in range(len(parts)))
    return next((tail.as_posix() for tail in tails if (root / tail).is_file()), None)


def _changed_line(root: Path, path: str, base: str) -> int:
    if not _COMMIT.fullmatch(base):
        return 1
    options = ("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv")
    command = ["git", "-C", str(root), "--literal-pathspecs", "diff", *options, base, "--", path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired):
        return 1
    hunk = _HUNK.search(done.stdout)
    return max(1, int(hunk[1])) if hunk else 1


def _links(out: Path, root: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    job = _job_url(environ)
    folder = out.resolve()
    if job is None or not folder.is_relative_to(root.resolve()):
        return []
    path = quote(folder.relative_to(root.resolve()).as_posix())
    urls = {"Verdict": f"{job}/artifacts/file/{path}/{PAGE}", "All reports": f"{job}/artifacts/browse/{path}"}
    return [{"external_link": {"label": label, "url": url}} for label, url in urls.items()]


def _job_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("CI_JOB_URL", "")
    return url if _URL.fullmatch(url) else None


def _json(data: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=1) + b"\n"
