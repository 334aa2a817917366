"""From run directories to a verdict: what the stored runs say, handed to the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headgate.conduct.classes import true_labels
from headgate.conduct.prepare import stored_suite
from headgate.conduct.scoring import bind_scorers, check_scored, stored_versions
from headgate.decide.facts import RunFacts, number_items
from headgate.decide.judge import decide
from headgate.decide.metric import classifications
from headgate.decide.missing import leave_out_substitutes
from headgate.decide.serving import count_serving
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError
from headgate.execute.reuse import REDRAWN_MARK
from headgate.store.baselines.entry import read_stored
from headgate.store.dataset import scan, scan_scores
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest
from headgate.suite.gate import Arm, Compare
from headgate.suite.items import ItemFile, column_text
from headgate.suite.scorers import Classification
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import polars as pl

_RESULTS = (
    "job_id",
    "item_id",
    "cluster",
    "prompt",
    "model",
    "seed",
    "status",
    "error_kind",
    "stop_reason",
    "latency_s",
    "cost_usd",
    "output_tokens",
    "served_model",
    "endpoint",
    "substitute",
    "cache_hit",
    "metadata_json",
)
_SCORES = ("job_id", "item_id", "cluster", "prompt", "model", "seed", "scorer", "value")
_GRADED = ("label", "human")
"""Columns of scores that are read where a judge has graded."""


def gate_runs(
    run: Path,
    *,
    baseline: Path | None = None,
    anchor: Path | None = None,
    suite: Suite | None = None,
    candidate: str | None = None,
) -> Verdict:
    """Judge a stored run by the gates of a suite.

    Parameters
    ----------
    run : Path
        The candidate's run directory.
    baseline : Path, optional
        The baseline's; without it both arms are in ``run``, or the gates are absolute.
    anchor : Path, optional
        The run of the last release, for gates that are held against it.
    suite : Suite, optional
        Whose gates, policy and comparison hold; default: the suite that the run was started with.
    candidate : str, optional
        ``prompt=NAME`` or ``model=NAME``: judge this arm in place of the declared candidate.

    Raises
    ------
    ConfigError
        If the suite has no gates, an arm does not exist, or scores are missing.
    """
    manifest = read_manifest(RunFolder(run).manifest)
    declared = suite or stored_suite(manifest)
    compare = choose_compare(declared, candidate)
    chosen = sorted({name for gate in declared.gates for name in (*gate.where, *gate.slices)})
    labelled = labelled_by(declared)
    read = [read_facts(run, suite, columns=chosen, labelled=labelled)]
    read += [
        read_facts(path, None, columns=chosen, labelled=labelled) for path in (baseline, anchor) if path is not None
    ]
    numbered = iter(number_items(read))
    ours = next(numbered)
    theirs, oldest = (None if path is None else next(numbered) for path in (baseline, anchor))
    return decide(
        ours,
        theirs,
        anchor=oldest,
        gates=declared.gates,
        scorers=declared.scorers,
        compare=compare,
        policy=declared.policy,
    )


def choose_compare(suite: Suite, candidate: str | None) -> Compare | None:
    """Return the comparison of a suite, with another candidate when one is asked for.

    Raises
    ------
    ConfigError
        If ``candidate`` is not ``prompt=NAME`` or ``model=NAME``, or names the baseline or nothing.
    """
    if candidate is None:
        return suite.compare
    axis, _, name = candidate.partition("=")
    if axis not in {"prompt", "model"} or not name:
        raise ConfigError("is no arm", field="--candidate", value=candidate, mend="write it like prompt=NAME")
    if suite.compare is None or suite.compare.baseline.axis != axis:
        raise ConfigError(
            f"the suite compares no two {axis}s", field="--candidate", value=candidate, mend="declare `compare`"
        )
    names = set(suite.prompts) if axis == "prompt" else {model.id for model in suite.tested}
    if name not in names:
        raise ConfigError(
            "is not declared", field="--candidate", value=name, mend=f"choose of {', '.join(sorted(names))}"
        )
    if name == suite.compare.baseline.value:
        raise ConfigError("is the baseline", field="--candidate", value=name, mend="choose another arm")
    return Compare(baseline=suite.compare.baseline, candidate=Arm.model_validate({axis: name}))


def labelled_by(suite: Suite) -> list[Classification]:
    """Return the classifications whose labels the metrics of a suite's gates are made of."""
    return classifications({gate.metric for gate in suite.gates}, suite.scorers)


