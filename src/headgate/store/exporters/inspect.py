"""A cell of a run as a log that Inspect reads: a zip with one JSON file for each item and seed, and a header."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from headgate.identity import canonical_json
from headgate.store.exporters.row import Answer, Exported

_STOPS: Final = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls", "content_filter": "content_filter"}
_SUMMARIES: Final = 1000
_SUMMARY_FOLDER: Final = "_journal/summaries/"
_SUMMARY_TEXT: Final = 1024
_ROLES: Final = {"developer": "system"}


def write_log(path: Path, cell: Exported, answers: Iterable[Answer]) -> None:
    """Write a ``.eval`` log.

    Notes
    -----
    An item is Inspect's sample and a seed its epoch; ``input`` is the item, whatever the prompt, and ``messages`` what
    was asked and answered, so that the logs of two prompts hold the same samples. A score that is null has no entry; a
    job that errored is a sample with an error.
    """
    sums = {name: (0.0, 0) for name, _ in cell.scorers}
    samples = completed = 0
    eval_spec, summaries = _spec(cell), list[dict[str, Any]]()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "_journal/start.json", {"version": 2, "eval": eval_spec, "plan": _plan(cell)})
        for answer in answers:
            sample = _sample(cell, answer)
            samples += 1
            completed += "error" not in sample
            for name, score in sample["scores"].items():
                total, count = sums[name]
                sums[name] = total + score["value"], count + 1
            _write(archive, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.append(_summary(sample))
            if len(summaries) == _SUMMARIES:
                _write_summaries(archive, summaries)
        _write_summaries(archive, summaries)
        header = {
            "version": 2,
            "status": "success" if cell.complete else "cancelled",
            "eval": eval_spec,
            "plan": _plan(cell),
            "results": _results(sums, samples, completed),
            "stats": {"started_at": cell.manifest.created, "completed_at": cell.manifest.created, "model_usage": {}},
        }
        _write(archive, "header.json", header)


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Inspect lists of a sample without opening it."""
    kept = {name: sample[name] for name in ("id", "epoch", "target", "scores", "model_usage", "total_time", "uuid")}
    error = sample.get("error", {}).get("message")
    return {**kept, "input": sample["input"][:_SUMMARY_TEXT], "completed": True, "error": error}


def _write_summaries(archive: zipfile.ZipFile, summaries: list[dict[str, Any]]) -> None:
    """Write the next file of summaries, and forget them: Inspect reads all files of this folder."""
    if summaries:
        number = sum(name.startswith(_SUMMARY_FOLDER) for name in archive.namelist()) + 1
        _write(archive, f"{_SUMMARY_FOLDER}{number}.json", summaries)
        summaries.clear()


def _write(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    archive.writestr(name, msgspec.json.encode(data))


def _spec(cell: Exported) -> dict[str, Any]:
    plan, manifest = cell.manifest.plan, cell.manifest
    return {
        "eval_id": manifest.run_id,
        "run_id": manifest.run_id,
        "created": manifest.created,
        "task": manifest.name,
        "task_id": f"{manifest.name}-{cell.prompt}",
        "task_version": 0,
        "task_attribs": {},
        "task_args": {"prompt": cell.prompt},
        "dataset": {"name": manifest.name, "samples": plan.items.n_items, "shuffled": False},
        "model": cell.model_name,
        "model_args": {},
        "config": {"epochs": plan.seeds},
        "packages": manifest.versions,
        "metadata": {
            "headgate_suite_digest": manifest.suite_digest,
            "headgate_plan_digest": plan.digest,
            "headgate_prompt_digest": plan.prompts[cell.prompt].digest,
        },
    }


def _plan(cell: Exported) -> dict[str, Any]:
    return {"name": "plan", "steps": [], "config": {}, "metadata": {"params": cell.identity.get("params")}}


def _results(sums: Mapping[str, tuple[float, int]], samples: int, completed: int) -> dict[str, Any]:
    scores = [
        {"name": name, "scorer": name, "params": {}, "metrics": {"mean": {"name": "mean", "value": total / count}}}
        for name, (total, count) in sums.items()
        if count
    ]
    return {"total_samples": samples, "completed_samples": completed, "scores": scores}


def _input(variables: Mapping[str, Any]) -> str:
    """Return the one text that an item has beside its id and target, or else all of it as JSON."""
    kept = {name: value for name, value in variables.items() if name not in {"id", "target"}}
    texts = list(kept.values())
    if len(texts) == 1 and isinstance(texts[0], str):
        return texts[0]
    return canonical_json(kept).decode()


def _sample(cell: Exported, answer: Answer) -> dict[str, Any]:
    row = answer.row
    asked = [{"role": _ROLES.get(one["role"], one["role"]), "content": one["content"]} for one in answer.messages]
    model, text = row["served_model"] or cell.model_name, row["output"] or ""
    said = {"role": "assistant", "content": text, "source": "generate", "model": model}
    usage = {name: row[name] or 0 for name in ("input_tokens", "output_tokens")}
    usage["total_tokens"] = sum(usage.values())
    has_failed = row["status"] == "error"
    choices = [] if has_failed else [{"message": said, "stop_reason": _STOPS.get(row["stop_reason"], "unknown")}]
    scores = {name: {"value": row[column]} for name, column in cell.scorers if row[column] is not None}
    sample = {
        "id": row["item_id"],
        "epoch": row["seed"],
        "input": _input(answer.item.variables),
        "target": answer.item.target or "",
        "messages": asked if has_failed else [*asked, said],
        "output": {"model": model, "choices": choices, "usage": usage, "time": row["latency_s"]},
        "scores": scores,
        "metadata": dict(answer.item.variables),
        "store": {},
        "events": [],
        "model_usage": {cell.model_name: usage},
        "total_time": row["latency_s"],
        "uuid": row["job_id"],
        "attachments": {},
    }
    if has_failed:
        message = f"{row['error_kind']}: {row['error_message'] or ''}"
        sample["error"] = {"message": message, "traceback": "", "traceback_ansi": ""}
    return sample
