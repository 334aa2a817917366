"""The stored baselines of one place: save, list, find and fetch."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from headgate.errors import BaselineMissing, ConfigError, StoreError
from headgate.plan import differing_keys
from headgate.store import checksums
from headgate.store.baselines.bundles import FACTS, Bundles
from headgate.store.baselines.entry import Baseline, Hex, Parts, content_id, decode_baseline, is_run_file
from headgate.store.disk import naming, staging
from headgate.store.layout import RunFolder

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9])){0,99}")
_ID: Final = re.compile(r"[0-9a-f]{8,32}")
_STAGED: Final = ".new"
_RESTORE: Final = "restore it from a copy, or draw the baseline again: headgate baseline refresh SUITE"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a name: to which baseline, and when."""

    name: str
    key: Hex
    id: Hex
    moved: str


class Library:
    """Baselines in one place.

    A baseline lies at ``entries/KEY/ID``: several runs may answer for one key. A name, such as ``main``, is a row of
    numbered moves, of which the last one holds; none is ever changed, so two writers cannot clobber each other.

    Parameters
    ----------
    bundles : Bundles
        The place.
    """

    def __init__(self, bundles: Bundles) -> None:
        self.bundles = bundles

    @property
    def address(self) -> str:
        """Where it is."""
        return self.bundles.address

    def save(self, run: RunFolder, baseline: Baseline, *, name: str) -> None:
        """Store a finished run, then move a name to it.

        Raises
        ------
        ConfigError
            If the name can be none.
        StoreError
            If the place refuses; the name then points where it did.
        """
        check_name(name)
        files: dict[str, Path | bytes] = {file: run.path / file for file in checksums.read_sums(run)}
        files[run.sums.name] = run.sums
        verdict = run.path / "verdict.json"
        if verdict.is_file():
            files[verdict.name] = verdict
        files[FACTS] = baseline.to_json()
        self.bundles.create(baseline.bundle, files, created=baseline.created)
        self._move(name, baseline)

    def _move(self, name: str, baseline: Baseline) -> None:
        number = 0
        while True:
            bundles = self.bundles.names(f"names/{name}")
            last = self._read_move(bundles[-1]) if bundles else None
            if last is not None and (last.key, last.id) == (baseline.key, baseline.id):
                return
            number = max(number, int(_split(bundles[-1])[2]) if bundles else 0) + 1
            now = datetime.now(UTC).isoformat(timespec="seconds")
            move = Move(name=name, key=baseline.key, id=baseline.id, moved=now)
            if self.bundles.create(f"names/{name}/{number:08d}", {FACTS: msgspec.json.encode(move)}, created=now):
                return  # else another writer took this number

    def moves(self, name: str) -> list[Move]:
        """Return all moves of a name, the one that holds last."""
        return [self._read_move(bundle) for bundle in self.bundles.names(f"names/{name}")]

    def names(self) -> dict[str, Move]:
        """Return where each name points."""
        last = {_split(bundle)[1]: bundle for bundle in self.bundles.names("names")}
        return {name: self._read_move(bundle) for name, bundle in last.items() if _NAME.fullmatch(name)}

    def _read_move(self, bundle: str) -> Move:
        try:
            return msgspec.json.decode(self._read(bundle, FACTS), type=Move)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            mend = "restore it from a copy, or remove it: the move before it holds then"
            raise StoreError(f"{self.address}/{bundle}/{FACTS}: is damaged: {error}; {mend}") from error

    def read(self, key: str, identity: str) -> Baseline:
        """Return the baseline of a key with an id."""
        return self._describe(f"entries/{key}/{identity}")

    def entries(self, key: str | None = None) -> list[Baseline]:
        """Return all baselines, or those of a key, the newest first; of one second, the one with later seeds."""
        bundles = self.bundles.names("entries" if key is None else f"entries/{key}")
        found = [self._describe(bundle) for bundle in bundles]
        return sorted(found, key=_age, reverse=True)

    def find(self, word: str) -> Baseline:
        """Return the baseline that a name, a key or an id (or the first 8 letters of one) means; of a key the newest.

        Raises
        ------
        BaselineMissing
            If there is none.
        ConfigError
            If the word can be no name, or the letters mean several.
        """
        if not _ID.fullmatch(word):
            check_name(word)
            bundles = self.bundles.names(f"names/{word}")
            if bundles:
                last = self._read_move(bundles[-1])
                return self.read(last.key, last.id)
            known = ", ".join(self.names()) or "none"
            raise BaselineMissing(f"{self.address}: no baseline is called {word!r}; there are: {known}")
        pairs = [(key, identity) for _, key, identity in map(_split, self.bundles.names("entries"))]
        keys, ids = ({pair[place] for pair in pairs if pair[place].startswith(word)} for place in (0, 1))
        if len(keys) + len(ids) > 1:
            raise ConfigError("means several baselines", field="baseline", value=word, mend="give more letters")
        found = [pair for pair in pairs if pair[0] in keys or pair[1] in ids]
        if not found:
            raise BaselineMissing(f"{self.address}: no baseline has the key or id {word}; see: headgate baseline list")
        return self.read(*found[0]) if ids else self.entries(found[0][0])[0]

    def nearest(self, parts: Parts) -> tuple[Baseline, tuple[str, ...]] | None:
        """Return the baseline that differs least from what is asked for, the newest of such, and in which keys."""
        compared = [(one, differing_keys(parts, one.parts)) for one in self.entries()]
        return min(compared, key=lambda pair: len(pair[1]), default=None)

    def fetch(self, baseline: Baseline, *, cache: Path) -> Path:
        """Return the folder of a baseline's files, every one checked against its checksum.

        Parameters
        ----------
        cache : Path
            Folder for copies by id, where the place has no files of its own; a copy that is there is checked as well.

        Raises
        ------
        StoreError
            If a file is not there, or not what was saved; it is named.
        """
        there = self.bundles.folder(baseline.bundle)
        if there is not None:
            _check_copy(there, baseline)
            return there
        copy = cache / baseline.id
        if copy.is_dir():
            _check_copy(copy, baseline, mend=f"remove {copy}: it is fetched again")
            return copy
        with naming(cache, "write"), staging(cache / _STAGED) as folder:
            self._copy(baseline, folder)
            try:
                folder.rename(copy)
            except OSError:
                if not copy.is_dir():
                    raise
        return copy

    def _copy(self, baseline: Baseline, folder: Path) -> None:
        run = RunFolder(folder)
        run.sums.write_bytes(self._read(baseline.bundle, run.sums.name))
        for name, expected in _sums(run, baseline, where=f"{self.address}/{baseline.bundle}").items():
            path, hashed = folder / name, hashlib.sha256()
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                for piece in self.bundles.read(baseline.bundle, name):
                    hashed.update(piece)
                    file.write(piece)
            if hashed.hexdigest() != expected:
                raise _damaged(f"{self.address}/{baseline.bundle}/{name}")
        (folder / FACTS).write_bytes(baseline.to_json())

    def _describe(self, bundle: str) -> Baseline:
        where = f"{self.address}/{bundle}/{FACTS}"
        found = decode_baseline(self._read(bundle, FACTS), where=where)
        if found.bundle != bundle:
            raise _damaged(where)
        return found

    def _read(self, bundle: str, file: str) -> bytes:
        return b"".join(self.bundles.read(bundle, file))


