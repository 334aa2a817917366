"""Runs in GitLab's generic package registry: each is one file, a tar stream, under a version that names its content."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.parse import urljoin

import httpx

from headgate.ci.gitlab.api import GitLab
from headgate.errors import ConfigError, StoreError
from headgate.store import checksums
from headgate.store.disk import TEMPORARY, make_folder, naming, sync_path
from headgate.store.layout import RunFolder

PACKAGE: Final = "headgate-baseline"
FILE: Final = "run.tar"
_CHUNK: Final = 1 << 18
_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(2 * _BLOCK)
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,127}")
_MEMBER: Final = re.compile(
    r"SHA256SUMS|manifest\.json|verdict\.json|items\.parquet|(?:results|scores)/[^/\0]+\.parquet"
)
_MOST_REDIRECTS: Final = 3


async def push_run(gitlab: GitLab, run: Path, *, project: str, version: str, package: str = PACKAGE) -> bool:
    """Store a finished run.

    Parameters
    ----------
    gitlab : GitLab
        With a job's own token (``JOB-TOKEN``), or one with scope ``api``.
    run : Path
        Run directory; what its ``SHA256SUMS`` lists is stored, and its verdict if there is one.
    project : str
        Number of the project.
    version : str
        What the run is found by, such as the digest of its plan: letters, digits, ``.`` and ``-``.

    Returns
    -------
    bool
        False if GitLab has that version already and allows no second one; it stays as it is.

    Raises
    ------
    ConfigError
        If the version can be none.
    StoreError
        If the run is not finished, or GitLab refuses.

    Notes
    -----
    The same run makes the same bytes. They are streamed: memory is bounded whatever the run holds.
    """
    members = _members(run)
    size = sum(len(member.header) + _padded(member.size) for member in members) + len(_END)
    path = _path(project, package, version)
    headers = {"content-length": str(size), "content-type": "application/x-tar"}
    try:
        answer = await gitlab.send("PUT", path, content=lambda: _stream(members), headers=headers)
    except httpx.HTTPError as error:
        raise _refused(path, type(error).__name__) from error
    if answer.status_code == 409 or (answer.status_code == 400 and "duplicate" in answer.text.lower()):
        return False
    if not answer.is_success:
        raise _refused(path, f"GitLab answers {answer.status_code}")
    return True


async def pull_run(gitlab: GitLab, out: Path, *, project: str, version: str, package: str = PACKAGE) -> bool:
    """Fetch a run into a directory that is not there yet.

    Returns
    -------
    bool
        False if GitLab has no such version; nothing is written then.

    Raises
    ------
    ConfigError
        If the directory is there, or the version can be none.
    StoreError
        If GitLab refuses, or what came is not the run that its checksums say.

    Notes
    -----
    The stream goes to the disk first; files are then unpacked into a hidden folder, checked, and appear at once. A
    redirect, to an object store, is followed without the token.
    """
    _check_absent(out)
    path = _path(project, package, version)
    hidden = out.with_name(f".{out.name}.pull{TEMPORARY}")
    with naming(out, "fetch"):
        shutil.rmtree(hidden, ignore_errors=True)
        make_folder(hidden)
        try:
            tar = hidden / FILE
            if not await _download(gitlab, path, tar):
                return False
            _unpack(tar, hidden / "run")
            _check(hidden / "run")
            sync_path(hidden / "run")
            (hidden / "run").rename(out)
            sync_path(out.parent)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    return True


def _check_absent(out: Path) -> None:
    if out.exists():
        raise ConfigError("is there already", file=out, mend="choose another directory, or remove it")


def _path(project: str, package: str, version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise ConfigError("is no version of a package", field="version", value=version, mend="use letters, digits, . -")
    return f"/projects/{project}/packages/generic/{package}/{version}/{FILE}"


def _refused(path: str, why: str) -> StoreError:
    return StoreError(f"{path}: {why}; the job's project must allow this token to use its package registry")


class _Member(NamedTuple):
    header: bytes
    path: Path
    size: int


def _members(run: Path) -> list[_Member]:
    folder = RunFolder(run)
    names = [folder.sums.name, *sorted(checksums.read_sums(folder))]
    if len(names) == 1 or folder.segments():
        raise StoreError(f"{run}: is not a finished run; run the same command again to finish it")
    verdict = ["verdict.json"] if (run / "verdict.json").is_file() else []
    return [_member(name, run / name) for name in [*names, *verdict]]


def _member(name: str, path: Path) -> _Member:
    entry = tarfile.TarInfo(name)  # no owner, no date: the same run makes the same bytes
    with naming(path, "read"):
        entry.size = path.stat().st_size
    return _Member(entry.tobuf(tarfile.GNU_FORMAT), path, entry.size)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


async def _stream(members: list[_Member]) -> AsyncIterator[bytes]:
    for chunk in _chunks(members):
        yield chunk


def _chunks(members: list[_Member]) -> Iterator[bytes]:
    for header, path, size in members:
        yield header
        with naming(path, "read"), path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield bytes(_padded(size) - size)
    yield _END


async def _download(gitlab: GitLab, path: str, target: Path) -> bool:
    url: str | None = None
    try:
        for _ in range(_MOST_REDIRECTS + 1):
            async with gitlab.stream(path, url=url) as answer:
                if answer.is_redirect:
                    url = _redirected(path, str(answer.url), answer.headers.get("location", ""))
                    continue
                if answer.status_code == 404:
                    return False
                if not answer.is_success:
                    raise _refused(path, f"GitLab answers {answer.status_code}")
                with target.open("wb") as file:
                    async for chunk in answer.aiter_raw(_CHUNK):
                        file.write(chunk)
                return True
    except httpx.HTTPError as error:
        raise _refused(path, type(error).__name__) from error
    raise _refused(path, "there are too many redirects")


def _redirected(path: str, url: str, location: str) -> str:
    target = urljoin(url, location)
    if not target.startswith("https://") and not (url.startswith("http://") and target.startswith("http://")):
        raise _refused(path, "the redirect leads to no https address")
    return target


def _unpack(tar: Path, out: Path) -> None:
    """Unpack plain files of a run and nothing else: no links, no other folders, no second file of one name."""
    seen: set[str] = set()
    try:
        with tarfile.open(tar, "r:") as archive:
            for entry in archive:
                if not entry.isreg() or not _MEMBER.fullmatch(entry.name) or entry.name in seen:
                    raise StoreError(
                        f"{tar.name}: holds {entry.name!r}, which is no file of a run; store the run again"
                    )
                seen.add(entry.name)
                make_folder((out / entry.name).parent)
                source: IO[bytes] | Any = archive.extractfile(entry)
                with source, (out / entry.name).open("wb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
    except tarfile.TarError as error:
        raise StoreError(f"{tar.name}: is no tar file, or was cut: {error}; store the run again") from error


def _check(run: Path) -> None:
    folder = RunFolder(run)
    sums = checksums.read_sums(folder)
    listed = {path.relative_to(run).as_posix() for path in checksums.listed_files(folder)}
    wrong = [name for name, value in sums.items() if name not in listed or checksums.sha256(run / name) != value]
    if not sums or wrong or listed != set(sums):
        names = ", ".join(sorted(wrong or listed ^ set(sums))) or folder.sums.name
        raise StoreError(f"{run}: is not what its {folder.sums.name} says ({names}); store the run again")
