"""What the commands do: call the API, print facts or JSON."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import headgate.api as hg
from headgate.ci.starter import SYSTEMS, write_pipeline, write_suite
from headgate.cli.running import check_shown, run_shown
from headgate.decide.table import one_line
from headgate.decide.verdict import EXIT_CODES, Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.report.markdown import verdict_markdown
from headgate.report.terminal import estimate_cells, format_counts, format_table, print_verdict
from headgate.shard import choose_shard
from headgate.store.disk import replace_bytes
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.run import count_statuses

if TYPE_CHECKING:
    from headgate.conduct.estimates import CellEstimate
    from headgate.conduct.planning import LaneForecast
    from headgate.decide.forecast import GateForecast


def init_files(words: Sequence[str], *, quiet: bool) -> None:
    """Write the starter suite, and the files of a system if the words begin with one."""
    system = words[0] if words and words[0] in SYSTEMS else None
    folders = words[1:] if system else words
    if len(folders) > 1:
        mend = f"write DIR, or one of {', '.join(SYSTEMS)} and DIR"
        raise ConfigError("is one word too many", field="init", value=folders[1], mend=mend)
    folder = Path(folders[0]) if folders else Path()
    written = write_suite(folder) if system is None else write_pipeline(folder, system)
    if quiet:
        return
    for path in written:
        print_line(f"wrote {path}")
    if system is None:
        print_line(f"next: headgate run {written[0]} && headgate gate runs/support-bot")
    else:
        print_line(f"next: {SYSTEMS[system]}")


def run_suite(
    path: Path,
    *,
    out: Path | None,
    shard: str | None,
    options: Mapping[str, Any],
    json: bool,
    quiet: bool,
) -> None:
    """Run or resume a suite, or a shard of it; the options are keywords of :func:`headgate.run`."""
    part = choose_shard(shard)
    suite = hg.load_suite(path)
    name = suite.name if part is None else f"{suite.name}-{part.index}-of-{part.count}"
    folder = out or Path("runs") / name
    done = run_shown(suite, out=folder, shard=part, options=options, quiet=quiet)
    if json:
        print_json({"run": str(done.path), "planned": done.planned, "counts": done.counts})
    elif not quiet:
        print_line(format_counts(done.counts, done.planned))
        print_line(f"results in {done.path}")


def score_run(run: Path, *, suite: Path | None, json: bool, quiet: bool) -> None:
    """Score a run again."""
    unscored = hg.score_run(run, suite=None if suite is None else hg.load_suite(suite))
    if json:
        print_json({"run": str(run), "unscored": unscored})
    elif not quiet:
        rows = [[name, str(count)] for name, count in unscored.items()]
        print_line(format_table(["scorer", "could not be scored"], rows))


def gate_run(
    run: Path,
    *,
    baseline: Path | None,
    anchor: Path | None,
    suite: Path | None,
    candidate: str | None,
    on_inconclusive: str | None,
    files: Mapping[str, Path | None],
    json: bool,
    quiet: bool,
) -> int:
    """Judge a run, write the verdict, and return its exit code."""
    _known_mapping(on_inconclusive)
    declared = None if suite is None else hg.load_suite(suite)
    verdict = hg.gate(run, baseline=baseline, anchor=anchor, suite=declared, candidate=candidate)
    verdict = _mapped(verdict, on_inconclusive)
    _write_files(verdict, files, run)
    _tell(verdict, json=json, quiet=quiet)
    return verdict.exit_code


def plan_suite(path: Path, *, stored: Path | None, json: bool) -> int:
    """Say what a suite will take and can show; return the exit code."""
    from headgate.conduct.planning import forecast_suite

    found = forecast_suite(hg.load_suite(path), stored=stored)
    if json:
        print_json({**dataclasses.asdict(found), "minutes": found.minutes, "is_worth_it": found.is_worth_it})
    else:
        print_line(f"{found.items:,} items, {found.seeds} seeds, {found.jobs:,} jobs\n")
        heads = ["lane", "requests", "input tokens", "output tokens", "at its limits"]
        print_line(format_table(heads, map(_lane_cells, found.lanes)))
        heads = ["gate", "cell", "tier", "passes if unchanged", "sees", "from"]
        print_line("\n" + format_table(heads, map(_gate_cells, found.gates)))
        for gate in found.gates:
            if gate.advice:
                print_line(f"  {one_line(gate.metric)}: {gate.advice}")
    return 0 if found.is_worth_it else EXIT_CODES["inconclusive"]


def _lane_cells(lane: LaneForecast) -> list[str]:
    time = "no limits declared" if lane.minutes is None else f"{lane.minutes:,.1f} min"
    return ["+".join(lane.models), f"{lane.requests:,}", f"{lane.input_tokens:,}", f"{lane.output_tokens:,}", time]


def _gate_cells(gate: GateForecast) -> list[str]:
    rule = gate.rule if gate.bound is None else f"{gate.rule} {gate.bound:g}"
    passes = "-" if gate.passes is None else f"{gate.passes:.0%}"
    sees = "-" if gate.mde is None else f"{gate.mde:.3g}"
    return [f"{gate.metric} {rule}", " ".join(gate.cell.values()), gate.tier, passes, sees, gate.basis]


def check_suite(
    path: Path,
    *,
    out: Path | None,
    on_inconclusive: str | None,
    files: Mapping[str, Path | None],
    options: Mapping[str, Any],
    max_minutes: float | None,
    json: bool,
    quiet: bool,
) -> int:
    """Run a suite until its verdict stands, write the verdict, and return its exit code."""
    _known_mapping(on_inconclusive)
    suite = hg.load_suite(path)
    if max_minutes is not None:
        suite = suite.model_copy(update={"budget": suite.budget.model_copy(update={"max_minutes": max_minutes})})
    done = check_shown(suite, out=out or Path("runs") / suite.name, options=options, quiet=quiet)
    verdict = _mapped(done.verdict, on_inconclusive)
    _write_files(verdict, files, done.run.path)
    _tell(verdict, json=json, quiet=quiet)
    if not json and not quiet:
        looks = "1 look" if len(verdict.looks) == 1 else f"{len(verdict.looks)} looks"
        print_line(f"{looks}; {done.run.done:,} of {done.planned:,} jobs, {done.saved:,} were not needed")
    return verdict.exit_code


def _known_mapping(on_inconclusive: str | None) -> None:
    if on_inconclusive not in {None, "keep", "pass", "fail"}:
        raise ConfigError("is unknown", field="--on-inconclusive", value=on_inconclusive, mend="use keep, pass or fail")


def _mapped(verdict: Verdict, on_inconclusive: str | None) -> Verdict:
    """Return the verdict with the exit code that an inconclusive one is to have."""
    if on_inconclusive is None or verdict.verdict != "inconclusive":
        return verdict
    mapped = EXIT_CODES["inconclusive" if on_inconclusive == "keep" else on_inconclusive]  # type: ignore[index]
    return msgspec.structs.replace(verdict, exit_code=mapped)


def _tell(verdict: Verdict, *, json: bool, quiet: bool) -> None:
    if json:
        print_line(verdict.to_json().decode().rstrip())
    elif not quiet:
        print_verdict(verdict, stream=sys.stdout)


def _write_files(verdict: Verdict, files: Mapping[str, Path | None], run: Path) -> None:
    write_verdict(verdict, files["verdict"] or run / "verdict.json")
    if files["markdown"] is not None:
        replace_bytes(files["markdown"], verdict_markdown(verdict).encode())


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write verdict.json, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, verdict.to_json())


def show_run(run: Path, *, json: bool) -> None:
    """Show what a run holds."""
    from headgate.conduct.estimates import summarize_run

    manifest = read_manifest(RunFolder(run).manifest)
    counts = count_statuses(RunFolder(run))
    cells = summarize_run(run)
    if json:
        facts = {"run": str(run), "manifest": msgspec.to_builtins(manifest), "counts": counts}
        print_json({**facts, "estimates": [_cell_json(cell) for cell in cells]})
        return
    commit = (
        ""
        if manifest.git is None
        else f", commit {manifest.git.commit[:12]}" + (" (dirty)" if manifest.git.dirty else "")
    )
    shard = "" if manifest.shard is None else f", shard {manifest.shard}"
    print_line(f"{manifest.name}: run {manifest.run_id} of {manifest.created}{commit}{shard}")
    print_line(format_counts(counts, manifest.n_jobs))
    print_line("")
    print_line(format_table(["metric", "prompt", "model", "mean", "95 % interval", "items"], map(_cell_row, cells)))
    print_line("")
    print_line(f"files in {run}: manifest.json, items.parquet, results/*.parquet, scores/*.parquet")


def compare_runs(candidate: Path, baseline: Path, *, metrics: list[str] | None, confidence: float, json: bool) -> None:
    """Compare two runs, metric by metric."""
    from headgate.conduct.estimates import compare_cells, metrics_of

    if not 0.5 < confidence < 1:
        raise ConfigError("is not between 0.5 and 1", field="--confidence", value=confidence)
    common = metrics_of(read_manifest(RunFolder(candidate).manifest))
    other = metrics_of(read_manifest(RunFolder(baseline).manifest))
    wanted = metrics or [metric for metric in common if metric in other]
    cells = [cell for metric in wanted for cell in compare_cells(candidate, baseline, metric, confidence=confidence)]
    if json:
        print_json(
            {"candidate": str(candidate), "baseline": str(baseline), "differences": list(map(_cell_json, cells))}
        )
        return
    heads = ["metric", "prompt", "model", "candidate - baseline", f"{confidence:.0%} interval", "items"]
    print_line(format_table(heads, map(_cell_row, cells)))


def merge_runs(runs: Sequence[Path], *, out: Path, json: bool, quiet: bool) -> None:
    """Make one run of shards."""
    whole = hg.merge(runs, out=out)
    if json:
        facts = {"run": str(whole.path), "planned": whole.planned, "counts": whole.counts}
        print_json({**facts, "merged": [str(run) for run in runs]})
    elif not quiet:
        print_line(format_counts(whole.counts, whole.planned))
        print_line(f"results in {whole.path}")


def verify_run(run: Path, *, json: bool, quiet: bool) -> int:
    """Check a run's files; 0 when none is damaged (it may be unfinished), else 3."""
    problems = hg.verify(run)
    damaged = [problem for problem in problems if not problem.unfinished]
    if json:
        print_json({"run": str(run), "problems": [_plain(dataclasses.asdict(problem)) for problem in problems]})
        return HeadgateError.exit_code if damaged else 0
    for problem in problems:
        if problem in damaged or not quiet:
            sys.stderr.write(f"{problem}\n")
    if not damaged and not quiet:
        print_line(f"{run}: every file is as it was written")
    return HeadgateError.exit_code if damaged else 0


def _cell_row(cell: CellEstimate) -> list[str]:
    return [cell.metric, cell.prompt, cell.model, *estimate_cells(cell.estimate)]


def _cell_json(cell: CellEstimate) -> dict[str, Any]:
    estimate = None if cell.estimate is None else _plain(dataclasses.asdict(cell.estimate))
    return {"metric": cell.metric, "prompt": cell.prompt, "model": cell.model, "estimate": estimate}


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return JSON data: paths as text, numbers that are not finite as null."""

    def value(item: Any) -> Any:
        if isinstance(item, float) and not math.isfinite(item):
            return None
        return str(item) if isinstance(item, Path) else item

    return {key: value(item) for key, item in facts.items()}


def print_line(line: str) -> None:
    """Print a line to stdout."""
    sys.stdout.write(line + "\n")


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts to stdout."""
    print_line(msgspec.json.format(msgspec.json.encode(facts), indent=1).decode())
