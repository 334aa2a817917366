"""Tasks and Pipelines of Tekton, run as processes: its substitution, files and rules, restated in a few lines.

A step's script is written to a file and run with nothing in its environment but what the Task gives it; results are
the files in a folder of their own, 4,096 bytes together; `onError: continue` keeps the exit code for the next step; a
matrix is one TaskRun per value, retried on its own; `when` skips; a failed TaskRun ends the PipelineRun.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MOST = 4096
VARIABLE = re.compile(r"\$\(([a-z][A-Za-z0-9.*\[\]_-]*)\)")


def shim(folder: Path) -> Path:
    """A folder for PATH whose `headgate` is the one under test."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "headgate"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m headgate "$@"\n')
    command.chmod(0o755)
    return folder


@dataclass
class TaskRun:
    """How one TaskRun ended: the exit code of each step that ran, and the results that were written."""

    codes: dict[str, int]
    results: dict[str, Any]
    log: str
    failed_step: str | None

    @property
    def succeeded(self) -> bool:
        return self.failed_step is None


@dataclass
class Cluster:
    """What is applied: Tasks by name, and where TaskRuns keep their files."""

    folder: Path
    tasks: dict[str, dict[str, Any]]
    secrets: dict[str, str] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def of(cls, manifests: Path, folder: Path) -> Cluster:
        applied = [yaml.safe_load(path.read_text()) for path in sorted(manifests.glob("*.yaml"))]
        return cls(folder, {one["metadata"]["name"]: one["spec"] for one in applied if one["kind"] == "Task"})

    def run(self, task: str | dict[str, Any], params: dict[str, Any], workspaces: dict[str, Path]) -> TaskRun:
        """Run a Task, by name or as an embedded spec."""
        spec = self.tasks[task] if isinstance(task, str) else task
        self.count += 1
        home = self.folder / f"taskrun-{self.count}"
        for name in ("results", "scripts", "steps"):
            (home / name).mkdir(parents=True)
        values = _values(spec, params, workspaces, home)
        codes: dict[str, int] = {}
        log, failed = "", None
        for step in spec["steps"]:
            done = self._step(spec, step, values, home)
            log += f"[{step['name']}]\n{done.stdout}{done.stderr}"
            codes[step["name"]] = done.returncode
            if step.get("onError") == "continue":
                code = home / "steps" / f"step-{step['name']}" / "exitCode"
                code.parent.mkdir()
                code.write_text(str(done.returncode))
            elif done.returncode != 0:
                failed = step["name"]
                break
        return TaskRun(codes, _results(spec, home / "results"), log, failed)

    def _step(self, spec, step, values, home) -> subprocess.CompletedProcess[str]:
        script = home / "scripts" / step["name"]
        script.write_text(replace(step["script"], values))
        script.chmod(0o755)
        environ = {"PATH": f"{shim(self.folder / 'bin')}:{os.defpath}"}
        for entry in [*spec.get("stepTemplate", {}).get("env", []), *step.get("env", [])]:
            if "value" in entry:
                environ[entry["name"]] = replace(entry["value"], values)
            elif (secret := self.secrets.get(entry["name"])) is not None:
                environ[entry["name"]] = secret
            else:
                assert entry["valueFrom"]["secretKeyRef"]["optional"]
        words = [word for argument in step.get("args", []) for word in expand(argument, values)]
        folder = replace(step.get("workingDir", str(home)), values)
        return subprocess.run(
            [str(script), *words], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )


def _values(spec, params, workspaces, home) -> dict[str, Any]:
    """Everything that `$(...)` may name in a Task."""
    declared = {param["name"]: param for param in spec.get("params", [])}
    assert set(params) <= set(declared), "a parameter that the Task does not have"
    given = {name: params[name] if name in params else declared[name]["default"] for name in declared}
    for name, value in given.items():
        assert isinstance(value, list) == (declared[name].get("type") == "array"), name
    needed = {one["name"] for one in spec.get("workspaces", []) if not one.get("optional")}
    bound = {one["name"]: "" for one in spec.get("workspaces", [])} | workspaces
    assert needed <= set(workspaces) <= set(bound)
    values = {f"params.{name}": value for name, value in given.items()}
    values |= {f"workspaces.{name}.path": str(path) for name, path in bound.items()}
    values |= {f"results.{one['name']}.path": str(home / "results" / one["name"]) for one in spec.get("results", [])}
    steps = [f"step-{step['name']}" for step in spec["steps"]]
    return values | {f"steps.{step}.exitCode.path": str(home / "steps" / step / "exitCode") for step in steps}


