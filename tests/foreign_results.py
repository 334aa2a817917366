"""Results of other tools, as small files written in a test; and where the real ones lie."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("HEADGATE_SHARED", Path(__file__).parents[1].parent / "shared")) / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="results of other tools are not here: set HEADGATE_SHARED")


def promptfoo(scores, *, model="gpt", prompt="p", **fields):
    """Return a document as ``promptfoo eval --output`` writes it; a score of None is a request that failed."""
    results = [
        {
            "testIdx": index,
            "promptIdx": 0,
            "vars": {"q": f"question {index}"},
            "prompt": {"raw": "...", "label": prompt},
            "provider": {"id": model, "label": ""},
            "score": 0 if score is None else score,
            "success": score == 1,
            "failureReason": 2 if score is None else 0,
            "error": "API error: 500" if score is None else None,
            "latencyMs": 1500,
            "cost": 0.001,
            "namedScores": {"tone": 0.5},
        }
        | fields
        for index, score in enumerate(scores)
    ]
    return {"evalId": "eval-1", "results": {"version": 3, "prompts": [], "results": results, "stats": {}}, "config": {}}


def inspect_samples(values, *, epochs=1):
    """Return the samples of an Inspect log whose scorer ``match`` gave these values, in every epoch."""
    return [
        {
            "id": index,
            "epoch": epoch,
            "input": [{"id": f"random-{epoch}", "role": "user", "content": f"question {index}"}],
            "target": "x",
            "scores": {"match": {"value": value}},
            "total_time": 1.5,
        }
        for epoch in range(1, epochs + 1)
        for index, value in enumerate(values)
    ]


def inspect_header(**fields):
    return {"version": 2, "status": "success", "eval": {"model": "mockllm/model", "task": "t"}, "plan": {}} | fields


def write_eval(path, samples, **fields):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(inspect_header(**fields)))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return path


def lm_eval(values, *, filters=("none",)):
    """Return lines as ``--log_samples`` writes them."""
    return "".join(
        json.dumps(
            {
                "doc_id": index,
                "doc": {"q": index},
                "target": "x",
                "filtered_resps": ["x"],
                "filter": name,
                "metrics": ["acc"],
                "doc_hash": f"hash {index}",
                "prompt_hash": name,
                "acc": value,
            }
        )
        + "\n"
        for index, value in enumerate(values)
        for name in filters
    )


def written_rows(path):
    """Return the samples of an ``.eval`` log."""
    with zipfile.ZipFile(path) as archive:
        return [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("samples/")]
