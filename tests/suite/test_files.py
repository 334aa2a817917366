"""One clear error for each thing a user may get wrong in a suite file: the exact text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.suite.files import load_suite
from headgate.suite.suite import Suite

HEAD = """\
name: sums
items: [{question: "1+1?", target: "2"}]
prompts:
  plain: "{{ question }}"
  short: "Briefly: {{ question }}"
models:
  - {id: small, provider: simulated}
scorers:
  - {name: correct, type: exact_match}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="suite.yaml"):
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return Path(name)

    return write


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        load_suite(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_head_is_a_suite(write):
    suite = load_suite(write(HEAD))
    assert (suite.name, suite.file, suite.base) == ("sums", Path("suite.yaml"), Path.cwd())
    assert suite.line("prompts", "short") == 5


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("sedes: 3", "suite.yaml:10: sedes: there is no such field; did you mean 'seeds'?"),
        ("seeds: -1", "suite.yaml:10: seeds: -1 is less than 1"),
        ("seeds: 1001", "suite.yaml:10: seeds: 1001 is greater than 1000"),
        ("seeds: '3'", "suite.yaml:10: seeds: '3' is not a whole number"),
        ("seeds: true", "suite.yaml:10: seeds: True is not a whole number"),
        ("lanes: {models: [small]}", "suite.yaml:10: lanes: {'models': ['small']} is not a list"),
        ("policy: strict", "suite.yaml:10: policy: 'strict' is not a mapping"),
        ("policy: {alpha: .nan}", "suite.yaml:10: policy.alpha: nan is not a finite number"),
        (
            "policy: {on_inconclusive: fial}",
            "suite.yaml:10: policy.on_inconclusive: 'fial' is none of the choices; did you mean 'fail'?",
        ),
        (
            "gates:\n  - {metric: corect, min: 0.8}",
            "suite.yaml:11: gates.0.metric: 'corect' is not declared; did you mean 'correct'?",
        ),
        (
            "gates:\n  - {metric: tone, min: 0.8}",
            (
                "suite.yaml:11: gates.0.metric: 'tone' is not declared; "
                "use one of correct, latency_s, cost_usd, output_tokens, error_rate, refusal_rate"
            ),
        ),
        (
            "gates:\n  - {metric: correct}",
            "suite.yaml:11: gates.0: give exactly one of margin, min, max, max_ratio, zero_tolerance",
        ),
        (
            "gates:\n  - {metric: correct, min: 0.8, margin: 0.1}",
            (
                "suite.yaml:11: gates.0: give exactly one of margin, min, max, max_ratio, zero_tolerance, "
                "not margin and min"
            ),
        ),
        (
            "gates:\n  - {metric: correct, zero_tolerance: true, reproduce: 3/2}",
            "suite.yaml:11: gates.0: `reproduce` '3/2' asks for more seeds than it looks at",
        ),
        (
            "gates:\n  - {metric: correct, min: 0.8, marg: 0.1}",
            "suite.yaml:11: gates.0.marg: there is no such field; did you mean 'margin'?",
        ),
        (
            "compare: {baseline: {prompt: plain}, candidate: {prompt: shrt}}",
            "suite.yaml:10: compare.candidate.prompt: 'shrt' is not declared; did you mean 'short'?",
        ),
        (
            "compare: {baseline: {model: small}, candidate: {model: large}}",
            "suite.yaml:10: compare.candidate.model: 'large' is not declared; use one of small",
        ),
        (
            "compare: {baseline: {prompt: plain}, candidate: {model: small}}",
            "suite.yaml:10: compare: baseline and candidate differ on one axis: both a prompt or both a model",
        ),
        (
            "compare: {baseline: {prompt: plain}, candidate: {prompt: plain}}",
            "suite.yaml:10: compare: baseline and candidate are both 'plain'",
        ),
        ("compare: {baseline: {prompt: plain}}", "suite.yaml:10: compare.candidate: is missing"),
        (
            "compare: {baseline: {}, candidate: {prompt: plain}}",
            "suite.yaml:10: compare.baseline: give either `prompt` or `model`",
        ),
        (
            "lanes: [{models: [small], request_burst_s: 60}]",
            "suite.yaml:10: lanes.0.request_burst_s: 60 is greater than 0.1",
        ),
        (
            "lanes: [{models: [small], token_burst_s: 60}]",
            "suite.yaml:10: lanes.0.token_burst_s: 60 is greater than 10.0",
        ),
        (
            "lanes: [{models: [small], output_tokens_per_minute: 0}]",
            "suite.yaml:10: lanes.0.output_tokens_per_minute: 0 is not greater than 0.0",
        ),
        (
            "lanes: [{models: [smal]}]",
            "suite.yaml:10: lanes.0.models.0: 'smal' is not declared; did you mean 'small'?",
        ),
        (
            "lanes: [{models: [small]}, {models: [small]}]",
            "suite.yaml:10: lanes.1.models.0: 'small' stands there twice",
        ),
        (
            "name: again",
            "suite.yaml:10: name: stands there twice, first in line 1",
        ),
        ("seeds: [1", "suite.yaml:11: is not YAML: expected ',' or ']', but got '<stream end>'"),
        (
            "seeds: !!python/name:os.system x",
            "suite.yaml:10: seeds: has the tag tag:yaml.org,2002:python/name:os.system; write plain YAML without tags",
        ),
        (
            "budget: &a {max_minutes: *a}",
            "suite.yaml:10: budget.max_minutes: is too large or holds itself; put the items in a file of their own",
        ),
    ],
)
def test_a_wrong_line_is_named(write, tail, message):
    assert refusal(write(HEAD + tail + "\n")) == message