def replace(text: str, values: dict[str, Any]) -> str:
    """Text with its variables replaced; one that is not there is an error, as Tekton's validation has it."""
    return VARIABLE.sub(lambda found: str(values[found[1]]), text)


def expand(argument: str, values: dict[str, Any]) -> list[str]:
    """The words that one argument becomes: `$(params.x[*])` is as many as the array has."""
    whole = VARIABLE.fullmatch(argument)
    if whole and whole[1].endswith("[*]"):
        return list(values[whole[1].removesuffix("[*]")])
    return [replace(argument, values)]


def _results(spec, folder: Path) -> dict[str, Any]:
    """What the TaskRun reports; all of it together must fit into the termination message."""
    found: dict[str, Any] = {}
    message = []
    for one in spec.get("results", []):
        if (folder / one["name"]).exists():
            text = (folder / one["name"]).read_text()
            found[one["name"]] = json.loads(text) if one.get("type") == "array" else text
            message.append({"key": one["name"], "value": text, "type": 1})
    assert len(json.dumps(message)) < MOST, "Tekton cuts the results off"
    return found


@dataclass
class PipelineRun:
    """How a PipelineRun ended: Succeeded, Completed (with skipped tasks) or Failed."""

    status: str
    runs: dict[str, list[TaskRun]]
    skipped: list[str]
    results: dict[str, str]


def run_pipeline(
    cluster: Cluster,
    pipeline: dict[str, Any],
    *,
    name: str,
    params: dict[str, Any],
    workspaces: dict[str, Path],
) -> PipelineRun:
    """Run the tasks of a Pipeline, each after those whose results it reads."""
    spec = pipeline["spec"]
    given = {one["name"]: one.get("default") for one in spec["params"]} | params
    values: dict[str, Any] = {f"params.{key}": value for key, value in given.items()}
    values["context.pipelineRun.name"] = name
    runs: dict[str, list[TaskRun]] = {}
    skipped: list[str] = []
    failed = False
    for task in spec["tasks"]:  # in an order that their results allow: a name that is not there yet is an error
        guards = [(replace(one["input"], values), one["values"]) for one in task.get("when", [])]
        if failed or not all(text in allowed for text, allowed in guards):
            skipped.append(task["name"])
            continue
        bound = {one["name"]: workspaces[one["workspace"]] for one in task.get("workspaces", [])}
        fixed = {one["name"]: _value(one["value"], values) for one in task.get("params", [])}
        (axis,) = task.get("matrix", {}).get("params", [None])
        cells = [{}] if axis is None else [{axis["name"]: cell} for cell in _value(axis["value"], values)]
        runs[task["name"]] = []
        for cell in cells:
            for _ in range(task.get("retries", 0) + 1):
                ran = cluster.run(
                    task["taskSpec"] if "taskSpec" in task else task["taskRef"]["name"], fixed | cell, bound
                )
                runs[task["name"]].append(ran)
                if ran.succeeded:
                    break
            failed = failed or not ran.succeeded
        _keep(values, task, runs[task["name"]])
    found = {one["name"]: values.get(VARIABLE.fullmatch(one["value"])[1]) for one in spec["results"]}
    status = "Failed" if failed else "Completed" if skipped else "Succeeded"
    return PipelineRun(status, runs, skipped, {key: text for key, text in found.items() if text is not None})


def _keep(values, task, runs: list[TaskRun]) -> None:
    """Keep results for later tasks; those of a matrix only as a whole."""
    ended = [run for run in runs if run.succeeded] or runs[-1:]
    for key in ended[0].results:
        if "matrix" in task:
            values[f"tasks.{task['name']}.results.{key}[*]"] = [run.results[key] for run in ended]
        else:
            suffix = "[*]" if isinstance(ended[0].results[key], list) else ""
            values[f"tasks.{task['name']}.results.{key}{suffix}"] = ended[0].results[key]


def _value(value: Any, values: dict[str, Any]) -> Any:
    whole = VARIABLE.fullmatch(value)
    return values[whole[1]] if whole else replace(value, values)
