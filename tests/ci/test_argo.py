"""The templates of `headgate init argo` against Argo's rules; and what is deployed against what passed."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from functools import reduce

import httpx
import pytest
import yaml

import headgate as hg
from argo_rules import ROLLOUT, assess, job_phase, measure
from headgate.ci import argo, kubernetes
from headgate.ci.starter import write_pipeline
from headgate.cli.app import app
from headgate.cli.main import run_command
from manifests import documents
from tekton_runner import shim

PASS, FAIL, OPEN = ({"verdict": word, "reason": "r"} for word in ("pass", "fail", "inconclusive"))
NO_DATA = {"verdict": "inconclusive", "reason": "no_data"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The starter suite with an equal candidate, and the files of Argo."""
    folder = tmp_path_factory.mktemp("project")
    write_pipeline("argo", folder)
    suite = folder / "suite.yaml"
    suite.write_text(suite.read_text().replace("accuracy: 0.9, latency_s: 0.01", "accuracy: 0.95, latency_s: 0"))
    return folder


def only(project, name, kind):
    (found,) = [one for one in documents(project / "argo" / f"{name}.yaml") if one["kind"] == kind]
    return found


def metric_of(project, name):
    (metric,) = only(project, name, "AnalysisTemplate")["spec"]["metrics"]
    return metric


def ends(metric, answers):
    return assess(metric, [measure(metric, answer) for answer in answers])


# ---- the web provider


@pytest.mark.parametrize(
    ("answers", "end", "rollout"),
    [
        ([PASS], ("Successful", 1), "goes on"),
        ([FAIL], ("Failed", 1), "aborts"),
        ([NO_DATA, OPEN, OPEN, PASS], ("Successful", 4), "goes on"),
        ([NO_DATA, OPEN, FAIL], ("Failed", 3), "aborts"),
        ([OPEN] * 29 + [PASS], ("Successful", 30), "goes on"),
        ([OPEN] * 29 + [FAIL], ("Failed", 30), "aborts"),
        ([OPEN] * 30, ("Inconclusive", 30), "pauses"),
        ([NO_DATA] * 30, ("Inconclusive", 30), "pauses"),
        ([None] * 5 + [PASS], ("Successful", 6), "goes on"),
        ([OPEN, *[None] * 300, FAIL], ("Failed", 302), "aborts"),
        ([None] * 361, ("Error", 361), "aborts"),
    ],
)
def test_the_web_analysis_ends_as_its_verdicts_say(project, answers, end, rollout):
    assert ends(metric_of(project, "analysis-web"), answers) == end
    assert ROLLOUT[end[0]] == rollout


def test_without_consecutive_successes_it_would_promote_on_no_evidence(project):
    """The trap: thirty times inconclusive reaches the count and breaks no limit."""
    metric = metric_of(project, "analysis-web")
    del metric["consecutiveSuccessLimit"]
    assert ends(metric, [NO_DATA] * 30) == ("Successful", 30)


def test_without_the_error_limit_an_outage_of_a_minute_would_roll_back(project):
    metric = metric_of(project, "analysis-web")
    del metric["consecutiveErrorLimit"]
    assert ends(metric, [None] * 5 + [PASS]) == ("Error", 5)


def test_with_one_condition_alone_nothing_is_inconclusive(project):
    metric = metric_of(project, "analysis-web")
    del metric["failureCondition"]
    assert measure(metric, OPEN) == "Failed"
    assert measure(metric_of(project, "analysis-web"), {}) == "Error"


def test_the_web_analysis_asks_serve(project):
    template = only(project, "analysis-web", "AnalysisTemplate")
    web = template["spec"]["metrics"][0]["provider"]["web"]
    service = only(project, "serve", "Service")
    values = {"namespace": "bot", "baseline": "7d4b", "candidate": "9f1c", "token": "t"}
    assert {arg["name"] for arg in template["spec"]["args"]} == set(values)
    url = re.sub(r"\{\{args\.(\w+)\}\}", lambda found: values[found[1]], web["url"])
    host = f"{service['metadata']['name']}.bot.svc:{service['spec']['ports'][0]['port']}"
    assert url == f"http://{host}/v1/canary/verdict?baseline=7d4b&candidate=9f1c"
    assert web["timeoutSeconds"] <= 30
    assert web["headers"] == [{"key": "Authorization", "value": "Bearer {{args.token}}"}]


# ---- Jobs


def leaves_with(word, number):
    """What `headgate canary --argo-job-name` leaves with: pass 0, 0; fail 1, 1; else success, failure, success."""
    return {"pass": 0, "fail": 1}.get(word, number % 2 == 0)


