"""The commands, their arguments and their help; what they do stands in the sibling modules, imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli import scores
from headgate.cli.ci import ci
from headgate.cli.prompts import app as prompts

app = typer.Typer(
    name="headgate",
    help="Runs large LLM evaluations and says, with error bars, whether a change may pass.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(ci)
app.add_typer(prompts, name="prompts")

baseline_app = typer.Typer(
    help="Keep baselines, and find the one that a suite may use.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(baseline_app, name="baseline")

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="Suite file: YAML, TOML or JSON.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]
Transport = Annotated[
    str | None,
    typer.Option(
        "--transport", metavar="NAME", help="What sends requests: http1 (the default), pyreqwest, aiohttp or httpx."
    ),
]
MetricsFile = Annotated[
    Path | None, typer.Option("--metrics-file", metavar="FILE", help="Keep Prometheus metrics here (textfile).")
]
LogFile = Annotated[
    Path | None, typer.Option("--log-file", metavar="FILE", help="Append what happens here, as JSON lines.")
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="USD", help="Spend no more than so many US dollars, earlier calls included."),
]
AllowHosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="HOST", help="Send keys to this host only; may be repeated. Default: any."),
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", metavar="M", help="Take no more than so many minutes; then resumable.")
]
CacheUse = Annotated[
    str | None,
    typer.Option("--cache", metavar="off|read|write", help="Take answers of earlier runs; write: keep new ones too."),
]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", metavar="DIR", help="Where the cache is; default: HEADGATE_CACHE, else ~/.cache."),
]
CacheSize = Annotated[
    float | None, typer.Option("--cache-max-mb", metavar="MB", help="Size of the cache; default: 1024.")
]
OnInconclusive = Annotated[
    str | None, typer.Option("--on-inconclusive", metavar="keep|pass|fail", help="What exit code 20 becomes.")
]
VerdictFile = Annotated[Path | None, typer.Option("--verdict", metavar="FILE", help="Write the verdict here.")]
MarkdownFile = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown.")]
JUnitFile = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write it as JUnit XML.")]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="ADDRESS",
        help="Where baselines are: a folder, git:PATH, or a URL such as s3://bucket/folder; "
        "default: HEADGATE_BASELINES, else .headgate/baselines.",
    ),
]
BaselineName = Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it, such as release-1.2.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Run directory; default: runs/NAME, with its arm, seed and shard."),
]
Anchor = Annotated[
    str | None,
    typer.Option("--anchor", metavar="RUN", help="Last release, for gates against the anchor; or baseline:NAME."),
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


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
    system: Annotated[
        str | None,
        typer.Argument(metavar="argo|github|gitlab|tekton", help="Write this system's files too; may be left out."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to write the files; default: here.")
    ] = None,
    *,
    quiet: Quiet = False,
) -> None:
    """Write a suite to start from: suite.yaml, items, prompts and a scorer; and the pipeline that runs it."""
    from headgate.cli.commands import init_files

    init_files(system, folder, quiet=quiet)


@app.command()
def doctor(
    suite: SuiteFile,
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask each model for a word: a few tokens.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the run would go; default: runs/NAME.")
    ] = None,
    allow_host: AllowHosts = None,
    transport: Transport = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what would spoil a run, and what to do. Exit codes: 0 nothing, 2 the suite, 3 an endpoint or this machine."""
    from headgate.cli.doctor import diagnose

    options = {"live": live, "out": out, "allow_hosts": allow_host, "transport": transport}
    raise typer.Exit(diagnose(suite, options=options, json=json, quiet=quiet))


