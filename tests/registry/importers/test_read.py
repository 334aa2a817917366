"""GitHub Models' prompt files and lines of openai/evals as suites; the command."""

from __future__ import annotations

import json

import pytest

import headgate as hg
from headgate.cli.main import run_command
from headgate.errors import ConfigError
from headgate.registry.load import load_prompts
from headgate.suite.items import read_rows

GITHUB = """
name: Summarizer
model: openai/gpt-4o-mini
modelParameters: {temperature: 0.5}
messages:
  - {role: system, content: Summarize in one sentence.}
  - {role: user, content: "{{input}}"}
testData:
  - {input: The fox jumps over the dog, expected: fox}
  - {input: The dog sleeps, expected: dog}
evaluators:
  - {name: names it, string: {contains: "{{expected}}"}}
  - {name: opens, string: {startsWith: the, endsWith: dog}}
  - {name: odd, string: {matches: x}}
  - {name: similar, uses: github/similarity}
  - {name: good, llm: {prompt: "Is {{completion}} good?"}}
"""


def items(suite):
    return [dict(row.variables) for row in read_rows(suite.items, base=suite.base)]


def test_a_github_prompt_is_its_own_suite(tmp_path):
    source = tmp_path / "summarize.prompt.yml"
    source.write_text(GITHUB)
    made = hg.import_suite(source, tmp_path / "to/suite.yaml")
    suite = hg.load_suite(made.suite)
    (prompt,) = load_prompts(suite)
    assert prompt.params == {"temperature": 0.5}
    assert [row["expected"] for row in items(suite)] == ["fox", "dog"]
    assert (suite.models[0].model, suite.models[0].api_key) == ("openai/gpt-4o-mini", "env:GITHUB_TOKEN")
    assert [(one.name, one.type, one.target, one.ignore_case) for one in suite.scorers] == [
        ("names-it", "contains", "{{ expected }}", True),
        ("opens", "starts_with", "the", True),
    ]
    assert [(one.where, one.why) for one in made.left] == [
        ("evaluators.1.string.endsWith", "startsWith is asked in its place"),
        ("evaluators.2.string.matches", "no scorer does this"),
        ("evaluators.3", "a service does it"),
        ("evaluators.4", "it is judged by a model"),
    ]


def test_lines_of_evals_are_items_of_one_prompt(tmp_path):
    def chat(question, role="system"):
        return [{"role": role, "content": "Be brief."}, {"role": "user", "content": question}]

    rows = [
        {"input": chat("1+1?"), "ideal": "2"},
        {"input": chat("2+2?"), "ideal": ["4"], "topic": "sums"},
        {"input": chat("3+3?"), "ideal": ["6", "six"]},
        {"input": "4+4?", "ideal": "8"},
    ]
    source = tmp_path / "sums.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = hg.import_suite(source, tmp_path / "to/suite.yaml")
    suite = hg.load_suite(made.suite)
    assert load_prompts(suite)[0].messages == (("system", "{{ system_1 }}"), ("user", "{{ user_2 }}"))
    assert items(suite)[1] == {"topic": "sums", "system_1": "Be brief.", "user_2": "2+2?", "target": "4"}
    assert [(one.where, one.what) for one in made.left] == [("line 3", "item"), ("line 4", "item")]
    assert "simulated" in " ".join(made.notes)
    assert [gate.metric for gate in suite.gates] == ["match"]


@pytest.mark.parametrize(
    ("name", "text", "out", "message"),
    [
        ("a.yaml", "a: 1", "suite.yaml", "is of no kind that is imported; promptfoo's configurations, GitHub"),
        ("a.jsonl", '{"a": 1}\n', "suite.yaml", "is of no kind that is imported"),
        ("a.jsonl", "broken\n", "suite.yaml", "is of no kind that is imported"),
        ("a.yaml", "a: [", "suite.yaml", ":1: is not YAML"),
        ("a.yaml", "prompts: [x]\ntests: [{}]", "suite.json", r"--out: .* is no YAML file; end it with \.yaml"),
        ("absent.yaml", None, "suite.yaml", "there is no such file"),
        ("a.jsonl", '{"input": "x", "ideal": "y"}\n{"input": \n', "suite.yaml", ":2: .* is not JSON"),
    ],
    ids=range(7),
)
def test_what_is_no_suite_is_refused_and_nothing_written(tmp_path, name, text, out, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        hg.import_suite(tmp_path / name, tmp_path / "to" / out)
    assert not (tmp_path / "to").exists()


def test_the_command_tells_what_is_left_on_stderr_or_as_json(tmp_path, capsys):
    source = tmp_path / "a.prompt.yml"
    source.write_text(GITHUB)
    assert run_command(["import", str(source), "--out", str(tmp_path / "one/suite.yaml")]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path}/one/suite.yaml: 2 items, 1 prompts, 1 models, 2 scorers\n"
    assert told.err.splitlines()[0] == (
        "not carried over: evaluator opens: startsWith is asked in its place (evaluators.1.string.endsWith)"
    )
    assert run_command(["import", str(source), "--out", str(tmp_path / "two/suite.yaml"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["left"][2] == {"where": "evaluators.3", "what": "evaluator similar", "why": "a service does it"}
    assert facts["files"][0] == f"{tmp_path}/two/suite.yaml"
    assert run_command(["import", str(source), "--out", str(tmp_path / "two/suite.yaml")]) == 2
