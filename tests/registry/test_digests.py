"""One prompt has one digest, whatever its file's format; the digests are golden."""

from __future__ import annotations

import pytest

from headgate.registry.load import read_prompt
from headgate.suite.prompts import Prompt
from prompt_files import written

# These stand in stored runs, locks and labels: if they change, no run resumes and no label loads any more.
ONE_MESSAGE = "777087a1e8278816b36cf17d5171bbca"
CHAT = "648ea763d78325eac759fe8ffc29f35f"
PARAMETERS = "e77d3c0d24674f56515d42064724fe65"

SAME = {
    ONE_MESSAGE: {
        "a.txt": "Hi {{ who }}!",
        "b.j2": "Hi {{who}}!",
        "c.prompt.yml": "messages: [{role: user, content: 'Hi {{who}}!'}]",
        "d.prompt": "---\nmodel: x\n---\nHi {{ who }}!\n",
        "e.prompt": "Hi {{who}}!",
        "f.prompty": "---\nname: x\n---\nuser:\nHi {{who}}!\n",
        "g.prompty": "---\ntemplate: {format: {kind: mustache}}\n---\nuser:\nHi {{{who}}}!\n",
        "h.prompty": "---\ntemplate: jinja2\n---\nuser:\n  Hi {{ who }}!  \n",
        "i.json": '[{"role": "user", "content": "Hi {{ who }}!"}]',
        "j.yaml": "- role: user\n  content: Hi {{who}}!\n",
    },
    CHAT: {
        "a.prompt.yml": "messages:\n- {role: system, content: Be kind.}\n- {role: user, content: 'Hi {{who}}!'}",
        "b.prompt": '{{role "system"}}Be kind.{{role "user"}}Hi {{who}}!',
        "c.prompty": "---\nname: x\n---\nsystem:\nBe kind.\n\nuser:\nHi {{ who }}!\n",
        "d.yaml": "- {role: system, content: Be kind.}\n- {role: user, content: 'Hi {{ who }}!'}",
    },
    PARAMETERS: {
        "a.prompt.yml": (
            "modelParameters: {maxTokens: 50, temperature: 1.0, topP: 0.5}\nmessages: [{role: user, content: Hi}]"
        ),
        "b.prompt": "---\nconfig: {topP: 0.5, temperature: 1, maxOutputTokens: 50}\n---\nHi",
        "c.prompty": "---\nmodel: {options: {temperature: 1, topP: 0.5, maxOutputTokens: 50}}\n---\nuser:\nHi",
        "d.prompty": (
            "---\nmodel: {api: chat, parameters: {temperature: 1, top_p: 0.5, max_tokens: 50}}\n---\nuser:\nHi"
        ),
    },
}


@pytest.mark.parametrize(
    ("golden", "name", "text"),
    [(golden, name, text) for golden, files in SAME.items() for name, text in files.items()],
)
def test_the_same_prompt_has_one_digest_in_every_format(tmp_path, golden, name, text):
    assert written(tmp_path, name, text).digest == golden


def test_one_of_several_in_a_text_file_too(tmp_path):
    (tmp_path / "a.txt").write_text("Other\n---\nHi {{ who }}!\n---\n")
    assert read_prompt(tmp_path / "a.txt#2").digest == ONE_MESSAGE


def test_where_a_prompt_stands_does_not_count():
    one = Prompt(name="a", messages=(("user", "Hi {{ who }}!"),), file="x", label="production")
    assert one.digest == ONE_MESSAGE


@pytest.mark.parametrize(
    "other",
    [
        {"messages": (("user", "Hi {{ who }}!\n"),)},  # white space is seen by the model
        {"messages": (("user", "Hi  {{ who }}!"),)},
        {"messages": (("system", "Hi {{ who }}!"),)},
        {"messages": (("user", "Hi {{ whom }}!"),)},
        {"messages": (("user", "Hi {{ who | trim }}!"),)},
        {"params": {"temperature": 0}},
        {"params": {"tools": []}},
        {"defaults": {"who": "you"}},
        {"partials": {"rules": "Be kind."}},
    ],
)
def test_what_the_model_may_see_counts(other):
    messages = (("user", "Hi {{ who }}!"),)
    assert Prompt(name="a", **{"messages": messages, **other}).digest != ONE_MESSAGE


def test_what_is_not_plain_is_of_its_language():
    logic = (("user", "{% if q %}x{% endif %}"),)
    digests = {
        Prompt(name="a", messages=logic, language=language).digest for language in ("jinja2", "prompty", "handlebars")
    }
    assert len(digests) == 3  # text in Handlebars; logic that is trimmed, or not, in the others


def test_line_ends_do_not_count():
    assert (
        Prompt(name="a", messages=(("user", "a\r\nb"),)).digest == Prompt(name="a", messages=(("user", "a\nb"),)).digest
    )