MODELS = "name: s\nitems: [{q: x}]\nprompts: {p: '{{ q }}'}\n"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            "- {id: m, provider: opnai}",
            "suite.yaml:5: models.0.provider: 'opnai' is none of the choices; did you mean 'openai'?",
        ),
        ("- {provider: openai}", "suite.yaml:5: models.0.id: is missing"),
        (
            "- {id: a b, provider: openai}",
            (
                "suite.yaml:5: models.0.id: 'a b' is not a name; use letters, digits, '_', '-' and '.', "
                "first a letter or digit"
            ),
        ),
        (
            "- {id: m, provider: simulated}\n- {id: m, provider: simulated, model: other}",
            "suite.yaml:6: models.1.id: 'm' stands there twice",
        ),
        (
            "- {id: m, provider: simulated}\n- {id: n, provider: simulated, model: m}",
            (
                "suite.yaml:6: models.1: 'n' asks the same of the same model as 'm'; "
                "give one of them another `model` or `params`, or use `seeds` to repeat"
            ),
        ),
        (
            "- {id: m, provider: python}",
            "suite.yaml:5: models.0: `call` goes with provider python, and provider python needs it",
        ),
        (
            "- {id: m, provider: openai-compatible}",
            "suite.yaml:5: models.0: provider openai-compatible needs `base_url`",
        ),
        (
            "- {id: m, provider: openai, simulate: {}}",
            "suite.yaml:5: models.0: `simulate` goes with provider simulated",
        ),
        (
            "- {id: m, provider: simulated, simulate: {faults: {hangg: 1}}}",
            "suite.yaml:5: models.0.simulate.faults.hangg: there is no such field; did you mean 'hang'?",
        ),
        (
            "- {id: m, provider: simulated, simulate: {faults: {hang: 1, html: 1}}}",
            "suite.yaml:5: models.0.simulate.faults: the shares add up to more than 1",
        ),
        (
            "- {id: m, provider: simulated, simulate: {accuracy: high}}",
            "suite.yaml:5: models.0.simulate.accuracy: 'high' is not a number or a mapping",
        ),
        (
            "- {id: m, provider: simulated, simulate: {accuracy: {p: high}}}",
            "suite.yaml:5: models.0.simulate.accuracy.p: 'high' is not a number",
        ),
        (
            "- {id: m, provider: simulated, simulate: {accuracy: 90}}",
            "suite.yaml:5: models.0.simulate.accuracy: accuracy 90.0 is not between 0 and 1",
        ),
        ("[]", "suite.yaml:4: models: is empty"),
    ],
)
def test_a_wrong_model_is_named(write, models, message):
    assert refusal(write(MODELS + "models:\n  " + models.replace("\n", "\n  "))) == message


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (
            "{name: c, type: exact_match, ignore_cas: true}",
            "suite.yaml:6: scorers.0.ignore_cas: there is no such field; did you mean 'ignore_case'?",
        ),
        (
            "{name: c, type: regexp}",
            "suite.yaml:6: scorers.0.type: 'regexp' is none of the choices; did you mean 'regex'?",
        ),
        ("{name: c}", "suite.yaml:6: scorers.0.type: is missing; name the type of the scorer"),
        ("{name: c, type: regex}", "suite.yaml:6: scorers.0.pattern: is missing"),
        ("{name: c, type: python, call: 3}", "suite.yaml:6: scorers.0.call: 3 is not text or a function"),
        (
            "{name: c, type: contains, target: '{{ target'}",
            (
                "suite.yaml:6: scorers.0.target: is not a jinja2 template: "
                "unexpected end of template, expected 'end of print statement'."
            ),
        ),
        (
            "{name: cost_usd, type: json_valid}",
            "suite.yaml:6: scorers.0.name: 'cost_usd' is the name of a built-in metric; choose another",
        ),
    ],
)
def test_a_wrong_scorer_is_named(write, scorer, message):
    models = "models: [{id: m, provider: simulated}]\nscorers:\n  - "
    assert refusal(write(MODELS + models + scorer)) == message


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("{text: a, path: b.txt}", "suite.yaml:4: prompts.p: give exactly one of `path`, `text` and `messages`"),
        ("{}", "suite.yaml:4: prompts.p: give exactly one of `path`, `text` and `messages`"),
        (
            "'{% if %}'",
            "suite.yaml:4: prompts.p: is not a jinja2 template: Expected an expression, got 'end of statement block'",
        ),
        (
            "[{role: user, contnt: x, content: y}]",
            "suite.yaml:4: prompts.p.0.contnt: there is no such field; did you mean 'content'?",
        ),
        (
            "[{role: usr, content: x}]",
            "suite.yaml:4: prompts.p.0.role: 'usr' is none of the choices; did you mean 'user'?",
        ),
        ("{messages: []}", "suite.yaml:4: prompts.p.messages: is empty"),
        ("3", "suite.yaml:4: prompts.p: 3 is not a mapping"),
    ],
)
def test_a_wrong_prompt_is_named(write, prompt, message):
    text = f"name: s\nitems: [{{q: x}}]\nprompts:\n  p: {prompt}\nmodels: [{{id: m, provider: simulated}}]\n"
    assert refusal(write(text)) == message


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("{path: a.csv, rows: []}", "suite.yaml:2: items: give either `path` or `rows`"),
        ("{}", "suite.yaml:2: items: give either `path` or `rows`"),
        ("{pth: a.csv}", "suite.yaml:2: items.pth: there is no such field; did you mean 'path'?"),
        ("{path: a.csv, limit: 0}", "suite.yaml:2: items.limit: 0 is less than 1"),
        ("[1]", "suite.yaml:2: items.0: 1 is not a mapping"),
        ("7", "suite.yaml:2: items: 7 is not a mapping"),
    ],
)
def test_wrong_items_are_named(write, items, message):
    text = f"name: s\nitems: {items}\nprompts: {{p: x}}\nmodels: [{{id: m, provider: simulated}}]\n"
    assert refusal(write(text)) == message


