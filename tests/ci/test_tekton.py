"""The Tasks and the Pipeline of `headgate init tekton`, run: scripts as processes, with Tekton's files and rules."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import yaml

import headgate as hg
from headgate.ci.starter import write_pipeline
from headgate.ci.tekton import MOST_SHARDS, plain, plan_results, verdict_outcome, write_results
from headgate.cli.app import app
from headgate.cli.main import run_command
from headgate.errors import ConfigError
from manifests import documents
from tekton_runner import MOST, Cluster, run_pipeline, shim

ACCURACY = "accuracy: 0.9"
CANDIDATES = {"pass": 0.95, "fail": 0.3, "inconclusive": 0.9}


def write_project(folder, word="pass"):
    """The starter suite, with a candidate that brings about a verdict."""
    write_pipeline("tekton", folder)
    suite = folder / "suite.yaml"
    text = suite.read_text()
    assert ACCURACY in text
    text = text.replace(ACCURACY, f"accuracy: {{ baseline: 0.95, candidate: {CANDIDATES[word]} }}")
    margin = 0.001 if word == "inconclusive" else 0.1
    suite.write_text(text.replace("latency_s: 0.01", "latency_s: 0").replace("margin: 0.1", f"margin: {margin}"))
    return folder


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A run for each verdict, not judged yet."""
    folder = tmp_path_factory.mktemp("judged")
    for word in CANDIDATES:
        suite = hg.load_suite(write_project(folder / word / "project", word) / "suite.yaml")
        hg.run(suite, out=folder / word / "run")
    return folder


def pipeline(project):
    return yaml.safe_load((project / "tekton" / "headgate-eval.yaml").read_text())


