from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
import tracemalloc

import pytest

import headgate as hg
from fake_gitlab import FakeGitLab, client, serve
from headgate.ci.gitlab.packages import _chunks, _members, pull_run, push_run
from headgate.errors import ConfigError, StoreError

PATH = "/projects/5/packages/generic/headgate-baseline/abc/run.tar"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    suite = hg.Suite(
        name="sums",
        items=[{"q": f"{n} + 1", "target": n + 1} for n in range(20)],
        prompts={"old": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        scorers=[{"name": "correct", "type": "numeric"}],
        gates=[{"metric": "correct", "min": 0.1}],
    )
    path = hg.run(suite, out=tmp_path_factory.mktemp("runs") / "run").path
    (path / "verdict.json").write_bytes(hg.gate(path).to_json())
    return path


def call(function, url, path, **options):
    async def calls():
        async with client(url, header="JOB-TOKEN", token="job-token") as gitlab:
            return await function(gitlab, path, project="5", **{"version": "abc", **options})

    return asyncio.run(calls())


def files(run):
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_run_comes_back_as_it_was(run, tmp_path):
    fake = FakeGitLab()
    with serve(fake.answer) as url:
        assert call(push_run, url, run) is True
        assert call(pull_run, url, tmp_path / "deep" / "back") is True
    assert files(tmp_path / "deep" / "back") == files(run)
    assert hg.verify(tmp_path / "deep" / "back") == []
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "back"]
    (put, get) = fake.requests
    assert put[2]["job-token"] == get[2]["job-token"] == "job-token"
    assert int(put[2]["content-length"]) == len(put[3])
    assert "transfer-encoding" not in put[2]


def test_the_stream_is_a_tar_file_and_always_the_same(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    first, again = (b"".join(_chunks(_members(path))) for path in (run, tmp_path / "copy"))
    assert first == again
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        assert {entry.name for entry in archive} == set(files(run))


def test_a_long_name_is_kept(run, tmp_path):
    (tmp_path / "copy").mkdir()
    shutil.copytree(run, tmp_path / "copy", dirs_exist_ok=True)
    part = next((tmp_path / "copy" / "results").iterdir())
    name = f"results/{'x' * 150}.parquet"
    part.rename(tmp_path / "copy" / name)
    sums = tmp_path / "copy" / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(f"results/{part.name}", name))
    fake = FakeGitLab()
    with serve(fake.answer) as url:
        call(push_run, url, tmp_path / "copy")
        assert call(pull_run, url, tmp_path / "back") is True
    assert files(tmp_path / "back") == files(tmp_path / "copy")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_every_size_is_padded(run, tmp_path, size):
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "verdict.json").write_bytes(b"x" * size)
    fake = FakeGitLab()
    with serve(fake.answer) as url:
        call(push_run, url, tmp_path / "copy")
    with tarfile.open(fileobj=io.BytesIO(fake.files[PATH])) as archive:
        assert archive.extractfile("verdict.json").read() == b"x" * size


def test_a_second_push_is_no_error_where_duplicates_are_off(run):
    fake = FakeGitLab()
    fake.duplicates = False
    with serve(fake.answer) as url:
        assert call(push_run, url, run) is True
        assert call(push_run, url, run) is False
        fake.faults = [(409, {}, b"{}")]
        assert call(push_run, url, run) is False


def test_a_push_is_repeated_while_gitlab_is_busy(run):
    fake = FakeGitLab()
    fake.faults = [(503, {}, b"")]
    with serve(fake.answer) as url:
        assert call(push_run, url, run) is True
    assert fake.requests[0][3] == fake.requests[1][3] == fake.files[PATH]


@pytest.mark.parametrize("fault", [(400, {}, b'{"message":"File is too large"}'), (403, {}, b"{}"), (404, {}, b"{}")])
def test_a_push_that_is_refused_says_so(run, fault):
    fake = FakeGitLab()
    fake.faults = [fault]
    with serve(fake.answer) as url, pytest.raises(StoreError, match=rf"GitLab answers {fault[0]}; the job's project"):
        call(push_run, url, run)


def test_a_run_that_is_not_finished_is_not_stored(tmp_path):
    with pytest.raises(StoreError, match="is not a finished run"):
        call(push_run, "http://127.0.0.1:9", tmp_path)


def test_what_is_not_there_leaves_nothing_behind(tmp_path):
    with serve(FakeGitLab().answer) as url:
        assert call(pull_run, url, tmp_path / "back") is False
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed_without_the_token(run, tmp_path):
    fake, store = FakeGitLab(), FakeGitLab()
    with serve(fake.answer) as url, serve(store.answer) as bucket:
        call(push_run, url, run)
        store.files, fake.redirect_to = fake.files, bucket
        assert call(pull_run, url, tmp_path / "back") is True
    assert files(tmp_path / "back") == files(run)
    assert "job-token" not in store.requests[0][2]


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "ftp://x/y"])
def test_a_redirect_that_leads_nowhere_is_refused(run, tmp_path, location):
    fake = FakeGitLab()
    fake.faults = [(302, {"Location": location}, b"")] * 5
    with serve(fake.answer) as url, pytest.raises(StoreError):
        call(pull_run, url, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def damaged(run, **changes):
    """Return the tar file of a run in which some members are others."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in {**files(run), **changes}.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
            elif data is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def link(name, target):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest.json": b"{}"},
        {"items.parquet": None},
        {"SHA256SUMS": None},
        {"SHA256SUMS": b"?"},
        {"results/more.parquet": b"x"},
        {"../outside": b"x"},
        {"/tmp/outside": b"x"},
        {"results/../../outside": b"x"},
        {"results/..": b"x"},
        {"more.txt": b"x"},
        {"results": link("results", "/tmp")},
        {"scores/x.parquet": link("scores/x.parquet", "/etc/passwd")},
    ],
    ids=lambda changes: next(f"{name}={value!s:.9}" for name, value in changes.items()),
)
def test_what_is_not_the_run_that_was_stored_is_refused(run, tmp_path, changes):
    fake = FakeGitLab()
    fake.files[PATH] = damaged(run, **changes)
    with serve(fake.answer) as url, pytest.raises(StoreError, match=r"store the run again|is not a line of sha256sum"):
        call(pull_run, url, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 100, 700, 3000])
def test_a_stream_that_was_cut_is_refused(run, tmp_path, keep):
    fake = FakeGitLab()
    fake.files[PATH] = damaged(run)[:keep]
    with serve(fake.answer) as url, pytest.raises(StoreError):
        call(pull_run, url, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_there_is_never_replaced(tmp_path):
    with pytest.raises(ConfigError, match="is there already"):
        call(pull_run, "http://127.0.0.1:9", tmp_path)


@pytest.mark.parametrize("version", ["", "../x", "a/b", "x" * 200, "a b"])
def test_a_version_that_can_be_none_is_refused(run, tmp_path, version):
    for function, path in ((push_run, run), (pull_run, tmp_path / "back")):
        with pytest.raises(ConfigError, match="version"):
            call(function, "http://127.0.0.1:9", path, version=version)


def test_memory_does_not_grow_with_the_run(run, tmp_path):
    shutil.copytree(run, tmp_path / "large")
    with (tmp_path / "large" / "verdict.json").open("wb") as file:
        file.truncate(64 << 20)
    members = _members(tmp_path / "large")
    tracemalloc.start()
    size = sum(map(len, _chunks(members)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 64 << 20
    assert peak < 4 << 20
