"""Git repositories made in tests, with real git and nobody's configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_WHO = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SUITE = """\
name: sums
items: items.jsonl
prompts:
  old: ../prompts/old.prompt.yml
  new: {text: "Sum: {{ q }}"}
models: [{id: m, provider: simulated}]
scorers: [{name: correct, type: exact_match}, {name: own, type: python, call: "scorers:grade"}]
"""


def message(text, **params):
    declared = f"modelParameters: {params}\n" if params else ""
    return f"{declared}messages: [{{role: user, content: '{text}'}}]\n"


class Repo:
    """A repository in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *words: str) -> str:
        environ = os.environ | _WHO | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        ran = subprocess.run(
            ["git", "-C", str(self.folder), *words], capture_output=True, text=True, check=True, env=environ
        )
        return ran.stdout.strip()

    def write(self, files: dict[str, str | None]) -> None:
        """Write files, or remove those that are None."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def commit(self, subject: str, files: dict[str, str | None] | None = None) -> str:
        """Write files and commit all; return the commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")
