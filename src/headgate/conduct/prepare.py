"""Everything that can be wrong before the first request: prompts, items, scorers, keys, and the run directory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from headgate.conduct.cap import check_cap
from headgate.conduct.evaluators import make_ready
from headgate.conduct.grading import check_judges
from headgate.conduct.hosts import check_host, check_hosts
from headgate.conduct.judges import check_pairs, judge_prompts
from headgate.conduct.scoring import BoundScorer, bind_scorers
from headgate.errors import ConfigError, PlanMismatch
from headgate.execute.endpoint import check_forms, resolve_key
from headgate.execute.routing import Route
from headgate.plan import Plan, differing_keys, plan_suite
from headgate.prices import ModelPrice, declared_price, find_prices
from headgate.registry.load import load_prompts
from headgate.shard import Shard
from headgate.store.disk import naming
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, make_manifest
from headgate.store.run import RunStore, lock_run, unlock_run
from headgate.suite.callables import resolve_callable
from headgate.suite.endpoint import RouteName
from headgate.suite.gate import Arm
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.scorers import EmbeddingSimilarity
from headgate.suite.suite import Suite

_STAGED = "items.parquet.new"

ArmName = Literal["baseline", "candidate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run directory that is open for writing, and all that its jobs need.

    Attributes
    ----------
    calls : dict of str to callable
        Model id to the callable of provider ``python``.
    prices : dict of str to ModelPrice
        Model id, or that of a place, to what its tokens cost, where that is known: as the manifest says.
    routes : dict of str to Route
        Model id to how its endpoints are chosen, of models that have several.
    resumed : bool
        The run had been started before.
    """

    suite: Suite
    plan: Plan
    store: RunStore
    scorers: tuple[BoundScorer, ...]
    calls: dict[str, Callable[..., Any]]
    prices: dict[str, ModelPrice]
    routes: dict[str, Route]
    resumed: bool


def prepare(
    suite: Suite,
    out: Path,
    *,
    seeds: int | None = None,
    shard: Shard | None = None,
    arm: ArmName | None = None,
    allow_hosts: Collection[str] | None = None,
    argv: Sequence[str] | None = None,
) -> Prepared:
    """Check a suite and open its run directory, new or to be resumed.

    Parameters
    ----------
    seeds : int, optional
        How many there may be, in place of the suite's.
    shard : Shard, optional
        Take only this part of the items.
    arm : {"baseline", "candidate"}, optional
        Plan only this arm of the comparison.
    allow_hosts : collection of str, optional
        Hosts that keys may go to; default: any.

    Raises
    ------
    ConfigError
        If anything that the suite names is missing or wrong, or the folder holds something else.
    PlanMismatch
        If the folder holds a run of another plan, or another shard of this one.
    StoreError
        If the disk refuses, or another process writes to the run.
    """
    chosen = choose_arm(suite, arm)
    prompts = [prompt for prompt in load_prompts(suite) if chosen is None or chosen.has_prompt(prompt.name)]
    scorers = bind_scorers(suite, keys=True)
    make_ready(scorers)
    check_pairs(suite, whole=chosen is None)
    calls = dict(resolve_calls(suite))
    judges = judge_prompts(scorer.judge for scorer in scorers)
    for model in suite.models:
        if model.role == "judge" or chosen is None or chosen.has_model(model.id):
            check_model(suite, model, prompts if model.role == "tested" else judges.get(model.id, ()), allow_hosts)
    for scorer in scorers:
        if isinstance(scorer.spec, EmbeddingSimilarity) and scorer.key is not None:
            check_host(scorer.spec.base_url, allow_hosts, field=f"scorers.{scorer.name}.base_url", file=suite.file)
    files = RunFolder(out)
    _check_folder(files)
    lock = lock_run(files)  # before anything is written: two commands may start at once
    staged = out / _STAGED
    try:
        with naming(files.items, "write"):
            write_items(read_rows(suite.items, base=suite.base, file=suite.file), prompts, staged, base=suite.base)
        plan = plan_suite(suite, items=ItemFile(staged), prompts=prompts, arm=chosen, seeds=seeds)
        store = RunStore.open(out, lock=lock) if files.manifest.exists() else None
        resumed = store is not None
        if store is not None:
            _check_plan(store, plan, shard)
            _check_prices(suite, store.manifest.prices)
            _check_store_options(suite, store.manifest)
        tested = (place for model in suite.tested for place in model.places)
        prices = find_prices(tested) if store is None else store.manifest.prices
        check_judges(scorers, ItemFile(staged))
        judged = find_judge_prices(suite)
        check_cap(suite, prompts, {**prices, **judged}, judges=judges)
        if store is None:
            open_routes(suite, plan, prices)  # what is wrong with them is found before anything is written
            staged.replace(files.items)
            plan = plan_suite(suite, items=ItemFile(files.items), prompts=prompts, arm=chosen, seeds=seeds)
            versions = {scorer.name: scorer.version for scorer in scorers}
            manifest = make_manifest(suite, plan, scorers=versions, argv=argv, shard=shard, prices=prices, out=out)
            store = RunStore.create(out, manifest, lock=lock)
        staged.unlink(missing_ok=True)
    except BaseException:
        staged.unlink(missing_ok=True)
        unlock_run(files, lock)
        if not files.manifest.exists() and not any(out.iterdir()):
            out.rmdir()
        raise
    plan = plan_suite(suite, items=ItemFile(files.items), prompts=prompts, arm=chosen, seeds=seeds)
    known = {model: price for model, price in {**prices, **judged}.items() if price is not None}
    routes = open_routes(suite, plan, prices)
    facts: dict[str, Any] = {"calls": calls, "prices": known, "routes": routes, "resumed": resumed}
    return Prepared(suite=suite, plan=plan, store=store, scorers=scorers, **facts)


