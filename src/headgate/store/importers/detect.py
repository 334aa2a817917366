"""Which format a file of results is of: by what stands in it, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.store.importers import inspect, lm_eval, promptfoo
from headgate.store.importers.plain import (
    decode_json,
    read_csv_rows,
    read_json,
    read_json_rows,
    read_jsonl_rows,
    read_parquet_rows,
)
from headgate.store.importers.row import Format

CSV: Final = Format("csv", read_csv_rows, texts=True)
JSONL: Final = Format("jsonl", read_jsonl_rows)
JSON: Final = Format("json", read_json_rows)
PARQUET: Final = Format("parquet", read_parquet_rows)
PROMPTFOO: Final = Format("promptfoo", promptfoo.read_results, seed="seed", partial=True)
PROMPTFOO_LINES: Final = Format("promptfoo-jsonl", promptfoo.read_result_lines, seed="seed", partial=True)
LM_EVAL: Final = Format("lm-eval", lm_eval.read_samples)
INSPECT: Final = Format("inspect", inspect.read_archive, seed="seed")
INSPECT_JSON: Final = Format("inspect-json", inspect.read_log, seed="seed")

FORMATS: Final = {
    one.name: one for one in (CSV, JSONL, JSON, PARQUET, PROMPTFOO, PROMPTFOO_LINES, LM_EVAL, INSPECT, INSPECT_JSON)
}
_MEND: Final = "CSV, JSON lines, Parquet, and results of promptfoo, Inspect and lm-eval are read"
_HEAD: Final = 4096


def find_format(path: Path, name: str | None = None) -> Format:
    """Return the format of a file of results.

    Parameters
    ----------
    name : str, optional
        Takes this one, whatever the file looks like.

    Raises
    ------
    ConfigError
        If there is no such file, it is empty, or of no known format.
    """
    if path.is_dir():
        mend = "scores of a run are written to one with `headgate export`"
        raise ConfigError("is a folder, and scores stand in a file", file=path, mend=mend)
    if not path.is_file():
        raise ConfigError("there is no such file", file=path)
    if name is not None:
        if name not in FORMATS:
            raise ConfigError("is no known format", field="--format", value=name, mend=f"use {', '.join(FORMATS)}")
        return FORMATS[name]
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK"):
        return INSPECT
    if head.startswith(b"PAR1"):
        return PARQUET
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise ConfigError("is empty", file=path)
    if b"\0" in head or text.startswith((b"<", b"---", b"%")) or path.suffix.lower() in {".yaml", ".yml"}:
        raise ConfigError("is of no format that holds scores", file=path, mend=_MEND)
    return _json_format(path) if text.startswith((b"{", b"[")) else CSV


def _json_format(path: Path) -> Format:
    """Tell JSON lines from one document; a first line that is a whole object may still be all of the document."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"").removeprefix(b"\xef\xbb\xbf").strip()
        second = file.readline()
    try:
        data = decode_json(first)
    except (ValueError, RecursionError):
        if first.startswith(b"{") and (first.endswith(b"}") or second.startswith(b"{")):
            return JSONL  # a broken line: the reader names it
        found = _document(read_json(path))
    else:
        found = _document(data) or _line(data)
    if found is None:
        raise ConfigError("is JSON that holds no scores by item", file=path, mend=_MEND)
    return found


def _document(data: Any) -> Format | None:
    if isinstance(data, list):
        return JSON
    if inspect.is_log(data):
        return INSPECT_JSON
    return PROMPTFOO if promptfoo.is_results(data) else None


def _line(data: Mapping[str, Any]) -> Format | None:
    if "results" in data and "configs" in data:
        return None  # lm-eval's summary: by benchmark, not by item
    if promptfoo.is_result(data):
        return PROMPTFOO_LINES
    return LM_EVAL if lm_eval.is_sample(data) else JSONL