@pytest.mark.parametrize(
    ("word", "end"),
    [("pass", ("Successful", 2)), ("fail", ("Failed", 2)), ("inconclusive", ("Inconclusive", 3))],
)
def test_the_jobs_say_three_states(project, word, end):
    metric = metric_of(project, "analysis-job-three-states")
    assert assess(metric, lambda number: job_phase(leaves_with(word, number))) == end


def test_evidence_that_comes_in_between_the_jobs_does_no_harm(project):
    """Inconclusive, then decided: never the other verdict."""
    metric = metric_of(project, "analysis-job-three-states")

    def at(*words):
        return assess(metric, [job_phase(leaves_with(word, number)) for number, word in enumerate(words, 1)])[0]

    assert at("inconclusive", "pass") == "Successful"
    assert at("inconclusive", "fail", "fail") == "Failed"
    assert at("inconclusive", "inconclusive", "pass") == "Inconclusive"
    assert at("inconclusive", "inconclusive", "fail") == "Failed"


def test_the_jobs_are_not_tried_again_and_know_their_number(project):
    for name in ("analysis-job", "analysis-job-three-states"):
        job = metric_of(project, name)["provider"]["job"]["spec"]
        pod = job["template"]["spec"]
        assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
        command = pod["containers"][0]["command"]
        assert command[:3] == ["headgate", "canary", "/config/canary.yaml"]
        options = {word.partition("=")[0] for word in command[3:]}
        environ = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
        if name == "analysis-job":
            assert options == {"--stable", "--canary", "--state", "--verdict"}
            assert assess(metric_of(project, name), [job_phase(20)]) == ("Failed", 1)
            continue
        assert options == {"--stable", "--canary", "--state", "--verdict", "--argo-job-name"}
        assert command[-1] == "--argo-job-name=$(JOB_NAME)"
        path = environ["JOB_NAME"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == "metadata.labels['batch.kubernetes.io/job-name']"
        assert len("0" * 36 + ".canary.3") <= 63


def test_every_claim_and_config_map_that_is_named_is_written(project):
    """But for the suite and the verdict, which are the user's own."""
    written = [one for path in (project / "argo").glob("*.yaml") for one in documents(path)]
    made = {one["metadata"]["name"] for one in written if one["kind"] in {"PersistentVolumeClaim", "ConfigMap"}}
    text = "\n".join(map(str, written))
    claims = set(re.findall(r"'claimName': '([^']+)'", text))
    maps = set(re.findall(r"'configMap': {'name': '([^']+)'", text))
    assert claims | (maps - {"headgate-suite", "headgate-verdict"}) == made


def test_the_rollout_gives_each_analysis_what_it_asks_for(project):
    rollout = only(project, "rollout", "Rollout")
    analyses = [step["analysis"] for step in rollout["spec"]["strategy"]["canary"]["steps"] if "analysis" in step]
    assert len(analyses) == 2
    for analysis in analyses:
        (template,) = analysis["templates"]
        asked = only(project, "analysis-web", "AnalysisTemplate")
        assert template["templateName"] == asked["metadata"]["name"]
        open_args = {arg["name"] for arg in asked["spec"]["args"] if "valueFrom" not in arg}
        assert {arg["name"] for arg in analysis["args"]} == open_args
        hashes = {arg["name"]: arg["valueFrom"].get("podTemplateHashValue") for arg in analysis["args"]}
        assert (hashes["baseline"], hashes["candidate"]) == ("Stable", "Latest")
    services = {one["metadata"]["name"] for one in documents(project / "argo" / "rollout.yaml")[1:]}
    canary = rollout["spec"]["strategy"]["canary"]
    assert {canary["stableService"], canary["canaryService"]} == services


def test_serve_finds_its_files_and_is_found(project):
    """Names that must agree across the manifests."""
    deployment, config = only(project, "serve", "Deployment"), only(project, "canary-config", "ConfigMap")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert "--config=/config/serve.yaml" in container["command"]
    assert {"--token=env:HEADGATE_TOKEN", "--data=/state"} <= set(container["command"])
    assert set(config["data"]) == {"serve.yaml", "canary.yaml"}
    assert all(yaml.safe_load(text)["gates"] for text in config["data"].values())
    labels = pod["metadata"]["labels"].items()
    for kind in ("Service", "NetworkPolicy"):
        spec = only(project, "serve", kind)["spec"]
        selector = spec["selector"] if kind == "Service" else spec["podSelector"]["matchLabels"]
        assert selector.items() <= labels
    probes = [container[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")]
    assert probes == ["/healthz", "/readyz"]


@pytest.mark.skipif(
    not any(one.callback.__name__ == "serve" for one in app.registered_commands), reason="there is no headgate serve"
)
def test_serve_as_it_is_deployed_answers_the_web_analysis(project, tmp_path):
    """The Deployment's command with its volumes here, asked what the AnalysisTemplate asks: no data is inconclusive."""
    (container,) = only(project, "serve", "Deployment")["spec"]["template"]["spec"]["containers"]
    config = tmp_path / "config"
    config.mkdir()
    for name, text in only(project, "canary-config", "ConfigMap")["data"].items():
        (config / name).write_text(text)
    here = {"/config": str(config), "/state": str(tmp_path / "state"), "0.0.0.0": "127.0.0.1", "8080": "0"}
    command = [reduce(lambda word, pair: word.replace(*pair), here.items(), word) for word in container["command"]]
    environ = {"PATH": f"{shim(tmp_path / 'bin')}:{os.defpath}", "HEADGATE_TOKEN": "t"}
    metric = metric_of(project, "analysis-web")
    path = metric["provider"]["web"]["url"].partition(":8080")[2]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as served:
        try:
            address = next(found[1] for line in served.stderr if (found := re.search("listening on (.*)", line)))
            url = address + path.replace("{{args.baseline}}", "7d4b").replace("{{args.candidate}}", "9f1c")
            answer = httpx.get(url, headers={"Authorization": "Bearer t"}, trust_env=False)
            assert httpx.get(url, trust_env=False).status_code == 401
        finally:
            served.terminate()
            served.communicate()
    assert answer.status_code == 200
    assert measure(metric, answer.json()) == "Inconclusive"


# ---- the gate before a sync


def run_container(container, folders, folder):
    mounted = {mount["mountPath"]: str(folders[mount["name"]]) for mount in container["volumeMounts"]}
    words = [re.sub(r"^(/\w+)", lambda found: mounted.get(found[1], found[1]), word) for word in container["command"]]
    environ = {"PATH": f"{shim(folder / 'bin')}:{os.defpath}", "HOME": str(folder)}
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_the_presync_job_runs_and_judges_the_suite(project, tmp_path):
    job = only(project, "presync-gate", "Job")
    pod = job["spec"]["template"]["spec"]
    folders = {"suite": project, "work": tmp_path / "work", "tmp": tmp_path}
    folders["work"].mkdir()
    for container in (*pod["initContainers"], *pod["containers"]):
        ran = run_container(container, folders, tmp_path)
        assert ran.returncode == 0, ran.stderr
    assert hg.Verdict.from_json((folders["work"] / "run" / "verdict.json").read_bytes()).verdict == "pass"
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    ended = {code for rule in job["spec"]["podFailurePolicy"]["rules"][:1] for code in rule["onExitCodes"]["values"]}
    assert ended == {1, 2, 3, 20}, "no verdict is tried again"


# ---- drift


@pytest.fixture(scope="module")
def passed(project):
    """A run that passed."""
    hg.run(hg.load_suite(project / "suite.yaml"), out=project / "run")
    assert run_command(["gate", str(project / "run"), "--quiet"]) == 0
    return project / "run"


@pytest.fixture(scope="module")
def stamped(passed):
    return argo.stamp_annotations(hg.Verdict.from_json((passed / "verdict.json").read_bytes()))


def rollout_with(project, annotations):
    rollout = only(project, "rollout", "Rollout")
    rollout["spec"]["template"]["metadata"]["annotations"] = annotations
    return rollout


def drift(*words):
    return run_command(["ci", "argo", "drift", *map(str, words)])


def test_stamp_prints_what_a_pod_template_carries(passed, capsys):
    assert run_command(["ci", "argo", "stamp", str(passed)]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    verdict = json.loads((passed / "verdict.json").read_bytes())
    (digest,) = verdict["candidate"]["prompt_digests"].values()
    assert printed["headgate.dev/prompt-digest"] == digest
    assert printed["headgate.dev/served-model"] == ",".join(verdict["candidate"]["served_models"])
    assert run_command(["ci", "argo", "stamp", str(passed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == printed


def test_what_passed_is_no_drift_and_all_else_is(project, passed, stamped, tmp_path, capsys):
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(rollout_with(project, {**stamped, "other/annotation": "x"})))
    assert drift(file, "--verdict", passed) == 0
    assert f"{len(stamped)} stamps, 0 of them" in capsys.readouterr().out
    for name in stamped:
        file.write_text(yaml.safe_dump(rollout_with(project, {**stamped, name: "another"})))
        assert drift(file, "--verdict", passed / "verdict.json", "--json") == 1
        told = json.loads(capsys.readouterr().out)
        assert [stamp["name"] for stamp in told["stamps"] if stamp["drifted"]] == [name.partition("/")[2]]
    file.write_text(yaml.safe_dump(rollout_with(project, {**stamped, "headgate.dev/prompt-digest": ""})))
    assert drift(file, "--verdict", passed) == 1


def test_several_prompts_are_joined_and_each_must_have_passed(stamped):
    name = "headgate.dev/prompt-digest"
    assert argo.Stamp("f", name, ("a",), ("a", "b")).drifted is False
    assert argo.Stamp("f", name, ("a", "c"), ("a", "b")).drifted is True


def test_a_verdict_that_is_no_pass_lets_nothing_through(project, passed, stamped, tmp_path, capsys):
    verdict = json.loads((passed / "verdict.json").read_bytes())
    (tmp_path / "v.json").write_text(json.dumps({**verdict, "verdict": "inconclusive", "exit_code": 20}))
    (tmp_path / "r.json").write_text(json.dumps(rollout_with(project, stamped)))
    assert drift(tmp_path / "r.json", "--verdict", tmp_path / "v.json") == 1
    assert "what passed is nothing" in capsys.readouterr().out
    assert drift(tmp_path / "r.json", "--verdict", tmp_path / "v.json", "--verdict", passed) == 0


def test_manifests_lists_folders_stdin_and_a_pods_own_annotations(
    project, passed, stamped, tmp_path, monkeypatch, *, capsys
):
    rollout = rollout_with(project, stamped)
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": rollout["spec"]["template"]}}}}
    pod = {"metadata": {"name": "p", "annotations": {**stamped, "headgate.dev/prompt-digest": "old"}}}
    folder = tmp_path / "rendered"
    folder.mkdir()
    (folder / "a.yaml").write_text(yaml.safe_dump_all([rollout, None, {"kind": "Service", "metadata": {"name": "s"}}]))
    (folder / "b.yml").write_text(yaml.safe_dump(cron))
    (folder / "notes.txt").write_text(": not YAML :")
    assert drift(folder, "--verdict", passed) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"kind": "PodList", "items": [pod]})))
    capsys.readouterr()
    assert drift("-", "--verdict", passed) == 1
    assert capsys.readouterr().out.startswith("stdin: Pod/p: prompt-digest: old is deployed")
    own = tmp_path / "annotations"
    own.write_text("".join(f'{name}="{value}"\n' for name, value in {**stamped, "a/b": 'x\\"y'}.items()))
    assert drift(own, "--verdict", passed) == 0
    own.write_text('headgate.dev/prompt-digest="other"\n')
    assert drift(own, "--verdict", passed) == 1


def test_nothing_stamped_is_no_verdict(project, passed, tmp_path, capsys):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(rollout_with(project, {})))
    assert drift(tmp_path / "r.yaml", "--verdict", passed) == 3
    assert "nothing is stamped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is not YAML"),
        ("just text", "is no Kubernetes manifest"),
        ("kind: List\nitems: [1]", "is no Kubernetes manifest"),
        (
            "kind: Pod\nmetadata: {annotations: {headgate.dev/plan-digest: x}}",
            "headgate.dev/prompt-digest: is not stamped",
        ),
    ],
)
def test_what_cannot_be_read_is_named(passed, tmp_path, capsys, text, why):
    (tmp_path / "f.yaml").write_text(text)
    assert drift(tmp_path / "f.yaml", "--verdict", passed) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "f.yaml" in said


