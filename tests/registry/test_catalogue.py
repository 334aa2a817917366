"""Which files of a tree are prompts and suites, and the one digest over them."""

from __future__ import annotations

import pytest

from headgate.registry.catalogue import Catalogue
from headgate.registry.git import Repository
from headgate.registry.tree import CommitTree, FolderTree
from headgate.suite.prompts import Prompt
from repositories import SUITE, Repo, message

FILES = {
    "suites/sums.yaml": SUITE,
    "prompts/old.prompt.yml": message("Add {{q}}"),
    "prompts/more.prompt": "{{> rules}}\nHi",
    "prompts/_rules.prompt": "Be kind.",
    "prompts/README.md": "Not a prompt: no suite names it.",
    "other.json": '{"name": 1, "items": 2, "prompts": 3}',
}
ADDRESSES = ["prompts/more.prompt", "prompts/old.prompt.yml", "suites/sums.yaml:new"]


def test_prompts_are_those_of_their_own_formats_and_those_of_suites(tmp_path):
    Repo(tmp_path).write(FILES)
    catalogue = Catalogue(FolderTree(tmp_path))
    assert list(catalogue.entries) == ADDRESSES
    assert list(catalogue.suites) == ["suites/sums.yaml"]
    assert catalogue.digests["suites/sums.yaml:new"] == Prompt(name="x", messages=(("user", "Sum: {{ q }}"),)).digest
    assert [entry.problem for entry in catalogue.entries.values()] == [None] * 3


def test_what_is_named_besides_counts_too(tmp_path):
    Repo(tmp_path).write({"a.txt": "One {{q}}\n---\nTwo", "b.txt": "x"})
    catalogue = Catalogue(FolderTree(tmp_path), named=["a.txt#2", "gone.txt"])
    assert {address: entry.format for address, entry in catalogue.entries.items()} == {
        "a.txt#2": "promptfoo",
        "gone.txt": "text",
    }
    assert catalogue.entries["gone.txt"].problem == "gone.txt: there is no such file"


def test_the_state_is_that_of_the_commit_whatever_lies_in_the_folder(tmp_path):
    repo = Repo(tmp_path)
    commit = repo.commit("First", FILES)
    state = Catalogue(FolderTree(tmp_path)).digest
    repo.write({"prompts/old.prompt.yml": message("Sum up {{q}}"), "prompts/_rules.prompt": "Be brief."})
    now = Catalogue(FolderTree(tmp_path))
    assert Catalogue(CommitTree(Repository(tmp_path), commit)).digest == state != now.digest
    changed = {address for address, digest in now.digests.items() if digest != Catalogue(
        CommitTree(Repository(tmp_path), commit)).digests[address]}  # fmt: skip
    assert changed == {"prompts/more.prompt", "prompts/old.prompt.yml"}  # a partial changes what includes it


@pytest.mark.parametrize(
    ("files", "same"),
    [
        ({"suites/sums.yaml": SUITE + "# a comment\n"}, True),
        ({"prompts/old.prompt.yml": "# a comment\nname: named\n" + message("Add {{q}}")}, True),
        ({"unrelated.txt": "x"}, True),
        ({"suites/sums.yaml": SUITE.replace("Sum:", "Add:")}, False),
        ({"prompts/old.prompt.yml": message("Add {{q}}", temperature=0)}, False),
        ({"prompts/new.prompt": "Hi"}, False),
        ({"prompts/more.prompt": None}, False),
    ],
)
def test_the_state_changes_with_the_prompts_alone(tmp_path, files, same):
    repo = Repo(tmp_path)
    repo.write(FILES)
    before = Catalogue(FolderTree(tmp_path)).digest
    repo.write(files)
    assert (Catalogue(FolderTree(tmp_path)).digest == before) is same


def test_the_same_prompt_in_another_format_has_another_place(tmp_path):
    repo = Repo(tmp_path)
    repo.write({"a.prompt": "Hi {{q}}"})
    before = Catalogue(FolderTree(tmp_path))
    assert before.digest
    repo.write({"a.prompt": None, "a.prompt.yml": message("Hi {{q}}")})
    after = Catalogue(FolderTree(tmp_path))
    assert list(before.digests.values()) == list(after.digests.values())
    assert before.digest != after.digest


def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path):
    Repo(tmp_path).write(
        {
            **FILES,
            "prompts/broken.prompt.yml": "messages: 3",
            "prompts/computed.prompt": "{{media url=q}}{{#if q}}x{{/if}}",
            "suites/broken.yaml": "name: x\nitems: [\nprompts: {}\nmodels: []\n",
            "suites/wrong.yaml": SUITE.replace("models:", "model:\nmodels:"),
        }
    )
    catalogue = Catalogue(FolderTree(tmp_path))
    assert list(catalogue.entries) == sorted([*ADDRESSES, "prompts/broken.prompt.yml", "prompts/computed.prompt"])
    broken = catalogue.entries["prompts/broken.prompt.yml"]
    assert broken.digest is None
    assert broken.problem == (
        "prompts/broken.prompt.yml:1: messages: is missing or empty; write a list of {role, content}"
    )
    assert catalogue.entries["prompts/computed.prompt"].digest is not None
    problems = {path: entry.problem for path, entry in catalogue.suites.items()}
    assert problems["suites/sums.yaml"] is None
    assert problems["suites/broken.yaml"].startswith("suites/broken.yaml:4: is not YAML")
    assert "there is no such field" in problems["suites/wrong.yaml"]


def test_a_prompt_is_found_by_the_suite_that_names_it(tmp_path):
    Repo(tmp_path).write(FILES)
    catalogue = Catalogue(FolderTree(tmp_path))
    assert catalogue.find("suites/sums.yaml:old").digest == catalogue.digests["prompts/old.prompt.yml"]
    assert catalogue.find("suites/sums.yaml:new").digest == catalogue.digests["suites/sums.yaml:new"]
    assert catalogue.find("suites/sums.yaml:none").problem == "suites/sums.yaml: has no prompt 'none'"
    assert catalogue.find("prompts/README.md").digest is not None


def test_suites_in_toml_and_json_are_suites_too(tmp_path):
    prompts, models = '{"p": "{{ q }}"}', '[{"id": "m", "provider": "simulated"}]'
    inline = f'{{"name": "s", "items": [{{"q": 1}}], "prompts": {prompts}, "models": {models}}}'
    toml = 'name = "s"\nitems = [{q = 1}]\nprompts.p = "{{ q }}"\n[[models]]\nid = "m"\nprovider = "simulated"\n'
    Repo(tmp_path).write({"a.json": inline, "b.toml": toml})
    assert list(Catalogue(FolderTree(tmp_path)).entries) == ["a.json:p", "b.toml:p"]
