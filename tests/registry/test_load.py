"""Prompts from files: what each format says, and one clear error for each thing that may be wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.registry.load import load_prompts
from headgate.suite.files import load_suite
from headgate.suite.suite import Suite

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("HEADGATE_SHARED", ROOT.parent / "shared"))
REAL = SHARED / "schemas" / "prompt-formats" / "github-models"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(name, text=None, **params):
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    line = f"models: [{{id: m, provider: simulated, params: {params}}}]\n"
    Path("suite.yaml").write_text(f"name: s\nitems: [{{q: x}}]\nprompts:\n  p: {{path: {name}}}\n{line}")
    return load_prompts(load_suite("suite.yaml"))[0]


def refusal(here, name, text=None, **params):
    with pytest.raises(ConfigError) as caught:
        load(name, text, **params)
    return str(caught.value).replace(f"{here}/", "")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jinja", "a.jinja2", "a.j2", "A.TXT"])
@pytest.mark.usefixtures("here")
def test_a_text_file_is_one_user_message(name):
    prompt = load(name, b"\xef\xbb\xbfHi {{ q }}\r\n{% if q %}!{% endif %}\r\n")
    assert prompt.messages == (("user", "Hi {{ q }}\n{% if q %}!{% endif %}\n"),)
    assert prompt.params == {}
    assert prompt.file == str(Path(name).absolute())


FULL = """\
name: Greeter
description: says hello
model: openai/gpt-4o
modelParameters: {maxTokens: 50, maxCompletionTokens: 60, temperature: 0.5, topP: 0.9, stop: [a], seed: 3}
responseFormat: json_schema
jsonSchema: '{"name": "n", "schema": {"type": "object"}}'
messages:
  - {role: system, content: "You are {{persona}}."}
  - {role: user, content: "{{q}} } {"}
