"""``headgate ci``: a verdict in a system's own form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_TOKEN = "env:HEADGATE_GITLAB_TOKEN"  # noqa: S105 - where it stands

ci = typer.Typer(
    name="ci",
    help="Write a verdict in a CI system's own form.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
argo = typer.Typer(name="argo", help="Stamp what passed on pods, and find what else is deployed.", no_args_is_help=True)
ci.add_typer(argo)

Source = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory with a verdict, or a verdict file.")]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where Tekton looks for results.")]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]

_RESULTS = Path("/tekton/results")


@ci.command()
def github(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Run directory, or a verdict file.")] = None,
    *,
    from_artifact: Annotated[
        Path | None, typer.Option("--from-artifact", metavar="DIR", help="Report a fork's artifact, in workflow_run.")
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="inconclusive|fail|never", help="Which verdicts fail the step.")
    ] = "inconclusive",
    comment: Annotated[
        str, typer.Option("--comment", metavar="auto|never", help="Whether a pull request gets a comment.")
    ] = "auto",
    key: Annotated[
        str | None, typer.Option("--key", help="What tells the comment from others; default: workflow and RUN.")
    ] = None,
    ended: Annotated[
        int | None, typer.Option("--ended", metavar="CODE", help="Exit code of the command that wrote the verdict.")
    ] = None,
    summary: Annotated[Path | None, typer.Option("--summary", metavar="FILE", help="Write the page here too.")] = None,
    i_know: Annotated[
        bool, typer.Option("--i-know", help="Go on in pull_request_target with the head checked out.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print annotations only.")] = False,
) -> None:
    """Tell GitHub of a verdict: outputs, job summary, annotations, one comment. Exit codes: as gate."""
    from headgate.cli.github import report_to_github

    raise typer.Exit(
        report_to_github(
            run,
            from_artifact=from_artifact,
            fail_on=fail_on,
            comment=comment,
            options={"key": key, "summary": summary},
            ended=ended,
            trust_head=i_know,
            json=json,
            quiet=quiet,
        )
    )


@ci.command()
def gitlab(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory that gate or check has judged.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write the reports.")] = Path(
        "headgate-reports"
    ),
    note: Annotated[
        str,
        typer.Option("--note", metavar="auto|never", help="Note on the merge request; auto: where a token allows one."),
    ] = "auto",
    token: Annotated[
        str, typer.Option("--token", metavar="env:NAME", help="Variable of the note's token, with scope api.")
    ] = _TOKEN,
    ended: Annotated[
        int | None, typer.Option("--ended", metavar="CODE", help="Exit code of the command that wrote the verdict.")
    ] = None,
    on_inconclusive: Annotated[
        str | None, typer.Option("--on-inconclusive", metavar="keep|pass|fail", help="What exit code 20 becomes.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Write GitLab's reports, keep a note on the merge request, and leave with the verdict's exit code."""
    from headgate.cli.gitlab import report_gitlab

    raise typer.Exit(
        report_gitlab(
            run,
            out=out,
            note=note,
            token=token,
            ended=ended,
            on_inconclusive=on_inconclusive,
            json=json,
            quiet=quiet,
        )
    )


@ci.command()
def gitlab_push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Finished run of the baseline arm.")],
    *,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Store a baseline in the project's generic package registry, under the key of what it was measured on."""
    from headgate.cli.gitlab import push_baseline

    push_baseline(run, json=json, quiet=quiet)


@ci.command()
def gitlab_pull(
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="Suite file: YAML, TOML or JSON.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to put the run; it must not be there.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch the stored baseline that a suite may use. Exit codes: 0 found, 3 there is none or GitLab refuses."""
    from headgate.cli.gitlab import pull_baseline

    pull_baseline(suite, out=out, json=json, quiet=quiet)


@ci.command()
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


@ci.command()
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
