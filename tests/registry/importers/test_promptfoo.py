"""promptfoo's configurations as suites: what is carried over means the same, and the rest is named."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import headgate as hg
from foreign_results import SHARED, needs_data
from headgate.errors import ConfigError
from headgate.registry.importers.assertions import TABLE, Refused, translate
from headgate.registry.importers.promptfoo_tests import expected
from headgate.registry.load import load_prompts
from headgate.suite.items import read_rows
from headgate.suite.model import Model


def bring(tmp_path, config, **files):
    source = tmp_path / "from" / "promptfooconfig.yaml"
    source.parent.mkdir(exist_ok=True)
    for name, text in files.items():
        (source.parent / name.replace("__", ".")).write_text(text)
    source.write_text(
        yaml.safe_dump({"prompts": ["Ask {{q}}"], "providers": ["openai:gpt-5-mini"], **config}, sort_keys=False)
    )
    made = hg.import_suite(source, tmp_path / "to" / "suite.yaml")
    return hg.load_suite(made.suite), made


def items(suite):
    return [dict(row.variables) for row in read_rows(suite.items, base=suite.base)]


def left(made):
    return {(one.where, one.what) for one in made.left}


def test_what_every_test_expects_stands_in_the_scorer_and_what_each_expects_in_its_item(tmp_path):
    tests = [{"vars": {"q": n}, "assert": [{"type": "contains", "value": f"answer {n}"}]} for n in range(3)]
    default = {"assert": [{"type": "icontains", "value": "Please"}, {"type": "not-equals", "value": "no"}]}
    suite, made = bring(tmp_path, {"tests": tests, "defaultTest": default})
    assert not made.left
    declared = {scorer.name: scorer for scorer in suite.scorers}
    assert declared["icontains"].target == "Please"
    assert (declared["not_equals"].negate, declared["not_equals"].strip) == (True, False)
    assert declared["contains"].target == "{{ expect_contains }}"
    assert items(suite) == [{"q": n, "expect_contains": f"answer {n}"} for n in range(3)]
    assert [gate.where for gate in suite.gates] == [{}, {}, {}]


def test_a_scorer_that_is_not_for_all_items_is_judged_on_its_own(tmp_path):
    tests = [
        {"vars": {"q": 1}, "assert": [{"type": "contains", "value": "a"}, {"type": "contains", "value": "b"}]},
        {"vars": {"q": 2}, "assert": [{"type": "contains", "value": "c"}]},
        {"vars": {"q": 3}},
    ]
    suite, _ = bring(tmp_path, {"tests": tests})
    assert [scorer.name for scorer in suite.scorers] == ["contains", "contains_2"]
    assert [gate.where for gate in suite.gates] == [{"has_contains": "yes"}, {"has_contains_2": "yes"}]
    rows = items(suite)
    assert [row["has_contains"] for row in rows] == ["yes", "yes", "no"]
    assert [row["has_contains_2"] for row in rows] == ["yes", "no", "no"]
    assert suite.scorers[1].target == "b"


def test_what_was_imported_runs_and_judges_what_promptfoo_judges(tmp_path):
    tests = [
        {"vars": {"q": "yes"}, "assert": [{"type": "equals", "value": "{{q}}"}, {"type": "regex", "value": "^y"}]},
        {"vars": {"q": "no"}, "assert": [{"type": "icontains", "value": "{{q}}"}, {"type": "is-json"}]},
    ]
    suite, _ = bring(tmp_path, {"tests": tests})
    model = {"id": "echo", "provider": "python", "call": echo}
    run = hg.run(suite.model_copy(update={"models": [Model.model_validate(model)]}), out=tmp_path / "run")
    scores = {(row["item_id"], row["scorer"]): row["value"] for row in hg.scan_scores(run.path).collect().to_dicts()}
    assert scores["1", "equals"] == 1
    assert scores["1", "regex"] == 1
    assert scores["2", "icontains"] == 1
    assert scores["2", "is_json"] == 0


def echo(messages):
    return messages[-1]["content"].removeprefix("Ask ")


def test_lists_of_texts_and_scenarios_and_files_are_items(tmp_path):
    config = {
        "prompts": ["file://p.txt"],
        "tests": [{"vars": {"q": ["a", "b"], "k": ["x", "y"]}}, "more.csv", "file://more.jsonl"],
        "scenarios": [{"config": [{"vars": {"k": "s"}}, {"vars": {"k": "t"}}], "tests": [{"vars": {"q": "c"}}]}],
    }
    suite, made = bring(
        tmp_path,
        config,
        p__txt="First {{q}}\n---\nSecond {{ q }} {{k}}\n",
        more__csv='q,__expected,__metadata:tags[],__threshold\nd,contains: x,"u,v\\,w",0.5\n',
        more__jsonl='{"vars": {"q": "e"}}\n',
    )
    assert [(row["q"], row["k"]) for row in items(suite)] == [
        *[("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("d", ""), ("e", ""), ("c", "s"), ("c", "t")]
    ]
    assert items(suite)[4]["metadata"] == {"tags": ["u", "v,w"]}
    assert [prompt.messages for prompt in load_prompts(suite)] == [
        (("user", "First {{q}}"),),
        (("user", "Second {{ q }} {{k}}"),),
    ]
    assert left(made) == {("more.csv:2", "column __threshold")}


def test_chats_are_prompts_and_those_of_logic_are_named(tmp_path):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{q}}"}]
    config = {
        "prompts": [
            "file://chat.json",
            "{% if q %}x{% endif %}",
            "{{ q | upper }}",
            {"raw": "A {{q}}", "label": "my A!"},
        ],
        "tests": [{"vars": {"q": "x"}}],
    }
    suite, made = bring(tmp_path, config, chat__json=json.dumps(chat))
    assert list(suite.prompts) == ["chat", "my-A"]
    assert load_prompts(suite)[0].messages == (("system", "Be brief."), ("user", "{{q}}"))
    assert {where for where, _ in left(made)} == {"prompts.1", "prompts.2"}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai:gpt-5", {"provider": "openai", "model": "gpt-5", "api_key": "env:OPENAI_API_KEY"}),
        ("openai:chat:gpt-5", {"provider": "openai", "model": "gpt-5"}),
        ({"id": "openai:gpt-5", "label": "big one", "config": {"temperature": 0.5}}, {"id": "big-one"}),
        ({"openai:gpt-5": {"config": {"temperature": 0.5}}}, {"params": {"temperature": 0.5}}),
        ("ollama:chat:qwen", {"provider": "openai-compatible", "base_url": "http://localhost:11434/v1"}),
        (
            {"id": "openai:x", "config": {"apiBaseUrl": "http://here/v1"}},
            {"provider": "openai-compatible", "base_url": "http://here/v1"},
        ),
    ],
    ids=range(6),
)
def test_providers_that_speak_the_api_of_openai_are_models(tmp_path, provider, model):
    suite, made = bring(tmp_path, {"providers": [provider], "tests": [{"vars": {"q": 1}}]})
    assert not made.left
    found = suite.models[0]
    assert {name: getattr(found, name) for name in model} == model


def test_a_key_is_never_copied(tmp_path):
    provider = {"id": "openai:gpt-5", "config": {"apiKey": "sk-secret", "headers": {"x": "sk-secret"}}}
    _, made = bring(tmp_path, {"providers": [provider], "tests": [{"vars": {"q": 1}}]})
    written = "".join(path.read_text() for path in made.files)
    assert "sk-secret" not in written + str(made) + repr(made.left)
    assert left(made) == {
        ("providers.0.config.apiKey", "provider option apiKey"),
        ("providers.0.config.headers", "provider option headers"),
    }


def test_a_transform_that_is_not_plain_takes_its_assertions_along(tmp_path):
    tests = [
        {"vars": {"q": 1}, "assert": [{"type": "equals", "value": "x", "transform": "output.trim()"}]},
        {
            "vars": {"q": 2},
            "options": {"transform": "JSON.parse(output).a"},
            "assert": [{"type": "equals", "value": "x"}, {"type": "equals", "value": "y", "transform": "output"}],
        },
    ]
    suite, made = bring(tmp_path, {"tests": tests})
    assert [(scorer.strip, scorer.target) for scorer in suite.scorers] == [(True, "x"), (False, "y")]
    assert left(made) == {("tests.1.assert.0", "assertion equals")}


def test_sets_are_taken_apart_and_references_followed(tmp_path):
    tests = [
        {
            "vars": {"q": 1},
            "assert": [
                {
                    "type": "assert-set",
                    "threshold": 0.5,
                    "assert": [{"type": "contains", "value": "a"}, {"type": "cost"}],
                },
                {"$ref": "#/assertionTemplates/noise"},
                {"$ref": "#/assertionTemplates/nothing"},
            ],
        }
    ]
    templates = {"noise": {"type": "icontains", "value": "arr"}}
    suite, made = bring(tmp_path, {"tests": tests, "assertionTemplates": templates})
    assert [scorer.name for scorer in suite.scorers] == ["contains", "icontains"]
    assert left(made) == {
        ("tests.0.assert.0.threshold", "assertion option threshold"),
        ("tests.0.assert.0.assert.1", "assertion cost"),
        ("tests.0.assert.2", "assertion"),
    }


@pytest.mark.parametrize(
    ("cell", "assertion"),
    [
        ("Yarr", {"type": "equals", "value": "Yarr"}),
        ("icontains: bonjour", {"type": "icontains", "value": "bonjour"}),
        ("not-contains:x", {"type": "not-contains", "value": "x"}),
        ("is-json", {"type": "is-json"}),
        ("fn:output.length", {"type": "javascript", "value": "output.length"}),
        ("grade: is polite", {"type": "llm-rubric", "value": "is polite"}),
        ("similar(0.8):Ahoy", {"type": "similar", "threshold": 0.8, "value": "Ahoy"}),
        ("note: this is text", {"type": "equals", "value": "note: this is text"}),
        ("https://example.org", {"type": "equals", "value": "https://example.org"}),
    ],
    ids=str,
)
def test_a_cell_of_expected_is_an_assertion_in_short(cell, assertion):
    assert expected(cell) == assertion


@settings(max_examples=100, deadline=None)
@given(kind=st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1), value=st.one_of(st.none(), st.text(), st.booleans()))
def test_an_assertion_is_a_scorer_or_named_and_never_an_error(kind, value):
    found = translate({"type": kind, "value": value}, {}, transform=None)
    assert isinstance(found, Refused) or found.kind.removeprefix("not-") in TABLE


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("javascript", "true", "it is a program"),
        ("llm-rubric", "x", "it is judged by a model"),
        ("no-such-type", "x", "no scorer does this"),
        ("is-json", {"type": "object"}, "it has a value"),
        ("equals", {"a": 1}, "its value is no text"),
        ("contains", "file://x.txt", "its value is a file"),
        ("contains", "{{ q | upper }}", "it is a template that is not plain"),
        ("regex", "(?<!a)b", "the pattern looks around or back"),
    ],
    ids=range(8),
)
def test_what_no_scorer_does_is_refused_with_the_reason(kind, value, why):
    assert translate({"type": kind, "value": value}, {}, transform=None) == Refused(why)


def test_names_of_a_stranger_stay_in_their_comment(tmp_path):
    tests = [{"vars": {"q": 1}, "assert": [{"type": "evil\nname: mine\x1b[2J\u2028name: mine"}]}]
    suite, made = bring(tmp_path, {"tests": tests, "x\nseeds: 9": 1})
    assert (suite.name, suite.seeds) == ("from", 1)
    text = made.suite.read_text()
    assert "\x1b" not in text
    assert "x\\nseeds: 9" in text


def test_nothing_is_overwritten_or_half_written(tmp_path):
    _, made = bring(tmp_path, {"tests": [{"vars": {"q": 1}}]})
    folder = made.suite.parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="is there already"):
        hg.import_suite(tmp_path / "from/promptfooconfig.yaml", folder / "suite.yaml")
    with pytest.raises(ConfigError, match=r"items\.jsonl: is there already"):
        hg.import_suite(tmp_path / "from/promptfooconfig.yaml", folder / "other.yaml")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"prompts": ["{{ x | y }}"]}, "no prompt can be carried over\n  prompt prompt-1: is Nunjucks"),
        ({"tests": "file://absent.csv"}, "no item can be carried over\n  tests of file://absent.csv: there is no such"),
        ({"tests": [{"vars": {"q": "file://x.py"}}]}, "no item can be carried over\n  test: its variable q is of x.py"),
    ],
    ids=range(3),
)
def test_a_configuration_of_which_nothing_is_left_is_refused_by_name(tmp_path, config, message):
    with pytest.raises(ConfigError, match=message):
        bring(tmp_path, {"tests": [{"vars": {"q": 1}}], **config})
    assert not (tmp_path / "to").exists()


def test_items_whose_ids_identify_nothing_are_numbered(tmp_path):
    suite, _ = bring(tmp_path, {"tests": [{"vars": {"q": n, "id": "same"}} for n in range(3)]})
    assert [row.item_id for row in read_rows(suite.items, base=suite.base)] == ["1", "2", "3"]


REAL = SHARED / "promptfoo"
REFUSED = {"dynamic-var", "f-score", "nunjucks-custom-filters", "openai-chat-history", "rag-eval", "sql-validation"}
"""Of these no prompt or no item remains: programs, logic in templates, files that are not among the data."""


def real_configs():
    return sorted(path for path in REAL.rglob("*.yaml") if path.name.startswith(("promptfooconfig", "config")))


@needs_data
def test_real_configurations_load_or_are_refused_by_name(tmp_path):
    made = {}
    for number, path in enumerate(real_configs()):
        name, out = path.parent.name, tmp_path / str(number) / "suite.yaml"
        if name in REFUSED:
            with pytest.raises(ConfigError, match=r"no (item|prompt) can be carried over\n  "):
                hg.import_suite(path, out)
            assert not out.parent.exists()
            continue
        made[path] = hg.import_suite(path, out)
        suite = hg.load_suite(out)
        assert len(load_prompts(suite)) == made[path].prompts
        assert len(items(suite)) == made[path].items
        for one in made[path].left:
            assert one.what in out.read_text()
    counts = {key: sum(getattr(one, key) for one in made.values()) for key in ("items", "prompts", "models", "scorers")}
    counts["assertions left"] = sum(
        one.what.startswith("assertion ") and not one.what.startswith("assertion option")
        for found in made.values()
        for one in found.left
    )
    assert len(real_configs()) == 33
    assert len(made) == 27
    assert counts == {"items": 126, "prompts": 41, "models": 37, "scorers": 18, "assertions left": 100}