def test_the_pipeline_from_plan_to_promotion(project, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    cluster = Cluster.of(project / "tekton", tmp_path / "pods")
    workspaces = {"source": project, "runs": runs}
    ran = run_pipeline(cluster, pipeline(project), name="eval-1", params={"shards": "2"}, workspaces=workspaces)
    log = "\n".join(one.log for each in ran.runs.values() for one in each)
    assert (ran.status, ran.skipped) == ("Completed", ["more-evidence"]), log
    assert ran.runs["plan"][0].results["shards"] == ["1/2", "2/2"]
    assert ran.runs["plan"][0].codes == {"forecast": 0, "shards": 0}
    assert [one.results["part"] for one in ran.runs["run"]] == ["eval-1/shard-1-of-2", "eval-1/shard-2-of-2"]
    gated = ran.runs["gate"][0].results
    assert gated["plan-digest"] == ran.runs["plan"][0].results["plan-digest"]
    assert (gated["verdict"], gated["exit-code"], gated["n-items"], gated["needed-n"]) == ("pass", "0", "60", "0")
    assert ran.results == {"verdict": "pass", "report-digest": gated["report-digest"], "needed-n": "0"}
    assert gated["report-digest"] in ran.runs["promote"][0].log
    assert (runs / "eval-1" / "whole" / "verdict.md").exists()


def test_an_inconclusive_gate_can_be_made_to_stop(judged, tmp_path):
    cluster = Cluster.of(judged / "inconclusive" / "project" / "tekton", tmp_path)
    params = {"run": "run", "on-inconclusive": "fail"}
    ran = cluster.run("headgate-gate", params, {"runs": judged / "inconclusive"})
    assert (ran.failed_step, ran.codes["gate"], ran.results["verdict"]) == ("policy", 1, "inconclusive")


@pytest.mark.parametrize(
    ("word", "codes", "status", "ran"),
    [
        ("pass", {"gate": 0, "policy": 0}, "Completed", {"gate", "promote"}),
        ("fail", {"gate": 1, "policy": 1}, "Failed", {"gate"}),
        ("inconclusive", {"gate": 20, "policy": 0}, "Completed", {"gate", "more-evidence"}),
    ],
)
def test_only_a_pass_is_promoted(judged, tmp_path, *, word, codes, status, ran):
    """The Pipeline from the gate on; the run before it is made."""
    spec = pipeline(judged / word / "project")
    spec["spec"]["tasks"] = [task for task in spec["spec"]["tasks"] if task["name"] not in {"plan", "run", "merge"}]
    spec["spec"]["tasks"][0]["params"][1]["value"] = "run"
    cluster = Cluster.of(judged / word / "project" / "tekton", tmp_path)
    ended = run_pipeline(cluster, spec, name="eval", params={}, workspaces={"runs": judged / word})
    (gate,) = ended.runs["gate"]
    assert (gate.codes, ended.status, set(ended.runs)) == (codes, status, ran), gate.log
    assert ended.results["verdict"] == gate.results["verdict"] == word
    assert gate.results["exit-code"] == str(codes["gate"])
    assert (gate.results["needed-n"] == "0") == (word != "inconclusive")


KILLED = """
import os, signal, threading
from pathlib import Path

here, lock, calls = Path(__file__).parent, threading.Lock(), 0

def answer(request):
    global calls
    with lock:
        calls += 1
        with (here / "calls").open("a") as log:
            log.write(f"{os.getpid()}\\n")
        if calls == 400 and not (here / "killed").exists():
            (here / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return "30 days"
"""


def test_a_killed_shard_goes_on_where_it_was_when_it_is_tried_again(project, tmp_path):
    (project / "answers.py").write_text(KILLED)
    suite = yaml.safe_load((project / "suite.yaml").read_text())
    suite["models"] = [{"id": "own", "provider": "python", "model": "own", "call": "answers:answer"}]
    suite["seeds"] = 10
    (project / "suite.yaml").write_text(yaml.safe_dump(suite))
    runs = tmp_path / "runs"
    runs.mkdir()
    cluster = Cluster.of(project / "tekton", tmp_path / "pods")
    params = {"shard": "1/2", "folder": "eval-1"}
    first = cluster.run("headgate-run", params, {"source": project, "runs": runs})
    assert (first.failed_step, first.codes) == ("run", {"run": 137}), first.log
    assert first.results == {}
    again = cluster.run("headgate-run", params, {"source": project, "runs": runs})
    assert again.succeeded, again.log
    pids = (project / "calls").read_text().split()
    jobs = 30 * 2 * 10
    at_risk = 255 + 64  # rows that are not durable yet, and jobs under way
    assert pids.count(pids[0]) == 400
    assert jobs - 400 <= pids.count(pids[-1]) <= jobs - 400 + at_risk, "what was stored is asked again"
    assert not hg.verify(runs / again.results["part"])


def test_parameters_are_data(project, tmp_path):
    """What a shell would act on reaches the command as it stands."""
    runs = tmp_path / "runs"
    runs.mkdir()
    cluster = Cluster.of(project / "tekton", tmp_path / "pods")
    evil = '$(touch pwned)`touch pwned`"; touch pwned #'
    ran = cluster.run("headgate-gate", {"run": evil, "baseline": evil}, {"runs": runs})
    assert ran.results["verdict"] == "error"
    ran = cluster.run("headgate-run", {"shard": evil, "folder": evil}, {"source": project, "runs": runs})
    assert ran.codes == {"run": 2}
    assert evil[:20] in ran.log
    assert list(tmp_path.rglob("pwned")) == []


def test_a_key_comes_from_the_secret_and_stays_out_of_the_run(project, tmp_path):
    (project / "answers.py").write_text(
        "import os\ndef answer(request):\n    return os.environ['OPENAI_API_KEY'][:3]\n"
    )
    suite = yaml.safe_load((project / "suite.yaml").read_text())
    suite["models"] = [{"id": "own", "provider": "python", "model": "own", "call": "answers:answer"}]
    (project / "suite.yaml").write_text(yaml.safe_dump(suite))
    runs = tmp_path / "runs"
    runs.mkdir()
    cluster = Cluster.of(project / "tekton", tmp_path / "pods")
    cluster.secrets["OPENAI_API_KEY"] = "sk-very-secret"
    ran = cluster.run("headgate-run", {"folder": "one"}, {"source": project, "runs": runs})
    assert ran.succeeded, ran.log
    assert hg.scan(runs / ran.results["part"]).collect()["output"].unique().to_list() == ["sk-"]
    assert not any(b"very-secret" in path.read_bytes() for path in runs.rglob("*") if path.is_file())


def write_traffic(folder, *, n, failing):
    """Rows of one arm, each third or so an error where it fails."""
    folder.mkdir(parents=True)
    rows = [
        {"time": 1e9 + k, "id": f"{folder.name}-{k}", "status": "error" if failing and k % 3 else "ok"}
        for k in range(n)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.skipif(
    not any(one.callback.__name__ == "canary" for one in app.registered_commands), reason="there is no headgate canary"
)
@pytest.mark.parametrize(
    ("n", "word", "codes"), [(600, "fail", (1, 1)), (20, "inconclusive", (20, 0)), (0, "inconclusive", (20, 0))]
)
def test_the_canary_ends_as_its_traffic_says(project, tmp_path, n, word, codes):
    for arm in ("stable", "canary"):
        write_traffic(tmp_path / "traffic" / arm, n=n, failing=arm == "canary")
    runs = tmp_path / "runs"
    runs.mkdir()
    cluster = Cluster.of(project / "tekton", tmp_path / "pods")
    params = {"stable": "stable", "canary": "canary", "folder": "rollout-1"}
    ran = cluster.run("headgate-canary", params, {"traffic": tmp_path / "traffic", "runs": runs})
    assert tuple(ran.codes.values()) == codes, ran.log
    assert ran.results["verdict"] == word


# ---- what the commands say, without a Task around them


@pytest.fixture
def passed(judged):
    assert run_command(["gate", str(judged / "pass" / "run"), "--quiet"]) == 0
    return judged / "pass" / "run"


@pytest.mark.parametrize(("left_with", "code"), [(2, 2), (3, 3), (137, 137), (130, 130), (1, 3), (20, 3), (-1, 3)])
def test_a_verdict_that_is_not_of_this_gate_is_none(passed, tmp_path, left_with, code):
    """An older verdict.json lies there, and the gate left with another code than its."""
    (tmp_path / "exitCode").write_text(f"{left_with}\n")
    outcome = verdict_outcome(passed, exit_code_file=tmp_path / "exitCode")
    assert (outcome.results["verdict"], outcome.exit_code) == ("error", code)
    assert str(left_with) in outcome.results["reason"]
    assert set(outcome.results) == set(verdict_outcome(passed).results)


def test_without_a_verdict_the_gates_code_is_handed_on(tmp_path):
    (tmp_path / "exitCode").write_text("0")
    outcome = verdict_outcome(tmp_path, exit_code_file=tmp_path / "exitCode")
    assert (outcome.results["verdict"], outcome.results["reason"]) == ("error", "no verdict: there is no such file")
    assert outcome.exit_code == 3
    with pytest.raises(ConfigError, match=r"verdict\.json: there is no such file"):
        verdict_outcome(tmp_path)
    (tmp_path / "exitCode").write_text("none")
    with pytest.raises(ConfigError, match="'none' is not an exit code"):
        verdict_outcome(tmp_path, exit_code_file=tmp_path / "exitCode")


def test_results_are_short_and_inert_whatever_a_verdict_says(passed, tmp_path):
    verdict = json.loads((passed / "verdict.json").read_bytes())
    verdict["reason"] = "$(params.x) `rm` 'a' \"b\"\n\x1b[2J" + "ü" * 100_000
    (tmp_path / "verdict.json").write_text(json.dumps(verdict))
    outcome = verdict_outcome(tmp_path / "verdict.json")
    write_results(outcome.results, tmp_path)
    written = {name: (tmp_path / name).read_text() for name in outcome.results}
    assert written == outcome.results
    assert all(re.fullmatch(r"[A-Za-z0-9 .,:%+=/_-]{0,200}", text) for text in written.values())
    assert len(json.dumps([{"key": name, "value": text, "type": 1} for name, text in written.items()])) < MOST / 2
    assert outcome.results["cost-usd"] == "unknown"
    assert (plain("a\nb"), plain("--rm -f")) == ("ab", "rm -f")


def test_the_shards_of_the_widest_matrix_fit_into_the_results(tmp_path):
    rows = [{"question": str(number), "target": number} for number in range(300)]
    suite = {
        "name": "wide",
        "items": {"rows": rows},
        "prompts": {"plain": "{{ question }}"},
        "models": [{"id": "small", "provider": "simulated"}],
        "scorers": [{"name": "correct", "type": "numeric"}],
    }
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    found = plan_results(tmp_path / "suite.json", shards=MOST_SHARDS)
    assert json.loads(found["shards"])[-1] == "256/256"
    assert len(json.dumps([{"key": name, "value": text, "type": 2} for name, text in found.items()])) < MOST - 500
    assert (found["n-items"], found["jobs"]) == ("300", "300")
    suite["items"]["rows"] = rows[:3]
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    assert json.loads(plan_results(tmp_path / "suite.json", shards=8)["shards"]) == ["1/3", "2/3", "3/3"]


@pytest.mark.parametrize("shards", [0, 257])
def test_a_matrix_has_1_to_256_shards(tmp_path, shards, capsys):
    assert run_command(["ci", "tekton-plan", "suite.yaml", "--shards", str(shards)]) == 2
    assert f"--shards: {shards} is no number of shards here; a matrix has 1 to 256" in capsys.readouterr().err


def test_json_tells_the_results(passed, tmp_path, capsys):
    assert run_command(["ci", "tekton", str(passed), "--results", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert run_command(["ci", "tekton", str(passed), "--results", str(tmp_path / "not" / "there")]) == 3


# ---- the Indexed Job


def run_container(container, folders, environ):
    """Run a container's command with its volumes where they are here."""
    mounted = {mount["mountPath"]: str(folders[mount["name"]]) for mount in container["volumeMounts"]}

    def here(text):
        for path in sorted(mounted, key=len, reverse=True):
            if text == path or text.startswith(path + "/"):
                return mounted[path] + text.removeprefix(path)
        return text

    own = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    return subprocess.run(
        [here(word) for word in container["command"]],
        cwd=here(container["workingDir"]),
        env={"PATH": f"{shim(folders['tmp'] / 'bin')}:{os.defpath}", **own, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_indexed_job_takes_its_shard_from_the_environment(project, tmp_path):
    _, job = documents(project / "tekton" / "run" / "indexed-job.yaml")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    count = {entry["name"]: entry for entry in container["env"]}["HEADGATE_SHARDS"]
    assert count["value"] == str(job["spec"]["completions"])
    folders = {name: tmp_path / name for name in ("work", "tmp")} | {"suite": project}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    count["value"] = "2"
    for index in range(2):
        ran = run_container(container, folders, {"JOB_COMPLETION_INDEX": str(index)})
        assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in (folders["work"] / "runs").iterdir()) == [
        "support-bot-1-of-2",
        "support-bot-2-of-2",
    ]
    (gate_job,) = documents(project / "tekton" / "run" / "gate-job.yaml")
    gate_pod = gate_job["spec"]["template"]["spec"]
    merged = run_container(gate_pod["initContainers"][0], folders, {})
    assert merged.returncode == 0, merged.stderr
    gated = run_container(gate_pod["containers"][0], folders, {})
    assert gated.returncode == 0, gated.stderr
    assert (folders["work"] / "whole" / "verdict.json").exists()
