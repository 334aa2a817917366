"""A stored run opened to be scored again: with the scorers of a suite, or those that it was started with."""

from __future__ import annotations

from pathlib import Path

from headgate.conduct.cap import check_cap
from headgate.conduct.grading import check_judges
from headgate.conduct.judges import judge_prompts
from headgate.conduct.prepare import Prepared, check_model, find_judge_prices, resolve_calls, stored_suite
from headgate.conduct.scoring import BoundScorer, bind_scorers, check_open
from headgate.errors import ConfigError
from headgate.plan import Plan
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.run import RunStore
from headgate.suite.items import ItemFile
from headgate.suite.suite import Suite


def prepare_scoring(run: Path, suite: Suite | None = None) -> Prepared:
    """Open a stored run to score it again: its plan is empty, and only judges are asked.

    Parameters
    ----------
    suite : Suite, optional
        Default: the one that the run was started with; its paths start from where it was then.

    Raises
    ------
    ConfigError
        If the folder is no run, or what the suite's scorers name is missing or wrong.
    StoreError
        If the disk refuses, or another process writes to the run.
    """
    if suite is None:
        suite, scorers = _bind_stored(run)
    else:
        scorers = bind_scorers(suite, keys=True)
    asked = judge_prompts(scorer.judge for scorer in scorers)
    alone = suite.model_copy(update={"models": suite.judges})
    for model in suite.judges:
        check_model(suite, model, asked.get(model.id, ()), None)
    calls, prices = dict(resolve_calls(alone)), find_judge_prices(suite)
    check_cap(alone, (), prices, judges=asked)
    store = RunStore.open(run)
    try:
        check_open(store)
        items = ItemFile(store.files.items)
        check_judges(scorers, items)
        plan = Plan(items, prompts=(), models=(), seeds=1)
    except BaseException:
        store.close()
        raise
    known = {model: price for model, price in prices.items() if price is not None}
    return Prepared(
        suite=alone, plan=plan, store=store, scorers=scorers, calls=calls, prices=known, routes={}, resumed=True
    )


def _bind_stored(run: Path) -> tuple[Suite, tuple[BoundScorer, ...]]:
    """Return the suite that a run was started with and its scorers, from the files that it names."""
    manifest = read_manifest(RunFolder(run).manifest)
    suite = stored_suite(manifest)
    if manifest.suite_folder is not None:
        suite = suite.at(run.resolve() / manifest.suite_folder)
    try:
        return suite, bind_scorers(suite, keys=True)
    except ConfigError as error:
        mend = f"paths start from {suite.base}: if the suite is elsewhere, give it (--suite)"
        raise error.with_mend("; ".join(filter(None, [error.mend, mend]))) from error