@app.command()
def run(
    suite: SuiteFile,
    *,
    out: Out = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N|auto", help="Run only the I-th of N parts; auto: see the environment."),
    ] = None,
    arm: Annotated[
        str | None, typer.Option("--arm", metavar="baseline|candidate", help="Run only this arm of the comparison.")
    ] = None,
    first_seed: Annotated[
        int | None,
        typer.Option(
            "--first-seed",
            metavar="N",
            min=1,
            max=1_000_000,
            help="Number the seeds from N: a draw independent of others.",
        ),
    ] = None,
    transport: Transport = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Run only the first N items of the plan.")] = None,
    max_cost: MaxCost = None,
    allow_host: AllowHosts = None,
    max_minutes: MaxMinutes = None,
    cache: CacheUse = None,
    cache_dir: CacheDir = None,
    cache_max_mb: CacheSize = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Run errored jobs again.")] = False,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite, or go on where it stopped; score it; never gate."""
    from headgate.cli.commands import cache_options, run_suite

    options = {
        "arm": arm,
        "limit": limit,
        "max_cost_usd": max_cost,
        "allow_hosts": allow_host,
        "retry_errors": retry_errors,
        "transport": transport,
        "metrics_file": metrics_file,
        "log_file": log_file,
        "cache": cache_options(cache, cache_dir, cache_max_mb),
    }
    numbers = {"first_seed": first_seed, "max_minutes": max_minutes}
    run_suite(suite, out=out, shard=shard, numbers=numbers, options=options, json=json, quiet=quiet)


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
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory; or another tool's results: a file.")],
    *,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="Run to compare with, baseline:NAME, or auto: the stored one."),
    ] = None,
    anchor: Anchor = None,
    store: Store = None,
    suite: Annotated[Path | None, typer.Option("--suite", help="Suite file with the gates; default: as run.")] = None,
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="AXIS=NAME", help="Judge this arm, such as prompt=NAME.")
    ] = None,
    item: scores.Item = None,
    score: scores.Score = None,
    seed: scores.Seed = None,
    cluster: scores.Cluster = None,
    where: scores.Where = None,
    baseline_score: scores.BaselineScore = None,
    baseline_where: scores.BaselineWhere = None,
    bounds: scores.Bounds = None,
    higher_is_better: scores.Higher = None,
    margin: scores.Margin = None,
    min: scores.Least = None,  # noqa: A002
    max: scores.Most = None,  # noqa: A002
    max_ratio: scores.MaxRatio = None,
    alpha: scores.Alpha = None,
    format: scores.FormatName = None,  # noqa: A002
    on_inconclusive: OnInconclusive = None,
    verdict: VerdictFile = None,
    markdown: MarkdownFile = None,
    junit: JUnitFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a run, or a file of scores. Exit codes: 0 pass, 1 fail, 20 inconclusive, 3 invalid, 2 usage."""
    from headgate.cli.commands import gate_file, gate_run

    files = {"verdict": verdict, "markdown": markdown, "junit": junit}
    options = scores.score_options(
        run,
        {
            "item": item,
            "score": score,
            "seed": seed,
            "cluster": cluster,
            "where": where,
            "baseline_score": baseline_score,
            "baseline_where": baseline_where,
            "bounds": bounds,
            "higher_is_better": higher_is_better,
            "margin": margin,
            "min": min,
            "max": max,
            "max_ratio": max_ratio,
            "alpha": alpha,
            "format": format,
        },
        of_runs={"anchor": anchor, "store": store, "candidate": candidate},
        suite=suite,
    )
    if options is not None:
        options |= {} if baseline is None else {"baseline": baseline}
        raise typer.Exit(
            gate_file(
                run,
                suite=suite,
                options=options,
                on_inconclusive=on_inconclusive,
                files=files,
                json=json,
                quiet=quiet,
            )
        )
    raise typer.Exit(
        gate_run(
            run,
            baseline=baseline,
            anchor=anchor,
            store=store,
            suite=suite,
            candidate=candidate,
            on_inconclusive=on_inconclusive,
            files=files,
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def export(
    run: RunFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; its ending says the format.")],
    *,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option("--format", metavar="NAME", help="parquet, csv, jsonl, inspect or openai-evals."),
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="NAME", help="Only rows of this prompt.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="ID", help="Only rows of this model.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a run as one file: results with their scores, as a table or as another tool's log."""
    from headgate.cli.commands import export_file

    export_file(run, file, format_name=format, prompt=prompt, model=model, json=json, quiet=quiet)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="promptfoo's configuration, a .prompt.yml with testData, or evals' JSONL."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="SUITE", help="Suite file to write; items and prompts beside.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a suite of another tool's, and list what could not be carried over."""
    from headgate.cli.commands import import_file

    import_file(file, out, json=json, quiet=quiet)


