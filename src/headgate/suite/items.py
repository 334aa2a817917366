"""Items: read row by row from where the suite says, written once with their rendered prompts to ``items.parquet``."""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, pairwise, repeat
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import ConfigError, StoreError
from headgate.identity import canonical_json, digest_bytes
from headgate.suite.images import Images
from headgate.suite.prompts import Prompt
from headgate.suite.records import Record, read_records
from headgate.suite.sources import Items

_GROUP: Final = 1024
_GROUP_OF_IMAGES: Final = 16
"""Rows that are read at once where prompts hold images: a few groups are held, and images are large."""

_BATCH_ROWS: Final = 8192
_CACHED_GROUPS: Final = 8
_PROMPT: Final = "prompt:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One item as it was read.

    Attributes
    ----------
    number : int
        Among the rows of the source, from 1.
    line : int, optional
        In the file, from 1.
    variables : mapping
        All columns of the row; what templates see.
    """

    number: int
    line: int | None
    item_id: str
    cluster: str | None
    target: str | None
    variables: Mapping[str, Any]


def _no_columns() -> bytes:
    return b"{}"


class Item(msgspec.Struct, frozen=True, gc=False):
    """One item as the plan uses it.

    Attributes
    ----------
    messages : mapping of str to bytes
        Prompt name to the rendered chat messages, a JSON array.
    read_variables : callable
        Returns all columns of the row as a JSON object; default: there are none. They are read when a callable asks for
        them: over HTTP goes what was rendered from them.
    """

    item_id: str
    cluster: str | None
    target: str | None
    messages: Mapping[str, bytes]
    read_variables: Callable[[], bytes] = _no_columns

    @property
    def variables(self) -> Mapping[str, Any]:
        """The columns of the row, decoded anew."""
        decoded: Mapping[str, Any] = msgspec.json.decode(self.read_variables())
        return decoded


def read_rows(source: Items, *, base: Path, file: Path | None = None) -> Iterator[Row]:
    """Read the items of a suite, one at a time.

    Parameters
    ----------
    source : Items
        A path or inline rows, with the columns that matter.
    base : Path
        Folder that a relative path starts from.
    file : Path, optional
        The suite file, for errors.

    Raises
    ------
    ConfigError
        If the file is missing or broken, a declared column is absent, an id comes twice, or nothing remains. A repeated
        id is found after the last row.

    Examples
    --------
    >>> source = Items(rows=[{"id": "a", "q": "1+1", "target": 2}, {"id": "b", "q": "2+2", "target": 4}])
    >>> [(row.item_id, row.target) for row in read_rows(source, base=Path())]
    [('a', '2'), ('b', '4')]
    """
    place = file if source.path is None else base / source.path
    hashes = array("Q")
    for number, (line, variables) in _numbered(source, base, file):
        row = _row(source, place, number, line, variables)
        hashes.append(_hash(row.item_id))
        yield row
    if not hashes:
        raise _nothing(source, base, file, place)
    _refuse_twice(source, hashes, base=base, file=file, place=place)


def _numbered(source: Items, base: Path, file: Path | None) -> Iterator[tuple[int, Record]]:
    records = _inline(source, file) if source.path is None else read_records(base / source.path, file=file)
    wanted = {key: column_text(value) for key, value in source.where.items()}
    kept = (
        (number, record)
        for number, record in enumerate(records, 1)
        if all(key in record[1] and column_text(record[1][key]) == value for key, value in wanted.items())
    )
    return islice(kept, source.limit)


def _nothing(source: Items, base: Path, file: Path | None, place: Path | None) -> ConfigError:
    if not source.where:
        return ConfigError("there is no item", file=place, field="items")
    _, (_, first) = next(_numbered(source.model_copy(update={"where": {}}), base, file), (0, (None, {})))
    mend = f"the first row is {canonical_json(first).decode()}" if first else None
    return ConfigError("no row has these values", file=place, field="items.where", value=source.where, mend=mend)


def _hash(item_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(item_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _refuse_twice(source: Items, hashes: array[int], *, base: Path, file: Path | None, place: Path | None) -> None:
    """Refuse an id that comes twice. Eight bytes an item are held; only where hashes meet are the rows read again."""
    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen: dict[str, int] = {}
    for number, (line, variables) in _numbered(source, base, file) if suspects else ():
        item_id = _row(source, place, number, line, variables).item_id
        if _hash(item_id) not in suspects:
            continue
        if item_id in seen:
            raise ConfigError(
                f"is the id of row {seen[item_id]} too",
                file=place,
                line=line,
                field=f"items.{number - 1}.{source.id}" if line is None else source.id,
                value=item_id,
                mend="ids are unique; repeat an item with `seeds`, group items with `cluster`",
            )
        seen[item_id] = number


def _inline(source: Items, file: Path | None) -> Iterator[Record]:
    for number, row in enumerate(source.rows or []):
        try:
            canonical_json(row).decode()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"is not JSON data: {error}", file=file, field=f"items.{number}") from error
        yield None, row


def _row(source: Items, place: Path | None, number: int, line: int | None, variables: dict[str, Any]) -> Row:
    def column(name: str, *, declared: bool) -> str | None:
        if name in variables:
            return column_text(variables[name])
        if not declared:
            return None
        raise ConfigError(
            "there is no such column",
            file=place,
            line=line,
            field=f"items.{name}",
            mend=f"columns are {', '.join(variables)}",
        )

    given = source.model_fields_set
    cluster = None if source.cluster is None else column(source.cluster, declared=True)
    if source.cluster is not None and not cluster:
        raise ConfigError(
            "a cluster is empty", file=place, line=line, field=source.cluster, mend="name the group of every item"
        )
    item_id = column(source.id, declared="id" in given)
    if source.id in variables and not item_id:
        raise ConfigError("an id is empty", file=place, line=line, field=source.id, value=variables[source.id])
    return Row(
        number=number,
        line=line,
        item_id=str(number) if item_id is None else item_id,
        cluster=cluster,
        target=column(source.target, declared="target" in given),
        variables=variables,
    )


def column_text(value: Any) -> str | None:
    """Return a column's value as text, as ``where`` compares it: what is no text as canonical JSON; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return canonical_json(value).decode()


