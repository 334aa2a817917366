"""Suites with a simulated judge, and what their runs hold."""

from __future__ import annotations

import headgate as hg

JUDGE = {"id": "judge-small", "provider": "simulated", "role": "judge"}


def judged_suite(*, n=60, judge=None, latency_s=0.0, model=None, scorer=None, **changes):
    """Return a suite whose metric `right` is a judge's, over a model of known accuracy."""
    simulate = {"latency_s": latency_s, "judge": judge or {}}
    declared = {
        "name": "judged",
        "items": [{"id": f"s{number}", "question": f"{number} + 1 = ?", "target": number + 1} for number in range(n)],
        "prompts": {"old": "{{ question }}", "new": "Sum:\n{{ question }}"},
        "models": [
            {"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.8, "latency_s": 0.0}},
            {**JUDGE, "simulate": simulate, **(model or {})},
        ],
        "scorers": [
            {"name": "right", "type": "judge", "kind": "closed_qa", "model": "judge-small", **(scorer or {})},
            {"name": "exact", "type": "exact_match"},
        ],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "right", "margin": 0.1}],
    }
    return hg.Suite(**{**declared, **changes})


def scores(run):
    """Return job_id and a column of values for each scorer, in order."""
    frame = hg.scan_scores(run).collect()
    return frame.pivot("scorer", index="job_id", values="value").sort("job_id")


def served(url):
    """Return a suite whose judge is served elsewhere, four requests at a time."""
    lanes = [{"models": ["judge-small"], "concurrency": 4}]
    return judged_suite(model={"base_url": url, "simulate": None}, lanes=lanes)
