"""What `headgate init` writes for Kubernetes: every field is one that the real schemas know, and pods are held down."""

from __future__ import annotations

import copy
import re

import pytest

from headgate import __version__
from headgate.ci.starter import write_pipeline
from headgate.errors import ConfigError
from manifests import PLACES, documents, manifests, name_of, needs_crds, problems

SYSTEMS = ("tekton", "argo")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the files of both systems."""
    folder = tmp_path_factory.mktemp("written")
    for system in SYSTEMS:
        write_pipeline(system, folder)
    return folder


def all_of(folder):
    return [one for system in SYSTEMS for one in manifests(folder / system)]


def test_no_field_is_unknown_to_kubernetes(written):
    """What is no custom resource, and a control for each."""
    core = [(place, one) for place, one in all_of(written) if one["kind"] not in PLACES]
    assert len(core) > 12
    for place, manifest in core:
        assert problems(manifest) == [], place
        assert problems(with_unknown_field(manifest, places(manifest)[-1])), place


@needs_crds
def test_no_field_is_unknown_to_the_schemas(written):
    found = {place: problems(manifest) for place, manifest in all_of(written)}
    assert len(found) > 20
    assert {place: wrong for place, wrong in found.items() if wrong} == {}


def lists_and_objects(value, path=()):
    if isinstance(value, dict):
        yield path, value
        for key, part in value.items():
            yield from lists_and_objects(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from lists_and_objects(part, (*path, index))


FREE = {"labels", "annotations", "matchLabels", "selector", "data", "requests", "limits", "nodeSelector"}


def places(manifest):
    """Every object of a manifest, but maps of the user's own keys, the deepest last."""
    paths = [path for path, _ in lists_and_objects(manifest) if not (path and path[-1] in FREE)]
    return sorted(paths, key=len)


def with_unknown_field(manifest, path):
    wrong = copy.deepcopy(manifest)
    spot = wrong
    for key in path:
        spot = spot[key]
    spot["unknownField"] = "x"
    return wrong


@needs_crds
def test_an_unknown_field_is_found_at_the_top_and_at_the_bottom(written):
    """The control of the test above."""
    for place, manifest in all_of(written):
        for path in (places(manifest)[0], places(manifest)[-1]):
            assert problems(with_unknown_field(manifest, path)), (place, path)


@pytest.mark.slow
@needs_crds
def test_an_unknown_field_is_found_wherever_it_stands(written):
    tried = [(place, path) for place, manifest in all_of(written) for path in places(manifest)]
    missed = [
        (place, path)
        for place, manifest in all_of(written)
        for path in places(manifest)
        if not problems(with_unknown_field(manifest, path))
    ]
    assert (len(tried) > 500, missed) == (True, [])


def test_names_are_kubernetes_names_and_stand_once(written):
    seen = [(one["kind"], name_of(one)) for _, one in all_of(written)]
    assert len(seen) == len(set(seen))
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?-?", name) for _, name in seen)


def containers(manifest):
    """Everything of a manifest that becomes a container, with what holds for its pod."""
    for path, part in lists_and_objects(manifest):
        if path and path[-1] != "stepTemplate" and ("image" in part) and path[:1] == ("spec",):
            yield path, part


def test_every_container_is_held_down(written):
    """Not root, no more rights than it has, nothing written but to its volumes."""
    count = 0
    for place, manifest in all_of(written):
        if manifest["kind"] in {"PipelineRun", "Application"}:
            continue
        template = manifest["spec"].get("stepTemplate", {}).get("securityContext", {}) if "spec" in manifest else {}
        pods = [part["securityContext"] for path, part in lists_and_objects(manifest) if "containers" in part]
        for path, container in containers(manifest):
            held = {**template, **(pods[0] if pods else {}), **container.get("securityContext", {})}
            assert held["runAsNonRoot"] is True, (place, path)
            assert held["allowPrivilegeEscalation"] is False, (place, path)
            assert held["capabilities"] == {"drop": ["ALL"]}, (place, path)
            assert held["seccompProfile"] == {"type": "RuntimeDefault"}, (place, path)
            if manifest["kind"] != "StepAction":  # it has no volume to give
                assert held["readOnlyRootFilesystem"] is True, (place, path)
            count += 1
        for path, part in lists_and_objects(manifest):
            if "containers" in part and manifest["kind"] != "CronJob":
                assert part["automountServiceAccountToken"] is False, (place, path)
    assert count > 15


def test_the_image_is_the_version_that_wrote_it(written):
    for place, manifest in all_of(written):
        text = str(manifest)
        assert "@VERSION@" not in text, place
        for image in re.findall(r"headgate:[^'\"]+", text):
            assert image == f"headgate:{__version__}", place
    for system in SYSTEMS:
        assert re.search(
            rf"headgate(\[serve\])?=={re.escape(__version__)}", (written / system / "Dockerfile").read_text()
        )


def test_what_is_not_ours_never_goes_into_a_shell(written):
    """Tekton and Argo put parameters into text before anything reads it: so only into env and args."""
    scripts = 0
    for place, manifest in all_of(written):
        for path, part in lists_and_objects(manifest):
            if "script" in part:
                scripts += 1
                assert "$(" not in part["script"], (place, path)
                assert part["script"].startswith("#!/bin/sh\n"), (place, path)
            if "-c" in part.get("command", []):
                assert not re.search(r"\{\{|\$\(", " ".join(part["command"])), (place, path)
    assert scripts >= 8


def test_keys_are_references(written):
    for place, manifest in all_of(written):
        for path, part in lists_and_objects(manifest):
            name = part.get("name", "")
            if isinstance(name, str) and re.search(r"KEY|TOKEN|token", name):
                assert "value" not in part, (place, path)
                assert "secretKeyRef" in part["valueFrom"], (place, path)


def test_a_suite_that_is_there_stays_and_nothing_is_overwritten(tmp_path):
    (tmp_path / "suite.yaml").write_text("mine")
    written = write_pipeline("tekton", tmp_path)
    assert {path.relative_to(tmp_path).parts[0] for path in written} == {"tekton"}
    assert (tmp_path / "suite.yaml").read_text() == "mine"
    (tmp_path / "argo").mkdir()
    (tmp_path / "argo" / "serve.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"serve\.yaml: exists already"):
        write_pipeline("argo", tmp_path)
    assert [path.name for path in (tmp_path / "argo").iterdir()] == ["serve.yaml"]


def test_a_config_map_of_the_suite_has_all_its_files(written):
    """The manifests lay the suite out as it lies in the folder."""
    files = {
        "suite.yaml",
        "scorers.py",
        "data/items.jsonl",
        "prompts/baseline.prompt.yml",
        "prompts/candidate.prompt.yml",
    }
    seen = 0
    for place, manifest in all_of(written):
        for _, part in lists_and_objects(manifest):
            if part.get("configMap", {}).get("name") == "headgate-suite":
                assert {item["path"] for item in part["configMap"]["items"]} == files, place
                seen += 1
    assert seen == 3
    assert all((written / file).exists() for file in files)


def test_a_key_that_stands_twice_is_found(tmp_path):
    (tmp_path / "twice.yaml").write_text("kind: A\nkind: B\n")
    with pytest.raises(AssertionError, match="twice"):
        documents(tmp_path / "twice.yaml")
