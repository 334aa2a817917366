"""What differs between two prompts."""

from __future__ import annotations

from headgate.registry.diff import Difference, diff_prompts
from headgate.suite.prompts import Prompt


def prompt(*messages, **parts):
    return Prompt(name="p", messages=messages, **parts)


def test_every_part_that_differs_is_named():
    old = prompt(("system", "Be kind."), ("user", "Hi"), params={"temperature": 0, "stop": ["a"]}, partials={"r": "x"})
    new = prompt(
        ("system", "Be kind."), params={"stop": ["a", "b"], "seed": True}, defaults={"q": 1}, partials={"r": "y"}
    )
    found = {part.place: (part.before, part.after) for part in diff_prompts(old, new)}
    assert found.pop("partials.r") != (None, None)
    assert found == {
        "messages.1": ({"role": "user", "content": "Hi"}, None),
        "params.temperature": (0, None),
        "params.stop.1": (None, "b"),
        "params.seed": (None, True),
        "defaults": (None, {"q": 1}),
    }


def test_the_language_counts_where_it_means_something():
    logic = "{% if q %}x{% endif %}"
    one, other = prompt(("user", logic)), prompt(("user", logic), language="handlebars")
    assert diff_prompts(one, other) == [Difference("messages.0.language", "jinja2", None)]


def test_equal_prompts_have_no_difference():
    assert diff_prompts(prompt(("user", "{{q}}")), prompt(("user", "{{ q }}"), language="nunjucks")) == []


def test_true_is_not_one():
    assert len(diff_prompts(prompt(params={"n": 1}), prompt(params={"n": True}))) == 1
    assert diff_prompts(prompt(params={"n": 1}), prompt(params={"n": 1.0})) == []
