"""The manifest: the facts of a run, written once, before its first request."""

from __future__ import annotations

import os
import platform
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from headgate.errors import ConfigError, StoreError
from headgate.identity import digest
from headgate.plan import Plan, differing_keys, plan_parts
from headgate.prices import ModelPrice
from headgate.shard import Shard
from headgate.store.disk import naming, replace_bytes
from headgate.store.provenance import Git, ci_url, git_state, hide_login, hide_secrets, versions
from headgate.store.schema import SCHEMA_VERSION
from headgate.suite.callables import callable_name
from headgate.suite.prompts import content_text
from headgate.suite.suite import Suite


class ItemsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Digest and number of the items."""

    digest: str
    n_items: int


class PromptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt: its digest, what the digest covers, and the file it came from."""

    digest: str
    messages: list[tuple[str, str]]
    params: dict[str, Any]
    file: str | None
    language: str = "jinja2"
    defaults: dict[str, Any] = {}
    partials: dict[str, str] = {}


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One model: its digest, and what the digest covers."""

    digest: str
    identity: dict[str, Any]


class PlanFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The plan: its digest, and the parts that the digest covers."""

    digest: str
    n_jobs: int
    items: ItemsFacts
    prompts: dict[str, PromptFacts]
    models: dict[str, ModelFacts]
    seeds: int
    axis: str
    first_seed: int = 1

    @property
    def parts(self) -> dict[str, object]:
        """The parts by name, as :attr:`headgate.plan.Plan.parts` has them."""
        return plan_parts(
            items=self.items.digest,
            prompts={name: prompt.digest for name, prompt in self.prompts.items()},
            models={name: model.digest for name, model in self.models.items()},
            seeds=self.seeds,
            first_seed=self.first_seed,
            axis=self.axis,
        )


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a run; unknown keys of later versions are ignored.

    Attributes
    ----------
    schema : int
        Version of the run directory; columns of results and scores belong to it.
    suite : dict
        The declared suite as JSON, as :func:`suite_json` makes it.
    scorers : dict
        Scorer name to version.
    ci_url : str, optional
        The CI job that made the run.
    argv : list of str
        The command line, without secrets.
    shard : Shard, optional
        Which part of the plan the run takes; None takes all of it.
    merged : list of str
        Ids of the runs that this one was merged from, in the order of their shards.
    suite_folder : str, optional
        From the run to the folder that the suite's paths start from.
    prices : dict
        Model id, or that of a place, to the price that costs were computed with; null where none was known, or shards
        had different ones.
    """

    schema: int = SCHEMA_VERSION
    run_id: str
    name: str
    created: str
    suite: dict[str, Any]
    suite_digest: str
    plan: PlanFacts
    scorers: dict[str, str]
    git: Git | None
    ci_url: str | None
    versions: dict[str, str]
    platform: str
    argv: list[str]
    shard: Shard | None = None
    merged: list[str] = []
    suite_folder: str | None = None
    prices: dict[str, ModelPrice | None] = {}

    @property
    def outputs(self) -> str:
        """How outputs are kept: ``keep``, ``hash`` or ``drop``."""
        outputs: str = self.suite.get("store", {}).get("outputs", "keep")
        return outputs

    @property
    def n_jobs(self) -> int:
        """Jobs of the plan that are this run's."""
        if self.shard is None:
            return self.plan.n_jobs
        n_items = self.plan.items.n_items
        return self.shard.n_items(n_items) * (self.plan.n_jobs // n_items)


def make_manifest(
    suite: Suite,
    plan: Plan,
    *,
    scorers: Mapping[str, str] | None = None,
    argv: Sequence[str] | None = None,
    shard: Shard | None = None,
    prices: Mapping[str, ModelPrice | None] | None = None,
    out: Path | None = None,
) -> Manifest:
    """Collect the facts of a new run.

    Parameters
    ----------
    suite, plan : Suite, Plan
        What will run.
    scorers : mapping, optional
        Scorer name to version.
    argv : sequence of str, optional
        The command line; default ``sys.argv``.
    shard : Shard, optional
        Which part of the plan will run.
    prices : mapping, optional
        Model id to price.
    out : Path, optional
        The run directory.
    """
    now = datetime.now(UTC)
    declared = suite_json(suite)
    return Manifest(
        run_id=new_run_id(now),
        name=suite.name,
        created=now.isoformat(timespec="seconds"),
        suite=declared,
        suite_digest=digest(declared),
        plan=_plan_facts(plan),
        scorers=dict(scorers or {}),
        git=git_state(suite.base),
        ci_url=ci_url(os.environ),
        versions=versions(),
        platform=platform.platform(),
        argv=hide_secrets(sys.argv if argv is None else argv),
        shard=shard,
        suite_folder=None if out is None else way_to(suite.base, out),
        prices=dict(prices or {}),
    )


def way_to(folder: Path, run: Path) -> str:
    """Return the way from a run to a folder: it holds on where both are moved together, and names no machine's paths.

    Examples
    --------
    >>> way_to(Path("/work/evals"), Path("/work/evals/runs/main"))
    '../..'
    """
    return os.path.relpath(folder.resolve(), run.resolve())


def new_run_id(now: datetime) -> str:
    """Return the id of a run that begins now."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def suite_json(suite: Suite) -> dict[str, Any]:
    """Return the declared suite as JSON data.

    Callables become their names. Inline items become an empty list: they may be many, and ``items.parquet`` holds them.
    A login inside a URL is dropped.
    """
    inline = {"items": {"rows"}}
    declared: dict[str, Any] = suite.model_dump(mode="json", fallback=callable_name, exclude=inline, warnings=False)
    if suite.items.rows is not None:
        declared["items"]["rows"] = []
    for place in (place for model in declared["models"] for place in (model, *model["endpoints"])):
        place["base_url"] = None if place["base_url"] is None else hide_login(place["base_url"])
    return declared


def _plan_facts(plan: Plan) -> PlanFacts:
    parts: dict[str, Any] = plan.parts
    prompts = {
        prompt.name: PromptFacts(
            digest=prompt.digest,
            messages=[(role, content_text(content)) for role, content in prompt.messages],
            params=dict(prompt.params),
            file=prompt.file,
            language=prompt.language,
            defaults=dict(prompt.defaults),
            partials=dict(prompt.partials),
        )
        for prompt in plan.prompts
    }
    models = {model.id: ModelFacts(digest=parts["models"][model.id], identity=model.identity) for model in plan.models}
    return PlanFacts(
        digest=plan.digest,
        n_jobs=len(plan),
        items=ItemsFacts(digest=plan.items.digest, n_items=len(plan.items)),
        prompts=prompts,
        models=models,
        seeds=plan.seeds,
        axis=plan.axis,
        first_seed=plan.first_seed,
    )


def differences(ours: PlanFacts | Plan, theirs: PlanFacts | Plan) -> tuple[str, ...]:
    """Return the dotted names of the parts in which two plans differ, such as ``prompts.candidate``."""
    return differing_keys(ours.parts, theirs.parts)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest durably; it is written once.

    Raises
    ------
    StoreError
        If there is one already, or the disk refuses.
    """
    if path.exists():
        raise StoreError(f"{path}: is there already; a manifest is written once")
    with naming(path, "write"):
        replace_bytes(path, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a run.

    Raises
    ------
    ConfigError
        If there is none: the folder is no run.
    StoreError
        If it is damaged, or of a later version.
    """
    if not path.is_file():
        raise ConfigError("is not a run directory: it has no manifest.json", file=path.parent)
    with naming(path, "read"):
        data = path.read_bytes()
    try:
        version = msgspec.json.decode(data, type=_Version).schema
        if version <= SCHEMA_VERSION:
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: is damaged: {error}; restore it from a copy of the run") from error
    raise StoreError(f"{path}: is of schema {version}, and this headgate reads up to {SCHEMA_VERSION}; update headgate")


class _Version(msgspec.Struct):
    schema: int
