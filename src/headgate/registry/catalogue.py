"""All prompts and suites of a tree, and one digest over them: the tree's prompt state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.registry.load import OWN_ENDINGS, format_of, inline_prompt, parse_prompt, split_address
from headgate.registry.tree import Tree, beside, named, open_source, read_text
from headgate.suite.documents import Document, parse_document
from headgate.suite.files import make_suite
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_SUITES: Final = (".yaml", ".yml", ".toml", ".json")
_KEYS: Final = ("name", "items", "prompts", "models")
_LINES: Final = tuple(re.compile(rf"(?m)^[\[\"']*{key}\b".encode()) for key in _KEYS)
_LARGEST: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt of a tree.

    Attributes
    ----------
    address : str
        Its file, such as ``prompts/a.prompt.yml``; ``file.txt#2`` in a promptfoo file; ``suite.yaml:name`` inside a
        suite.
    format : str
        Title of the file's format.
    prompt : Prompt, optional
        None where it cannot be read.
    problem : str, optional
        Why it cannot be read, or not be sent.
    """

    address: str
    format: str
    prompt: Prompt | None
    problem: str | None

    @property
    def digest(self) -> str | None:
        """The prompt's digest; None where it cannot be read."""
        return None if self.prompt is None else self.prompt.digest


@dataclass(frozen=True, slots=True)
class SuiteEntry:
    """One suite of a tree: its file, what the file says, and the suite, or why it is none."""

    path: str
    data: Mapping[str, Any]
    suite: Suite | None
    problem: str | None = None


class Catalogue:
    """The prompts of a tree.

    A prompt is: a file with an ending that only prompts have (``.prompt.yml``, ``.prompt``, ``.prompty``), whatever a
    suite in the tree names or holds, and what is ``named`` besides. Partials (``_name.prompt``) are parts of prompts.

    Parameters
    ----------
    tree : Tree
        The files.
    named : iterable of str
        Further addresses, such as those of labels and lock.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from headgate.registry.tree import FolderTree
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "hi.prompt").write_text("Hi {{ who }}")
    ...     catalogue = Catalogue(FolderTree(Path(folder)))
    ...     [(entry.address, entry.format) for entry in catalogue.entries.values()], len(catalogue.digest)
    ([('hi.prompt', 'dotprompt')], 32)
    """

    def __init__(self, tree: Tree, *, named: Iterable[str] = ()) -> None:
        self.tree = tree
        self._named = tuple(named)

    @cached_property
    def suites(self) -> dict[str, SuiteEntry]:
        """The suites by their files."""
        candidates = [path for path in sorted(self.tree.paths) if _may_be_suite(path)]
        self.tree.warm(candidates)
        found = (self.suite(path) for path in candidates)
        return {entry.path: entry for entry in found if entry is not None}

    def suite(self, path: str, *, told: bool = False) -> SuiteEntry | None:
        """Return the suite of a file; None where the file is none. ``told``: somebody says that it is one."""
        data = self.tree.read(path)
        if not told and (len(data) > _LARGEST or not all(key.encode() in data for key in _KEYS)):
            return None
        try:
            document = parse_document(lambda: read_text(self.tree, path), named(self.tree, path))
        except ConfigError as error:
            broken = told or all(line.search(data) for line in _LINES)
            return SuiteEntry(path, {}, None, str(error)) if broken else None
        if not told and not (isinstance(document.data, dict) and document.data.keys() >= set(_KEYS)):
            return None
        return _suite_entry(path, document)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The prompts by their addresses, in order."""
        wanted = {path for path in self.tree.paths if _is_prompt(path)} | set(self._named)
        inline: dict[str, Entry] = {}
        for suite in self.suites.values():
            for name, address in prompt_addresses(suite):
                if address is None:
                    inline[f"{suite.path}:{name}"] = self._inline(suite, name)
                else:
                    wanted.add(address)
        self.tree.warm([split_address(address)[0] for address in wanted])
        found = {address: self.entry(address) for address in wanted} | inline
        return dict(sorted(found.items()))

    def entry(self, address: str) -> Entry:
        """Return the prompt of an address, readable or not."""
        path, number = split_address(address)
        title = format_of(address) or "unknown"
        try:
            prompt = parse_prompt(open_source(self.tree, path), name=address, number=number)
        except ConfigError as error:
            return Entry(address, title, None, str(error))
        return Entry(address, title, prompt, problem_of(prompt))

    def _inline(self, suite: SuiteEntry, name: str) -> Entry:
        assert suite.suite is not None
        prompt = inline_prompt(suite.suite.prompts[name], name=name, file=suite.path)
        assert prompt is not None
        return Entry(f"{suite.path}:{name}", "suite", prompt, problem_of(prompt))

    def find(self, address: str) -> Entry:
        """Return the prompt of an address, also of one by the suite that names it: ``suite.yaml:name``."""
        place = split_inline(address)
        if place is None or place[0] not in self.tree.paths:
            return self.entry(address)
        declared = self.suite(place[0], told=True)
        assert declared is not None
        addresses = dict(prompt_addresses(declared))
        if place[1] not in addresses:
            problem = declared.problem or f"{named(self.tree, place[0])}: has no prompt {place[1]!r}"
            return Entry(address, "suite", None, problem)
        path = addresses[place[1]]
        return self._inline(declared, place[1]) if path is None else self.entry(path)

    @cached_property
    def digests(self) -> dict[str, str | None]:
        """The digests by address; None where a prompt cannot be read."""
        return {address: entry.digest for address, entry in self.entries.items()}

    @cached_property
    def digest(self) -> str:
        """The prompt state: one digest over all addresses and their digests."""
        return digest(self.digests)


def split_inline(address: str) -> tuple[str, str] | None:
    """Split the address of a prompt by its suite into the suite's file and the prompt's name; None for other addresses.

    Examples
    --------
    >>> split_inline("suites/a.yaml:new"), split_inline("prompts/a:b.txt")
    (('suites/a.yaml', 'new'), None)
    """
    suite, colon, name = address.rpartition(":")
    return (suite, name) if colon and suite.lower().endswith(_SUITES) else None


def prompt_addresses(entry: SuiteEntry) -> Iterator[tuple[str, str | None]]:
    """Yield the names of a suite's prompts with the addresses of their files; None for those inside the suite."""
    if entry.suite is None:
        return
    for name, source in entry.suite.prompts.items():
        yield name, None if source.path is None else beside(entry.path, source.path)


def problem_of(prompt: Prompt) -> str | None:
    """Return why a prompt cannot be sent, if so."""
    try:
        prompt.compiled()
    except ConfigError as error:
        return str(error)
    return None


def _suite_entry(path: str, document: Document) -> SuiteEntry:
    data = document.data if isinstance(document.data, dict) else {}
    try:
        return SuiteEntry(path, data, make_suite(document))
    except ConfigError as error:
        return SuiteEntry(path, data, None, str(error))


def _is_prompt(path: str) -> bool:
    name = path.rpartition("/")[2]
    partial = name.startswith("_") and name.endswith(".prompt")
    return name.lower().endswith(OWN_ENDINGS) and not partial


def _may_be_suite(path: str) -> bool:
    return path.lower().endswith(_SUITES) and not _is_prompt(path)
