"""Why a row says what it says, in one line."""

from __future__ import annotations

from typing import Final

from headgate.decide.arms import Items, Rarest
from headgate.decide.rules import Ruling
from headgate.stats.ppi import LABELS
from headgate.suite.gate import Gate

_PASS: Final = {
    "margin": "the difference {estimate:+.4g} is surely within the margin of {bound:.4g}",
    "min": "the mean {estimate:.4g} is surely above {bound:.4g}",
    "max": "the mean {estimate:.4g} is surely below {bound:.4g}",
    "max_ratio": "the ratio {estimate:.4g} is surely below {bound:.4g}",
}
_FAIL: Final = {
    "margin": "the candidate is worse: the difference {estimate:+.4g} is surely not 0",
    "min": "the mean {estimate:.4g} is surely below {bound:.4g}",
    "max": "the mean {estimate:.4g} is surely above {bound:.4g}",
    "max_ratio": "the candidate takes more: the ratio {estimate:.4g} is surely above 1",
}
_OPEN: Final = "{estimate:.4g}, between {low:.4g} and {high:.4g}, decides nothing about {rule} {bound:.4g}"


FEW_OF_A_LABEL: Final = "few_of_a_label"
_SPEND: Final = {
    "items": "what differs most is the items: more of them tell most",
    "seeds": "what differs most is the seeds: more of them tell most",
    "endpoints": "what differs most is the endpoints: ask one of them alone",
    "grades": "what differs most is the judge's own grades: more repeats, or a larger panel, tell most",
}


def reason_of(gate: Gate, ruling: Ruling, *, items: Items, absent: int, spend: str | None = None) -> str:
    """Return the reason of a row; ``spend`` is what takes most of its variance away."""
    bound = float(getattr(gate, gate.rule))
    texts = {"pass": _PASS.get(gate.rule, ""), "fail": _FAIL.get(gate.rule, "")}
    text = texts.get(ruling.verdict, _OPEN).format(
        estimate=ruling.estimate, low=ruling.low, high=ruling.high, bound=bound, rule=gate.rule
    )
    notes = [f"{absent} jobs were not run"] if absent else []
    if items.n_missing:
        notes.append(f"{items.n_missing} jobs have no value: {_missing(ruling)}")
    if "identical_responses" in ruling.flags:
        notes.append("every response is the same text in both arms: is something cached, or the change not in use?")
    if "calibrated" in ruling.flags:
        notes.append(f"corrected by the labels of {items.n_labels} items")
    if "few_labels" in ruling.flags:
        notes.append(f"the judge is not calibrated: fewer than {LABELS} items have a label")
    if "uncalibrated" in ruling.flags:
        notes.append("the judge is not calibrated: how far it errs is not known")
    if FEW_OF_A_LABEL in ruling.flags and items.rarest is not None:
        notes.append(_rare(items.rarest, items))
    if "few_clusters" in ruling.flags:
        notes.append("few effective clusters")
    if ruling.verdict == "inconclusive" and ruling.needed_items is not None and not absent:
        notes.append(f"about {ruling.needed_items} items would decide if nothing else changed")
        if spend is not None:
            notes.append(_SPEND[spend])
    return "; ".join([text, *notes])


def _rare(rarest: Rarest, items: Items) -> str:
    units = "items" if items.cluster is None else "effective clusters"
    if rarest.label is None:
        return f"an arm gives other labels than its most common one to {rarest.units:.3g} {units} only"
    return f"{rarest.units:.3g} {units} are {rarest.label!r}"


def _missing(ruling: Ruling) -> str:
    if "complete_pairs" in ruling.flags:
        return "complete pairs only"
    if "missing_values_decide" in ruling.flags:
        return "at their worst and at their best the decision differs"
    return "at their worst and at their best the decision is the same"
