"""The service's canaries as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from headgate.decide.verdict import ArmTraffic, Verdict
from headgate.report.exposition import Sample, family
from headgate.serve.service import Pair

_WORDS: Final = {"pass": 1, "fail": -1}


def canary_metrics(found: Iterable[tuple[Pair, Verdict]], *, received: int) -> str:
    """Return what is known of each canary as Prometheus text, format 0.0.4.

    Parameters
    ----------
    found : iterable of tuple of Pair and Verdict
        The labels, and the verdict as it stands.
    received : int
        Rows and spans' requests that were received since the start.
    """
    rows = [({"canary": name, "baseline": stable, "candidate": canary}, v) for (name, stable, canary), v in found]
    told = [(labels, v.traffic) for labels, v in rows if v.traffic is not None]
    verdicts: list[Sample] = [(labels, _WORDS.get(v.verdict, 0)) for labels, v in rows]
    arms = [
        ({**labels, "arm": arm}, counts)
        for labels, traffic in told
        for arm, counts in (("baseline", traffic.baseline), ("candidate", traffic.candidate))
    ]
    lines = [
        *family("canary_verdict", "gauge", "1 pass, 0 inconclusive, -1 fail.", verdicts),
        *family("canary_alarms", "gauge", "Things to look at.", [(labels, len(t.alarms)) for labels, t in told]),
        *family("canary_waiting", "gauge", "Requests not judged yet.", [(labels, t.waiting) for labels, t in told]),
        *_counts(arms),
        *family("canary_bad_total", "counter", "Lines not read.", [(labels, t.bad) for labels, t in told]),
        *family("canary_unmatched_total", "counter", "Of neither arm.", [(labels, t.unmatched) for labels, t in told]),
        *family("serve_received_total", "counter", "Bodies received.", [({}, received)]),
    ]
    return "\n".join(lines) + "\n"


def _counts(arms: list[tuple[dict[str, str], ArmTraffic]]) -> Iterator[str]:
    said = {
        "rows": "Requests read.",
        "units": "Independent units judged.",
        "late": "Requests that came too late.",
        "duplicate": "Requests that came twice.",
        "repeated": "Requests of a conversation after its unit.",
        "crossed": "Requests of a conversation of the other arm.",
    }
    for name, text in said.items():
        samples: list[Sample] = [(labels, getattr(counts, name)) for labels, counts in arms]
        yield from family(f"canary_{name}_total", "counter", text, samples)
