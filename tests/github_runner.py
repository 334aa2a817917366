"""What a GitHub runner does, for the tests: obeys lines of a log, reads files of a step, runs a composite action.

After the runner's own sources: ActionCommand, ActionCommandManager, FileCommandManager and CompositeActionHandler.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

COMMANDS = {"error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "set-output", "set-env", "add-path"}
COMMANDS |= {"save-state", "add-matcher", "remove-matcher", "echo", "stop-commands"}
_LINE = re.compile(r"\r\n|\n|\r")  # and no other character, as .NET reads lines
_UNESCAPED = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


def obeyed(log: str) -> list[tuple[str, dict[str, str], str]]:
    """Return the commands in a log that a runner obeys: name, properties, message."""
    found, token = [], None
    for line in _LINE.split(log):
        known = COMMANDS | ({token} if token else set())
        command = _new_form(line, known) or _old_form(line, known)
        if command is None:
            continue
        if token is not None:
            token = None if command[0] == token else token
        elif command[0] == "stop-commands":
            token = command[2]
        else:
            found.append(command)
    assert token is None, "the log ends while commands are stopped"
    return found


def _new_form(line, known):
    match = re.match(r"\s*::(.*?)::(.*)$", line)
    if match is None:
        return None
    name, _, rest = match[1].partition(" ")
    pairs = [pair.partition("=") for pair in rest.strip().split(",") if pair]
    return (name, {key: _plain(value) for key, _, value in pairs}, _plain(match[2])) if name in known else None


def _old_form(line, known):
    match = re.search(r"##\[(.*?)\](.*)$", line)
    name = None if match is None else match[1].partition(" ")[0]
    return (name, {}, match[2]) if name in known else None


def _plain(text):
    for escape, character in _UNESCAPED:
        text = text.replace(escape, character)
    return text


def read_pairs(path: Path) -> dict[str, str]:
    """Read ``$GITHUB_OUTPUT`` as the runner does: NAME=VALUE, or NAME<<DELIMITER up to a line that is the delimiter."""
    found, lines = {}, iter(_LINE.split(path.read_text()) if path.exists() else [])
    for line in lines:
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, found_value = line.partition("=")
            found[name] = found_value
        elif heredoc >= 0:
            name, _, delimiter = line.partition("<<")
            value = []
            while (following := next(lines)) != delimiter:
                value.append(following)
            found[name] = "\n".join(value)
        else:
            assert line == "", f"invalid format {line!r}"
    return found


Evaluate = Callable[[str, Mapping[str, Any], str], Any]


def evaluate_plainly(source: str, contexts: Mapping[str, Any], status: str) -> Any:
    """Evaluate the little of GitHub's expressions that our own files use."""
    tokens = re.findall(r"'(?:[^']|'')*'|[A-Za-z_][\w-]*(?:\.[\w-]+)*|==|!=|&&|\|\||[!(),]|\S", source)
    return _Parser(tokens, contexts, status).expression()


class _Parser:
    def __init__(self, tokens, contexts, status):
        self.tokens, self.contexts, self.status = tokens, contexts, status

    def take(self, *wanted):
        return self.tokens.pop(0) if self.tokens and (not wanted or self.tokens[0] in wanted) else None

    def expression(self):
        value = self.conjunction()
        while self.take("||"):
            other = self.conjunction()
            value = value or other
        return value

    def conjunction(self):
        value = self.comparison()
        while self.take("&&"):
            other = self.comparison()
            value = value and other
        return value

    def comparison(self):
        value = self.operand()
        sign = self.take("==", "!=")
        if sign is None:
            return value
        same = _folded(value) == _folded(self.operand())
        return same if sign == "==" else not same

    def operand(self):
        if self.take("!"):
            return not self.operand()
        if self.take("("):
            value = self.expression()
            assert self.take(")")
            return value
        token = self.take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self.take("("):
            while not self.take(")"):
                self.expression()
            return {"always": True, "hashFiles": "hash"}.get(token, self.status == token)
        value: Any = self.contexts
        for name in token.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def _folded(value):
    return "" if value is None else str(value).lower()