@dataclass(frozen=True, slots=True)
class ItemsDigest:
    """What was written: the number of items, and the content id of all of them in order."""

    n_items: int
    digest: str


def write_items(rows: Iterable[Row], prompts: Sequence[Prompt], path: Path, *, base: Path | None = None) -> ItemsDigest:
    """Render every prompt for every item and write both to one Parquet file, published by rename.

    Parameters
    ----------
    base : Path, optional
        Folder below which files of images lie; default: the current one. Their content is part of the item's digest.

    Raises
    ------
    ConfigError
        If a prompt names a column that an item lacks, or an image that is none.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        written = _write(rows, prompts, temporary, Images(base or Path()))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return written


def _write(rows: Iterable[Row], prompts: Sequence[Prompt], path: Path, images: Images) -> ItemsDigest:
    running, count, schema = hashlib.blake2b(digest_size=16), 0, _schema(prompts)
    iterator, size = iter(rows), _GROUP_OF_IMAGES if any(prompt.has_images for prompt in prompts) else _GROUP
    with (
        path.open("wb") as file,
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=["cluster"],  # pyright: ignore[reportArgumentType]
        ) as writer,
    ):
        while group := list(islice(iterator, size)):
            columns = _columns(group, prompts, images)
            running.update(bytes.fromhex("".join(columns[1])))
            arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), size)
            count += len(group)
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    return ItemsDigest(count, running.hexdigest())


def _schema(prompts: Sequence[Prompt]) -> Any:  # pa.Schema, which has no types
    fixed = [
        ("item_id", pa.string()),
        ("item_digest", pa.string()),
        ("cluster", pa.string()),
        ("target", pa.large_string()),
    ]
    texts = [("variables_json", pa.large_string()), *((_PROMPT + prompt.name, pa.large_string()) for prompt in prompts)]
    return pa.schema(fixed + texts)


def _columns(rows: Sequence[Row], prompts: Sequence[Prompt], images: Images) -> list[list[Any]]:
    variables = [canonical_json(row.variables).decode() for row in rows]
    # Templates see the canonical form: items with one digest (1 and 1.0, another order of keys) ask the same.
    seen = [(f"row {row.number}", msgspec.json.decode(text)) for row, text in zip(rows, variables, strict=True)]
    files: list[dict[str, str]] = [{} for _ in rows]
    loads = [partial(images.url, found=found) for found in files]
    messages = [
        [prompt.render(data, row=row, load=load).decode() for (row, data), load in zip(seen, loads, strict=True)]
        for prompt in prompts
    ]
    columns: list[list[Any]] = [
        [row.item_id for row in rows],
        [_digest(row.item_id, text, found) for row, text, found in zip(rows, variables, files, strict=True)],
        [row.cluster for row in rows],
        [row.target for row in rows],
        variables,
    ]
    return columns + messages


def _array(values: Sequence[str | None], kind: Any) -> Any:
    """Build a column of texts from its buffers: pyarrow's own way imports pandas where it is installed, 60 MB of it."""
    texts = [b"" if value is None else value.encode() for value in values]
    wide = kind == pa.large_string()
    offsets = np.zeros(len(texts) + 1, np.int64 if wide else np.int32)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    valid = np.packbits([value is not None for value in values], bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind, len(texts), buffers)


