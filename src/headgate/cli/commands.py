"""What the commands do: call the API, print facts or JSON."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import headgate.api as hg
from headgate.ci.starter import SYSTEMS, write_pipeline, write_suite
from headgate.cli.output import print_json, print_line
from headgate.cli.running import check_shown, run_shown
from headgate.decide.verdict import EXIT_CODES, Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.execute.cache import CacheOptions
from headgate.prices import format_usd
from headgate.report.inert import terminal
from headgate.report.junit import verdict_junit
from headgate.report.markdown import verdict_markdown
from headgate.report.terminal import estimate_cells, format_cost, format_counts, format_table, print_verdict
from headgate.shard import Shard, choose_shard
from headgate.store.costs import sum_costs
from headgate.store.disk import replace_bytes
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.run import count_statuses
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    from headgate.conduct.estimates import CellEstimate


def init_files(system: str | None, folder: Path | None, *, quiet: bool) -> None:
    """Write the starter suite, and the pipeline of a system; a first word that is no system is the folder."""
    if system is not None and system not in SYSTEMS:
        if folder is not None:
            mend = f"use {', '.join(SYSTEMS)}; or name the folder alone"
            raise ConfigError("is no CI system that headgate writes files for", field="init", value=system, mend=mend)
        folder, system = Path(system), None
    place = folder or Path()
    written = write_suite(place) if system is None else write_pipeline(system, place)
    if not quiet:
        for path in written:
            print_line(f"wrote {path}")
        suite = place / "suite.yaml"
        step = "headgate run {suite} && headgate gate runs/support-bot" if system is None else SYSTEMS[system]
        print_line(f"next: {step.format(suite=suite)}")


def run_suite(
    path: Path,
    *,
    out: Path | None,
    shard: str | None,
    numbers: Mapping[str, Any],
    options: Mapping[str, Any],
    json: bool,
    quiet: bool,
) -> None:
    """Run or resume a suite, or a part of it; the options are keywords of :func:`headgate.run`."""
    part = choose_shard(shard)
    suite = timed(numbered(hg.load_suite(path), numbers["first_seed"]), numbers["max_minutes"])
    folder = out or Path("runs") / run_name(suite, options["arm"], part)
    done = run_shown(suite, out=folder, shard=part, options=options, quiet=quiet)
    if json:
        print_json(_run_facts(done))
    elif not quiet:
        _print_run(done)


def _run_facts(run: hg.Run) -> dict[str, Any]:
    facts = {"run": str(run.path), "planned": run.planned, "counts": run.counts}
    return {**facts, "cost_usd": run.cost_usd, "unpriced": run.unpriced, "lost": run.lost}


def _print_run(run: hg.Run) -> None:
    print_line(format_counts(run.counts, run.planned))
    if run.cost_usd is not None:
        print_line(format_cost(run.cost_usd, run.unpriced))
    for why in run.lost:
        print_line(f"endpoint lost, others served: {why}")
    print_line(f"results in {run.path}")


def numbered(suite: Suite, first_seed: int | None) -> Suite:
    """Return the suite with its seeds numbered from another one."""
    if first_seed is None:
        return suite
    return suite.model_copy(update={"first_seed": first_seed})


def timed(suite: Suite, max_minutes: float | None) -> Suite:
    """Return the suite with another limit of its time."""
    if max_minutes is None:
        return suite
    if not 0 < max_minutes < float("inf"):
        raise ConfigError("is no time", field="--max-minutes", value=max_minutes, mend="give minutes above zero")
    return suite.model_copy(update={"budget": suite.budget.model_copy(update={"max_minutes": max_minutes})})


def cache_options(mode: str | None, folder: Path | None, max_mb: float | None) -> CacheOptions:
    """Return what the command line says of the response cache; ConfigError where that makes no sense."""
    if mode is None and (folder is not None or max_mb is not None):
        raise ConfigError("is missing beside --cache-dir or --cache-max-mb", field="--cache", mend="say read or write")
    given = {} if max_mb is None else {"max_mb": max_mb}
    return CacheOptions(mode=mode or "off", folder=folder, **given)  # type: ignore[arg-type]  # it is checked there


def run_name(suite: Suite, arm: str | None, shard: Shard | None) -> str:
    """Return the name of the folder that a run goes to when none is named."""
    seed = None if suite.first_seed == 1 else f"seed{suite.first_seed}"
    part = None if shard is None else f"{shard.index}-of-{shard.count}"
    return "-".join(filter(None, [suite.name, arm, seed, part]))


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
    baseline: str | None,
    anchor: str | None,
    store: str | None,
    suite: Path | None,
    candidate: str | None,
    on_inconclusive: str | None,
    files: Mapping[str, Path | None],
    json: bool,
    quiet: bool,
) -> int:
    """Judge a run, write the verdict, and return its exit code."""
    check_mapping(on_inconclusive)
    declared = None if suite is None else hg.load_suite(suite)
    verdict = hg.gate(run, baseline=baseline, anchor=anchor, store=store, suite=declared, candidate=candidate)
    verdict = map_inconclusive(verdict, on_inconclusive)
    _write_files(verdict, files, run)
    tell(verdict, json=json, quiet=quiet)
    return verdict.exit_code


def gate_file(
    path: Path,
    *,
    suite: Path | None,
    options: Mapping[str, Any],
    on_inconclusive: str | None,
    files: Mapping[str, Path | None],
    json: bool,
    quiet: bool,
) -> int:
    """Judge another tool's results, and return the exit code; nothing is written beside them."""
    check_mapping(on_inconclusive)
    declared = None if suite is None else hg.load_suite(suite)
    verdict = hg.gate_scores(path, suite=declared, **options)
    verdict = map_inconclusive(verdict, on_inconclusive)
    if files["verdict"] is not None:
        write_verdict(verdict, files["verdict"])
    _write_reports(verdict, files, name=path.stem)
    tell(verdict, json=json, quiet=quiet)
    return verdict.exit_code


