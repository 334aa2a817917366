"""Arrow columns from Python values and from numpy, and back.

``pyarrow.array``, ``pyarrow.scalar`` and ``to_numpy`` import pandas on their first call when it is installed: 59 MB and
0.4 s or more, for nothing. So the buffers are laid out here.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")


def make_column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Build a column from values; ``None`` is null.

    Parameters
    ----------
    values : list or tuple
        Text, int, float or bool as ``kind`` asks; times as microseconds since the epoch.
    kind : pyarrow.DataType
        ``string``, ``large_string``, ``int64``, ``float64``, ``bool`` or ``TIME``.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If a value is not of that kind; nothing is converted.

    Examples
    --------
    >>> make_column(["a", None], pa.string()).to_pylist(), make_column([1, 2], pa.int64()).to_pylist()
    (['a', None], [1, 2])
    """
    nulls = values.count(None)
    if nulls == len(values):
        return pa.nulls(nulls, kind)
    return _BUILDERS[kind](values, nulls, kind)


def make_mask(flags: npt.NDArray[np.bool_]) -> pa.Array:
    """Turn a numpy mask into an Arrow one."""
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, pa.py_buffer(np.packbits(flags, bitorder="little"))])


def view_int64(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return an int64 or time column without nulls as numpy."""
    parts = [
        np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([*parts, np.empty(0, np.int64)])


def view_bool(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return a bool column without nulls as numpy."""
    parts = [
        np.unpackbits(np.frombuffer(chunk.buffers()[1], np.uint8), bitorder="little")[chunk.offset :][: len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([*parts, np.empty(0, np.uint8)]).astype(np.bool_)


def make_utf8(text: str) -> bytes:
    r"""Encode a text; a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.

    Examples
    --------
    >>> make_utf8("a\ud800") == "a\ufffd".encode()
    True
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _validity(values: Sequence[Any], nulls: int) -> pa.Buffer | None:
    if not nulls:
        return None
    return pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))


def _texts(values: Sequence[Any], nulls: int, kind: pa.DataType) -> pa.Array:
    texts = ["" if value is None else value for value in values] if nulls else values
    data, lengths = _joined(texts)
    offsets = np.zeros(len(values) + 1, np.int64 if kind == pa.large_string() else np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [_validity(values, nulls), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(values), buffers, null_count=nulls)


def _joined(texts: Sequence[str]) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Return the texts as one run of bytes, and their lengths."""
    joined, first = "".join(texts), texts[0]
    if first == texts[-1] and texts.count(first) == len(texts):  # most columns of a batch hold one value
        data = make_utf8(first)
        return data * len(texts), np.full(len(texts), len(data))
    if joined.isascii():
        return joined.encode(), np.fromiter(map(len, texts), np.int64, len(texts))
    parts = [make_utf8(text) for text in texts]
    return b"".join(parts), np.fromiter(map(len, parts), np.int64, len(parts))


def _numbers(code: str) -> Callable[[Sequence[Any], int, pa.DataType], pa.Array]:
    def build(values: Sequence[Any], nulls: int, kind: pa.DataType) -> pa.Array:
        numbers = [0 if value is None else value for value in values] if nulls else values
        data = array(code, numbers)  # refuses text, and fractions among integers, where numpy would convert
        buffers = [_validity(values, nulls), pa.py_buffer(data)]
        return pa.Array.from_buffers(kind, len(values), buffers, null_count=nulls)

    return build


def _flags(values: Sequence[Any], nulls: int, kind: pa.DataType) -> pa.Array:
    flags = [bool(value) for value in values] if nulls else values
    bits = np.packbits(np.frombuffer(bytes(flags), np.uint8), bitorder="little")
    return pa.Array.from_buffers(kind, len(values), [_validity(values, nulls), pa.py_buffer(bits)], null_count=nulls)


_BUILDERS: Final = {
    pa.string(): _texts,
    pa.large_string(): _texts,
    pa.int64(): _numbers("q"),
    TIME: _numbers("q"),
    pa.float64(): _numbers("d"),
    pa.bool_(): _flags,
}
