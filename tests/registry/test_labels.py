"""Labels: promotion, rollback, and loading at run time by files alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import headgate as hg
from headgate.errors import ConfigError
from headgate.registry.catalogue import Catalogue
from headgate.registry.labels import Label, check_labels, read_labels, write_label
from headgate.registry.tree import FolderTree
from repositories import Repo, message

OLD, NEW = message("Answer: {{q}}", temperature=0), message("Answer briefly: {{q}}")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "old.prompt.yml").write_text(OLD)
    (tmp_path / "new.prompt.yml").write_text(NEW)
    return tmp_path


def promote(root, label, file):
    return write_label(root, name="support", label=label, address=file)


def test_a_promoted_prompt_is_loaded_with_what_a_trace_needs(root):
    promote(root, "production", "old.prompt.yml")
    promote(root, "canary", "new.prompt.yml")
    prompt = hg.load_prompt("support", label="production", root=root)
    assert prompt.fill({"q": "Why?"}) == [{"role": "user", "content": "Answer: Why?"}]
    assert (prompt.params, prompt.label) == ({"temperature": 0}, "production")
    assert prompt.attributes == {
        "gen_ai.prompt.name": "support",
        "headgate.prompt.digest": hg.load_prompt("old.prompt.yml", root=root).digest,
        "headgate.prompt.label": "production",
    }
    assert hg.load_prompt("support", label="canary", root=root).digest != prompt.digest


def test_the_file_of_labels_is_in_one_order(root):
    made = promote(root, "production", "old.prompt.yml")
    promote(root, "canary", "new.prompt.yml")
    write_label(root, name="answer", label="production", address="new.prompt.yml")
    declared = json.loads((root / "prompts.labels.json").read_text())
    assert list(declared["prompts"]) == ["answer", "support"]
    assert list(declared["prompts"]["support"]) == ["canary", "production"]
    assert read_labels(FolderTree(root))["support"]["production"] == made == Label("old.prompt.yml", made.digest)


def test_a_prompt_that_is_not_what_was_promoted_is_not_loaded(root):
    promoted = promote(root, "production", "old.prompt.yml").digest
    (root / "old.prompt.yml").write_text(NEW)
    with pytest.raises(ConfigError) as caught:
        hg.load_prompt("support", label="production", root=root)
    now = hg.load_prompt("old.prompt.yml", root=root).digest
    assert str(caught.value) == (
        f"{root}/old.prompt.yml: is {now}, and prompts.labels.json promoted {promoted}; "
        "restore the file, or promote it: headgate prompts label support production old.prompt.yml"
    )
    tree = FolderTree(root)
    assert list(check_labels(read_labels(tree), Catalogue(tree))) == [
        f"support production: old.prompt.yml is {now}, and prompts.labels.json says {promoted}"
    ]


def test_another_spelling_of_the_same_prompt_is_still_the_promoted_one(root):
    promote(root, "production", "old.prompt.yml")
    (root / "old.prompt.yml").write_text("# a comment\nname: named\n" + OLD)
    assert hg.load_prompt("support", label="production", root=root)


def test_a_rollback_is_a_revert(tmp_path):
    repo = Repo(tmp_path)
    repo.write({"old.prompt.yml": OLD, "new.prompt.yml": NEW})
    first = promote(tmp_path, "production", "old.prompt.yml")
    repo.commit("Promote the old")
    promote(tmp_path, "production", "new.prompt.yml")
    repo.commit("Promote the new")
    assert hg.load_prompt("support", label="production", root=tmp_path).digest != first.digest
    repo.git("revert", "--no-edit", "HEAD")
    assert hg.load_prompt("support", label="production", root=tmp_path).digest == first.digest


@pytest.mark.parametrize(
    ("name", "label", "problem"),
    [
        ("suport", "production", "'suport' has no label; did you mean 'support'?"),
        ("support", "prodction", "support: 'prodction' is no label; did you mean 'production'?"),
    ],
)
def test_an_unknown_name_or_label_is_named(root, name, label, problem):
    promote(root, "production", "old.prompt.yml")
    with pytest.raises(ConfigError) as caught:
        hg.load_prompt(name, label=label, root=root)
    assert str(caught.value) == f"{root}/prompts.labels.json: {problem}"


@pytest.mark.parametrize(
    ("prompts", "problem"),
    [
        (None, "prompts.: is no mapping of labels"),
        ({"a": 3}, "prompts.a: is no mapping of labels"),
        ({"a": {"b": "c.txt"}}, "prompts.a.b: does not point to a prompt; write {file, digest}"),
        ({"a": {"b": {"file": "c.txt"}}}, "prompts.a.b: does not point to a prompt; write {file, digest}"),
    ],
)
def test_a_broken_file_of_labels_is_named(root, prompts, problem):
    declared = {"schema": "headgate.prompts.labels/v1", "prompts": prompts}
    (root / "prompts.labels.json").write_text(json.dumps(declared))
    with pytest.raises(ConfigError) as caught:
        promote(root, "production", "old.prompt.yml")
    assert str(caught.value) == f"{root}/prompts.labels.json: {problem}"
    assert json.loads((root / "prompts.labels.json").read_text()) == declared


def test_without_a_file_of_labels_the_root_is_asked_for(root):
    with pytest.raises(ConfigError, match="there is no such file; give the folder with it as `root`"):
        hg.load_prompt("support", label="production", root=root)


@pytest.mark.parametrize("file", ["gone.txt", "a.pdf", "media.prompt"])
def test_what_is_no_prompt_is_not_promoted(root, file):
    (root / "a.pdf").write_text("x")
    (root / "media.prompt").write_text("---\ntools: [look]\n---\nHi")
    with pytest.raises(ConfigError):
        promote(root, "production", file)
    assert not (root / "prompts.labels.json").exists()


def test_loading_needs_neither_git_nor_the_engine(root):
    promote(root, "production", "old.prompt.yml")
    script = (
        "import os, sys\nos.environ['PATH'] = ''\nimport headgate as hg\n"
        f"print(hg.load_prompt('support', label='production', root={str(root)!r}).digest)\n"
        "assert not {'pyarrow', 'polars', 'numpy', 'anyio', 'httpx', 'headgate.api'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == hg.load_prompt("old.prompt.yml", root=root).digest
