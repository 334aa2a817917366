"""Runs of a suite whose answers are known, scored by evaluators."""

from __future__ import annotations

import tempfile
from pathlib import Path

import headgate as hg

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}


def evaluator_suite(evaluators, items, *, judge=None, **more):
    """The model says the item's column ``answer``; ``judge`` is where the model ``judge`` is, or a function."""
    models = [{"id": "echo", "provider": "python", "call": lambda messages: messages[-1]["content"]}]
    if judge is not None:
        where = {"provider": "openai-compatible", "base_url": judge}
        served = {"provider": "python", "call": judge} if callable(judge) else where
        served |= {"params": {"max_tokens": 50}, "price": PRICE}
        models.append({"id": "judge", "role": "judge", "max_attempts": 2, **served})
    models[0]["price"] = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
    models[0]["params"] = {"max_tokens": 1}
    scorers = [{"name": f"s{n}", "type": "evaluator", **one} for n, one in enumerate(evaluators)]
    return hg.Suite(
        name="evaluated", items=items, prompts={"p": "{{ answer }}"}, models=models, scorers=scorers, **more
    )


def score_items(evaluator, items, *, judge=None):
    """Return (value, label, explanation) of each item, in order."""
    suite = evaluator_suite([evaluator], items, judge=judge)
    with tempfile.TemporaryDirectory() as folder:
        run = hg.run(suite, out=Path(folder) / "run")
        assert hg.verify(Path(folder) / "run") == []
        rows = hg.scan_scores(run).collect()
    found = {row["item_id"]: (row["value"], row["label"], row["explanation"]) for row in rows.iter_rows(named=True)}
    return [found[str(number)] for number in range(1, len(items) + 1)]


def values(evaluator, items, *, judge=None):
    return [value for value, _, _ in score_items(evaluator, items, judge=judge)]