def test_files_that_are_not_there_are_named(passed, tmp_path, capsys):
    assert drift(tmp_path / "none.yaml", "--verdict", passed) == 2
    assert drift(tmp_path, "--verdict", passed) == 2
    assert drift("--verdict", passed) == 2
    (tmp_path / "some.yaml").write_text("kind: Pod")
    assert drift(tmp_path, "--verdict", tmp_path) == 2
    said = capsys.readouterr().err
    for part in (
        "none.yaml: there is no such file",
        "holds no manifest",
        "--pods SELECTOR",
        "verdict.json: there is no",
    ):
        assert part in said


def test_the_pods_that_run_are_compared(passed, stamped, monkeypatch, capsys):
    old = {**stamped, "headgate.dev/prompt-digest": "old"}
    pods = [{"metadata": {"name": f"bot-{n}", "annotations": one}} for n, one in enumerate((stamped, old))]
    answers = {"app=new": pods[:1], "app=bot": pods}
    monkeypatch.setattr(
        kubernetes, "list_pods", lambda selector: json.dumps({"kind": "PodList", "items": answers[selector]})
    )
    assert drift("--pods", "app=new", "--verdict", passed) == 0
    capsys.readouterr()
    assert drift("--pods", "app=bot", "--verdict", passed) == 1
    assert "pods: Pod/bot-1: prompt-digest: old is deployed" in capsys.readouterr().out
