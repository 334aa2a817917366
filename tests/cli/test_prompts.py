"""headgate prompts as a user runs it, on a repository with a history, a run and a verdict."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from command_line import call_here as call
from repositories import Repo, message

SUITE = """\
name: sums
items: [{question: 1 + 1, target: 2}, {question: 2 + 2, target: 4}, {question: 3 + 3, target: 6}]
prompts: {old: prompts/old.prompt.yml, new: prompts/new.prompt.yml}
models: [{id: m, provider: simulated, simulate: {accuracy: 1.0, latency_s: 0.001}}]
scorers: [{name: correct, type: numeric}]
compare: {baseline: {prompt: old}, candidate: {prompt: new}}
gates: [{metric: correct, min: 0.01}]
"""
FILES = {
    "suite.yaml": SUITE,
    "prompts/old.prompt.yml": message("{{question}}"),
    "prompts/new.prompt.yml": message("Sum: {{question}}"),
    ".gitignore": "runs/\n",
}


def facts(*words, cwd, code=0):
    ran = call("prompts", *words, "--json", cwd=cwd)
    assert ran.returncode == code, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture
def repo(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("First", FILES)
    return repo


def test_list_show_and_state(repo):
    listed = facts("list", cwd=repo.folder)
    assert [prompt["prompt"] for prompt in listed["prompts"]] == ["prompts/new.prompt.yml", "prompts/old.prompt.yml"]
    stated = facts("state", cwd=repo.folder)
    assert stated["state"] == listed["state"] == call("prompts", "state", cwd=repo.folder).stdout.strip()
    shown = facts("show", "new.prompt.yml", cwd=repo.folder / "prompts")
    assert shown["digest"] == stated["prompts"]["prompts/new.prompt.yml"]
    assert (shown["prompt"], shown["variables"], shown["problem"]) == ("prompts/new.prompt.yml", ["question"], None)
    assert facts("show", "suite.yaml:new", "--at", "HEAD", cwd=repo.folder)["digest"] == shown["digest"]
    assert "[user]\nSum: {{question}}\n" in call("prompts", "show", "prompts/new.prompt.yml", cwd=repo.folder).stdout


def test_state_needs_no_checkout(repo, tmp_path_factory):
    first = facts("state", cwd=repo.folder)["state"]
    repo.commit("Change", {"prompts/new.prompt.yml": message("Add: {{question}}")})
    repo.git("checkout", "--quiet", "--orphan", "empty")
    repo.git("rm", "-rq", "--force", ".")
    before = sorted(repo.folder.iterdir())
    assert facts("state", "main~1", cwd=repo.folder)["state"] == first
    assert facts("state", "main", cwd=repo.folder)["state"] != first
    assert sorted(repo.folder.iterdir()) == before
    bare = tmp_path_factory.mktemp("bare")
    subprocess.run(["git", "clone", "--quiet", "--bare", "--branch", "main", repo.folder, bare], check=True)
    assert facts("state", "main~1", cwd=bare)["state"] == first


def test_lock_verify_and_what_changed(repo):
    assert call("prompts", "verify", cwd=repo.folder).returncode == 2
    assert len(facts("lock", cwd=repo.folder)["prompts"]) == 2
    assert call("prompts", "verify", "--quiet", cwd=repo.folder).stdout == ""
    repo.write({"prompts/new.prompt.yml": message("Add: {{question}}")})
    ran = call("prompts", "verify", cwd=repo.folder)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("prompts/new.prompt.yml: is ")
    assert len(facts("verify", cwd=repo.folder, code=3)["problems"]) == 1
    diff = facts("diff", "prompts/new.prompt.yml", cwd=repo.folder)
    assert diff["differences"] == [
        {"place": "messages.0.content", "before": "Sum: {{ question }}", "after": "Add: {{ question }}"}
    ]
    shown = call("prompts", "diff", "prompts/old.prompt.yml", "prompts/new.prompt.yml", cwd=repo.folder).stdout
    assert "messages.0.content\n@@ -1 +1 @@\n-{{ question }}\n+Add: {{ question }}\n" in shown
    assert facts("affected", cwd=repo.folder)["changed"] == {"suite.yaml": ["prompts.new"]}
    assert call("prompts", "affected", "--base", "HEAD", "--head", "HEAD", cwd=repo.folder).stdout == ""


def test_affected_looks_from_where_the_history_left_the_base(repo):
    repo.git("checkout", "--quiet", "-b", "change")
    repo.commit("Change", {"prompts/new.prompt.yml": message("Add: {{question}}")})
    repo.git("checkout", "--quiet", "main")
    repo.commit("Go on", {"prompts/old.prompt.yml": message("Say: {{question}}")})
    repo.git("checkout", "--quiet", "change")
    assert facts("affected", "--base", "main", cwd=repo.folder)["changed"] == {"suite.yaml": ["prompts.new"]}


def test_a_label_is_promoted_loaded_and_listed(repo):
    made = facts("label", "support", "production", "new.prompt.yml", cwd=repo.folder / "prompts")
    assert made["file"] == "prompts/new.prompt.yml"
    repo.commit("Promote")
    script = "import headgate as hg; print(hg.load_prompt('support', label='production').digest)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=repo.folder, check=True)
    assert ran.stdout.strip() == made["digest"]
    labels = {prompt["prompt"]: prompt["labels"] for prompt in facts("list", cwd=repo.folder)["prompts"]}
    assert labels["prompts/new.prompt.yml"] == ["support=production"]
    history = facts("log", "support", "--label", "production", cwd=repo.folder)
    assert [change["subject"] for change in history["changes"]] == ["Promote"]


def test_every_commit_leads_to_its_prompts_and_their_verdict(repo):
    commit = repo.git("rev-parse", "HEAD")
    assert call("run", "suite.yaml", "--out", "runs/a", "--quiet", cwd=repo.folder).returncode == 0
    assert call("gate", "runs/a", "--quiet", cwd=repo.folder).returncode in {0, 20}
    noted = facts("attach", "runs/a", cwd=repo.folder)
    assert (noted["commit"], noted["new"]) == (commit, True)
    assert facts("attach", "runs/a/verdict.json", cwd=repo.folder)["new"] is False
    repo.commit("Change", {"prompts/new.prompt.yml": message("Add: {{question}}")})
    changed, first = facts("log", "prompts/new.prompt.yml", cwd=repo.folder)["changes"]
    assert (changed["verdicts"], first["id"]) == ([], commit)
    (found,) = first["verdicts"]
    assert (found["on"], found["prompt_digests"]) == (commit, {"new": first["digest"]})
    text = call("prompts", "log", "suite.yaml:new", cwd=repo.folder).stdout
    assert f"{found['verdict']} " in text


def test_a_run_from_changed_files_is_not_noted_on_the_commit(repo):
    repo.write({"prompts/new.prompt.yml": message("Add: {{question}}")})
    assert call("run", "suite.yaml", "--out", "runs/a", "--quiet", cwd=repo.folder).returncode == 0
    call("gate", "runs/a", "--quiet", cwd=repo.folder)
    ran = call("prompts", "attach", "runs/a", cwd=repo.folder)
    assert ran.returncode == 2
    assert "files differed from the commit when the candidate was run" in ran.stderr
    assert call("prompts", "attach", "runs/a", "--commit", "HEAD", cwd=repo.folder).returncode == 0


def test_a_suite_runs_each_format_in_its_own_language_or_not_at_all(tmp_path):
    prompts = {
        "a.prompt": '{{role "system"}}{{#if target}}Add.{{/if}}{{role "user"}}{{question}}',
        "b.prompty": "---\nname: b\n---\nuser:\n{{ question | upper }}\n",
        "c.yaml": "- {role: user, content: 'Sum: {{question}}'}\n",
        "d.txt": "One\n---\nTwo: {{ question }}\n",
    }
    for name, text in prompts.items():
        (tmp_path / name).write_text(text)
    named = "{a: a.prompt, b: b.prompty, c: c.yaml, d: 'd.txt#2'}"
    suite = SUITE.replace("{old: prompts/old.prompt.yml, new: prompts/new.prompt.yml}", named)
    (tmp_path / "suite.yaml").write_text(suite.replace("prompt: old", "prompt: a").replace("prompt: new", "prompt: b"))
    ran = call("run", "suite.yaml", "--out", "run", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["counts"]["ok"] == 12
    (tmp_path / "c.yaml").write_text("- {role: user, content: '{{ question | upper }}'}\n")
    ran = call("run", "suite.yaml", "--out", "other", cwd=tmp_path)
    assert ran.returncode == 2
    assert "c.yaml: prompts.c.messages.0: '{{ question | upper }}' is Nunjucks, of which only plain" in ran.stderr
    assert not (tmp_path / "other").exists()


def test_what_a_file_says_does_not_act_on_the_terminal(tmp_path):
    repo = Repo(tmp_path)
    repo.commit("Title \x1b[2J", {"evil\x1b[31m.prompt": "Hi \x1b[2J", "bad\x1b[2J.prompt": "---\n"})
    for words in (["list"], ["show", "evil\x1b[31m.prompt"], ["log", "evil\x1b[31m.prompt"], ["lock"], ["verify"]):
        ran = call("prompts", *words, cwd=tmp_path)
        assert "\x1b" not in ran.stdout + ran.stderr, words
    assert "\x1b" not in call("prompts", "show", "bad\x1b[2J.prompt", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["show", "gone.txt"], "gone.txt: there is no such file"),
        (["show", ".gitignore"], ".gitignore: is of no format that holds a prompt"),
        (["state", "--", "--all"], "revision: '--all' is no commit of this repository"),
        (["list", "none"], "revision: 'none' is no commit of this repository"),
        (["list", "--root", "gone"], "gone: --root: there is no such folder"),
        (["attach", "gone.json"], "gone.json: cannot be read: No such file or directory"),
        (["attach", "suite.yaml"], "a verdict cannot be read from it"),
        (["affected", "gone.yaml"], "gone.yaml: there is no such file"),
        (["label", "a", "b", "gone.txt"], "gone.txt: there is no such file"),
        (["log", "gone.txt"], "'gone.txt' is no prompt in any commit of this history"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_with_2(repo, words, problem):
    ran = call("prompts", *words, cwd=repo.folder)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    assert problem in ran.stderr


def test_outside_of_git_files_are_still_prompts(tmp_path):
    (tmp_path / "a.prompt").write_text("Hi")
    assert len(facts("list", cwd=tmp_path)["prompts"]) == 1
    assert len(facts("lock", cwd=tmp_path)["prompts"]) == 1
    ran = call("prompts", "state", cwd=tmp_path)
    assert (ran.returncode, "is in no git repository" in ran.stderr) == (2, True)
