"""Inspect's logs: ``.eval``, a zip with a JSON file for each sample and epoch, and the same as one JSON document."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError, StoreError
from headgate.identity import digest
from headgate.store.importers.archive import Archive
from headgate.store.importers.plain import decode_json, read_json
from headgate.store.importers.row import Row

_VALUES: Final = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What Inspect itself makes of them: correct, incorrect, partially, no answer, and words."""


def is_log(data: Any) -> bool:
    """Tell whether a JSON document is a log."""
    return isinstance(data, dict) and "eval" in data and "samples" in data


def read_log(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read a log that is one JSON document, which is in memory whole."""
    data = read_json(path)
    if not is_log(data):
        raise ConfigError("is no log of Inspect: it has no `eval` and no `samples`", file=path)
    _refuse_unfinished(data, path)
    return (_row(number, sample, data, path) for number, sample in enumerate(data["samples"] or (), 1))


def read_archive(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read a ``.eval`` log, one sample at a time."""
    try:
        with Archive(path) as archive:
            names = archive.names
            if "header.json" not in names:
                if "_journal/start.json" in names:
                    _refuse_unfinished({"status": "started"}, path)
                raise ConfigError("is a zip archive and no log of Inspect", file=path)
            header = decode_json(archive.read("header.json"))
            _refuse_unfinished(header, path)
            samples = sorted(name for name in names if name.startswith("samples/") and name.endswith(".json"))
            for number, name in enumerate(samples, 1):
                yield _row(number, decode_json(archive.read(name)), header, path)
    except NotImplementedError as error:
        raise ConfigError(f"is packed in an unknown way: {error}", file=path) from error
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ConfigError(f"is damaged: {error}", file=path) from error


def _refuse_unfinished(header: Mapping[str, Any], path: Path) -> None:
    if header.get("status") != "success":
        raise StoreError(
            f"{path}: the log's status is {header.get('status')!r}: it does not hold every sample, and a verdict needs "
            "them; let Inspect finish it (inspect eval-retry)"
        )


def _row(number: int, sample: Mapping[str, Any], header: Mapping[str, Any], path: Path) -> Row:
    scores = {
        name: value
        for scorer, score in (sample.get("scores") or {}).items()
        for name, value in _values(scorer, score, path, sample)
    }
    model = str(header["eval"].get("model") or "")
    columns = {
        "item_id": sample.get("id"),
        "seed": sample.get("epoch", 1),
        "model": model,
        "metadata": sample.get("metadata"),
        "latency_s": sample.get("total_time"),
        **scores,
    }
    failed = "sample_error" if sample.get("error") else None
    metrics = tuple(scores) or _declared(header)
    return Row(number, {**dict.fromkeys(metrics), **columns}, metrics, model=model, failed=failed, content=_ask(sample))


def _declared(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the scores that the log has, for a sample that got none."""
    results = header.get("results") or {}
    return tuple(score["name"] for score in results.get("scores") or ())


def _values(scorer: str, score: Any, path: Path, sample: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    value = score.get("value") if isinstance(score, Mapping) else score
    parts = {f"{scorer}.{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {scorer: value}
    for name, part in parts.items():
        yield name, _number(part, path, name, sample)


def _number(value: Any, path: Path, name: str, sample: Mapping[str, Any]) -> float | None:
    """Return a score as Inspect reads it; NaN is how Inspect writes that there is none."""
    if isinstance(value, str):
        found = _VALUES.get(value, _VALUES.get(value.lower()))
        if found is not None:
            return found
        try:
            value = float(value)
        except ValueError:
            mend = "C, I, P, N, yes, no and numbers are read"
            where = f"sample {sample.get('id')}, {name}"
            raise ConfigError("is no score that is a number", file=path, field=where, value=value, mend=mend) from None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return float(value)
    raise ConfigError(
        "is no score that is a number", file=path, field=f"sample {sample.get('id')}, {name}", value=value
    )


def _ask(sample: Mapping[str, Any]) -> str:
    """Return the digest of what is asked; messages bear ids that are new in every run."""
    asked = sample.get("input")
    if isinstance(asked, list):
        asked = [[message.get("role"), _texts(message.get("content"))] for message in asked]
    return digest([asked, sample.get("target"), sample.get("choices")])


def _texts(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [{key: value for key, value in part.items() if key not in {"id", "internal"}} for part in content]