SECRET = "sk-live-0123456789"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            f"api_key: {SECRET}",
            (
                "models.0.api_key: a key is given by reference: env:NAME, file:PATH or keyring:SERVICE/USER, "
                "never the key itself"
            ),
        ),
        (f"api_keyy: {SECRET}", "models.0.api_keyy: there is no such field; did you mean 'api_key'?"),
        (f"api_key: [{SECRET}]", "models.0.api_key: is not text"),
        (f"base_url: 'htp://me:{SECRET}@host'", "models.0: `base_url` is not an http(s) URL"),
    ],
)
def test_a_secret_is_never_repeated(write, field, message):
    shown = refusal(write(MODELS + f"models: [{{id: m, provider: openai, {field}}}]\n"))
    assert shown == f"suite.yaml:4: {message}"
    assert SECRET not in shown


def test_a_secret_is_not_repeated_in_python_either():
    model = {"id": "m", "provider": "openai", "api_key": SECRET, "call": "a:b"}
    with pytest.raises(ConfigError) as caught:
        Suite(name="s", items=[{"q": 1}], prompts={"p": "x"}, models=[model])
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_problems_come_in_one_error_in_the_order_of_the_file(write):
    text = MODELS.replace("name: s", "name: a b") + "models: [{id: m, provider: simulated}]\nseeds: 0\nsede: 1\n"
    assert refusal(write(text)).splitlines() == [
        "suite.yaml:1: name: 'a b' is not a name; use letters, digits, '_', '-' and '.', first a letter or digit",
        "suite.yaml:5: seeds: 0 is less than 1",
        "suite.yaml:6: sede: there is no such field; did you mean 'seeds'?",
    ]


def test_names_that_do_not_resolve_come_in_one_error_too(write):
    tail = "gates: [{metric: a, min: 1}]\nlanes: [{models: [b]}]\n"
    assert [line.split(": ")[1] for line in refusal(write(HEAD + tail)).splitlines()] == [
        "gates.0.metric",
        "lanes.0.models.0",
    ]


