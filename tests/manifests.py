"""Kubernetes manifests held against the real schemas; a field that a schema does not know is an error, as `kubectl
apply --validate=strict` has it.

Custom resources: the CRDs of Tekton, Argo Rollouts and Argo CD. They are too large to be kept here: tests that need
them are skipped, and say so, where neither HEADGATE_CRDS nor the folder shared/schemas beside the checkout has them.
What a CRD leaves open (volumes, pod templates), and what Kubernetes itself knows, is held against the schemas in the
package kubernetes-validate.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

CRDS = Path(os.environ.get("HEADGATE_CRDS") or Path(__file__).resolve().parents[2] / "shared" / "schemas")
KUBERNETES = "1.34"

PLACES = {
    "Task": "tekton/300-task.yaml",
    "Pipeline": "tekton/300-pipeline.yaml",
    "PipelineRun": "tekton/300-pipelinerun.yaml",
    "StepAction": "tekton/300-stepaction.yaml",
    "Rollout": "argo-rollouts/rollout-crd.yaml",
    "AnalysisTemplate": "argo-rollouts/analysis-template-crd.yaml",
    "Application": "argo-cd/application-crd.yaml",
}

needs_crds = pytest.mark.skipif(
    not all((CRDS / place).exists() for place in PLACES.values()),
    reason=f"the CRDs of Tekton and Argo are not in {CRDS}; HEADGATE_CRDS names another folder",
)


def documents(path: Path) -> list[dict[str, Any]]:
    """The manifests of a file; a key that stands twice is an error."""
    return list(yaml.load_all(path.read_text(), Loader=_Strict))


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key stands twice"
        return super().construct_mapping(node, deep=deep)


def manifests(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every manifest in a folder, with its place."""
    found = [(path, one) for path in sorted(folder.rglob("*.yaml")) for one in documents(path)]
    return [(f"{path.relative_to(folder)}:{one['kind']}/{name_of(one)}", one) for path, one in found]


def name_of(manifest: dict[str, Any]) -> str:
    return manifest["metadata"].get("name") or manifest["metadata"]["generateName"]


def problems(manifest: dict[str, Any]) -> list[str]:
    """What strict validation finds wrong."""
    kind = manifest["kind"]
    if kind not in PLACES:
        return _core(manifest)
    found = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in _validator(kind, manifest["apiVersion"]).iter_errors(manifest)
    ]
    found += _core({"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]})
    return found + [problem for part in _OPEN.get(kind, lambda _: [])(manifest) for problem in problems(part)]


def _core(manifest: dict[str, Any]) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message[:200]}"]
    return []


@functools.cache
def _validator(kind: str, api: str) -> jsonschema.Draft202012Validator:
    crd = yaml.load((CRDS / PLACES[kind]).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    group, version = api.split("/")
    assert (crd["spec"]["group"], crd["spec"]["names"]["kind"]) == (group, kind)
    (schema,) = [one["schema"]["openAPIV3Schema"] for one in crd["spec"]["versions"] if one["name"] == version]
    strict = _strict(schema)
    strict["properties"]["metadata"] = {"type": "object"}  # held against Kubernetes' own
    return jsonschema.Draft202012Validator(strict)


def _strict(schema: Any) -> Any:
    """A CRD's schema as JSON Schema that knows no other fields."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items() if key not in {"properties", "default", "example"}}
    if "properties" in schema:
        made["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


def _pod(spec: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    containers = {"containers": [{"name": "any", "image": "any"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata or {"name": "any"}, "spec": {**containers, **spec}}


def _task(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "embedded"}, "spec": spec}


def _of_task(task):
    return [_pod({"volumes": task["spec"].get("volumes", [])})]


def _of_pipeline(pipeline):
    return [_task(task["taskSpec"]) for task in pipeline["spec"]["tasks"] if "taskSpec" in task]


def _of_pipeline_run(run):
    claims = [one["volumeClaimTemplate"] for one in run["spec"]["workspaces"] if "volumeClaimTemplate" in one]
    head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "any"}}
    pod = run["spec"]["taskRunTemplate"]["podTemplate"]
    return [*({**head, **claim} for claim in claims), _pod(pod)]


def _of_analysis(template):
    jobs = [metric["provider"]["job"] for metric in template["spec"]["metrics"] if "job" in metric["provider"]]
    return [{"apiVersion": "batch/v1", "kind": "Job", **job} for job in jobs]


def _of_rollout(rollout):
    return [_pod(rollout["spec"]["template"]["spec"], rollout["spec"]["template"]["metadata"])]


_OPEN = {
    "Task": _of_task,
    "Pipeline": _of_pipeline,
    "PipelineRun": _of_pipeline_run,
    "AnalysisTemplate": _of_analysis,
    "Rollout": _of_rollout,
}
"""Parts that a CRD leaves open, as manifests of their own."""
