"""What is deployed against what passed: digests that a verdict names, stamped on pods as annotations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import yaml

from headgate.decide.verdict import EXIT_CODES, Verdict
from headgate.errors import ConfigError
from headgate.suite.documents import read_text

PREFIX: Final = "headgate.dev/"
STAMPS: Final = ("prompt-digest", "plan-digest", "suite-digest", "served-model")
"""Annotations that say what a pod runs, without their prefix; several values are joined by commas."""

_STAMPED: Final = re.compile(r'([^=\s]+)="((?:[^"\\]|\\.)*)"')  # a line of a downward API volume
_LEAST: Final = "prompt-digest"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One annotation of a deployed workload, held against the verdict.

    Attributes
    ----------
    where : str
        File and workload, such as ``rollout.yaml: Rollout/bot``.
    name : str
        Annotation without its prefix, such as ``prompt-digest``.
    deployed, gated : tuple of str
        What is stamped, and what passed.
    """

    where: str
    name: str
    deployed: tuple[str, ...]
    gated: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether something is stamped that did not pass."""
        return not self.deployed or not set(self.deployed) <= set(self.gated)


def gated_digests(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """Return what a verdict is about, by annotation: prompts, plan, suite and models of the candidate."""
    candidate = verdict.candidate
    return {
        "prompt-digest": tuple(sorted(set(candidate.prompt_digests.values()))),
        "plan-digest": (candidate.plan_digest,),
        "suite-digest": (candidate.suite_digest,),
        "served-model": tuple(candidate.served_models),
    }


def stamp_annotations(verdict: Verdict) -> dict[str, str]:
    """Return the annotations that a pod template is to carry.

    Examples
    --------
    >>> from headgate.decide.verdict import ArmFacts
    >>> arm = ArmFacts(run="runs/1", suite_digest="5", plan_digest="9", prompt_digests={"new": "d1"},
    ...                served_models=["small"], git=None)
    >>> from types import SimpleNamespace
    >>> stamp_annotations(SimpleNamespace(candidate=arm))["headgate.dev/prompt-digest"]
    'd1'
    """
    return {PREFIX + name: ",".join(values) for name, values in gated_digests(verdict).items() if values}


def compare_stamps(files: Mapping[str, str], verdicts: Sequence[Verdict]) -> list[Stamp]:
    """Hold what is stamped on workloads against what passed.

    Parameters
    ----------
    files : mapping of str to str
        Name to text: Kubernetes manifests (YAML or JSON, any number of documents, lists), or the annotations file of a
        downward API volume. Workloads without any ``headgate.dev/`` annotation are left out.
    verdicts : sequence of Verdict
        Of gates; those that are no pass let nothing through.

    Raises
    ------
    ConfigError
        If a file is neither, or a stamped workload says nothing about its prompts.
    """
    passed = [gated_digests(verdict) for verdict in verdicts if verdict.verdict == "pass"]
    gated = {name: tuple(sorted({value for one in passed for value in one[name]})) for name in STAMPS}
    found: list[Stamp] = []
    for name, text in files.items():
        for where, stamped in _stamped(name, text):
            if _LEAST not in stamped:
                raise ConfigError(
                    "is not stamped", file=where, field=PREFIX + _LEAST, mend="see headgate ci argo stamp"
                )
            for key, deployed in stamped.items():
                if key in gated:
                    found.append(Stamp(where, key, deployed, gated[key]))
    return found


def drift_code(stamps: Sequence[Stamp]) -> int:
    """Return 0 when all that is stamped passed, 1 when something did not, 3 when nothing is stamped."""
    if not stamps:
        return EXIT_CODES["invalid"]
    return EXIT_CODES["fail" if any(stamp.drifted for stamp in stamps) else "pass"]


def read_manifests(paths: Iterable[Path], *, stdin: TextIO) -> dict[str, str]:
    """Read files, the YAML and JSON files of folders, and stdin where ``-`` stands.

    Raises
    ------
    ConfigError
        If there is no such file, or a folder has none.
    """
    found: dict[str, str] = {}
    for path in paths:
        if str(path) == "-":
            found["stdin"] = stdin.read()
            continue
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml", ".json"})
        if not inside:
            raise ConfigError("holds no manifest", file=path, mend="name files, or a folder with *.yaml")
        found |= {str(file): read_text(file) for file in inside}
    return found


def _stamped(name: str, text: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    """Yield where annotations stand, and those of headgate, where there are any."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(_STAMPED.fullmatch(line) for line in lines):
        sources: list[tuple[str, Mapping[str, Any]]] = [(name, dict(_STAMPED.findall(text)))]
    else:
        sources = [(f"{name}: {_name(one)}", _annotations(one)) for one in _workloads(name, text)]
    for where, found in sources:
        ours = {key.removeprefix(PREFIX): _split(value) for key, value in found.items() if key.startswith(PREFIX)}
        if ours:
            yield where, ours


def _split(value: object) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in str(value).split(",") if part.strip()}))


def _workloads(name: str, text: str) -> Iterator[Mapping[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"is not YAML: {first}", file=name) from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or "kind" not in document:
            raise _no_manifest(name)
        for workload in document["items"] if isinstance(document.get("items"), list) else [document]:
            if not isinstance(workload, dict):
                raise _no_manifest(name)
            yield workload


def _no_manifest(name: str) -> ConfigError:
    return ConfigError("is no Kubernetes manifest", file=name, mend="give manifests, or a pod's annotations file")


def _name(workload: Mapping[str, Any]) -> str:
    return f"{workload.get('kind', 'Pod')}/{_at(workload, 'metadata').get('name')}"


def _annotations(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the annotations of the pods that a workload makes, else its own."""
    template = _at(workload, "spec", "jobTemplate", "spec", "template") or _at(workload, "spec", "template")
    return _at(template or workload, "metadata", "annotations")


def _at(data: Any, *path: str) -> Mapping[str, Any]:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
