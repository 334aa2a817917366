"""promptfoo's prompt files: chats, numbered prompts, plain Nunjucks and no other."""

from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.registry.load import read_prompt
from prompt_files import written

CHAT = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{{ q }}"}]'
MESSAGES = (("system", "Be kind."), ("user", "{{ q }}"))
SEVERAL = "First {{q}}\n---\n\n  Second\nline \n --- \n---\n" + CHAT + "\n---\n- role: user\n  content: x\n"


def test_chats_in_json_and_yaml_are_one_prompt(tmp_path):
    one = written(tmp_path, "a.json", CHAT)
    other = written(tmp_path, "b.yaml", "- {role: system, content: Be kind.}\n- {role: user, content: '{{q}}'}\n")
    assert one.messages == MESSAGES
    assert one.digest == other.digest
    assert other.fill({"q": "Hi"})[1] == {"role": "user", "content": "Hi"}


def test_prompts_of_a_text_file_have_numbers(tmp_path):
    (tmp_path / "a.txt").write_text(SEVERAL)
    first, second, third = (read_prompt(tmp_path / f"a.txt#{number}") for number in (1, 2, 3))
    assert first.messages == (("user", "First {{q}}"),)
    assert second.messages == (("user", "Second\nline"),)
    assert third.messages == MESSAGES
    with pytest.raises(ConfigError, match="text that begins with `- role:` becomes a chat after it is rendered"):
        read_prompt(tmp_path / "a.txt#4").fill({})
    with pytest.raises(ConfigError, match="'#5' is no prompt of this file; there are 4 prompts"):
        read_prompt(tmp_path / "a.txt#5")


def test_without_a_number_a_text_file_is_one_template(tmp_path):
    assert written(tmp_path, "a.txt", "a\n---\nb\n").messages == (("user", "a\n---\nb\n"),)


def test_lines_of_jsonl_and_whole_markdown(tmp_path):
    (tmp_path / "a.jsonl").write_text(CHAT + '\n\n"no chat"\n')
    assert read_prompt(tmp_path / "a.jsonl#1").messages == MESSAGES
    assert read_prompt(tmp_path / "a.jsonl#2").messages == (("user", '"no chat"'),)
    (tmp_path / "a.md").write_text("a\n---\nb\n")
    assert read_prompt(tmp_path / "a.md#1").messages == (("user", "a\n---\nb\n"),)


@pytest.mark.parametrize("construct", ["{{ q | upper }}", "{% if q %}x{% endif %}", "{{ q or r }}", "{{ env.KEY }}"])
def test_nunjucks_with_more_than_plain_variables_is_refused(tmp_path, construct):
    prompt = written(tmp_path, "a.json", f'[{{"role": "user", "content": "{construct}"}}]')
    assert len(prompt.digest) == 32
    with pytest.raises(ConfigError, match="is Nunjucks, of which only plain variables are rendered"):
        prompt.fill({"q": "x", "r": "y"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{}", " is no chat; write a list of {role, content}"),
        ("a.yaml", "[]", " is no chat; write a list of {role, content}"),
        ("a.json", '["x"]', " 0: 'x' is not a mapping; write {role, content}"),
        ("a.yaml", "- {role: tool, content: x}", "1: 0.role: 'tool' is none of the choices"),
        ("a.yaml", "- {role: user, content: [x]}", "1: 0.content: ['x'] is not text"),
        ("a.yaml", "- {role: user, content: x, name: y}", "1: 0.name: is no text that can be sent"),
        ("a.yaml", "- {role: user, content: 'file://x.txt'}", "1: 0.content: 'file://x.txt' names a file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, message):
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, name, text)
    assert str(caught.value).startswith(f"{tmp_path}/{name}:{message}")
