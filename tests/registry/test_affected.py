"""Which suites a change touches: through what they are made of, and nothing else."""

from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.registry.affected import affected_suites
from headgate.registry.git import Repository
from headgate.registry.tree import CommitTree, FolderTree
from repositories import SUITE, Repo, message

FILES = {
    "a/s.yaml": SUITE,
    "a/items.jsonl": '{"q": 1}\n',
    "a/scorers.py": "def grade(output, item): ...\n",
    "b/other.yaml": SUITE.replace("../prompts/old.prompt.yml", "../prompts/own.prompt"),
    "b/items.jsonl": '{"q": 1}\n',
    "b/scorers.py": "",
    "prompts/old.prompt.yml": message("Hi {{q}}"),
    "prompts/own.prompt": "{{> rules}}",
    "prompts/_rules.prompt": "Be kind.",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"a/s.yaml": "# a comment\n" + SUITE, "readme.md": "x"}, {}),
        ({"prompts/old.prompt.yml": "name: named\n" + message("Hi {{q}}")}, {}),
        ({"prompts/unused.prompt": "x"}, {}),
        ({"prompts/old.prompt.yml": message("Hello {{q}}")}, {"a/s.yaml": ("prompts.old",)}),
        ({"prompts/_rules.prompt": "Be brief."}, {"b/other.yaml": ("prompts.old",)}),
        ({"a/items.jsonl": '{"q": 2}\n'}, {"a/s.yaml": ("items",)}),
        ({"a/scorers.py": "def grade(output, item): return 1\n"}, {"a/s.yaml": ("scorers.own",)}),
        ({"a/scorers.py": None}, {"a/s.yaml": ("scorers.own",)}),
        ({"a/s.yaml": SUITE + "seeds: 2\n"}, {"a/s.yaml": ("suite",)}),
        ({"a/s.yaml": SUITE.replace("Sum:", "Add:")}, {"a/s.yaml": ("suite",)}),
        ({"c/new.yaml": SUITE}, {"c/new.yaml": ("new",)}),
        ({"a/s.yaml": None}, {}),
        ({"prompts/old.prompt.yml": "messages: 3"}, {"a/s.yaml": ("prompts.old",)}),
        ({"a/s.yaml": "item: x\n" + SUITE}, {"a/s.yaml": ("items", "prompts.old", "scorers.own", "suite")}),
    ],
)  # fmt: skip
def test_a_suite_is_touched_through_its_parts(tmp_path, change, expected):
    repo = Repo(tmp_path)
    base = repo.commit("Base", FILES)
    head = repo.commit("Head", change)
    git = Repository(tmp_path)
    found = affected_suites(CommitTree(git, base), CommitTree(git, head))
    assert {affected.suite: affected.changed for affected in found} == expected
    assert affected_suites(CommitTree(git, base), FolderTree(tmp_path)) == found


def test_a_suite_is_touched_through_the_schemas_and_tools_of_its_scorers(tmp_path):
    repo = Repo(tmp_path)
    suite = SUITE.partition("scorers:")[0] + "scorers: [{name: shape, type: json_schema, schema: shape.json}]\n"
    base = repo.commit("Base", {**FILES, "a/s.yaml": suite, "a/shape.json": "{}"})
    head = repo.commit("Head", {"a/shape.json": '{"type": "object"}'})
    git = Repository(tmp_path)
    (found,) = affected_suites(CommitTree(git, base), CommitTree(git, head))
    assert (found.suite, found.changed) == ("a/s.yaml", ("scorers.shape",))


def test_what_cannot_be_read_and_did_not_change_touches_nothing(tmp_path):
    repo = Repo(tmp_path)
    broken = {"prompts/old.prompt.yml": "messages: 3", "b/other.yaml": "item: x\n" + SUITE}
    base = repo.commit("Base", FILES | broken)
    head = repo.commit("Head", {"readme.md": "x"})
    git = Repository(tmp_path)
    for after in (CommitTree(git, head), FolderTree(tmp_path)):
        assert affected_suites(CommitTree(git, base), after) == []


def test_only_the_suites_that_are_named(tmp_path):
    repo = Repo(tmp_path)
    base = repo.commit("Base", FILES)
    repo.write({"a/items.jsonl": "", "b/items.jsonl": ""})
    before, after = CommitTree(Repository(tmp_path), base), FolderTree(tmp_path)
    assert [found.suite for found in affected_suites(before, after, suites=["b/other.yaml"])] == ["b/other.yaml"]
    with pytest.raises(ConfigError, match=r"^c\.yaml: there is no such file"):
        affected_suites(before, after, suites=["c.yaml"])
