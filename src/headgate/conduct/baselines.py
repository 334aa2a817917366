"""Baseline governance: which runs may become a baseline, and which baseline a suite may use."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from headgate.conduct.prepare import Prepared, planned, stored_suite
from headgate.conduct.scoring import bind_scorers, check_scored, stored_versions
from headgate.decide.verdict import Verdict
from headgate.errors import BaselineMissing, ConfigError, StoreError
from headgate.identity import digest
from headgate.registry.load import load_prompts
from headgate.store.baselines.address import open_bundles
from headgate.store.baselines.entry import Baseline, Parts, baseline_parts, content_id
from headgate.store.baselines.library import Library, check_name
from headgate.store.dataset import scan
from headgate.store.disk import naming, replace_bytes
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest
from headgate.store.run import unscored_files
from headgate.store.verify import verify
from headgate.suite.gate import Arm
from headgate.suite.suite import Suite

Address = str | os.PathLike[str]

AUTO: Final = "auto"
_PREFIX: Final = "baseline:"
_CACHE: Final = ".baselines"
_PIN: Final = "baseline.json"
_LOG: Final = logging.getLogger("headgate.conduct")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSearch:
    """What a store holds for a suite.

    Attributes
    ----------
    key : str
        Digest of ``parts``.
    parts : dict
        What the suite's baseline arm is made of.
    found : Baseline or None
        The newest baseline with this key.
    nearest : Baseline or None
        Where there is none: the one that differs least.
    differs : tuple of str
        The parts in which the nearest differs, such as ``prompts.baseline``.
    next_seed : int
        First seed that neither a stored baseline of this key nor a candidate of the suite has.
    """

    key: str
    parts: Parts
    found: Baseline | None
    nearest: Baseline | None
    differs: tuple[str, ...]
    next_seed: int

    def __str__(self) -> str:
        if self.found is not None:
            return f"baseline {self.found.id} of {self.found.created} has key {self.key}"
        none = f"no baseline has key {self.key}"
        if self.nearest is None:
            return f"{none}, and there is no other"
        return f"{none}; the nearest, {self.nearest.id} of {self.nearest.created}, differs in {', '.join(self.differs)}"


def save_baseline(run: Address, *, name: str = "main", store: Address | None = None) -> Baseline:
    """Store the baseline arm of a finished run, and let a name mean it.

    Parameters
    ----------
    run : path or Run
        A run directory: finished, scored, undamaged.
    name : str
        What to call it; where the name meant another baseline, that one stays stored.
    store : str or path, optional
        A folder, ``git:`` with the path of a repository, or a URL such as ``s3://bucket/folder``; default: the
        environment's ``HEADGATE_BASELINES``, else ``.headgate/baselines``.

    Returns
    -------
    Baseline
        Its key, id and facts.

    Raises
    ------
    ConfigError
        If the run is a shard, lacks the baseline arm, or was judged as a candidate: a lucky candidate would then set
        the bar for all that follow.
    StoreError
        If it is not finished, damaged, or has too many errors, or the store refuses. The name then means what it did.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="echo",
    ...     items=[{"word": "one"}, {"word": "two"}],
    ...     prompts={"say": "{{ word }}"},
    ...     models=[{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = hg.save_baseline(hg.run(suite, out=folder + "/run"), store=folder + "/baselines")
    ...     hg.find_baseline(suite, store=folder + "/baselines").found == saved
    True
    """
    check_name(name)
    files, library = RunFolder(Path(run)), Library(open_bundles(store))
    baseline = describe_run(files)
    library.save(files, baseline, name=name)
    return baseline


def find_baseline(suite: Suite, *, store: Address | None = None) -> BaselineSearch:
    """Look for a stored baseline that the baseline arm of a suite may be replaced by.

    Parameters
    ----------
    suite : Suite
        Without ``compare``, all of it is looked for.
    store : str or path, optional
        As for :func:`save_baseline`.

    Raises
    ------
    ConfigError
        If the suite, or the store's address, is wrong.
    StoreError
        If the store refuses.
    """
    library = Library(open_bundles(store))
    return search(library, suite_parts(suite), suite)


def list_baselines(*, store: Address | None = None) -> list[Baseline]:
    """Return all baselines of a store, the newest first."""
    return Library(open_bundles(store)).entries()


def search(library: Library, parts: Parts, suite: Suite) -> BaselineSearch:
    """Look for a baseline that is made of these parts."""
    key = digest(parts)
    stored = library.entries(key)
    nearest = None if stored else library.nearest(parts)
    used = [suite.first_seed + suite.seeds - 1 + (suite.policy.max_seeds or 0), *(one.last_seed for one in stored)]
    return BaselineSearch(
        key=key,
        parts=parts,
        found=stored[0] if stored else None,
        nearest=None if nearest is None else nearest[0],
        differs=() if nearest is None else nearest[1],
        next_seed=max(used) + 1,
    )


def is_address(baseline: Address) -> bool:
    """Tell whether a baseline is named by its address in a store, and not by a path.

    Examples
    --------
    >>> is_address("baseline:main"), is_address("auto"), is_address("runs/main"), is_address("./auto")
    (True, True, False, False)
    """
    return os.fspath(baseline) == AUTO or os.fspath(baseline).startswith(_PREFIX)


def baseline_path(
    baseline: Address | None, *, run: Path, suite: Suite | None = None, store: Address | None = None
) -> Path | None:
    """Return the run directory that a baseline names: a path as it is, an address as a checked copy.

    Parameters
    ----------
    baseline : str or path, optional
        A run directory, ``baseline:`` with a name, key or id, or ``auto``: the one with the key of the run's suite.
    run : Path
        The run to be judged; copies are kept in ``.baselines`` beside it.
    suite : Suite, optional
        Whose comparison holds; default: the run's own.

    Raises
    ------
    BaselineMissing
        If the store holds none; the parts that differ in the nearest are named.
    """
    if baseline is None or not is_address(baseline):
        return None if baseline is None else Path(baseline)
    library = Library(open_bundles(store))
    word = os.fspath(baseline).removeprefix(_PREFIX)
    if word != AUTO:
        found = library.find(word)
    else:
        declared = suite or stored_suite(read_manifest(RunFolder(run).manifest))
        looked = search(library, _run_parts(run, suite), declared)
        if looked.found is None:
            raise missing(looked, library)
        found = looked.found
    return library.fetch(found, cache=_cache(run))


def anchor_path(anchor: Address | None, *, run: Path, store: Address | None = None) -> Path | None:
    """Return the run directory that an anchor names, as :func:`baseline_path`; a release has a name of its own."""
    if anchor is not None and os.fspath(anchor) == AUTO:
        raise ConfigError("finds baselines only", field="anchor", value=AUTO, mend="name it: baseline:release-1.2")
    return baseline_path(anchor, run=run, store=store)


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """Which baseline a check was started with (``id`` None: there was none); ``RUN/baseline.json``."""

    address: str
    key: str | None
    id: str | None


def pinned_path(prepared: Prepared, baseline: Address | None, *, store: Address | None = None) -> Path | None:
    """Return the baseline of a check, as :func:`baseline_path`; a check that is resumed keeps the one that it had.

    None where ``auto`` finds nothing: both arms are asked then.

    Raises
    ------
    ConfigError
        If the check was started with another baseline.
    """
    file = prepared.store.files.path / _PIN
    pin = _read_pin(file)
    asked = None if baseline is None or not is_address(baseline) else os.fspath(baseline)
    if pin is not None and pin.address != asked:
        mend = f"give --baseline {pin.address} to resume it, or choose another --out"
        raise ConfigError("is not what the check began with", file=file, field="baseline", value=asked, mend=mend)
    if asked is None:
        return None if baseline is None else Path(baseline)
    library = Library(open_bundles(store))
    if pin is None:
        pin = _choose(prepared, library, asked)
        with naming(file, "write"):
            replace_bytes(file, msgspec.json.encode(pin))
    if pin.key is None or pin.id is None:
        return None
    return library.fetch(library.read(pin.key, pin.id), cache=_cache(prepared.store.files.path))


def _choose(prepared: Prepared, library: Library, address: str) -> Pin:
    if address != AUTO:
        found = library.find(address.removeprefix(_PREFIX))
        return Pin(address=address, key=found.key, id=found.id)
    arm = None if prepared.suite.compare is None else prepared.suite.compare.baseline
    versions = {scorer.name: scorer.version for scorer in prepared.scorers}
    looked = search(library, baseline_parts(prepared.plan.parts, arm=arm, scorers=versions), prepared.suite)
    if looked.found is None:
        message = f"{library.address}: {looked}; both arms are asked"
        _LOG.warning("no baseline", extra={"facts": {"message": message, "key": looked.key}})
        return Pin(address=address, key=None, id=None)
    return Pin(address=address, key=looked.found.key, id=looked.found.id)


def _read_pin(file: Path) -> Pin | None:
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Pin)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: is damaged: {error}; remove it, or choose another --out") from error


def _cache(run: Path) -> Path:
    return run.absolute().parent / _CACHE


def missing(looked: BaselineSearch, library: Library) -> BaselineMissing:
    """Return the error that says that a store holds no baseline for a suite, and how to get one."""
    mend = "draw one: headgate baseline refresh SUITE"
    return BaselineMissing(f"{library.address}: {looked}; {mend}", keys=looked.differs)


def suite_parts(suite: Suite) -> Parts:
    """Return what the baseline arm of a suite is made of."""
    arm = None if suite.compare is None else suite.compare.baseline
    with planned(suite) as plan:
        return baseline_parts(plan.parts, arm=arm, scorers=_versions(suite))


def _run_parts(run: Path, suite: Suite | None) -> Parts:
    """Return what the baseline arm is made of that a run's candidate is to be compared with."""
    manifest = read_manifest(RunFolder(run).manifest)
    declared = suite or stored_suite(manifest)
    if declared.compare is None:
        mend = "declare `compare`, or name a baseline: baseline:main"
        raise ConfigError(
            "asks for the baseline arm, and the suite declares none", field="baseline", value=AUTO, mend=mend
        )
    arm, plan = declared.compare.baseline, dict[str, Any](manifest.plan.parts)
    if arm.model is not None:
        plan["models"] |= {model.id: digest(model.identity) for model in declared.tested}
    elif arm.prompt not in plan["prompts"]:
        if suite is None:
            mend = "name the suite: --suite SUITE; or the baseline: baseline:main"
            raise ConfigError(
                "does not hold the baseline prompt", file=run, field="prompts", value=arm.prompt, mend=mend
            )
        plan["prompts"] |= {prompt.name: prompt.digest for prompt in load_prompts(suite)}
    return baseline_parts(plan, arm=arm, scorers=stored_versions(run) if suite is None else _versions(suite))


def _versions(suite: Suite) -> dict[str, str]:
    return {scorer.name: scorer.version for scorer in bind_scorers(suite)}


def describe_run(files: RunFolder) -> Baseline:
    """Return what a finished run would be stored as.

    Raises
    ------
    ConfigError, StoreError
        If it may not become a baseline; as :func:`save_baseline`.
    """
    manifest = read_manifest(files.manifest)
    suite = stored_suite(manifest)
    arm = None if suite.compare is None else suite.compare.baseline
    _refuse_part(files, manifest, arm)
    _refuse_unfinished(files, manifest)
    parts = baseline_parts(manifest.plan.parts, arm=arm, scorers=stored_versions(files.path))
    _refuse_errors(files, parts, most=suite.policy.max_error_rate)
    _refuse_candidate(files, parts, arm)
    sums = files.sums.read_bytes()
    return Baseline(
        key=digest(parts),
        id=content_id(sums),
        parts=parts,
        suite=manifest.name,
        run_id=manifest.run_id,
        created=manifest.created,
        git=manifest.git,
        ci_url=manifest.ci_url,
        n_items=manifest.plan.items.n_items,
        first_seed=manifest.plan.first_seed,
        size=sum(file.stat().st_size for file in [files.manifest, files.items, *files.parts(), *files.score_files()]),
    )


def _refuse_part(files: RunFolder, manifest: Manifest, arm: Arm | None) -> None:
    if manifest.shard is not None:
        mend = "merge all shards, and save the whole: headgate merge RUN... --out DIR"
        raise ConfigError(f"is shard {manifest.shard} of a plan", file=files.path, mend=mend)
    names: Mapping[str, object] = {}
    if arm is not None:
        names = manifest.plan.prompts if arm.axis == "prompt" else manifest.plan.models
    if arm is not None and arm.value not in names:
        raise ConfigError(
            f"does not hold the baseline arm, {arm.axis} {arm.value}",
            file=files.path,
            mend="run it: headgate run SUITE --arm baseline",
        )


def _refuse_unfinished(files: RunFolder, manifest: Manifest) -> None:
    if files.journal.is_dir() and any(files.journal.iterdir()):
        mend = "wait for it, or run the same command again to resume"
        raise StoreError(f"{files.path}: is still being written, or its end was lost; {mend}")
    problems = sorted(verify(files.path), key=lambda problem: problem.unfinished)
    if problems:
        raise StoreError(f"{problems[0]}; only a run that is finished and whole can be a baseline")
    check_scored(files.path, {name: stored_versions(files.path).get(name, "any") for name in manifest.scorers})
    for file, rows, answers in unscored_files(files):
        raise StoreError(
            f"{file}: {rows:,} scores for {answers:,} answers; score it again: headgate score {files.path}"
        )


def _refuse_errors(files: RunFolder, parts: Parts, *, most: float) -> None:
    import polars as pl

    ours = pl.col("prompt").is_in(list(parts["prompts"])) & pl.col("model").is_in(list(parts["models"]))
    counts = scan(files.path).filter(ours).select(n=pl.len(), errored=(pl.col("status") == "error").sum())
    jobs, errored = counts.collect(engine="streaming").row(0)
    if errored > most * jobs:
        raise StoreError(
            f"{files.path}: {errored:,} of {jobs:,} jobs errored, more than {most:.3g} of them; run them again: "
            f"headgate run SUITE --retry-errors --out {files.path}"
        )


def _refuse_candidate(files: RunFolder, parts: Parts, arm: Arm | None) -> None:
    """Refuse rows that a verdict was about: of those that pass, the lucky ones are too many (winner's curse)."""
    path = files.path / "verdict.json"
    if not path.is_file():
        return
    verdict = Verdict.from_json(path.read_bytes())
    judged = set(verdict.candidate.prompt_digests.values()) & set(parts["prompts"].values())
    both_arms = verdict.baseline is not None and verdict.baseline.run == verdict.candidate.run
    if judged and not (both_arms and arm is not None and arm.axis == "model"):
        raise ConfigError(
            "was judged as a candidate: as a baseline its luck would set the bar",
            file=path,
            field="candidate",
            mend="draw it again with seeds of its own: headgate baseline refresh SUITE",
        )