def _age(baseline: Baseline) -> tuple[datetime, int, str]:
    return datetime.fromisoformat(baseline.created), baseline.first_seed, baseline.id


def _split(bundle: str) -> tuple[str, str, str]:
    first, second, third = bundle.split("/")
    return first, second, third


def check_name(name: str) -> None:
    """Raise ConfigError if a baseline cannot be called so."""
    if not _NAME.fullmatch(name) or name.endswith(".lock") or _ID.fullmatch(name):
        mend = "use letters, digits, single dots, _ and -, such as main or release-1.2, and not only 8 to 32 of 0-9a-f"
        raise ConfigError("cannot name a baseline", field="name", value=name, mend=mend)


def _check_copy(folder: Path, baseline: Baseline, *, mend: str = _RESTORE) -> None:
    for name, expected in _sums(RunFolder(folder), baseline, where=str(folder), mend=mend).items():
        if checksums.sha256(folder / name) != expected:
            raise _damaged(str(folder / name), mend)


def _sums(run: RunFolder, baseline: Baseline, *, where: str, mend: str = _RESTORE) -> dict[str, str]:
    """Return the checksums of a baseline's files, which its id covers."""
    with naming(run.sums, "read"):
        data = run.sums.read_bytes()
    sums = checksums.read_sums(run)
    if content_id(data) != baseline.id or not all(map(is_run_file, sums)):
        raise _damaged(f"{where}/{run.sums.name}", mend)
    return sums


def _damaged(file: str, mend: str = _RESTORE) -> StoreError:
    return StoreError(f"{file}: is not what was saved; {mend}")
