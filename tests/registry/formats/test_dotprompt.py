"""dotprompt files against the format's own conformance vectors, and what is refused by name."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from headgate.errors import ConfigError
from headgate.registry.formats.picoschema import UnknownSchema, json_schema
from prompt_files import ABSENT, FORMATS, written

SPEC = FORMATS / "dotprompt-spec"
RENDERED = ("variables", "helpers_ifEquals", "helpers_unlessEquals", "helpers_json", "helpers_history", "metadata")
REFUSED = ("helpers_media", "helpers_section")


def vectors(*names):
    for name in names:
        if not SPEC.is_dir():
            yield pytest.param(None, None, id=name, marks=pytest.mark.skip(reason=ABSENT))
            continue
        for case in yaml.safe_load((SPEC / f"{name}.yaml").read_text()):
            for test in case["tests"]:
                yield pytest.param(case, test, id=f"{name}: {case['name']}: {test['desc']}")


def prompt_of(folder, case, test):
    options = test.get("options", {}).get("input", {})
    prompt = written(folder, "a.prompt", case["template"])
    return dataclasses.replace(prompt, defaults=options.get("default", prompt.defaults))


def sent(messages):
    """What the vector's messages are on the wire; headgate has no history to insert."""
    kept = [message for message in messages if message.get("metadata", {}).get("purpose") != "history"]
    texts = ["".join(part["text"] for part in message["content"]) for message in kept]
    roles = ["assistant" if message["role"] == "model" else message["role"] for message in kept]
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]


@pytest.mark.parametrize(("case", "test"), list(vectors(*RENDERED)))
def test_vectors_that_make_text(tmp_path, case, test):
    expected, data = test["expect"], test.get("data", {})
    if not expected["messages"]:
        with pytest.raises(ConfigError, match="holds no template"):
            prompt_of(tmp_path, case, test)
        return
    prompt = prompt_of(tmp_path, case, test)
    if "{{@" in case["template"]:  # the context of a running application, which an item does not have
        with pytest.raises(ConfigError, match=r"@\w+\.\w+ is not defined"):
            prompt.fill(data.get("input", {}))
        return
    assert prompt.fill(data.get("input", {})) == sent(expected["messages"])
    assert prompt.params == expected.get("config", {})


@pytest.mark.parametrize(("case", "test"), list(vectors(*REFUSED)))
def test_vectors_that_make_other_parts_are_refused(tmp_path, case, test):
    with pytest.raises(ConfigError, match=r"\{\{(media|section)\}\} makes a part of a message that is no text"):
        prompt_of(tmp_path, case, test).fill(test.get("data", {}).get("input", {}))


@pytest.mark.parametrize(("case", "test"), list(vectors("picoschema")))
def test_vectors_of_picoschema(case, test):
    declared = yaml.safe_load(case["template"].strip().strip("-"))
    for side in ("input", "output"):
        if side in declared and "schemas" in case:
            with pytest.raises(UnknownSchema, match="Foo"):
                json_schema(declared[side]["schema"])
        elif side in declared:
            assert json_schema(declared[side]["schema"]) == test["expect"][side]["schema"]


FULL = """\
---
model: googleai/gemini
config: {temperature: 0.5, maxOutputTokens: 50, stopSequences: [end]}
input: {schema: {persona: string}, default: {persona: a friend}}
output: {schema: {answer: "string, in one word"}}
toolDefs: [{name: look, description: looks, inputSchema: {place: string}}]
tools: [look]
ext1.foo: bar
---

{{role "system"}}You are {{ persona }}.
{{role "user"}}{{q}}
{{history}}
Well,
"""


def test_a_file_in_full(tmp_path):
    prompt = written(tmp_path, "a.prompt", FULL)
    assert prompt.messages == (
        ("system", "You are {{persona}}.\n"),
        ("user", "{{q}}\n"),
        ("assistant", "\nWell,"),
    )
    assert prompt.params == {
        "temperature": 0.5,
        "max_tokens": 50,
        "stop": ["end"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "output",
                "schema": {
                    "type": "object",
                    "properties": {"answer": {"type": "string", "description": "in one word"}},
                    "required": ["answer"],
                    "additionalProperties": False,
                },
            },
        },
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "looks",
                    "parameters": {
                        "type": "object",
                        "properties": {"place": {"type": "string"}},
                        "required": ["place"],
                        "additionalProperties": False,
                    },
                },
            }
        ],
    }
    assert prompt.refused is None
    assert prompt.fill({"q": "Who?"})[0]["content"] == "You are a friend.\n"
    assert prompt.fill({"q": "Who?", "persona": "me"})[0]["content"] == "You are me.\n"


def test_a_licence_may_stand_above_and_a_file_may_be_all_template(tmp_path):
    assert written(tmp_path, "a.prompt", "# Copyright\n\n---\nmodel: x\n---\n  Hi \n").messages == (("user", "Hi"),)
    assert written(tmp_path, "b.prompt", "Hi\n").messages == (("user", "Hi\n"),)


def test_partials_count_and_those_that_they_include(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "_rules.prompt").write_text("Be kind. {{> deep/more}}")
    (tmp_path / "deep" / "_more.prompt").write_text("Be {{how}}.")
    prompt = written(tmp_path, "a.prompt", "{{>rules}}\n{{q}}")
    assert prompt.fill({"q": "Hi", "how": "brief"}) == [{"role": "user", "content": "Be kind. Be brief.Hi"}]
    (tmp_path / "deep" / "_more.prompt").write_text("Be very {{how}}.")
    assert written(tmp_path, "a.prompt", "{{>rules}}\n{{q}}").digest != prompt.digest


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("config: {safetySettings: [x]}", "config.safetySettings has no name on OpenAI's wire"),
        ("tools: [look]", "the tool 'look' is defined in the application, not in the file"),
        ("output: {schema: Answer}", "the schema Answer is defined in the application, not in the file"),
        ("output: {format: media}", "the output format 'media' is one that the application makes"),
    ],
)
def test_what_is_not_sent_has_a_digest_and_a_reason(tmp_path, front, reason):
    prompt = written(tmp_path, "a.prompt", f"---\n{front}\n---\nHi")
    assert prompt.digest != written(tmp_path, "b.prompt", "Hi").digest
    with pytest.raises(ConfigError) as caught:
        prompt.fill({})
    assert str(caught.value) == f"{tmp_path}/a.prompt: cannot be sent as its format means it: {reason}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\nmodel: x\n", "1: has no second line of ---; close the YAML with one"),
        ("---\n- x\n---\nHi", "2: is not a mapping"),
        ("---\nmodel: [\n---\nHi", "2: is not YAML"),
        ("---\nconfg: {}\n---\nHi", "2: confg: there is no such field; did you mean 'config'?"),
        ("---\nconfig: 3\n---\nHi", "2: config: 3 is not a mapping"),
        ("---\ninput: {default: 3}\n---\nHi", "2: input.default: 3 is not a mapping"),
        ("---\ntools: x\n---\nHi", "2: tools: 'x' is not a list"),
        ("---\ntoolDefs: [x]\n---\nHi", "2: toolDefs: 'x' is no tool; write {name, description, inputSchema}"),
        ("---\noutput: {schema: {'a(odd)': string}}\n---\nHi", "2: output.schema: is no schema: 'odd' is none of"),
        ("---\nmodel: x\n---\n{{role 'user'}}", " holds no message"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, "a.prompt", text)
    assert str(caught.value).startswith(f"{tmp_path}/a.prompt:{message}")