@app.command()
def plan(
    suite: SuiteFile,
    *,
    stored: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Earlier run, for how much items and arms differ and what jobs take; default: runs/NAME, if it fits.",
        ),
    ] = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Ask a few items first, and plan by their answers.")] = False,
    pilot_items: Annotated[int, typer.Option("--pilot-items", metavar="N", min=2, help="How many, at random.")] = 30,
    pilot_out: Annotated[
        Path | None, typer.Option("--pilot-out", metavar="DIR", help="Its run directory; default: runs/NAME-pilot.")
    ] = None,
    max_cost: MaxCost = None,
    allow_host: AllowHosts = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a suite and its judges will take, and whether its gates can pass; exit code 20 when one hardly can."""
    from headgate.cli.planning import plan_suite

    raise typer.Exit(
        plan_suite(
            suite,
            stored=stored,
            pilot=pilot_items if pilot else None,
            pilot_out=pilot_out,
            max_cost=max_cost,
            allow_hosts=allow_host,
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def check(
    suite: SuiteFile,
    *,
    out: Out = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="Finished run to compare with, baseline:NAME, or auto: only the candidate is asked.",
        ),
    ] = None,
    anchor: Anchor = None,
    store: Store = None,
    transport: Transport = None,
    max_cost: MaxCost = None,
    allow_host: AllowHosts = None,
    max_minutes: MaxMinutes = None,
    cache: CacheUse = None,
    cache_dir: CacheDir = None,
    cache_max_mb: CacheSize = None,
    on_inconclusive: OnInconclusive = None,
    verdict: VerdictFile = None,
    markdown: MarkdownFile = None,
    junit: JUnitFile = None,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite until its verdict stands, and no longer. Exit codes: as gate; 130 interrupted, resumable."""
    from headgate.cli.commands import cache_options, check_suite

    options = {
        "baseline": baseline,
        "anchor": anchor,
        "store": store,
        "max_cost_usd": max_cost,
        "allow_hosts": allow_host,
        "cache": cache_options(cache, cache_dir, cache_max_mb),
        "transport": transport,
        "metrics_file": metrics_file,
        "log_file": log_file,
    }
    raise typer.Exit(
        check_suite(
            suite,
            out=out,
            on_inconclusive=on_inconclusive,
            files={"verdict": verdict, "markdown": markdown, "junit": junit},
            options=options,
            max_minutes=max_minutes,
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def canary(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Canary file: YAML, TOML or JSON.")] = None,
    *,
    stable: Annotated[
        str | None,
        typer.Option("--stable", metavar="PLACE", help="Stable's rows: file, folder, pattern, bucket; or arm's value."),
    ] = None,
    canary: Annotated[str | None, typer.Option("--canary", metavar="PLACE", help="Likewise, the canary's.")] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Keep what was seen here, and go on from it.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch/--once", help="Wait for more while it is inconclusive; default: --once.")
    ] = False,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="With --watch: wait no longer.")
    ] = None,
    on_inconclusive: OnInconclusive = None,
    argo_job_name: Annotated[
        str | None,
        typer.Option("--argo-job-name", metavar="NAME", help="Exit 0 or 1 for the three states of an Argo job metric."),
    ] = None,
    verdict: VerdictFile = None,
    markdown: MarkdownFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a canary on live traffic. Exit codes: 0 promote, 1 roll back, 20 inconclusive (no data too), 2 usage."""
    from headgate.cli.canary import judge_canary

    options = {"stable": stable, "canary": canary, "state": state}
    raise typer.Exit(
        judge_canary(
            file,
            options=options,
            watch=watch,
            max_minutes=max_minutes,
            on_inconclusive=on_inconclusive,
            argo_job_name=argo_job_name,
            files={"verdict": verdict, "markdown": markdown},
            json=json,
            quiet=quiet,
        )
    )


@app.command()
def serve(
    *,
    config: Annotated[list[Path], typer.Option("--config", metavar="FILE", help="Canary file; may be repeated.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Keep what was received and seen here.")] = Path(
        "headgate-serve"
    ),
    host: Annotated[str, typer.Option("--host", help="Address; any but loopback needs --token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port.")] = 8077,
    token: Annotated[
        str | None, typer.Option("--token", metavar="env:NAME", help="Bearer token that is asked for, by reference.")
    ] = None,
    max_body_mb: Annotated[int, typer.Option("--max-body-mb", min=1, max=1024, help="Largest body.")] = 8,
    keep_mb: Annotated[int, typer.Option("--keep-mb", min=64, help="Received rows to keep; older go.")] = 4096,
    quiet: Quiet = False,
) -> None:
    """Answer for canaries over HTTP, and receive their traffic (needs headgate[serve])."""
    from headgate.cli.canary import serve_canaries

    serve_canaries(
        config,
        data=data,
        host=host,
        port=port,
        token=token,
        max_body=max_body_mb << 20,
        keep=keep_mb << 20,
        quiet=quiet,
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


@baseline_app.command("save")
def save_baseline(
    run: RunFolder,
    *,
    name: BaselineName = "main",
    store: Store = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Store the baseline arm of a finished run, and let a name mean it.

    A run that was judged as a candidate is refused: draw it again with `refresh`.
    """
    from headgate.cli.baselines import save

    save(run, name=name, store=store, json=json, quiet=quiet)


@baseline_app.command("list")
def list_baselines(*, store: Store = None, json: Json = False) -> None:
    """List all baselines, the newest first."""
    from headgate.cli.baselines import listed

    listed(store=store, json=json)


@baseline_app.command("show")
def show_baseline(
    word: Annotated[str, typer.Argument(metavar="NAME", help="A name, a key or an id.")],
    *,
    store: Store = None,
    json: Json = False,
) -> None:
    """Show one baseline, and what its name meant before."""
    from headgate.cli.baselines import show

    show(word, store=store, json=json)


@baseline_app.command("find")
def find_baseline(suite: SuiteFile, *, store: Store = None, json: Json = False, quiet: Quiet = False) -> None:
    """Print the newest baseline that fits a suite. Exit codes: 0 found, 3 none (or the store fails), 2 usage."""
    from headgate.cli.baselines import find

    raise typer.Exit(find(suite, store=store, json=json, quiet=quiet))


@baseline_app.command("refresh")
def refresh_baseline(
    suite: SuiteFile,
    *,
    name: BaselineName = "main",
    store: Store = None,
    out: Out = None,
    allow_host: AllowHosts = None,
    transport: Transport = None,
    metrics_file: MetricsFile = None,
    log_file: LogFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the baseline arm of a suite with seeds that nothing was drawn with yet, and save it."""
    from headgate.cli.baselines import refresh

    options = {"allow_hosts": allow_host, "transport": transport, "metrics_file": metrics_file, "log_file": log_file}
    refresh(suite, name=name, store=store, out=out, options=options, json=json, quiet=quiet)
