"""What a suite declares: whether its files are there and render, its functions import, its caps can be held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from headgate.conduct.cap import check_cap
from headgate.conduct.doctor.finding import Finding, from_error, ok, warning
from headgate.conduct.judges import judge_prompts
from headgate.conduct.scoring import bind_scorers
from headgate.errors import ConfigError, GitError
from headgate.plan import Plan, plan_suite
from headgate.prices import find_prices
from headgate.registry.catalogue import Catalogue
from headgate.registry.load import load_prompts
from headgate.registry.lock import FILE, check_lock, read_lock
from headgate.registry.root import find_root
from headgate.registry.tree import FolderTree
from headgate.suite.callables import resolve_callable
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_SHOWN = 5


class Declared:
    """What was read of a suite while it was looked at.

    Attributes
    ----------
    prompts : sequence of Prompt
        Empty where one of them is wrong.
    jobs : int
        Of its plan; 0 where that cannot be made.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.prompts: Sequence[Prompt] = ()
        self.jobs = 0

    def examine(self) -> Iterator[Finding]:
        """Yield what is found, the costly parts last."""
        yield from self._prompts()
        yield from self._items()
        yield from self._functions()
        yield from self._money()
        yield from self._lock()

    def _prompts(self) -> Iterator[Finding]:
        try:
            self.prompts = load_prompts(self.suite)
        except ConfigError as error:
            yield from_error("prompts", error)
        else:
            yield ok("prompts", f"all can be read: {', '.join(prompt.name for prompt in self.prompts)}")

    def _items(self) -> Iterator[Finding]:
        suite = self.suite
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "items.parquet"
            try:
                write_items(read_rows(suite.items, base=suite.base, file=suite.file), self.prompts, path)
            except ConfigError as error:
                yield from_error("items", error)
                return
            items = ItemFile(path)
            if not self.prompts:
                yield ok("items", f"{len(items):,} can be read")
                return
            plan: Plan = plan_suite(suite, items=items, prompts=self.prompts)
            self.jobs = len(plan)
            yield ok("items", f"{len(items):,} can be read, and every prompt renders for each: {self.jobs:,} jobs")

    def _functions(self) -> Iterator[Finding]:
        suite = self.suite
        try:
            scorers = bind_scorers(suite)
        except ConfigError as error:
            yield from_error("scorers", error)
        else:
            names = ", ".join(scorer.name for scorer in scorers)
            yield ok("scorers", f"all can be used: {names}" if names else "none is declared")
        for model in suite.models:
            if model.call is not None:
                about = f"models.{model.id}"
                try:
                    resolve_callable(model.call, base=suite.base, field=f"{about}.call", file=suite.file)
                except ConfigError as error:
                    yield from_error(about, error)
                else:
                    yield ok(about, "its function can be called")

    def _money(self) -> Iterator[Finding]:
        suite, prices = self.suite, find_prices(self.suite.places)
        try:
            judges = judge_prompts(scorer.judge for scorer in bind_scorers(suite))
            check_cap(suite, self.prompts, prices, judges=judges)
        except ConfigError as error:
            yield from_error("budget", error)
            return
        costly = [place.id for place in suite.places if place.provider not in {"python", "simulated"}]
        unknown = [model for model in costly if prices[model] is None]
        if unknown:
            said = f"what these cost is not known: {', '.join(unknown)}; their rows will have no cost"
            yield warning("prices", said, "declare `price` of the model, 0 where it costs nothing")
        elif costly:
            yield ok("prices", "known for every model")

    def _lock(self) -> Iterator[Finding]:
        try:
            tree = FolderTree(find_root(self.suite.base))
            if FILE not in tree.paths:
                return
            locked = read_lock(tree)
            differing = list(check_lock(locked, Catalogue(tree, named=locked)))
        except (ConfigError, GitError) as error:
            yield from_error(FILE, error)
            return
        for said in differing[:_SHOWN]:
            mend = "restore the prompt, or accept it: headgate prompts lock"
            yield from_error(FILE, ConfigError(said, mend=mend))
        if len(differing) > _SHOWN:
            yield warning(FILE, f"{len(differing) - _SHOWN} more prompts differ", "headgate prompts verify names all")
        if not differing:
            yield ok(FILE, f"{len(locked)} prompts are what they were")
