"""The verdict as data: ``headgate.verdict/v1``, its JSON and its JSON Schema."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import msgspec

from headgate.errors import ConfigError
from headgate.store.provenance import Git

Word = Literal["pass", "fail", "inconclusive", "invalid"]
Tier = Literal["blocking", "warning", "monitor"]
Against = Literal["baseline", "anchor"]
RuleName = Literal["margin", "min", "max", "max_ratio", "zero_tolerance"]

EXIT_CODES: Final[dict[Word, int]] = {"pass": 0, "fail": 1, "invalid": 3, "inconclusive": 20}
WORST_FIRST: Final[tuple[Word, ...]] = ("invalid", "fail", "inconclusive", "pass")
SCHEMA_ID: Final = "headgate.verdict/v1"


class _Finite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: a number that is not finite is not known, and stands as null."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                msgspec.structs.force_setattr(self, name, None)


class MetricRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gate in one cell.

    Attributes
    ----------
    name, tier, rule : str
        The gate: metric, tier, and which rule it is.
    cell : dict
        What the row is about, such as ``{"model": "small"}``.
    against : str or None
        ``baseline`` or ``anchor``; null for rules that judge the candidate alone.
    margin : float or None
        The declared bound of the rule: margin, min, max or max_ratio; null for zero_tolerance.
    estimate, low, high : float or None
        In the units of the metric: the difference candidate - baseline (margin), the candidate's mean (min, max), the
        ratio (max_ratio), or the share of items (zero_tolerance), with the limits that decided.
    confidence : float
        One-sided level of each limit.
    p_value : float or None
        Smallest alpha at which the rule would fail.
    needed_items : int or None
        Items that would decide if the estimates stayed as they are; only where it is inconclusive.
    needed_seeds : int or None
        Seeds of the same items that would decide; null where no number of them would, or one seed tells nothing.
    mde : float or None
        Smallest true change that would be seen with 80 % power.
    seed_share : float or None
        Share of the estimate's variance that is noise of seeds, which more seeds take away; the rest is how items
        differ, which only more items do. Null where an item has one seed.
    judge_share : float or None
        Share of the estimate's variance that is its judges' own, which more grades of each answer take away; where
        there are several seeds, it is a part of theirs. Null where each answer has one grade.
    endpoint_share : float or None
        Share of the variance of the items (of their differences, where arms are compared) that is between the endpoints
        that served them: more items take it away only as far as they meet more endpoints. Null where one served all.
    n_labels : int
        Items whose labels by humans correct the judge.
    """

    name: str
    tier: Tier
    rule: RuleName
    cell: dict[str, str]
    against: Against | None
    margin: float | None
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    baseline_mean: float | None
    candidate_mean: float | None
    n_items: int
    n_clusters: int | None
    n_jobs: int
    method: str
    p_value: float | None
    verdict: Word
    needed_items: int | None
    needed_seeds: int | None
    mde: float | None
    seed_share: float | None
    flags: list[str]
    reason: str
    judge_share: float | None = None
    endpoint_share: float | None = None
    n_labels: int = 0


class ItemRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that is credibly worse over its seeds, whatever the mean of all items says.

    Attributes
    ----------
    name : str
        The metric.
    cell : dict
        As in :class:`MetricRow`.
    p_value : float
        Adjusted for the items of the cell that could be found: among those listed, about one in ten is chance.
    """

    name: str
    cell: dict[str, str]
    item_id: str
    baseline_mean: float
    candidate_mean: float
    p_value: float


class LookRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blocking row at one look: its limits at the look's level, and its word, which stays once it is pass or fail.

    ``against`` and ``seed_share`` are those of :class:`MetricRow`.
    """

    name: str
    rule: RuleName
    cell: dict[str, str]
    against: Against | None
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    verdict: Word
    seed_share: float | None = None


class DriftRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored baseline that was drawn again in part, and whether it still answers as it did.

    Attributes
    ----------
    name : str
        The metric.
    cell : dict
        Prompt and model of the baseline.
    stored_mean, drawn_mean : float or None
        On the items that were drawn again.
    low, high : float or None
        Limits of the difference, drawn - stored, at ``confidence`` (two-sided, that of the look).
    drifted : bool
        Whether they leave out 0.
    """

    name: str
    cell: dict[str, str]
    stored_mean: float | None
    drawn_mean: float | None
    low: float | None
    high: float | None
    confidence: float
    n_items: int
    drifted: bool


class ServingRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In what the two arms of a cell were served differently.

    Attributes
    ----------
    name : str
        Column of the results: served_model, dropped_params, endpoint, api_version, system_fingerprint, fallback; or
        deployment, what a gateway says that stood behind it.
    cell : dict
        As in :class:`MetricRow`.
    candidate, baseline : dict of str to float
        Shares of the answers of each arm.
    distance : float
        Share of the answers that would have to be served otherwise for the arms to be alike.
    p_value : float
        Fisher's, of the value in which they differ most.
    invalid : bool
        Whether it forbids a verdict; else it warns.
    """

    name: str
    cell: dict[str, str]
    candidate: dict[str, float]
    baseline: dict[str, float]
    distance: float
    p_value: float
    invalid: bool


