"""The component as text: its schema, its pins, and that no input reaches a script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import headgate
from hand_made_verdicts import make_row, make_verdict
from headgate.ci.gitlab.reports import dotenv
from headgate.ci.starter import write_pipeline

ROOT = Path(__file__).parents[3]
COMPONENT = ROOT / "templates" / "headgate.yml"
PACKAGED = ROOT / "src/headgate/ci/templates/gitlab"
BLOCK = re.compile(r"\$\[\[ *inputs\.([a-z-]+) *\]\]")


def parts():
    spec, body = COMPONENT.read_text().split("\n---\n")
    return yaml.safe_load(spec)["spec"]["inputs"], body


def filled(**given):
    """Return the component as GitLab makes it: blocks of its text replaced by the inputs, then read as YAML."""
    inputs, body = parts()
    values = {name: given.get(name, declared["default"]) for name, declared in inputs.items()}
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return yaml.safe_load(BLOCK.sub(lambda block: as_text[block[1]], body))


def valid(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True)
    return ran.returncode == 0, ran.stdout + ran.stderr


def test_the_packaged_copy_is_the_component():
    assert (PACKAGED / ".gitlab" / "headgate.yml").read_bytes() == COMPONENT.read_bytes()


def test_the_version_is_this_one():
    assert parts()[0]["version"]["default"] == headgate.__version__


@pytest.mark.parametrize("shards", [1, 4])
def test_gitlabs_schema_takes_it(tmp_path, shards):
    path = tmp_path / "ci.json"
    path.write_text(json.dumps(filled(shards=shards, tags=["gpu"])))
    assert valid(path) == (True, "ok -- validation done\n")
    path.write_text(json.dumps({"headgate": {"script": ["x"], "allow_failure": {"exit_codes": "no"}}}))
    assert not valid(path)[0], "the schema refuses nothing"


def test_gitlabs_schema_takes_what_init_writes(tmp_path):
    write_pipeline("gitlab", tmp_path)
    assert valid(tmp_path / ".gitlab-ci.yml") == (True, "ok -- validation done\n")


def test_every_input_is_typed_described_and_used():
    inputs, body = parts()
    assert set(BLOCK.findall(body)) == set(inputs)
    for name, declared in inputs.items():
        assert declared["description"].endswith("."), name
        assert "default" in declared, name
        kind = declared.get("type", "string")
        assert kind in {"number", "array"} or {"regex", "options"} & set(declared), f"{name} takes any text"


def test_every_default_and_what_the_comments_show_is_allowed():
    inputs, _ = parts()
    shown = (PACKAGED / ".gitlab-ci.yml").read_text()
    given = {name: re.findall(rf"^ +#? ?{name}: (\S+)", shown, re.MULTILINE) for name in inputs}
    assert given["suite"] == ["suite.yaml"]
    assert given["image"]
    for name, declared in inputs.items():
        for value in [declared["default"], *given[name]]:
            if "regex" in declared:
                assert re.search(declared["regex"], value), (name, value)
            if "options" in declared:
                assert value in declared["options"]


@pytest.mark.parametrize(
    "attack", ['x"; id #', "$(id)", "`id`", "x\n- id", "${HOME}", "x'y", "a: b", "-option", "$[[ inputs.name ]]"]
)
def test_no_input_takes_text_that_acts(attack):
    inputs, _ = parts()
    taken = [name for name, declared in inputs.items() if "regex" in declared and re.search(declared["regex"], attack)]
    assert taken == []


def test_no_input_stands_in_a_script():
    jobs = filled()
    _, body = parts()
    for name, job in jobs.items():
        for script in (*job.get("script", []), *job.get("before_script", [])):
            assert "[[" not in script, name
    scripts = re.findall(r"^ +(?:before_)?script:\n((?: {4}.*\n|\n)+)", body, re.MULTILINE)
    assert len(scripts) == 3
    assert not any(BLOCK.search(script) for script in scripts)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_script_is_one_of_a_plain_shell(shell):
    for job in filled().values():
        script = "\n".join([*job.get("before_script", []), *job.get("script", [])])
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_every_variable_in_a_script_is_quoted():
    for job in filled().values():
        for script in (*job.get("script", []), *job.get("before_script", [])):
            bare = re.sub(r'"[^"]*"|code=\$\?', "", re.sub(r"#.*", "", script))
            assert "$" not in bare.replace('"$@"', ""), bare


def test_exit_codes_mean_what_they_mean_everywhere():
    jobs = filled()
    assert jobs["headgate"]["allow_failure"] == {"exit_codes": [20]}
    assert jobs[".headgate-common"]["retry"] == {"max": 2, "exit_codes": [3]}
    assert "allow_failure" not in jobs["headgate-shard"]


def test_every_report_is_wired_and_kept_whatever_happens():
    artifacts = filled(name="bot")["bot"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"] == {
        "junit": ".headgate/bot/reports/junit.xml",
        "metrics": ".headgate/bot/reports/metrics.txt",
        "codequality": ".headgate/bot/reports/gl-code-quality.json",
        "annotations": ".headgate/bot/reports/annotations.json",
        "dotenv": ".headgate/bot/reports/verdict.env",
    }


PAGE = (ROOT / "docs" / "ci" / "gitlab.md").read_text()


def yaml_blocks():
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def inputs_in(block):
    found = [entry.get("inputs", {}) for entry in block.get("include", [])]
    return {name: value for inputs in [*found, block.get("inputs", {})] for name, value in inputs.items()}


def test_the_page_names_inputs_and_variables_that_there_are():
    declared, _ = parts()
    used = [inputs_in(block) for block in yaml_blocks()]
    assert {"tags", "image", "shards", "name", "suite"} <= {name for inputs in used for name in inputs}
    for name, value in ((name, value) for inputs in used for name, value in inputs.items()):
        assert name in declared
        assert "regex" not in declared[name] or re.search(declared[name]["regex"], value)
    variables = {line.split("=")[0] for line in dotenv(make_verdict(make_row())).splitlines()}
    named = set(re.findall(r"`(HEADGATE_[A-Z_]+)`", PAGE)) - {"HEADGATE_GITLAB_TOKEN", "HEADGATE_BASELINES"}
    assert named <= variables
    assert variables - named == {f"HEADGATE_GATES_{word}" for word in ("FAIL", "INCONCLUSIVE", "INVALID")}


def test_the_pages_models_stand_in_the_starter_suite(tmp_path):
    write_pipeline("gitlab", tmp_path)
    suite = yaml.safe_load((tmp_path / "suite.yaml").read_text())
    for block in yaml_blocks():
        if "simulate" in block:
            suite["models"][0] |= block
        elif "models" in block:
            suite |= block
        else:
            continue
        (tmp_path / "changed.yaml").write_text(yaml.safe_dump(suite))
        headgate.load_suite(tmp_path / "changed.yaml")
