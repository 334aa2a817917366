"""lm-evaluation-harness: the ``samples_*.jsonl`` of ``--log_samples``, one line for each document and filter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate.identity import digest
from headgate.store.importers.plain import decode_json
from headgate.store.importers.row import Row
from headgate.suite.records import read_jsonl


def is_sample(data: Mapping[str, Any]) -> bool:
    """Tell whether a JSON line is a logged document."""
    return "doc_id" in data and "filtered_resps" in data


def read_samples(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read the documents; the prompt may differ between two files, the document and its target may not."""
    for line, sample in read_jsonl(path, decode_json):
        columns = {**sample, "item_id": sample.get("doc_id")}
        metrics = tuple(name for name in sample.get("metrics") or () if name in sample)
        yield Row(line, columns, metrics, content=_content(sample))


def _content(sample: Mapping[str, Any]) -> str:
    """Return the digest of what is asked; the hashes are those of the harness, where it wrote them."""
    if "doc_hash" in sample:
        return digest([sample["doc_hash"], sample.get("target_hash")])
    return digest([sample.get("doc"), sample.get("target")])
