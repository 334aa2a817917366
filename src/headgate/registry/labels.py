"""``prompts.labels.json``: which version of a prompt is in production, in canary or whatever a label says.

The file lies in the tree: a promotion is a commit, a rollback is a revert, and who may change the file may promote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from headgate.errors import ConfigError
from headgate.registry.catalogue import Catalogue
from headgate.registry.files import read_json, write_json
from headgate.registry.load import read_prompt
from headgate.registry.tree import Tree, named, read_text
from headgate.suite.documents import read_text as read_disk
from headgate.suite.problems import did_you_mean
from headgate.suite.prompts import Prompt

FILE: Final = "prompts.labels.json"
_SCHEMA: Final = "headgate.prompts.labels/v1"


@dataclass(frozen=True, slots=True)
class Label:
    """What a label points to: a file, and the digest that its prompt has."""

    file: str
    digest: str


Labels = dict[str, dict[str, Label]]
"""Prompt name, as applications ask for it, to label, to what it points to."""


def read_labels(tree: Tree) -> Labels:
    """Return the labels of a tree; none where there is no file of them.

    Raises
    ------
    ConfigError
        If the file is broken.
    """
    return parse_labels(read_text(tree, FILE), named(tree, FILE)) if FILE in tree.paths else {}


def parse_labels(text: str, file: Path) -> Labels:
    """Return the labels that a file's text declares.

    Raises
    ------
    ConfigError
        If it is broken.
    """
    prompts = read_json(text, file, schema=_SCHEMA).get("prompts")
    labels: Labels = {}
    for name, declared in (prompts if isinstance(prompts, dict) else {"": None}).items():
        if not isinstance(declared, dict):
            raise ConfigError("is no mapping of labels", file=file, field=f"prompts.{name}")
        labels[name] = {label: _label(found, f"prompts.{name}.{label}", file) for label, found in declared.items()}
    return labels


def _label(found: object, field: str, file: Path) -> Label:
    texts = found if isinstance(found, dict) else {}
    path, digest = texts.get("file"), texts.get("digest")
    if not isinstance(path, str) or not isinstance(digest, str) or len(texts) != 2:
        raise ConfigError("does not point to a prompt", file=file, field=field, mend="write {file, digest}")
    return Label(path, digest)


def write_label(root: Path, *, name: str, label: str, address: str) -> Label:
    """Point a label to the prompt of a file, as it is now; committing the file is the promotion.

    Raises
    ------
    ConfigError
        If the file is no prompt, or one that headgate does not send.
    """
    file = root / FILE
    labels = parse_labels(read_disk(file), file) if file.exists() else {}
    prompt = read_prompt(root / address, name=name).compiled()
    made = Label(address, prompt.digest)
    labels.setdefault(name, {})[label] = made
    prompts = {
        known: {label: {"file": to.file, "digest": to.digest} for label, to in sorted(labels[known].items())}
        for known in sorted(labels)
    }
    write_json(file, {"schema": _SCHEMA, "prompts": prompts})
    return made


def labelled_files(labels: Labels) -> list[str]:
    """Return the addresses that labels point to."""
    return [to.file for declared in labels.values() for to in declared.values()]


def check_labels(labels: Labels, catalogue: Catalogue) -> Iterator[str]:
    """Yield the labels that point to a prompt which is no more what was promoted."""
    for name, declared in labels.items():
        for label, to in declared.items():
            entry = catalogue.entry(to.file)
            if entry.digest is None:
                yield f"{name} {label}: {entry.problem}"
            elif entry.digest != to.digest:
                yield f"{name} {label}: {to.file} is {entry.digest}, and {FILE} says {to.digest}"


def load_prompt(name: str, *, label: str | None = None, root: str | os.PathLike[str] = ".") -> Prompt:
    """Load a prompt at run time: by its name and label, or by its file.

    Nothing but files is needed: a folder, an unpacked wheel, an image. git is not asked.

    Parameters
    ----------
    name : str
        With ``label``, a prompt's name in ``prompts.labels.json``; without, a file such as ``prompts/a.prompt.yml``.
    label : str, optional
        Such as ``production``.
    root : path
        The folder with ``prompts.labels.json``; files are relative to it.

    Returns
    -------
    Prompt
        ``fill(variables)`` returns the chat messages, ``params`` what to send with them, ``digest`` the content id, and
        ``attributes`` what to stamp on the trace.

    Raises
    ------
    ConfigError
        If there is no such prompt or label, or the file's prompt is not the one that was promoted.

    Examples
    --------
    >>> import headgate as hg, json, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "support.txt").write_text("Answer briefly: {{ question }}")
    ...     prompt = hg.load_prompt("support.txt", root=folder)
    >>> prompt.fill({"question": "Why?"})
    [{'role': 'user', 'content': 'Answer briefly: Why?'}]
    >>> sorted(prompt.attributes)
    ['gen_ai.prompt.name', 'headgate.prompt.digest']
    """
    folder = Path(root)
    if label is None:
        prompt = read_prompt(folder / name, name=name)
    else:
        to = _find(folder / FILE, name, label)
        prompt = replace(read_prompt(folder / to.file, name=name), label=label)
        if prompt.digest != to.digest:
            raise ConfigError(
                f"is {prompt.digest}, and {FILE} promoted {to.digest}",
                file=folder / to.file,
                mend=f"restore the file, or promote it: headgate prompts label {name} {label} {to.file}",
            )
    return prompt.compiled()


def _find(file: Path, name: str, label: str) -> Label:
    if not file.exists():
        raise ConfigError("there is no such file", file=file, mend="give the folder with it as `root`")
    labels = parse_labels(read_disk(file), file)
    if name not in labels:
        raise ConfigError("has no label", file=file, value=name, mend=did_you_mean(name, labels))
    if label not in labels[name]:
        raise ConfigError("is no label", file=file, field=name, value=label, mend=did_you_mean(label, labels[name]))
    return labels[name][label]