class JudgeRow(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the judges of a metric are worth, in one cell.

    Attributes
    ----------
    name : str
        The metric.
    cell : dict
        Prompt and model whose answers were graded.
    judges : list of str
        Ids of the models that grade.
    n_graded, n_labels : int
        Answers with a score, and of these those that humans have labelled too.
    bias : float or None
        Mean of score - label.
    kappa, kappa_low, kappa_high : float or None
        Cohen's kappa of judge and humans on which half of the scale an answer is in, and its two-sided 95 % limits.
    sensitivity, specificity : float or None
        Share of the good answers that it calls good, and of the others that it does not.
    panel_kappa, panel_kappa_low, panel_kappa_high : float or None
        Fleiss' kappa of the judges of a panel.
    position_bias, position_bias_low, position_bias_high : float or None
        Of pairs, asked in both orders: how much more often the first answer wins than the second.
    flips : float or None
        Share of the pairs in which the answer in one place wins, whichever it is.
    """

    name: str
    cell: dict[str, str]
    judges: list[str]
    n_graded: int
    n_labels: int
    bias: float | None = None
    kappa: float | None = None
    kappa_low: float | None = None
    kappa_high: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    panel_kappa: float | None = None
    panel_kappa_low: float | None = None
    panel_kappa_high: float | None = None
    position_bias: float | None = None
    position_bias_low: float | None = None
    position_bias_high: float | None = None
    flips: float | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One look of a sequential run.

    Attributes
    ----------
    look : int
        Its number, from 1.
    n_items : int
        Items of the prefix that it waited for.
    seeds : int
        Of each item.
    fraction : float
        Share of all that may be asked.
    rows : list of LookRow
        Of the cells that were asked for it.
    """

    look: int
    n_items: int
    seeds: int
    fraction: float
    rows: list[LookRow]


class ArmErrors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of the jobs of one arm; ``unscored`` are answered jobs that a gated scorer could not score."""

    planned: int
    ok: int
    refused: int
    errored: int
    not_run: int
    unscored: int
    kinds: dict[str, int]


class Errors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts of the arms."""

    candidate: ArmErrors
    baseline: ArmErrors | None
    anchor: ArmErrors | None = None


class ArmFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an arm comes from.

    Attributes
    ----------
    cached, fallback : int
        Answers that came from the response cache, and from another endpoint than the first.
    """

    run: str
    suite_digest: str
    plan_digest: str
    prompt_digests: dict[str, str]
    served_models: list[str]
    git: Git | None
    cached: int = 0
    fallback: int = 0


class ArmTraffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Live traffic of one arm.

    Attributes
    ----------
    rows : int
        Requests that were read.
    units : int
        Independent units that they made: requests, or conversations.
    late, duplicate, repeated, crossed : int
        Requests in no unit: they came too late, came twice, came after their conversation had had its unit, or belong
        to a conversation that met the other arm first.
    """

    rows: int
    units: int
    late: int
    duplicate: int
    repeated: int
    crossed: int


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The live traffic that a canary was judged on.

    Attributes
    ----------
    since, until : str or None
        Time of the first request, and the time up to which everything was judged: UTC, ISO 8601.
    waiting : int
        Requests that are not judged yet: earlier ones may still come.
    unmatched : int
        Requests of neither arm.
    bad : int
        Lines that could not be read; the first few are named in ``bad_lines``.
    alarms : list of str
        What someone should look at: drift, a source that cannot be read, errors that no gate watches.
    """

    since: str | None
    until: str | None
    candidate: ArmTraffic
    baseline: ArmTraffic
    waiting: int
    unmatched: int
    bad: int
    bad_lines: list[str]
    alarms: list[str]


class Verdict(_Finite, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="schema", tag=SCHEMA_ID):
    """Whether a change may pass.

    Attributes
    ----------
    verdict : str
        ``pass``, ``fail``, ``inconclusive`` or ``invalid``: that of the worst blocking row.
    reason : str
        Why, in one line.
    exit_code : int
        0, 1, 20 or 3 in this order; ``policy.on_inconclusive`` maps 20.
    created : str
        UTC, ISO 8601.
    alpha : float
        The declared rate of false blocks, and of false passes.
    metrics : list of MetricRow
        One per gate and cell.
    errors : Errors
        Counts per arm.
    candidate, baseline, anchor : ArmFacts
        The arms; ``baseline`` is null where every gate is absolute, ``anchor`` where no gate is held against one.
    items : list of ItemRow
        Items that are credibly worse over their seeds. They inform; they never decide.
    looks : list of Look
        Looks of a check; empty otherwise.
    look_plan : str or None
        Content id of the order of the items and of the looks, which were fixed before the first request.
    drift : list of DriftRow
        What a stored baseline that was drawn again in part has come to, at the last look.
    serving : list of ServingRow
        In what the arms were served differently; empty where they were served alike.
    traffic : Traffic or None
        Of a canary; null otherwise.
    judges : list of JudgeRow
        What the judges behind the gates are worth.
    """

    verdict: Word
    reason: str
    exit_code: int
    created: str
    alpha: float
    metrics: list[MetricRow]
    errors: Errors
    candidate: ArmFacts
    baseline: ArmFacts | None
    anchor: ArmFacts | None = None
    items: list[ItemRow] = []
    looks: list[Look] = []
    look_plan: str | None = None
    drift: list[DriftRow] = []
    serving: list[ServingRow] = []
    traffic: Traffic | None = None
    judges: list[JudgeRow] = []

    def to_json(self) -> bytes:
        """Return indented JSON; what is not a finite number stands as null."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes | str) -> Verdict:
        """Read a verdict back.

        Raises
        ------
        ConfigError
            If it is not a verdict of this version; unknown fields are errors.
        """
        try:
            raw = msgspec.json.decode(data)
            if not isinstance(raw, dict) or raw.get("schema") != SCHEMA_ID:
                raise ConfigError(f"is not a {SCHEMA_ID} document", field="schema")
            return msgspec.json.decode(data, type=Verdict)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"a verdict cannot be read from it: {error}") from error

    def __str__(self) -> str:
        from headgate.decide.table import verdict_table

        return verdict_table(self)


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema of verdict.json.

    Examples
    --------
    >>> verdict_schema()["$id"]
    'headgate.verdict/v1'
    """
    schema = msgspec.json.schema(Verdict)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
