from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.score.scorer import check_scorer
from headgate.suite.scorers import ToolCall, ToolCallValid
from score_rows import scored

NAMES = st.lists(st.sampled_from("abc"), max_size=5)


def calls(*made):
    """As the OpenAI provider stores them: arguments are text."""
    return json.dumps(
        [{"id": "1", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for n, a in made]
    )


def score(spec, made, target, **columns):
    return scored(spec, [{"tool_calls_json": made, "target": target, **columns}]).row(0)


@given(NAMES, NAMES)
def test_f1_of_names_is_that_of_bags(made, wanted):
    spec = ToolCall(name="t", type="tool_call", compare="name", measure="f1")
    left, shared = list(made), 0
    for name in wanted:
        if name in left:
            left.remove(name)
            shared += 1
    precision, recall = shared / max(len(made), 1), shared / max(len(wanted), 1)
    f1 = 2 * precision * recall / (precision + recall) if shared else float(not made and not wanted)
    value, _, _ = score(spec, calls(*((name, {}) for name in made)), json.dumps(wanted), output="text")
    assert value == pytest.approx(f1)


def test_a_match_asks_for_all_calls_and_no_other():
    spec = ToolCall(name="t", type="tool_call")
    made = calls(("find", {"q": 1, "r": [2]}), ("book", {"to": "LA"}))
    wanted = [{"name": "book", "arguments": {"to": "LA"}}, {"name": "find", "arguments": {"r": [2], "q": 1.0}}]
    assert score(spec, made, json.dumps(wanted))[0] == 1
    assert score(spec, made, json.dumps(wanted[:1]))[0] == 0
    assert score(spec, made, json.dumps([wanted[0], {"name": "find", "arguments": {"q": 2}}]))[0] == 0
    assert score(spec, made, "find, book")[0] == 1
    ordered = ToolCall(name="t", type="tool_call", ordered=True)
    assert score(ordered, made, "book, find")[0] == 0
    assert score(ordered, made, "find, book")[0] == 1


def test_a_target_without_arguments_takes_what_the_others_leave():
    spec = ToolCall(name="t", type="tool_call")
    made = calls(("find", {"q": 1}), ("find", {"q": 2}))
    assert score(spec, made, json.dumps(["find", {"name": "find", "arguments": {"q": 1}}]))[0] == 1


def test_what_cannot_be_read():
    spec = ToolCall(name="t", type="tool_call")
    broken = json.dumps([{"function": {"name": "find", "arguments": "{broken"}}])
    assert score(spec, broken, json.dumps([{"name": "find", "arguments": {}}]))[0] == 0
    assert score(spec, calls(), "[1, 2]", output="x")[2] == "the target is no list of tool calls"
    assert score(spec, calls(), None, output="x")[2] == "the item has no target to compare with"
    assert score(spec, "not json", "find", output="x")[0] is None


def test_an_answer_of_calls_alone_is_no_failure_and_silence_is_one():
    spec = ToolCall(name="t", type="tool_call")
    assert score(spec, calls(("find", {})), "find", output=None)[0] == 1
    assert score(spec, None, "[]", output="I need no tool.")[0] == 1
    assert score(spec, None, "[]", output=None) == (0, None, "empty answer")
    assert score(spec, calls(("find", {})), "find", status="refused") == (0, None, "refused")


TOOL = {
    "type": "function",
    "function": {"name": "find", "parameters": {"required": ["q"], "properties": {"q": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("made", "value", "reason"),
    [
        (calls(("find", {"q": 1})), 1, None),
        (calls(("find", {"q": "1"})), 0, 'find: [\'q\']: "1" is not of type "integer"'),
        (calls(("find", {})), 0, 'find: "q" is a required property'),
        (calls(("other", {})), 0, "there is no tool other"),
        (json.dumps([{"function": {"name": "find", "arguments": "{"}}]), 0, "the arguments of find are no JSON object"),
        (None, 0, "there is no tool call"),
    ],
)
def test_calls_are_held_against_the_schemas_of_the_tools(made, value, reason):
    spec = ToolCallValid(name="t", type="tool_call_valid", tools=[TOOL])
    assert score(spec, made, None, output="x") == (value, None, reason)


def test_a_tool_without_a_name_is_an_error():
    with pytest.raises(ConfigError, match="a tool has no name"):
        check_scorer(ToolCallValid(name="t", type="tool_call_valid", tools=[{"parameters": {}}]))
