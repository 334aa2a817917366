"""The commands, their arguments and their help; what they do stands in the sibling modules, imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.ci import app as ci_app

app = typer.Typer(
    name="headgate",
    help="Runs large LLM evaluations and says, with error bars, whether a change may pass.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="Suite file: YAML, TOML or JSON.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]
Transport = Annotated[
    str | None,
    typer.Option("--transport", metavar="NAME", help="What sends requests: pyreqwest (the default), aiohttp or httpx."),
]
MetricsFile = Annotated[
    Path | None, typer.Option("--metrics-file", metavar="FILE", help="Keep Prometheus metrics here (textfile).")
]
LogFile = Annotated[
    Path | None, typer.Option("--log-file", metavar="FILE", help="Append what happens here, as JSON lines.")
]
OnInconclusive = Annotated[
    str | None, typer.Option("--on-inconclusive", metavar="keep|pass|fail", help="What exit code 20 becomes.")
]
VerdictFile = Annotated[Path | None, typer.Option("--verdict", metavar="FILE", help="Write the verdict here.")]
MarkdownFile = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Run directory; default: runs/NAME, or runs/NAME-i-of-n.")
]
Anchor = Annotated[
    Path | None, typer.Option("--anchor", metavar="RUN", help="Last release, for gates against the anchor.")
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


app.add_typer(ci_app, name="ci")


@app.callback(invoke_without_command=True)
def headgate(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Handle the options before any command."""
    if version:
        from headgate import __version__

        typer.echo(f"headgate {__version__}")
        raise typer.Exit


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")] = Path("headgate-demo"),
    quiet: Quiet = False,
) -> None:
    """Run the whole job on simulated models over loopback HTTP: no key, no network."""
    from headgate.cli.demo import run_demo

    raise typer.Exit(run_demo(out, quiet=quiet))


@app.command()
def init(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[argo|tekton] [DIR]", help="Write the files of this system too; where to write the files."
        ),
    ] = None,
    *,
    quiet: Quiet = False,
) -> None:
    """Write a suite to start from: suite.yaml, items, prompts and a scorer; and what a system needs to run it."""
    from headgate.cli.commands import init_files

    init_files(words or [], quiet=quiet)


@app.command()
def run(
    suite: SuiteFile,
    *,
    out: Out = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N|auto", help="Run only the I-th of N parts; auto: see the environment."),
    ] = None,
    transport: Transport = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Run only the first N items of the plan.")] = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Run errored jobs again.")] = False,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite, or go on where it stopped; score it; never gate."""
    from headgate.cli.commands import run_suite

    options = {
        "limit": limit,
        "retry_errors": retry_errors,
        "transport": transport,
        "metrics_file": metrics_file,
        "log_file": log_file,
    }
    run_suite(suite, out=out, shard=shard, options=options, json=json, quiet=quiet)


@app.command()
def score(
    run: RunFolder,
    *,
    suite: Annotated[Path | None, typer.Option("--suite", help="Suite file with the scorers; default: as run.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run again; calls no model."""
    from headgate.cli.commands import score_run

    score_run(run, suite=suite, json=json, quiet=quiet)


@app.command()
def gate(
    run: RunFolder,
    *,
    baseline: Annotated[Path | None, typer.Option("--baseline", metavar="RUN", help="Run to compare with.")] = None,
    anchor: Anchor = None,
    suite: Annotated[Path | None, typer.Option("--suite", help="Suite file with the gates; default: as run.")] = None,
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="AXIS=NAME", help="Judge this arm, such as prompt=NAME.")
    ] = None,
    on_inconclusive: OnInconclusive = None,
    verdict: VerdictFile = None,
    markdown: MarkdownFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a run. Exit codes: 0 pass, 1 fail, 20 inconclusive, 3 invalid, 2 usage."""
    from headgate.cli.commands import gate_run

    files = {"verdict": verdict, "markdown": markdown}
    raise typer.Exit(
        gate_run(
            run,
            baseline=baseline,
            anchor=anchor,
            suite=suite,
            candidate=candidate,
            on_inconclusive=on_inconclusive,
            files=files,
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def plan(
    suite: SuiteFile,
    *,
    stored: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Earlier run, for how much items and arms differ.")
    ] = None,
    json: Json = False,
) -> None:
    """Say what a suite will take, and whether its gates can pass; exit code 20 when one hardly can."""
    from headgate.cli.commands import plan_suite

    raise typer.Exit(plan_suite(suite, stored=stored, json=json))


@app.command()
def check(
    suite: SuiteFile,
    *,
    out: Out = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="RUN", help="Stored run to compare with: only the candidate is asked."),
    ] = None,
    anchor: Anchor = None,
    transport: Transport = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Stop after so long, with what is known then.")
    ] = None,
    on_inconclusive: OnInconclusive = None,
    verdict: VerdictFile = None,
    markdown: MarkdownFile = None,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite until its verdict stands, and no longer. Exit codes: as gate; 130 interrupted, resumable."""
    from headgate.cli.commands import check_suite

    options = {"baseline": baseline, "anchor": anchor, "transport": transport}
    options |= {"metrics_file": metrics_file, "log_file": log_file}
    raise typer.Exit(
        check_suite(
            suite,
            out=out,
            on_inconclusive=on_inconclusive,
            files={"verdict": verdict, "markdown": markdown},
            options=options,
            max_minutes=max_minutes,
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def show(run: RunFolder, *, json: Json = False) -> None:
    """Show what a run holds: rows, errors, scores with intervals, latency, tokens."""
    from headgate.cli.commands import show_run

    show_run(run, json=json)


@app.command()
def compare(
    candidate: Annotated[Path, typer.Argument(metavar="RUN", help="The candidate run.")],
    baseline: Annotated[Path, typer.Argument(metavar="BASELINE", help="The baseline run.")],
    *,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Only this metric; may be repeated.")] = None,
    confidence: Annotated[float, typer.Option("--confidence", help="Two-sided level of the intervals.")] = 0.95,
    json: Json = False,
) -> None:
    """Compare two runs, metric by metric; an estimate, not a verdict."""
    from headgate.cli.commands import compare_runs

    compare_runs(candidate, baseline, metrics=metric, confidence=confidence, json=json)


@app.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run directories of all shards.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The new run directory.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make one run of the finished shards of a plan; they stay as they are."""
    from headgate.cli.commands import merge_runs

    merge_runs(runs, out=out, json=json, quiet=quiet)


@app.command()
def verify(run: RunFolder, *, json: Json = False, quiet: Quiet = False) -> None:
    """Check every file of a run against its manifest and checksums."""
    from headgate.cli.commands import verify_run

    raise typer.Exit(verify_run(run, json=json, quiet=quiet))
