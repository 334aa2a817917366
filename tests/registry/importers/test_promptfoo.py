"""promptfoo's configurations as suites: what is carried over means the same, and the rest is named."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import headgate as hg
from foreign_results import SHARED, needs_data
from headgate.errors import ConfigError
from headgate.registry.importers.assertions import TABLE, Refused, translate
from headgate.registry.importers.promptfoo_tests import expected
from headgate.registry.importers.values import Setting
from headgate.registry.load import load_prompts
from headgate.suite.items import read_rows
from headgate.suite.model import Model
from headgate.suite.scorers import Scorer


def bring(tmp_path, config, **files):
    source = tmp_path / "from" / "promptfooconfig.yaml"
    source.parent.mkdir(exist_ok=True, parents=True)
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
    run = hg.run(echoing(suite), out=tmp_path / "run")
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
    assert not made.left
    assert (suite.scorers[1].of, suite.scorers[1].threshold) == (["contains"], 0.5)


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
            "options": {"transform": "JSON.parse(output).a.toUpperCase()"},
            "assert": [
                {"type": "equals", "value": "x"},
                {"type": "equals", "value": "y", "transform": "output"},
                {"type": "latency", "threshold": 500},
            ],
        },
    ]
    suite, made = bring(tmp_path, {"tests": tests})
    assert (suite.scorers[0].strip, suite.scorers[0].target) == (True, "x")
    assert (suite.scorers[1].column, suite.scorers[1].max) == ("latency_s", 0.5)
    assert left(made) == {("tests.1.assert.0", "assertion equals"), ("tests.1.assert.1", "assertion equals")}


def test_an_output_that_is_parsed_is_judged_as_json(tmp_path):
    tests = [
        {
            "vars": {"q": 1},
            "options": {"transform": "JSON.parse(output)"},
            "assert": [
                {"type": "is-json", "value": {"required": ["a"]}},
                {"type": "equals", "value": {"a": 1}},
                {"type": "contains", "value": "a"},
                {"type": "not-is-json"},
            ],
        },
        {"vars": {"q": 2}, "assert": [{"type": "equals", "value": "x", "transform": "JSON.parse(output).a.b"}]},
        {"vars": {"q": 3}, "assert": [{"type": "equals", "value": "2", "transform": "JSON.parse(output).length"}]},
    ]
    suite, made = bring(tmp_path, {"tests": tests})
    assert [scorer.type for scorer in suite.scorers] == ["json_schema", "json_schema", "json_field"]
    assert suite.scorers[1].schema == {"const": {"a": 1}}
    assert suite.scorers[2].path == "a.b"
    assert {where for where, _ in left(made)} == {"tests.0.assert.2", "tests.0.assert.3", "tests.2.assert.0"}


def test_a_set_with_a_threshold_is_a_weighted_scorer_whose_parts_no_gate_judges(tmp_path):
    parts = [{"type": "contains", "value": "a", "weight": 3}, {"type": "contains", "value": "b"}]
    tests = [
        {
            "vars": {"q": "a"},
            "assert": [{"type": "assert-set", "threshold": 0.7, "metric": "Enough", "assert": parts}],
        },
        {"vars": {"q": "b"}, "assert": [{"type": "contains", "value": "b"}], "threshold": 0},
        {
            "vars": {"q": "c"},
            "assert": [{"type": "contains", "value": "c"}, {"type": "equals", "value": 1, "weight": 0}],
        },
    ]
    suite, made = bring(tmp_path, {"tests": tests, "prompts": ["{{q}}"]})
    assert not made.left
    declared = {scorer.name: scorer for scorer in suite.scorers}
    assert (declared["Enough"].of, declared["Enough"].threshold) == (["contains", "contains_2"], 0.7)
    assert (declared["contains"].weight, declared["contains_2"].weight) == (3, 1)
    assert {gate.metric: gate.where for gate in suite.gates} == {
        "Enough": {"has_Enough": "yes"},
        "assert_set": {"has_assert_set": "yes"},
        "contains_3": {"has_contains_3": "yes"},
    }
    run = hg.run(echoing(suite), out=tmp_path / "run")
    scores = {(row["item_id"], row["scorer"]): row["value"] for row in hg.scan_scores(run.path).collect().to_dicts()}
    assert scores["1", "Enough"] == 1
    assert scores["2", "assert_set"] == 1


def test_sets_that_are_no_weighted_scorer_are_taken_apart_and_references_followed(tmp_path):
    tests = [
        {
            "vars": {"q": 1},
            "assert": [
                {
                    "type": "assert-set",
                    "threshold": 0.5,
                    "assert": [{"type": "contains", "value": "a"}, {"type": "cost"}],
                },
                {"type": "assert-set", "weight": 2, "assert": [{"type": "bleu", "value": "a b c d"}]},
                {"$ref": "#/assertionTemplates/noise"},
                {"$ref": "#/assertionTemplates/nothing"},
            ],
            "threshold": 0.5,
        }
    ]
    templates = {"noise": {"type": "icontains", "value": "arr", "provider": "x"}}
    suite, made = bring(tmp_path, {"tests": tests, "assertionTemplates": templates})
    assert [scorer.name for scorer in suite.scorers] == ["contains", "bleu", "icontains"]
    assert [gate.metric for gate in suite.gates] == ["contains", "bleu", "icontains"]
    assert left(made) == {
        ("tests.0.threshold", "test option threshold"),
        ("tests.0.assert.0.threshold", "set option threshold"),
        ("tests.0.assert.0.assert.1", "assertion cost"),
        ("tests.0.assert.1.weight", "set option weight"),
        ("tests.0.assert.2.provider", "assertion option provider"),
        ("tests.0.assert.3", "assertion"),
    }


def test_a_metric_names_its_scorers(tmp_path):
    tests = [
        {"vars": {"q": "a"}, "assert": [{"type": "equals", "value": "a", "metric": "Tone {{q}}"}]},
        {"vars": {"q": "a"}, "assert": [{"type": "icontains", "value": "a", "metric": "Tone {{q}}"}]},
        {"vars": {"q": "a"}, "assert": [{"type": "cost", "threshold": 1, "metric": "cost_usd"}]},
        {"vars": {"q": "a"}, "assert": [{"type": "is-json", "metric": "{{q | upper}}"}]},
    ]
    suite, made = bring(tmp_path, {"tests": tests})
    assert [scorer.name for scorer in suite.scorers] == ["Tone-a", "Tone-a_2", "cost_usd_2", "is_json"]
    assert any("Tone-a, Tone-a_2" in note for note in made.notes)
    assert left(made) == {("tests.3.assert.0.metric", "assertion option metric")}


def echoing(suite):
    model = {"id": "echo", "provider": "python", "call": echo}
    return suite.model_copy(update={"models": [Model.model_validate(model)]})


PASSES = [
    ({"type": "equals", "value": {"a": [1]}}, '{"a": [1.0]}', '{"a": [2]}'),
    ({"type": "contains-any", "value": ["x", "y,z"]}, "has y,z", "has y"),
    ({"type": "contains-any", "value": "x, y"}, "has y", "has X"),
    ({"type": "not-contains-any", "value": ["x", "y"]}, "none", "has y"),
    ({"type": "contains-all", "value": ["x", 1]}, "1 and x", "x"),
    ({"type": "icontains-any", "value": ["X", "y"]}, "an x", "none"),
    ({"type": "icontains-all", "value": ["X", "y"]}, "Yx", "x"),
    ({"type": "starts-with", "value": "Yes"}, "Yes.", " Yes."),
    ({"type": "not-starts-with", "value": "Yes"}, "No", "Yes"),
    ({"type": "levenshtein", "value": "kitten"}, "kit", "dog"),
    ({"type": "levenshtein", "value": "kitten", "threshold": 1}, "mitten", "mittens"),
    ({"type": "levenshtein", "value": "kitten", "threshold": 0}, "kitten", "kitten "),
    ({"type": "word-count", "value": 2}, "two words", "not two words"),
    ({"type": "word-count", "value": {"min": 2}}, "two words", "one"),
    ({"type": "not-word-count", "value": {"max": 2}}, "three little words", "two words"),
    ({"type": "is-json", "value": {"type": "object", "required": ["a"]}}, '{"a": 1}', "{}"),
    ({"type": "is-json", "value": "type: string\nformat: email"}, '"a@example.org"', '"a"'),
    ({"type": "is-json", "value": "file://schema.json"}, "[1, 2]", '["a", 2]'),
    ({"type": "not-is-json", "value": {"type": "array"}}, "{}", "[]"),
    ({"type": "contains-json"}, 'so: {"a": 1}.', "none"),
    ({"type": "contains-json", "value": {"required": ["a"]}}, 'so: {"a": 1}.', 'so: {"b": 1}.'),
    ({"type": "is-sql"}, "SELECT a FROM t", "SELECT FROM WHERE"),
    (
        {
            "type": "is-sql",
            "value": {"databaseType": "PostgreSQL", "allowedTables": ["(select|update)::null::t"]},
        },
        "SELECT a FROM t",
        "SELECT a FROM u",
    ),
    ({"type": "contains-sql"}, "So:\n```sql\nSELECT a FROM t\n```", "So: none at all"),
    ({"type": "is-xml"}, "<a><b>1</b></a>", "<a><b>1</a>"),
    ({"type": "is-xml", "value": {"requiredElements": ["a.b"]}}, "<a><b>1</b></a>", "<a><c>1</c></a>"),
    ({"type": "contains-xml", "value": "a.b, a.c"}, "so <a><b>1</b><c>2</c></a>", "so <a><b>1</b></a>"),
    ({"type": "is-html"}, "<div><p>one</p></div>", "one"),
    ({"type": "contains-html"}, 'so <a href="x">one</a>', "so a < b"),
    ({"type": "is-refusal"}, "I'm sorry, but I can't help with that.", "It is 4."),
    ({"type": "not-is-refusal"}, "It is 4.", "I'm sorry, but I can't help with that."),
    ({"type": "bleu", "value": "The cat sat on the mat"}, "the cat sat on the mat today", "a dog lay under that rug"),
    ({"type": "bleu", "value": ["a b c d e", "f g h i j"]}, "f g h i j", "f a g b h"),
    ({"type": "gleu", "value": "The cat sat", "threshold": 0.3}, "the cat", "dogs run"),
    ({"type": "rouge-n", "value": "The cat sat down"}, "the cat sat", "a cat"),
    ({"type": "not-rouge-n", "value": "The cat sat down"}, "a cat", "the cat sat"),
]
"""An assertion, an output that promptfoo 0.121.20 passes, and one that it fails."""


def test_what_promptfoo_passes_has_the_score_1_and_what_it_fails_0(tmp_path):
    cases = [(one, output, passes) for one, *outputs in PASSES for output, passes in zip(outputs, (1, 0), strict=True)]
    tests = [{"vars": {"q": output}, "assert": [one]} for one, output, _ in cases]
    schema = json.dumps({"items": {"type": "number"}})
    suite, made = bring(tmp_path, {"tests": tests, "prompts": ["{{q}}"]}, schema__json=schema)
    assert not made.left
    run = hg.run(echoing(suite), out=tmp_path / "run")
    scores = {(row["item_id"], row["scorer"]): row["value"] for row in hg.scan_scores(run.path).collect().to_dicts()}
    for number, (row, (one, output, passes)) in enumerate(zip(items(suite), cases, strict=True), 1):
        (column,) = [name for name, value in row.items() if name.startswith("has_") and value == "yes"]
        assert scores[str(number), column.removeprefix("has_")] == passes, (one, output)


@pytest.mark.parametrize(
    ("assertion", "fields"),
    [
        ({"type": "latency", "threshold": 1500}, {"type": "limit", "column": "latency_s", "max": 1.5}),
        ({"type": "not-cost", "threshold": 0.1}, {"type": "limit", "column": "cost_usd", "max": 0.1, "negate": True}),
        ({"type": "perplexity", "threshold": 2}, {"type": "perplexity", "max": 2}),
        ({"type": "perplexity-score", "threshold": 0.25}, {"type": "perplexity", "max": 3}),
        ({"type": "finish-reason", "value": "stop"}, {"type": "stop_reason", "reasons": ["stop"]}),
        (
            {"type": "tool-call-f1", "value": ["a", "b", "a"]},
            {"type": "tool_call", "compare": "name", "measure": "f1", "threshold": 1.0},
        ),
        ({"type": "is-valid-openai-tools-call"}, {"type": "tool_call_valid", "tools": [{"name": "a"}]}),
        (
            {"type": "similar", "value": "x"},
            {
                "type": "embedding_similarity",
                "model": "text-embedding-3-large",
                "api_key": "env:OPENAI_API_KEY",
                "threshold": 0.75,
            },
        ),
        (
            {
                "type": "not-similar",
                "value": "x",
                "threshold": 0.5,
                "provider": {"id": "openai:embedding:m", "config": {"apiBaseUrl": "http://here/v1"}},
            },
            {
                "type": "embedding_similarity",
                "model": "m",
                "api_key": "env:OPENAI_API_KEY",
                "base_url": "http://here/v1",
                "threshold": 0.5,
                "negate": True,
            },
        ),
    ],
    ids=range(9),
)
def test_what_stands_beside_the_text_is_carried_over(assertion, fields):
    found = translate(assertion, Setting(variables={}, tools=[{"name": "a"}], asks_openai=True))
    assert not isinstance(found, Refused)
    assert found.fields == fields


def test_embeddings_are_not_asked_for_where_an_item_expects_none(tmp_path):
    tests = [{"vars": {"q": n}, "assert": [{"type": "similar", "value": f"answer {n}"}] if n else []} for n in range(3)]
    suite, made = bring(tmp_path, {"tests": tests})
    assert not made.left
    assert [row["expect_similar"] for row in items(suite)] == [None, "answer 1", "answer 2"]
    scorer = suite.scorers[0].model_copy(update={"api_key": None, "base_url": "http://127.0.0.1:9/v1"})
    run = hg.run(echoing(suite).model_copy(update={"scorers": [scorer]}), out=tmp_path / "run")
    reasons = hg.scan_scores(run.path).sort("item_id").collect()["explanation"].to_list()
    assert reasons[0] == "the item has no target to compare with"
    assert [reason.partition(":")[0] for reason in reasons[1:]] == ["embeddings", "embeddings"]


def test_what_a_model_judges_is_a_judge_who_is_told_no_more_than_promptfoo_tells(tmp_path):
    tests = [
        {"vars": {"q": "a"}, "assert": [{"type": "llm-rubric", "value": "is about {{q}}"}]},
        {"vars": {"q": "b"}, "assert": [{"type": "llm-rubric", "value": "is about {{q}}"}]},
        {
            "vars": {"q": "c"},
            "assert": [
                {"type": "not-factuality", "value": "It is c.", "provider": "openai:gpt-5-nano"},
                {"type": "model-graded-closedqa", "value": "is brief"},
            ],
        },
    ]
    judge = {"id": "openai:chat:gpt-5-mini", "config": {"temperature": 0}}
    config = {"tests": tests, "defaultTest": {"options": {"provider": {"text": judge}}}}
    suite, made = bring(tmp_path, config)
    assert not made.left
    assert [(one.id, one.role, one.params) for one in suite.models] == [
        ("gpt-5-mini", "tested", {}),
        ("judge-gpt-5-mini", "judge", {"temperature": 0}),
        ("judge-gpt-5-nano", "judge", {}),
    ]
    declared = {scorer.name: scorer for scorer in suite.scorers}
    assert (declared["not_factuality"].negate, declared["not_factuality"].question) == (True, "Ask {{q}}")
    simulated = {"provider": "simulated", "role": "judge", "simulate": {"judge": {}}}
    models = [*echoing(suite).models, *(Model.model_validate({"id": one.id, **simulated}) for one in suite.models[1:])]
    run = hg.run(suite.model_copy(update={"models": models}), out=tmp_path / "run")
    scores = hg.scan_scores(run.path).filter(pl.col("value").is_not_null()).collect()
    assert sorted(scores.select("item_id", "scorer").rows()) == [
        ("1", "llm_rubric"),
        ("2", "llm_rubric"),
        ("3", "model_graded_closedqa"),
        ("3", "not_factuality"),
    ]
    (folder,) = (run.path / "judges/llm_rubric").iterdir()
    assert hg.scan(folder).collect().height == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"provider": "anthropic:x"}, "headgate does not speak the API of its judge, or it has options"),
        ({"provider": {"id": "openai:x", "config": {"apiKey": "k"}}}, "headgate does not speak the API of its judge, "),
        ({"rubricPrompt": "{{ output }}?"}, "its judge has a prompt of its own"),
        ({"value": ""}, "its value is empty"),
    ],
    ids=range(4),
)
def test_a_judge_that_cannot_be_asked_the_same_is_refused(options, why):
    assertion = {"type": "llm-rubric", "value": "is kind", **options}
    found = translate(assertion, Setting(variables={}, asks_openai=True))
    assert isinstance(found, Refused)
    assert found.why.startswith(why)


def test_tools_are_those_of_the_models_and_may_stand_in_a_file(tmp_path):
    tool = {"name": "find", "parameters": {"type": "object"}}
    providers = [
        {"id": "openai:a", "config": {"functions": "file://tools.yaml"}},
        {"id": "openai:b", "config": {"functions": [tool]}},
        "openai:c",
    ]
    tests = [{"vars": {"q": 1}, "assert": [{"type": "is-valid-openai-function-call"}]}]
    files = {"tools__yaml": yaml.safe_dump([tool])}
    suite, made = bring(tmp_path / "one", {"providers": providers, "tests": tests}, **files)
    assert not made.left
    assert suite.scorers[0].tools == [tool]
    assert "tool call" in " ".join(made.notes)
    providers[1]["config"]["functions"] = [{"name": "other"}]
    _, made = bring(tmp_path / "two", {"providers": providers, "tests": tests}, **files)
    assert left(made) == {("tests.0.assert.0", "assertion is-valid-openai-function-call")}


@pytest.mark.parametrize(
    ("cell", "assertion"),
    [
        ("Yarr", {"type": "equals", "value": "Yarr"}),
        ("icontains: bonjour", {"type": "icontains", "value": "bonjour"}),
        ("not-contains:x", {"type": "not-contains", "value": "x"}),
        ("is-json", {"type": "is-json"}),
        ("fn:output.length", {"type": "javascript", "value": "output.length"}),
        ("grade: is polite", {"type": "llm-rubric", "value": "is polite"}),
        ("similar(0.9):Ahoy", {"type": "similar", "threshold": 0.9, "value": "Ahoy"}),
        ("similar:Ahoy", {"type": "similar", "threshold": 0.8, "value": "Ahoy"}),
        ("not-levenshtein: Ahoy", {"type": "not-levenshtein", "threshold": 0.75, "value": "Ahoy"}),
        ("word-count: 3", {"type": "word-count", "value": "3"}),
        ("note: this is text", {"type": "equals", "value": "note: this is text"}),
        ("https://example.org", {"type": "equals", "value": "https://example.org"}),
    ],
    ids=str,
)
def test_a_cell_of_expected_is_an_assertion_in_short(cell, assertion):
    assert expected(cell) == assertion


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | st.text(max_size=8) | st.just("a, {{q}}"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["min", "max", "requiredElements", "databaseType", "allowedTables", "id", "config", "type"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=4,
)
SCORER = TypeAdapter(Scorer)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([*TABLE, *(f"not-{kind}" for kind in TABLE), "javascript", "no-such-type", ""]),
    value=ANYTHING,
    threshold=ANYTHING,
    provider=ANYTHING,
)
def test_an_assertion_is_a_scorer_or_named_and_never_an_error(kind, value, threshold, provider):
    assertion = {"type": kind, "value": value, "threshold": threshold, "provider": provider}
    found = translate(assertion, Setting(variables={"q": 1}, tools=[{"name": "a"}], asks_openai=True, asked="{{ q }}"))
    if not isinstance(found, Refused):
        expects = {} if found.value is None or found.line.expects is None else {found.line.expects: found.value}
        expects = {key: "{{ column }}" if found.line.per_item else one for key, one in expects.items()}
        expects |= {} if found.judge is None else {"model": "judge"}
        SCORER.validate_python({"name": "x", **found.fields, **expects})


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("javascript", "true", "it is a program"),
        ("g-eval", "x", "it is judged by a model"),
        ("llm-rubric", "x", "which model judges is not said, and hangs on the keys that are there"),
        ("factuality", "x", "the prompts name no variable that says what was asked"),
        ("no-such-type", "x", "no scorer does this"),
        ("trajectory:tool-used", "x", "a run has no traces"),
        ("is-html", "x", "it has a value"),
        ("contains", {"a": 1}, "its value is no text"),
        ("contains", math.inf, "its value is no text"),
        ("equals", {"a": math.inf}, "its value is no JSON"),
        ("contains", "", "its value is empty"),
        ("contains-any", ["a", ""], "its value is empty"),
        ("contains-all", '"a, b", c', "its values are quoted in one text"),
        ("contains", "file://x.txt", "its value is a file"),
        ("is-json", "file://absent.json", "its schema there is no such file"),
        ("is-json", {"$schema": "https://json-schema.org/draft/2020-12/schema"}, "its schema is of another draft "),
        ("is-sql", {"databaseType": "DB2"}, "no parser knows the dialect DB2"),
        ("is-sql", {"allowedColumns": ["a"]}, "it lists columns that are allowed"),
        ("is-xml", ["a.0"], "it counts elements"),
        ("word-count", "many", "its value is no number of words"),
        ("latency", None, "it has no threshold, and latency_s is a metric by itself"),
        ("perplexity", None, "it has no threshold"),
        ("similar", "x", "which model embeds is not said, and hangs on the keys that are there"),
        ("is-valid-function-call", None, "no model has tools that are carried over, or not all have the same"),
        ("not-is-valid-function-call", None, "promptfoo takes no notice of its not-"),
        ("contains", "{{ q | upper }}", "it is a template that is not plain"),
        ("regex", "(?<!a)b", "the pattern looks around or back"),
    ],
    ids=range(27),
)
def test_what_no_scorer_does_is_refused_with_the_reason(kind, value, why):
    found = translate({"type": kind, "value": value}, Setting(variables={}))
    assert isinstance(found, Refused)
    assert found.why.startswith(why)


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
    assert counts == {"items": 126, "prompts": 41, "models": 42, "scorers": 35, "assertions left": 34}