def _digest(item_id: str, variables: str, files: Mapping[str, str]) -> str:
    """Return ``digest({"id": ..., "item": ...})`` of columns whose canonical form is at hand, and of files if any."""
    read = b'"files":' + canonical_json(files) + b"," if files else b""
    return digest_bytes(b"{" + read + b'"id":' + canonical_json(item_id) + b',"item":' + variables.encode() + b"}")


class ItemFile:
    """Items and rendered prompts, addressed by index, of which only a few groups of rows are held.

    Parameters
    ----------
    path : Path
        A file made by :func:`write_items`.

    Raises
    ------
    StoreError
        If the file is missing or damaged; checksums are verified as pages are read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{path}: is not the items of a run: {error}") from error
        self._groups: dict[int, list[Item]] = {}
        self._reading = threading.Lock()
        self._length = int(self._file.metadata.num_rows)
        self._group_rows = int(self._file.metadata.row_group(0).num_rows) if self._length else 1
        self.prompts = tuple(
            name.removeprefix(_PROMPT) for name in self._file.schema_arrow.names if name.startswith(_PROMPT)
        )

    def __len__(self) -> int:
        return self._length

    @cached_property
    def digests(self) -> bytes:
        """The digests of all items, 16 bytes each, in order."""
        found = bytearray()
        for batch in self.batches(["item_digest"]):
            for identity in batch.column(0).to_pylist():
                found += bytes.fromhex(identity)
        return bytes(found)

    def item_digest(self, index: int) -> bytes:
        """Return the digest of one item, 16 bytes, without reading it."""
        return self.digests[16 * index : 16 * index + 16]

    @cached_property
    def digest(self) -> str:
        """Content id of all items in order."""
        return digest_bytes(self.digests)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < self._length:
            raise IndexError(index)
        number, row = divmod(index, self._group_rows)
        return (self._groups.get(number) or self._group(number))[row]

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield columns of all items as Arrow record batches."""
        with self._naming():
            yield from self._file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)

    @contextmanager
    def _naming(self) -> Generator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{self.path}: is damaged: {error}") from error

    def _group(self, number: int) -> list[Item]:
        def read(columns: Sequence[str]) -> Any:
            with self._reading, self._naming():  # callables ask for variables from their threads
                return self._file.read_row_group(number, columns=list(columns), use_threads=False)

        group = self._groups[number] = _read_group(read, self.prompts)
        if len(self._groups) > _CACHED_GROUPS:
            del self._groups[next(iter(self._groups))]
        return group


_Read = Callable[[Sequence[str]], Any]


def _read_group(read: _Read, prompts: Sequence[str]) -> list[Item]:
    """Return the items of one row group, made all at once: one by one they cost three times as much."""
    table = read(["item_id", "cluster", "target", *(_PROMPT + name for name in prompts)])
    columns = (table[name].to_pylist() for name in ("item_id", "cluster", "target"))
    texts = zip(*(_utf8(table[_PROMPT + name]) for name in prompts), strict=True)
    messages = map(dict, map(zip, repeat(prompts), texts))
    variables = map(partial, repeat(_Variables(read).of), range(table.num_rows))
    return list(map(Item, *columns, messages, variables))


class _Variables:
    """The columns of the rows of one group as JSON, read when somebody asks."""

    __slots__ = ("_read", "_texts")

    def __init__(self, read: _Read) -> None:
        self._read = read
        self._texts: list[bytes] | None = None

    def of(self, row: int) -> bytes:
        if self._texts is None:
            self._texts = _utf8(self._read(["variables_json"])["variables_json"])
        return self._texts[row]


def _utf8(column: Any) -> list[bytes]:
    """Return the texts of a column without nulls as bytes: slices of its buffer, without a scalar for each."""
    texts = column.combine_chunks()
    _, places, data = texts.buffers()
    offsets: list[int] = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    text = data.to_pybytes()
    return [text[start:end] for start, end in pairwise(offsets)]