def read_facts(
    path: Path, suite: Suite | None, *, columns: Sequence[str] = (), labelled: Sequence[Classification] = ()
) -> RunFacts:
    """Collect what a decision needs to know of a stored run.

    Parameters
    ----------
    suite : Suite, optional
        Whose scorers must be there as they are declared now; None takes the scores as they are.
    columns : sequence of str
        Columns of the items that gates choose by.
    labelled : sequence of Classification
        Whose labels metrics are made of.
    """
    manifest = read_manifest(RunFolder(path).manifest)
    versions = stored_versions(path)
    if suite is None:
        check_scored(path, {name: versions.get(name, "any") for name in manifest.scorers})
    else:
        wanted = {scorer.name: scorer.version for scorer in bind_scorers(suite)}
        check_scored(path, wanted)
        versions = wanted
    facts = _own_arm(known_facts(path, manifest, scorers=versions, columns=columns, labelled=labelled), path)
    scores = _collect(scan_scores(path), facts.scores.columns)
    results, scores = leave_out_substitutes(collect_results(scan(path)), scores)
    facts = replace(facts, results=results, scores=scores, serving=serving_of(scan(path)))
    return replace(facts, n_items=manifest.plan.items.n_items)


def collect_results(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return what the decision needs to know of rows of results."""
    import polars as pl

    redrawn = pl.col("metadata_json").str.starts_with(REDRAWN_MARK).fill_null(value=False).alias("redrawn")
    return rows.select(*_RESULTS, redrawn).drop("metadata_json").collect(engine="streaming")


def serving_of(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return how the answers among some rows were served."""
    return count_serving(rows).collect(engine="streaming")


def _own_arm(facts: RunFacts, path: Path) -> RunFacts:
    """Return a stored baseline as the arm that was saved: another one in the same run, a candidate, is no baseline."""
    stored = read_stored(path)
    if stored is None:
        return facts
    return replace(
        facts,
        run=stored.address,
        prompts={name: one for name, one in facts.prompts.items() if name in stored.parts["prompts"]},
        models={name: one for name, one in facts.models.items() if name in stored.parts["models"]},
    )


def known_facts(
    path: Path,
    manifest: Manifest,
    *,
    scorers: Mapping[str, str],
    columns: Sequence[str] = (),
    labelled: Sequence[Classification] = (),
) -> RunFacts:
    """Return what is known of a run before its first row: no items, empty tables."""
    graded = _GRADED if RunFolder(path).judges.is_dir() or _has_judge(manifest) else ()
    more = dict.fromkeys((*graded, *(("label",) if labelled else ())))
    return RunFacts(
        run=str(path),
        suite_digest=manifest.suite_digest,
        plan_digest=manifest.plan.digest,
        items_digest=manifest.plan.items.digest,
        n_items=0,
        seeds=manifest.plan.seeds,
        first_seed=manifest.plan.first_seed,
        prompts={name: prompt.digest for name, prompt in manifest.plan.prompts.items()},
        models={name: model.digest for name, model in manifest.plan.models.items()},
        scorers=scorers,
        git=manifest.git,
        results=collect_results(scan(path).head(0)).drop("substitute"),
        serving=serving_of(scan(path).head(0)),
        scores=_collect(scan_scores(path).head(0), (*_SCORES, *more)),
        greedy=frozenset(name for name, model in manifest.plan.models.items() if _is_greedy(model.identity)),
        read_outputs=None if manifest.outputs == "drop" else partial(_outputs, path),
        columns=_item_columns(path, columns) if columns else None,
        true_labels=true_labels(path, labelled) if labelled else None,
    )


def _has_judge(manifest: Manifest) -> bool:
    return any(scorer.get("type") == "judge" for scorer in manifest.suite.get("scorers", ()))


def _is_greedy(identity: Mapping[str, Any]) -> bool:
    """Tell whether a model runs at temperature 0: the same question then has the same answer, as a rule."""
    return bool(identity.get("params", {}).get("temperature") == 0)


def _outputs(path: Path, prompt: str, model: str) -> pl.DataFrame:
    import polars as pl

    rows = scan(path).filter((pl.col("prompt") == prompt) & (pl.col("model") == model))
    return rows.select("item_id", "seed", "output").collect(engine="streaming")


def _item_columns(path: Path, names: Sequence[str]) -> pl.DataFrame:
    """Return columns of the items as text; null where an item has none of that name."""
    import polars as pl

    rows = [
        (item_id, *(column_text(decoded.get(name)) for name in names))
        for batch in ItemFile(RunFolder(path).items).batches(["item_id", "variables_json"])
        for item_id, variables in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        for decoded in [msgspec.json.decode(variables)]
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(["item_id", *names], pl.String), orient="row")


def _collect(frame: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    return frame.select(columns).collect(engine="streaming")