def test_python_gives_the_same_error_without_a_file():
    with pytest.raises(ConfigError) as caught:
        Suite(name="s", items="a.csv", prompts={"p": "x"}, models=[{"id": "m", "provider": "simulted"}], sede=1)
    assert str(caught.value).splitlines() == [
        "models.0.provider: 'simulted' is none of the choices; did you mean 'simulated'?",
        "sede: there is no such field; did you mean 'seeds'?",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.yaml", None, "none.yaml: there is no such file"),
        ("suite.ini", "a", "suite.ini: is of no format that is read here; use .yaml, .yml, .toml, .json"),
        ("suite.yaml", "", "suite.yaml: is empty"),
        ("suite.yaml", "- 1", "suite.yaml: is not a mapping"),
        ("suite.yaml", b"name: a\nitems: \xff\n", "suite.yaml:2: is not UTF-8; save the file as UTF-8"),
        ("suite.yaml", "a: 1\nb: \x00\n", "suite.yaml:2: is not YAML: special characters are not allowed"),
        ("suite.yaml", "? [a]\n: 1\n", "suite.yaml:1: a key is not text"),
        ("suite.yaml", "a: 1\n---\nb: 1\n", "suite.yaml:2: is not YAML: but found another document"),
        ("suite.yaml", "[" * 5000, "suite.yaml: is nested too deeply"),
        ("suite.json", '{"name": "a",\n "items": }', "suite.json:2: is not JSON: Expecting value"),
        ("suite.json", '{"name": "a", "name": "b"}', "suite.json: is not JSON: the key 'name' stands there twice"),
        ("suite.json", '{"seeds": NaN}', "suite.json: is not JSON: NaN is no number of JSON"),
        ("suite.json", '{"seeds": 1e999}', "suite.json: is not JSON: the number 1e999 is out of range"),
        ("suite.json", '{"name": "\\ud800"}', "suite.json: is not JSON: a text holds half of a surrogate pair"),
        ("suite.toml", 'name = "a"\nname = "b"\n', "suite.toml:2: is not TOML: Cannot overwrite a value"),
        ("suite.toml", 'name = "a"\nitems =\n', "suite.toml:2: is not TOML: Invalid value"),
    ],
)
def test_a_file_that_cannot_be_read(write, name, text, message):
    assert refusal(Path(name) if text is None else write(text, name)) == message


TOML = """\
"$schema" = "suite-v1.json"
name = "sums"
seeds = 0
items = [{question = "1+1?", when = 2024-01-01}]
[prompts]
plain = "{{ question }}"
[[models]]
id = "small"
provider = "simulted"
"""


def test_toml_and_json_name_the_line_where_it_is_certain(write):
    assert refusal(write(TOML, "suite.toml")).splitlines() == [
        "suite.toml:3: seeds: 0 is less than 1",
        "suite.toml:9: models.0.provider: 'simulted' is none of the choices; did you mean 'simulated'?",
    ]
    data = {"name": "sums", "seeds": 0, "items": [{"id": 1}], "prompts": {"p": "x"}}
    models = {"models": [{"id": "m", "provider": "simulated"}]}
    assert refusal(write(json.dumps(data | models, indent=1), "suite.json")) == "suite.json:3: seeds: 0 is less than 1"


def test_the_three_formats_say_the_same(write):
    toml = TOML.replace("simulted", "simulated").replace("seeds = 0", "seeds = 3")
    one = load_suite(write(toml, "suite.toml"))
    data = one.model_dump(mode="json")
    two = load_suite(write(json.dumps(data | {"$schema": "suite-v1.json"}), "suite.json"))
    assert two.model_dump() == one.model_dump()
    assert one.items.rows == [{"question": "1+1?", "when": "2024-01-01"}]


def test_yaml_is_yaml_1_2(write):
    row = (
        "{a: no, b: on, c: 2024-01-01, d: 1:30, e: 0o17, f: 1e3, g: 017, h: ~, i: true, j: 1_000, k: .5, l: '1', m: <<}"
    )
    suite = load_suite(write(HEAD.replace('{question: "1+1?", target: "2"}', row)))
    assert suite.items.rows == [
        {
            "a": "no",
            "b": "on",
            "c": "2024-01-01",
            "d": "1:30",
            "e": 15,
            "f": 1000.0,
            "g": 17,
            "h": None,
            "i": True,
            "j": "1_000",
            "k": 0.5,
            "l": "1",
            "m": "<<",
        }
    ]


def test_yaml_keys_are_text_and_merge_keys_work(write):
    rows = "[&a {1: x, no: y}, {<<: *a, no: z}, {<<: [*a, {c: w}]}]"
    suite = load_suite(write(HEAD.replace('[{question: "1+1?", target: "2"}]', rows)))
    assert suite.items.rows == [{"1": "x", "no": "y"}, {"1": "x", "no": "z"}, {"1": "x", "no": "y", "c": "w"}]


def test_a_bomb_of_aliases_is_refused(write):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8))
    assert refusal(write(bomb)).endswith("is too large or holds itself; put the items in a file of their own")


def test_an_emptied_suite_file_names_what_is_missing(write):
    assert refusal(write("name: s\n")).splitlines() == [
        "suite.yaml: items: is missing",
        "suite.yaml: prompts: is missing",
        "suite.yaml: models: is missing",
    ]


def test_a_byte_order_mark_is_read_past(write):
    assert load_suite(write(b"\xef\xbb\xbf" + HEAD.encode())).name == "sums"