def check_model(suite: Suite, model: Model, prompts: Sequence[Prompt], allow_hosts: Collection[str] | None) -> None:
    """Make sure that a model can be asked these prompts, wherever it is served."""
    for place in model.places:
        check_forms(place, prompts, file=suite.file)
        resolve_key(place, base=suite.base, file=suite.file)
    check_hosts(suite, model.places, allow_hosts)


def item_keys(plan: Plan) -> Callable[[int], bytes]:
    """Return what tells a job's item by the job's index: the digest of the item, without reading it."""
    return lambda index: plan.items.item_digest(index // len(plan.cells))


def open_routes(suite: Suite, plan: Plan, prices: Mapping[str, ModelPrice | None]) -> dict[str, Route]:
    """Return how the endpoints of each model are chosen that has several.

    Raises
    ------
    ConfigError
        If a router cannot be imported, or no endpoint has what a prompt needs.
    """
    key_of = item_keys(plan)
    routes: dict[str, Route] = {}
    for model in plan.models:
        if not model.endpoints:
            continue
        router = None
        if model.route not in get_args(RouteName):
            field = f"models.{model.id}.route"
            router = resolve_callable(model.route, base=suite.base, field=field, file=suite.file)
        routes[model.id] = Route(model, prompts=plan.prompts, prices=prices, key_of=key_of, router=router)
    return routes


def find_judge_prices(suite: Suite) -> dict[str, ModelPrice | None]:
    """Return what the tokens of each judge cost today: every run of a judge keeps its own."""
    return find_prices(suite.judges)


def _check_prices(suite: Suite, stored: Mapping[str, ModelPrice | None]) -> None:
    """Refuse a declared price that is not the one the run was started with: all its costs are computed alike."""
    for index, model in enumerate(suite.models):
        for place in model.places if model.role == "tested" else ():
            theirs = stored.get(place.id)
            if place.price is None or (theirs is not None and theirs.rates == declared_price(place.price).rates):
                continue
            was = "no price was known" if theirs is None else f"its price was {theirs.source}'s"
            was = "no price was known" if theirs is None else f"its price was {theirs.source}'s"
            raise ConfigError(
                f"is not what the run was started with, when {was}",
                file=suite.file,
                line=suite.line("models", index, "price"),
                field=f"models.{index}.price",
                mend="choose another --out, or leave the price as it was",
            )


def _check_store_options(suite: Suite, manifest: Manifest) -> None:
    """Refuse to keep other things of a run's later rows than of its first ones."""
    stored = stored_suite(manifest).store
    for field in ("outputs", "redact"):
        was: Any = getattr(stored, field)
        if getattr(suite.store, field) != was:
            raise ConfigError(
                f"is not what the run was started with, {was!r}",
                file=suite.file,
                line=suite.line("store", field),
                field=f"store.{field}",
                mend="choose another --out, or leave it as it was",
            )


def stored_suite(manifest: Manifest) -> Suite:
    """Return the suite that a run was started with; callables stand in it by name."""
    return Suite.model_validate(manifest.suite)


@contextmanager
def planned(suite: Suite) -> Generator[Plan]:
    """Yield the plan of a suite that is not run: its items lie in a temporary folder.

    Raises
    ------
    ConfigError
        If a prompt or an item is missing or wrong.
    """
    prompts = load_prompts(suite)
    for place in suite.places:
        if place.role == "tested":
            check_forms(place, prompts, file=suite.file)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        write_items(read_rows(suite.items, base=suite.base, file=suite.file), prompts, path, base=suite.base)
        yield plan_suite(suite, items=ItemFile(path), prompts=prompts)


def choose_arm(suite: Suite, name: ArmName | None) -> Arm | None:
    """Return an arm of a suite's comparison; None for all that the suite declares.

    Raises
    ------
    ConfigError
        If the suite compares nothing, or the name is that of no arm.
    """
    if name is None:
        return None
    if name not in get_args(ArmName):
        raise ConfigError("is no arm", field="arm", value=name, mend="use baseline or candidate")
    if suite.compare is None:
        mend = "declare `compare`, or run all of it"
        raise ConfigError("the suite compares nothing", file=suite.file, field="arm", value=name, mend=mend)
    return suite.compare.baseline if name == "baseline" else suite.compare.candidate


def _check_folder(files: RunFolder) -> None:
    """Refuse to write into a folder that holds something else."""
    if not files.path.exists() or files.manifest.exists():
        return
    if not files.path.is_dir():
        raise ConfigError("is no folder", file=files.path, mend="choose another --out")
    ours = {files.items.name, files.journal.name, _STAGED, _STAGED + ".tmp", "items.parquet.tmp", "manifest.json.tmp"}
    others = sorted(entry.name for entry in files.path.iterdir() if entry.name not in ours)
    if others:
        raise ConfigError(
            f"is no run directory, and holds {', '.join(others[:3])}", file=files.path, mend="choose another --out"
        )


def _check_plan(store: RunStore, plan: Plan, shard: Shard | None) -> None:
    keys = differing_keys(plan.parts, store.manifest.plan.parts)
    stored = store.manifest.shard
    if keys:
        problem = f"holds a run of another plan: {', '.join(keys)} differ"
        mend = "choose another --out, or restore what the run was started with"
    elif shard != stored:
        keys, problem = ("shard",), f"holds {_part(stored)}, not {_part(shard)}: shard differs"
        again = "leave --shard out" if stored is None else f"give --shard {stored}"
        mend = f"choose another --out, or {again} to resume it"
    else:
        return
    store.close()
    raise PlanMismatch(problem, keys=keys, file=store.files.path, mend=mend)


def _part(shard: Shard | None) -> str:
    return "the whole plan" if shard is None else f"shard {shard} of the plan"


def resolve_calls(suite: Suite) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the models of provider ``python``, and their callables."""
    for model in suite.models:
        if model.call is not None:
            field = f"models.{model.id}.call"
            yield model.id, resolve_callable(model.call, base=suite.base, field=field, file=suite.file)
