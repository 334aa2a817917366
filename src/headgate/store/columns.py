"""Arrow columns from Python values and from numpy, and back.

``pyarrow.array``, ``pyarrow.scalar`` and ``to_numpy`` import pandas on their first call when it is installed: 59 MB and
0.4 s or more, for nothing. So the buffers are laid out here.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")
_REPEATS: Final = 256
"""Rows of the columns that are kept of one value: as many as a batch of the journal has."""

_LONGEST_REPEATED: Final = 200
_LayOut = Callable[[Sequence[Any]], list[pa.Buffer]]


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
    rows = len(values)
    if not rows:
        return pa.nulls(0, kind)
    first = values[0]
    if first is values[-1] and rows <= _REPEATS and values.count(first) == rows and _is_small(first):
        return _repeated(first, kind).slice(0, rows)
    return _laid_out(values, kind)


def _is_small(value: Any) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and len(value) <= _LONGEST_REPEATED)


@lru_cache(maxsize=256, typed=True)
def _repeated(value: str | int | None, kind: pa.DataType) -> pa.Array:
    """Return a column of one value: most columns of a batch are one, and it is the same in the next batch."""
    return pa.nulls(_REPEATS, kind) if value is None else _laid_out((value,) * _REPEATS, kind)


def _laid_out(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    rows = len(values)
    lay_out, filler = _LAYOUTS[kind]
    try:
        return pa.Array.from_buffers(kind, rows, [None, *lay_out(values)], null_count=0)
    except TypeError:  # a null among them, as a rule
        nulls = values.count(None)
        if not nulls:
            raise
    filled = [filler if value is None else value for value in values]
    validity = np.packbits([value is not None for value in values], bitorder="little")
    return pa.Array.from_buffers(kind, rows, [pa.py_buffer(validity), *lay_out(filled)], null_count=nulls)


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


def _texts(width: type[np.int32 | np.int64]) -> _LayOut:
    def lay_out(texts: Sequence[str]) -> list[pa.Buffer]:
        joined, rows = "".join(texts), len(texts)
        parts = None if joined.isascii() else [make_utf8(text) for text in texts]
        offsets = np.zeros(rows + 1, width)
        np.cumsum(np.fromiter(map(len, parts or texts), width, rows), out=offsets[1:])
        data = joined.encode() if parts is None else b"".join(parts)
        return [pa.py_buffer(offsets), pa.py_buffer(data)]

    return lay_out


def _numbers(code: str) -> _LayOut:
    def lay_out(numbers: Sequence[float]) -> list[pa.Buffer]:
        try:
            return [pa.py_buffer(struct.pack(f"{len(numbers)}{code}", *numbers))]
        except struct.error:
            return [pa.py_buffer(array(code, numbers))]  # slower, but it says what does not fit

    return lay_out


def _flags(flags: Sequence[bool]) -> list[pa.Buffer]:
    if flags.count(False) == len(flags):
        return [pa.py_buffer(bytes((len(flags) + 7) // 8))]
    return [pa.py_buffer(np.packbits(np.frombuffer(bytes(flags), np.uint8), bitorder="little"))]


_LAYOUTS: Final[dict[pa.DataType, tuple[_LayOut, Any]]] = {
    pa.string(): (_texts(np.int32), ""),
    pa.large_string(): (_texts(np.int64), ""),
    pa.int64(): (_numbers("q"), 0),
    TIME: (_numbers("q"), 0),
    pa.float64(): (_numbers("d"), 0.0),
    pa.bool_(): (_flags, False),
}
"""How values without nulls are laid out in buffers, and what stands in the place of a null."""