testData: [{persona: x, expected: y}]
evaluators: [{name: e, string: {contains: x}}]
"""


@pytest.mark.usefixtures("here")
def test_github_models_in_full():
    prompt = load("a.prompt.yml", FULL)
    assert prompt.messages == (("system", "You are {{persona}}."), ("user", "{{q}} } {"))
    assert prompt.params == {
        "max_tokens": 50,
        "max_completion_tokens": 60,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a"],
        "seed": 3,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    }
    assert prompt.variables == {"persona", "q"}
    assert prompt.render({"persona": "P", "q": "{{ x }}"}).decode() == (
        '[{"content":"You are P.","role":"system"},{"content":"{{ x }} } {","role":"user"}]'
    )


@pytest.mark.usefixtures("here")
def test_name_and_test_data_are_no_part_of_the_digest():
    digest = load("a.prompt.yml", FULL).digest
    assert (
        load("b.prompt.yaml", FULL.replace("Greeter", "Other").replace("expected: y", "expected: z")).digest == digest
    )
    assert load("c.prompt.yml", FULL.replace("temperature: 0.5", "temperature: 0.6")).digest != digest
    assert load("d.prompt.yml", FULL.replace("You are", "Be")).digest != digest


@pytest.mark.usefixtures("here")
def test_the_same_prompt_has_one_digest_in_every_format():
    one = load("a.txt", "Hi {{q}}").digest
    assert load("b.prompt.yml", "messages: [{role: user, content: 'Hi {{q}}'}]").digest == one


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("text", {}), ("json_object", {"response_format": {"type": "json_object"}})],
)
@pytest.mark.usefixtures("here")
def test_response_formats_without_a_schema(wanted, expected):
    text = f"responseFormat: {wanted}\nmessages: [{{role: user, content: x}}]"
    assert load("a.prompt.yml", text).params == expected


@pytest.mark.skipif(
    not REAL.is_dir(), reason="GitHub's own prompt files are not here; HEADGATE_SHARED names their folder"
)
@pytest.mark.parametrize(
    ("name", "roles", "variables", "params"),
    [
        ("json_schema_prompt.yml", ["system", "user"], {"animal"}, {"response_format"}),
        ("sample_prompt.yml", ["system", "user"], {"input"}, {"temperature", "max_tokens"}),
        (
            "template_variables_prompt.yml",
            ["system", "user"],
            {"persona", "domain", "name", "topic", "input"},
            {"temperature", "max_tokens"},
        ),
        ("test_generate.yml", ["system", "user"], {"input"}, {"temperature"}),
    ],
)
def test_real_files(here, name, roles, variables, params):
    shutil.copy(REAL / name, here / "real.prompt.yml")
    prompt = load("real.prompt.yml")
    assert [role for role, _ in prompt.messages] == roles
    assert (prompt.variables, set(prompt.params)) == (variables, params)
    assert prompt.render(dict.fromkeys(variables, "value"))


def block(content):
    return "messages:\n  - role: user\n    content: |\n" + "".join(f"      {line}\n" for line in content.split("\n"))


SUPPORTED = ".prompt.yml, .prompt.yaml, .prompt, .prompty, .txt, .md, .jinja, .jinja2, .j2, .json, .yaml, .yml"
NO_JSON = "a.prompt: holds what is not JSON data: Out of range float values are not JSON compliant"
PROGRAM = (
    "is a program or a table of promptfoo, and only a file with the text of a prompt is read; "
    "write its text into a file of its own"
)
PLAIN = (
    "is not a plain {{name}}, which is all that a .prompt.yml file can hold; "
    "write a .jinja file for a template with logic"
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.txt", None, "suite.yaml:4: prompts.p: 'none.txt' there is no such file"),
        ("a.pdf", "x", f"suite.yaml:4: prompts.p: 'a.pdf' is of no format that holds a prompt; use {SUPPORTED}"),
        ("a.pdf#1", "x", f"suite.yaml:4: prompts.p: 'a.pdf#1' is of no format that holds a prompt; use {SUPPORTED}"),
        ("a.json#1", "x", f"suite.yaml:4: prompts.p: 'a.json#1' is of no format that holds a prompt; use {SUPPORTED}"),
        ("a.js", "x", f"a.js: {PROGRAM}"),
        ("a.py", "x", f"a.py: {PROGRAM}"),
        ("a.csv", "x", f"a.csv: {PROGRAM}"),
        ("a.txt#2", None, "suite.yaml:4: prompts.p: 'a.txt#2' there is no such file"),
        ("a.prompty", "x", "a.prompty:1: does not begin with ---"),
        ("a.prompt", " ", "a.prompt: holds no template; write the prompt below the YAML"),
        ("a.prompt", "---\nconfig: {temperature: .inf}\n---\nHi", NO_JSON),
        ("a.prompt", "---\ninput: {default: {a: .nan}}\n---\nHi", NO_JSON),
        ("a.yml", "x", "a.yml: is no chat; write a list of {role, content}"),
        ("a.json", "x", "a.json:1: is not JSON: Expecting value"),
        ("a.txt", " \n", "a.txt: is empty; write the prompt into it"),
        ("a.txt", b"a\n\xff", "a.txt:2: is not UTF-8; save the file as UTF-8"),
        (
            "a.jinja",
            "one\n{{ two",
            (
                "a.jinja:2: prompts.p.messages.0: 'one\\n{{ two' is not a jinja2 template: "
                "unexpected end of template, expected 'end of print statement'."
            ),
        ),
        ("a.prompt.yml", "", "a.prompt.yml:1: is empty"),
        ("a.prompt.yml", "- x", "a.prompt.yml:1: is not a mapping"),
        (
            "a.prompt.yml",
            "a: 1\nb: [",
            "a.prompt.yml:2: is not YAML: expected the node content, but found '<stream end>'",
        ),
        (
            "a.prompt.yml",
            "messages: []",
            "a.prompt.yml:1: messages: is missing or empty; write a list of {role, content}",
        ),
        ("a.prompt.yml", "name: x", "a.prompt.yml: messages: is missing or empty; write a list of {role, content}"),
        ("a.prompt.yml", "messages: [x]", "a.prompt.yml:1: messages.0: 'x' is not a mapping; write {role, content}"),
        (
            "a.prompt.yml",
            "messages:\n  - {role: usr, content: 3}\nmodelParameter: {}\nmodelParameters: {maxToken: 1}\n",
            (
                "a.prompt.yml:2: messages.0.role: 'usr' is none of the choices; did you mean 'user'?\n"
                "a.prompt.yml:2: messages.0.content: 3 is not text\n"
                "a.prompt.yml:3: modelParameter: there is no such field; did you mean 'modelParameters'?\n"
                "a.prompt.yml:4: modelParameters.maxToken: there is no such field; did you mean 'maxTokens'?"
            ),
        ),
        (
            "a.prompt.yml",
            "messages: [{role: user, content: x}]\nmodelParameters: {temperature: .inf}",
            "a.prompt.yml:2: modelParameters.temperature: inf is not a finite number",
        ),
        (
            "a.prompt.yml",
            "messages: [{role: user, content: x}]\nresponseFormat: jsn_object",
            "a.prompt.yml:2: responseFormat: 'jsn_object' is none of the choices; did you mean 'json_object'?",
        ),
        (
            "a.prompt.yml",
            "messages: [{role: user, content: x}]\nresponseFormat: json_schema",
            "a.prompt.yml:2: responseFormat: `jsonSchema` goes with `responseFormat: json_schema`, and that needs it",
        ),
        (
            "a.prompt.yml",
            "messages: [{role: user, content: x}]\nresponseFormat: json_schema\njsonSchema: '{'",
            (
                "a.prompt.yml:3: jsonSchema: is not JSON: Expecting property name enclosed in double quotes: "
                "line 1 column 2 (char 1)"
            ),
        ),
        (
            "a.prompt.yml",
            "messages: [{role: user, content: x}]\nresponseFormat: json_schema\njsonSchema: '{}'",
            "a.prompt.yml:3: jsonSchema: is not an object with `name` and `schema`",
        ),
        (
            "a.prompt.yml",
            block("fine {{q}}\n{% if q %}x{% endif %}"),
            f"a.prompt.yml:5: messages.0.content: '{{% if q %}}' {PLAIN}",
        ),
        ("a.prompt.yml", block("{# note #}"), f"a.prompt.yml:4: messages.0.content: '{{# note #}}' {PLAIN}"),
        (
            "a.prompt.yml",
            block("{{ q | upper }}"),
            f"a.prompt.yml:4: messages.0.content: '{{{{ q | upper }}}}' {PLAIN}",
        ),
        ("a.prompt.yml", block("{{ q.r }}"), f"a.prompt.yml:4: messages.0.content: '{{{{ q.r }}}}' {PLAIN}"),
        ("a.prompt.yml", block("{{ 1 + 1 }}"), f"a.prompt.yml:4: messages.0.content: '{{{{ 1 + 1 }}}}' {PLAIN}"),
        ("a.prompt.yml", block("{{true}}"), f"a.prompt.yml:4: messages.0.content: '{{{{true}}}}' {PLAIN}"),
        ("a.prompt.yml", block("{{#each q}}"), f"a.prompt.yml:4: messages.0.content: '{{{{#each q}}}}' {PLAIN}"),
        (
            "a.prompt.yml",
            block("{{ q }}"),
            (
                "a.prompt.yml:4: messages.0.content: '{{ q }}' is not a plain {{name}}, "
                "which is all that a .prompt.yml file can hold; write {{q}}"
            ),
        ),
        ("a.prompt.yml", block("{{-q-}}"), f"a.prompt.yml:4: messages.0.content: '{{{{-q-}}}}' {PLAIN}"),
        ("a.prompt.yml", block("x\ny {{ q"), f"a.prompt.yml:5: messages.0.content: '{{{{' {PLAIN}"),
    ],
)
def test_what_is_wrong_is_named(here, name, text, message):
    assert refusal(here, name, text) == message


def test_a_parameter_that_the_model_gives_another_value_is_refused(here):
    assert refusal(here, "a.prompt.yml", FULL, temperature=0.7) == (
        "suite.yaml:5: models.0.params.temperature: 0.7 but the prompt 'p' says 0.5 (a.prompt.yml); "
        "give the parameter in one of the two places"
    )
    assert load("a.prompt.yml", FULL, temperature=0.50).params["temperature"] == 0.5


def test_two_prompts_that_are_the_same_are_refused():
    suite = Suite(
        name="s",
        items=[{"q": 1}],
        prompts={"a": "{{ q }}", "b": [{"role": "user", "content": "{{ q }}"}]},
        models=[{"id": "m", "provider": "simulated"}],
    )
    with pytest.raises(ConfigError) as caught:
        load_prompts(suite)
    assert str(caught.value) == "prompts.b: is the same as 'a'; their jobs would be one; use `seeds` to repeat"


def test_inline_messages_keep_their_order_and_roles():
    messages = [{"role": role, "content": role} for role in ("developer", "user", "assistant", "user")]
    suite = Suite(name="s", items=[{"q": 1}], prompts={"a": messages}, models=[{"id": "m", "provider": "simulated"}])
    assert [role for role, _ in load_prompts(suite)[0].messages] == ["developer", "user", "assistant", "user"]
