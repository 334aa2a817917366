"""The commands of the prompt registry, their arguments and their help; what they do stands in ``registry.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Prompts as versioned files: digests, labels, history, and which suites a change touches.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Address = Annotated[
    str, typer.Argument(metavar="PROMPT", help="A prompt file, FILE#2 in a promptfoo file, or SUITE:NAME.")
]
Revision = Annotated[str | None, typer.Argument(metavar="[REV]", help="As it stood in this commit.")]
At = Annotated[str | None, typer.Option("--at", metavar="REV", help="As it stood in this commit.")]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Where paths begin; default: the folder of prompts.lock, else of .git."),
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@app.command("list")
def list_(revision: Revision = None, *, root: Root = None, json: Json = False) -> None:
    """List the prompts with their digests and labels."""
    from headgate.cli.registry import list_prompts

    list_prompts(revision, root=root, json=json)


@app.command()
def show(address: Address, *, at: At = None, root: Root = None, json: Json = False) -> None:
    """Show a prompt: its digest, messages, parameters, and whether headgate can send it."""
    from headgate.cli.registry import show_prompt

    show_prompt(address, at=at, root=root, json=json)


@app.command()
def diff(
    before: Address,
    after: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="Default: the same prompt.")] = None,
    *,
    base: Annotated[
        str | None, typer.Option("--base", metavar="REV", help="Take the first as it stood in this commit.")
    ] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Show what differs between two prompts, or between a commit (default: HEAD) and now, part by part."""
    from headgate.cli.registry import diff_two

    diff_two(before, after, base=base, root=root, json=json)


@app.command()
def log(
    name: Annotated[str, typer.Argument(metavar="PROMPT", help="As for show; with --label, a name that has labels.")],
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="Where the history ends.")] = "HEAD",
    *,
    label: Annotated[str | None, typer.Option("--label", help="The history of this label.")] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Show the commits where a prompt's digest changed, with the verdicts on each version."""
    from headgate.cli.registry import show_log

    show_log(name, revision, label=label, root=root, json=json)


@app.command()
def state(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="A commit.")] = "HEAD",
    *,
    root: Root = None,
    json: Json = False,
) -> None:
    """Print the one digest of all prompts in a commit; computed from git's objects, nothing is checked out."""
    from headgate.cli.registry import show_state

    show_state(revision, root=root, json=json)


@app.command()
def lock(*, root: Root = None, json: Json = False, quiet: Quiet = False) -> None:
    """Write prompts.lock: the digest of every prompt."""
    from headgate.cli.registry import lock_prompts

    lock_prompts(root=root, json=json, quiet=quiet)


@app.command()
def verify(*, root: Root = None, json: Json = False, quiet: Quiet = False) -> None:
    """Check that prompts are what prompts.lock and the labels say; exit code 3 if not."""
    from headgate.cli.registry import verify_prompts

    raise typer.Exit(verify_prompts(root=root, json=json, quiet=quiet))


@app.command()
def label(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The prompt, as applications ask for it.")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Such as production or canary.")],
    address: Annotated[str, typer.Argument(metavar="FILE", help="The prompt file that it is to point to.")],
    *,
    root: Root = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Point a label to a prompt file, in prompts.labels.json; committing that file is the promotion."""
    from headgate.cli.registry import label_prompt

    label_prompt(name, label, address, root=root, json=json, quiet=quiet)


@app.command()
def attach(
    verdict: Annotated[Path, typer.Argument(metavar="VERDICT", help="verdict.json, or a run directory with it.")],
    *,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="REV", help="Default: the commit that the candidate was run from.")
    ] = None,
    root: Root = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Note a verdict on its commit (git notes, refs/notes/headgate), where log finds it."""
    from headgate.cli.registry import attach_verdict

    attach_verdict(verdict, commit=commit, root=root, json=json, quiet=quiet)


@app.command()
def affected(
    suites: Annotated[list[str] | None, typer.Argument(metavar="[SUITE]...", help="Default: all suites.")] = None,
    *,
    base: Annotated[
        str, typer.Option("--base", metavar="REV", help="Compare with where the history left this commit.")
    ] = "HEAD",
    head: Annotated[
        str | None, typer.Option("--head", metavar="REV", help="What to compare; default: the files as they lie.")
    ] = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Name the suites that a change touches: through their prompts, items, scorers or their own file."""
    from headgate.cli.registry import show_affected

    show_affected(suites or [], base=base, head=head, root=root, json=json)
