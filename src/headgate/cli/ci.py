"""`headgate ci`: a verdict in a system's own form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="ci", help="Report a verdict in a system's own form.", no_args_is_help=True)
argo = typer.Typer(name="argo", help="Stamp what passed on pods, and find what else is deployed.", no_args_is_help=True)
app.add_typer(argo)

Source = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory with a verdict, or a verdict file.")]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where Tekton looks for results.")]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]

_RESULTS = Path("/tekton/results")


@app.command()
def tekton(
    run: Source,
    *,
    results: Results = _RESULTS,
    exit_code_file: Annotated[
        Path | None,
        typer.Option("--exit-code-file", metavar="FILE", help="Exit code of the step that judged, as Tekton keeps it."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a verdict as Tekton results. Exit codes: 0 pass or inconclusive, 1 fail, 3 invalid or no verdict.

    A guard tells pass from inconclusive by the result `verdict`. A judging step that left with another code than its
    verdict's hands that code on.
    """
    from headgate.cli.tekton import write_verdict_results

    raise typer.Exit(write_verdict_results(run, results=results, exit_code_file=exit_code_file, json=json, quiet=quiet))


@app.command()
def tekton_plan(
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="Suite file: YAML, TOML or JSON.")],
    *,
    shards: Annotated[int, typer.Option("--shards", metavar="N", help="TaskRuns of the matrix, 1 to 256.")],
    results: Results = _RESULTS,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the shards of a plan as the Tekton result that a matrix runs."""
    from headgate.cli.tekton import write_plan_results

    write_plan_results(suite, shards=shards, results=results, json=json, quiet=quiet)


@argo.command()
def stamp(run: Source, *, json: Json = False) -> None:
    """Print the annotations that a pod template is to carry, as YAML."""
    from headgate.cli.argo import print_stamp

    print_stamp(run, json=json)


@argo.command()
def drift(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]", help="Manifests, folders of them, or a pod's annotations file; -: stdin."),
    ] = None,
    *,
    verdict: Annotated[
        list[Path],
        typer.Option("--verdict", metavar="FILE", help="What let them pass, or its run directory; may be repeated."),
    ],
    pods: Annotated[
        str | None,
        typer.Option("--pods", metavar="SELECTOR", help="In a pod: the running pods with these labels."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare what is stamped with what passed. Exit codes: 0 the same, 1 not, 3 nothing is stamped, 2 usage."""
    from headgate.cli.argo import find_drift

    raise typer.Exit(find_drift(files or [], pods=pods, verdicts=verdict, json=json, quiet=quiet))
