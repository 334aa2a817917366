"""A cell of a run as the log of openai/evals: JSON lines with the spec, an event for each answer, the final report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from headgate.store.exporters.row import Answer, Exported


def write_events(path: Path, cell: Exported, answers: Iterable[Answer]) -> None:
    """Write the log; an item is a sample there, and its seeds are events of the same sample."""
    sums = {name: (0.0, 0) for name, _ in cell.scorers}
    with path.open("wb") as file:

        def write(data: Mapping[str, Any]) -> None:
            file.write(msgspec.json.encode(data) + b"\n")

        write({"spec": _spec(cell)})
        number = 0
        for answer in answers:
            for kind, data in _events(cell, answer):
                write(_event(cell, answer, number, kind, data))
                number += 1
            for name, column in cell.scorers:
                if answer.row[column] is not None:
                    sums[name] = sums[name][0] + answer.row[column], sums[name][1] + 1
        write({"final_report": {name: total / count for name, (total, count) in sums.items() if count}})


def _spec(cell: Exported) -> dict[str, Any]:
    manifest = cell.manifest
    return {
        "completion_fns": [cell.model_name],
        "eval_name": f"{manifest.name}.{cell.prompt}",
        "base_eval": manifest.name,
        "split": cell.prompt,
        "run_config": {"params": cell.identity.get("params"), "seeds": manifest.plan.seeds},
        "created_by": "headgate",
        "run_id": manifest.run_id,
        "created_at": manifest.created,
    }


def _event(cell: Exported, answer: Answer, number: int, kind: str, data: Any) -> dict[str, Any]:
    return {
        "run_id": cell.manifest.run_id,
        "event_id": number,
        "sample_id": answer.row["item_id"],
        "type": kind,
        "data": data,
        "created_by": "headgate",
        "created_at": answer.row["finished_at"],
    }


def _events(cell: Exported, answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    row = answer.row
    if row["status"] == "error":
        yield "error", {"type": row["error_kind"], "message": row["error_message"], "seed": row["seed"]}
        return
    sampled = [row["output"] or ""]
    yield "sampling", {"prompt": answer.messages, "sampled": sampled, "seed": row["seed"]}
    scores = {name: row[column] for name, column in cell.scorers}
    yield "metrics", {**scores, "expected": answer.item.target, "seed": row["seed"]}