class GitHubEngine:
    """GitHub's own engine, in a Node process."""

    def __init__(self, node: str, home: str) -> None:
        script = Path(__file__).with_name("github_engine.mjs")
        words = [node, str(script), home, "evaluate"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, source: str, contexts: Mapping[str, Any], status: str) -> Any:
        pipe = self._process
        assert pipe.stdin is not None
        assert pipe.stdout is not None
        pipe.stdin.write(json.dumps({"source": source, "contexts": contexts, "status": status}) + "\n")
        pipe.stdin.flush()
        answer = json.loads(pipe.stdout.readline())
        assert "error" not in answer, f"{source}: {answer}"
        return answer["value"]

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Job:
    """A job on a runner: its folders, its environment, and what the steps before have made of them."""

    folder: Path
    workspace: Path
    evaluate: Evaluate
    env: dict[str, str] = field(default_factory=dict)
    github: dict[str, Any] = field(default_factory=dict)
    uses: dict[str, Callable[[dict[str, str]], dict[str, str]]] = field(default_factory=dict)

    def run(self, action: Path, inputs: Mapping[str, str]) -> Ran:
        """Run a composite action to its end; a step that fails skips those after it that do not say ``always()``."""
        declared = yaml.safe_load(action.read_text())
        assert declared["runs"]["using"] == "composite"
        ran = Ran(job=self)
        ran.contexts = {"inputs": {}, "github": self.github, "steps": ran.steps, "runner": {"temp": str(self.temp)}}
        assert set(inputs) <= set(declared["inputs"]), "an input is not declared"
        for name, facts in declared["inputs"].items():
            assert name in inputs or not facts.get("required"), f"{name} is required"
            value = inputs.get(name, ran.text(facts.get("default", "")))
            ran.contexts["inputs"][name] = value
        for number, step in enumerate(declared["runs"]["steps"]):
            ran.step(step, number)
        for name, facts in declared.get("outputs", {}).items():
            ran.outputs[name] = ran.text(facts["value"])
        return ran

    @property
    def temp(self) -> Path:
        path = self.folder / "temp"
        path.mkdir(exist_ok=True)
        return path


@dataclass
class Ran:
    """What became of an action."""

    job: Job
    contexts: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    exit_code: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        return "failure" if self.exit_code else "success"

    def text(self, source: str) -> str:
        """Return a text with its expressions evaluated."""

        def value(match):
            found = self.job.evaluate(match[1].strip(), self.contexts, self.status)
            return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)

        return re.sub(r"\$\{\{(.*?)\}\}", value, str(source))

    def step(self, step: dict[str, Any], number: int) -> None:
        condition = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(step.get("if", "success()")).strip())
        if not re.search(r"\b(always|success|failure|cancelled)\(", condition):
            condition = f"success() && ({condition})"
        if not self.job.evaluate(condition, self.contexts, self.status):
            return
        self.names.append(step["name"])
        outputs = self._used(step) if "uses" in step else self._script(step, number)
        if "id" in step:
            self.steps[step["id"]] = {"outputs": outputs}

    def _used(self, step):
        name = step["uses"].partition("@")[0]
        given = {key: self.text(value) for key, value in step.get("with", {}).items()}
        return self.job.uses[name](given)

    def _script(self, step, number):
        assert "${{" not in step["run"]
        names = ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY")
        folder = self.job.folder / f"step-{len(list(self.job.folder.iterdir()))}-{number}"
        folder.mkdir()
        files = {f"GITHUB_{name}": str(folder / name) for name in names}
        for path in files.values():
            Path(path).touch()
        own = {key: self.text(value) for key, value in step.get("env", {}).items()}
        environ = {**self.job.env, **files, "RUNNER_TEMP": str(self.job.temp), **own}
        script = folder / "script.sh"
        script.write_text(step["run"])
        where = self.job.workspace / self.text(step.get("working-directory", "."))
        words = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(
            words, env=environ, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.log += done.stdout
        self.summary += Path(files["GITHUB_STEP_SUMMARY"]).read_text()
        assert not Path(files["GITHUB_ENV"]).read_text()
        assert not Path(files["GITHUB_PATH"]).read_text()
        self.exit_code = self.exit_code or done.returncode
        return read_pairs(Path(files["GITHUB_OUTPUT"]))


def runner_environment(
    workspace: Path, *, event: Mapping[str, Any], event_name: str, api_url: str = ""
) -> dict[str, str]:
    """Return what a runner sets, and nothing of this machine's but PATH."""
    path = workspace.parent / f"event-{event_name}.json"
    path.write_text(json.dumps(event))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(workspace.parent),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_REPOSITORY": "shop/bot",
        "GITHUB_RUN_ID": "77",
        "GITHUB_WORKFLOW": "measure",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_API_URL": api_url or "http://127.0.0.1:9",
        "GITHUB_SHA": "0" * 40,
    }
