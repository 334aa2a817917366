"""``prompts.lock``: the digest of every prompt, so that a change that nobody meant (of a partial) is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from headgate.errors import ConfigError
from headgate.registry.catalogue import Catalogue
from headgate.registry.files import read_json, write_json
from headgate.registry.tree import Tree, named, read_text

FILE: Final = "prompts.lock"
_SCHEMA: Final = "headgate.prompts.lock/v1"


def read_lock(tree: Tree) -> dict[str, str]:
    """Return the locked digests by address; none where there is no lock.

    Raises
    ------
    ConfigError
        If the file is broken.
    """
    if FILE not in tree.paths:
        return {}
    file = named(tree, FILE)
    prompts = read_json(read_text(tree, FILE), file, schema=_SCHEMA).get("prompts")
    if not isinstance(prompts, dict) or not all(isinstance(digest, str) for digest in prompts.values()):
        raise ConfigError("is no mapping of text to text", file=file, field="prompts")
    return prompts


def write_lock(root: Path, catalogue: Catalogue) -> dict[str, str]:
    """Lock all prompts of a catalogue that can be read; return their digests.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    digests = {address: digest for address, digest in catalogue.digests.items() if digest is not None}
    write_json(root / FILE, {"schema": _SCHEMA, "prompts": digests})
    return digests


def check_lock(locked: Mapping[str, str], catalogue: Catalogue) -> Iterator[str]:
    """Yield how the prompts of a catalogue differ from their lock."""
    for address, digest in catalogue.digests.items():
        if address not in locked and digest is not None:
            yield f"{address}: is not in {FILE}"
        elif address in locked and digest is None:
            yield f"{address}: {catalogue.entries[address].problem}"
        elif address in locked and digest != locked[address]:
            yield f"{address}: is {digest}, and {FILE} says {locked[address]}"
    for address in locked:
        if address not in catalogue.digests:
            yield f"{address}: is in {FILE}, and no prompt any more"
