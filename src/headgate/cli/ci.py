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