def export_file(
    run: Path, file: Path, *, format_name: str | None, prompt: str | None, model: str | None, json: bool, quiet: bool
) -> None:
    """Write a run as one file."""
    rows = hg.export_run(run, file, format=format_name, prompt=prompt, model=model)
    if json:
        print_json({"run": str(run), "file": str(file), "rows": rows})
    elif not quiet:
        print_line(f"{rows:,} rows in {file}")


def import_file(file: Path, out: Path, *, json: bool, quiet: bool) -> None:
    """Make a suite of another tool's file; what is left is told on stderr, unless it is asked for as JSON."""
    made = hg.import_suite(file, out)
    if json:
        facts = {"suite": str(made.suite), "files": [str(path) for path in made.files]}
        facts |= {name: getattr(made, name) for name in ("items", "prompts", "models", "scorers", "notes")}
        print_json({**facts, "left": [one._asdict() for one in made.left]})
    elif not quiet:
        counted, *told = str(made).splitlines()
        print_line(f"{made.suite}: {counted}")
        sys.stderr.write("".join(f"{terminal(line)}\n" for line in told))


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
    check_mapping(on_inconclusive)
    suite = hg.load_suite(path)
    suite = timed(suite, max_minutes)
    done = check_shown(suite, out=out or Path("runs") / suite.name, options=options, quiet=quiet)
    verdict = map_inconclusive(done.verdict, on_inconclusive)
    _write_files(verdict, files, done.run.path)
    tell(verdict, json=json, quiet=quiet)
    if not json and not quiet:
        looks = "1 look" if len(verdict.looks) == 1 else f"{len(verdict.looks)} looks"
        unasked = "are left" if done.expiry else "were not needed"
        print_line(f"{looks}; {done.run.done:,} of {done.planned:,} jobs, {done.saved:,} {unasked}")
        if done.run.costs.cost_usd is not None:
            costs = done.run.costs
            print_line(format_cost(costs.cost_usd, costs.unpriced, costs.judges_usd))
    if done.expiry and not quiet:
        sys.stderr.write(f"headgate: {done.expiry}; the run can be resumed\n")
    return verdict.exit_code


def check_mapping(on_inconclusive: str | None) -> None:
    """Refuse an ``--on-inconclusive`` that is none."""
    if on_inconclusive not in {None, "keep", "pass", "fail"}:
        raise ConfigError("is unknown", field="--on-inconclusive", value=on_inconclusive, mend="use keep, pass or fail")


def map_inconclusive(verdict: Verdict, on_inconclusive: str | None) -> Verdict:
    """Return the verdict with the exit code that an inconclusive one is to have."""
    if on_inconclusive is None or verdict.verdict != "inconclusive":
        return verdict
    mapped = EXIT_CODES["inconclusive" if on_inconclusive == "keep" else on_inconclusive]  # type: ignore[index]
    return msgspec.structs.replace(verdict, exit_code=mapped)


def tell(verdict: Verdict, *, json: bool, quiet: bool) -> None:
    """Print a verdict."""
    if json:
        print_line(verdict.to_json().decode().rstrip())
    elif not quiet:
        print_verdict(verdict, stream=sys.stdout)


def _write_files(verdict: Verdict, files: Mapping[str, Path | None], run: Path) -> None:
    """Write the verdict where it is asked for, and beside the rows: they are then known to have been judged."""
    if files["verdict"] is not None:
        write_verdict(verdict, files["verdict"])
    if files["verdict"] is None or os.access(run, os.W_OK):
        write_verdict(verdict, run / "verdict.json")
    _write_reports(verdict, files, name=read_manifest(RunFolder(run).manifest).name)


def _write_reports(verdict: Verdict, files: Mapping[str, Path | None], *, name: str) -> None:
    if (markdown := files["markdown"]) is not None:
        _write_whole(markdown, verdict_markdown(verdict).encode())
    if (junit := files["junit"]) is not None:
        _write_whole(junit, verdict_junit(verdict, suite=name))


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write verdict.json, whole or not at all."""
    _write_whole(path, verdict.to_json())


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, data)


def show_run(run: Path, *, json: bool) -> None:
    """Show what a run holds."""
    from headgate.conduct.estimates import summarize_run
    from headgate.conduct.evaluators import unmetered

    manifest = read_manifest(RunFolder(run).manifest)
    counts, costs = count_statuses(RunFolder(run)), sum_costs(RunFolder(run))
    cells = summarize_run(run)
    if json:
        facts = {"run": str(run), "manifest": msgspec.to_builtins(manifest), "counts": counts}
        facts |= {"cost_usd": costs.cost_usd, "unpriced": costs.unpriced, "judges_usd": costs.judges_usd}
        facts |= {"evaluators_usd": costs.evaluators_usd, "judge_unmetered": unmetered(manifest)}
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
    if costs.cost_usd is not None:
        print_line(format_cost(costs.cost_usd, costs.unpriced, costs.judges_usd))
    if costs.evaluators_usd is not None:
        print_line(f"of that {format_usd(costs.evaluators_usd)} for what evaluators asked")
    for name in unmetered(manifest):
        print_line(f"{name}: not metered: what this evaluator asks of models by itself is in no cost")
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
        print_json({**_run_facts(whole), "merged": [str(run) for run in runs]})
    elif not quiet:
        _print_run(whole)


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
