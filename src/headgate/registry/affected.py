"""Which suites a change touches: by the digests of what they are made of, not by patterns of file names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headgate.errors import ConfigError
from headgate.identity import digest, digest_bytes
from headgate.registry.catalogue import Catalogue, SuiteEntry, prompt_addresses
from headgate.registry.load import split_address
from headgate.registry.tree import Tree, beside
from headgate.suite.suite import Suite


@dataclass(frozen=True, slots=True)
class Affected:
    """A suite that must run: its file, and which of its parts changed (``suite``, ``items``, ``prompts.NAME`` ...)."""

    suite: str
    changed: tuple[str, ...]


def affected_suites(base: Tree, head: Tree, *, suites: Iterable[str] = ()) -> list[Affected]:
    """Return the suites of a tree that are made of something else than in another.

    Parameters
    ----------
    base, head : Tree
        Before and after.
    suites : iterable of str
        Only these files; default: every suite in ``head``.

    Raises
    ------
    ConfigError
        If a suite that is named is not there.

    Notes
    -----
    A suite that cannot be read is one part, its bytes; so it counts when it changed.
    """
    before, after = Catalogue(base), Catalogue(head)
    named = list(suites)
    found = [after.suite(path, told=True) for path in named] if named else after.suites.values()
    affected: list[Affected] = []
    for entry in found:
        assert entry is not None
        old = before.suite(entry.path, told=True) if entry.path in base.paths else None
        parts, known = dict(suite_parts(after, entry)), {} if old is None else dict(suite_parts(before, old))
        changed = sorted(part for part in parts.keys() | known.keys() if parts.get(part) != known.get(part))
        if changed:
            affected.append(Affected(entry.path, ("new",) if old is None else tuple(changed)))
    return affected


def suite_parts(catalogue: Catalogue, entry: SuiteEntry) -> Iterator[tuple[str, str]]:
    """Yield what a suite is made of: the names of its parts, and their digests (of the bytes of unreadable ones)."""
    if entry.suite is None:
        yield "suite", digest_bytes(catalogue.tree.read(entry.path))
        return
    yield "suite", _declared(catalogue.tree, entry)
    for name, address in prompt_addresses(entry):
        if address is not None:
            found = catalogue.entry(address).digest
            yield f"prompts.{name}", found or _digest(catalogue.tree, split_address(address)[0])
    for part, path in _files(entry.suite):
        yield part, _digest(catalogue.tree, beside(entry.path, path))


def _declared(tree: Tree, entry: SuiteEntry) -> str:
    try:
        return digest(dict(entry.data))
    except ValueError:  # inline items that are not JSON data: a run refuses them
        return digest_bytes(tree.read(entry.path))


def _files(suite: Suite) -> Iterator[tuple[str, str]]:
    """Yield the files that a suite names beside its prompts, relative to its own."""
    if suite.items.path is not None:
        yield "items", suite.items.path
    for scorer in suite.scorers:
        declared = scorer.model_dump()
        for key in ("call", "rubric", "schema", "tools", "prompt"):
            value = declared.get(key)
            if isinstance(value, str):
                yield f"scorers.{scorer.name}", _module(value) if key == "call" else value
    for model in suite.models:
        named = [name for name in (model.call, model.route) if isinstance(name, str) and ":" in name]
        yield from ((f"models.{model.id}", _module(name)) for name in named)


def _module(call: str) -> str:
    """Return the file of a module that lies beside the suite."""
    return call.partition(":")[0].replace(".", "/") + ".py"


def _digest(tree: Tree, path: str) -> str:
    try:
        return digest_bytes(tree.read(path))
    except ConfigError:
        return "absent"  # an installed module, or a file that is not under version control
