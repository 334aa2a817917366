"""Saving, naming, finding and fetching, in real places; what is damaged, and what a kill leaves."""

from __future__ import annotations

import shutil
import signal
import threading

import msgspec
import pytest
from obstore.store import LocalStore

from headgate.errors import BaselineMissing, ConfigError, StoreError
from headgate.store import checksums
from headgate.store.baselines.address import open_bundles
from headgate.store.baselines.bundles import FACTS
from headgate.store.baselines.entry import content_id
from headgate.store.baselines.library import Library
from headgate.store.baselines.objects import Objects
from headgate.store.layout import RunFolder
from headgate.store.verify import verify
from store_killer import Killer
from stored_baselines import PLACES, described, finished_run, git, make_place, repository


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two draws of one arm, and one of another prompt; each with what it would be saved as."""
    folder = tmp_path_factory.mktemp("runs")
    draws = {"first": {}, "again": {"first_seed": 3}, "other": {"prompts": {"baseline": "Now: {{ q }}"}}}
    return {name: described(finished_run(folder / name, **changes)) for name, changes in draws.items()}


every_place = pytest.mark.parametrize("place", PLACES, indirect=True)


def save(library, run, name="main"):
    library.save(*run, name=name)
    return run[1]


@every_place
def test_what_is_saved_is_found_by_name_key_and_id(place, runs):
    library = Library(place)
    first, again, other = (save(library, runs[name], name) for name in ("first", "again", "other"))
    assert first.key == again.key != other.key
    for word in ("first", first.id, first.id[:8]):
        assert library.find(word) == first
    for word in (again.key, again.key[:8]):
        assert library.find(word) == library.entries(again.key)[0]
    assert {one.id for one in library.entries()} == {first.id, again.id, other.id}
    assert {one.id for one in library.entries(first.key)} == {first.id, again.id}
    assert {name: move.id for name, move in library.names().items()} == {
        "first": first.id, "again": again.id, "other": other.id
    }  # fmt: skip


@every_place
def test_a_copy_is_the_run_that_was_saved(place, runs, tmp_path):
    files, baseline = runs["first"]
    library = Library(place)
    save(library, runs["first"])
    copy = library.fetch(library.find("main"), cache=tmp_path / "cache")
    assert checksums.read_sums(RunFolder(copy)) == checksums.read_sums(files)
    assert verify(copy) == []
    assert (copy / FACTS).read_bytes() == baseline.to_json()
    assert library.fetch(baseline, cache=tmp_path / "cache") == copy


def test_the_newest_of_a_key_is_the_one_that_began_last(tmp_path, runs):
    library, ages = Library(open_bundles(tmp_path)), {"first": "2026-01-02", "again": "2026-01-01"}
    for name, day in ages.items():
        files, baseline = runs[name]
        library.save(files, msgspec.structs.replace(baseline, created=f"{day}T00:00:00+00:00"), name=name)
    assert library.find(runs["first"][1].key).id == runs["first"][1].id


def test_of_two_that_began_in_one_second_the_later_seeds_are_newer(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    for name in ("again", "first"):
        files, baseline = runs[name]
        library.save(files, msgspec.structs.replace(baseline, created="2026-01-01T00:00:00+00:00"), name=name)
    assert [one.first_seed for one in library.entries()] == [3, 1]


@every_place
def test_a_name_keeps_its_history_and_is_moved_by_saving_only(place, runs):
    library = Library(place)
    order = ["first", "again", "again", "first"]
    for name in order:
        save(library, runs[name])
    assert [move.id for move in library.moves("main")] == [runs[name][1].id for name in ("first", "again", "first")]
    assert library.find("main") == runs["first"][1]
    assert library.moves("absent") == []


def test_a_name_whose_old_moves_were_removed_goes_on_counting(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    for name in ("first", "again", "other"):
        save(library, runs[name])
    shutil.rmtree(tmp_path / "names/main/00000001")
    save(library, runs["first"])
    assert library.find("main") == runs["first"][1]
    assert library.bundles.names("names")[-1] == "names/main/00000004"


def test_a_number_that_holds_nothing_is_passed_over(tmp_path, runs):
    """As where a cache brought a folder back without its file."""
    library = Library(open_bundles(tmp_path))
    save(library, runs["first"])
    (tmp_path / "names/main/00000002").mkdir()
    (tmp_path / "names/main/00000003").mkdir()
    (tmp_path / "names/main/00000003/other").write_text("")
    save(library, runs["other"])
    assert library.find("main") == runs["other"][1]


def test_a_baseline_that_lost_its_facts_is_not_taken_for_saved(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    baseline = save(library, runs["first"])
    (tmp_path / baseline.bundle / FACTS).unlink()
    with pytest.raises(StoreError, match=f"{baseline.id}: cannot write: Directory not empty"):
        save(library, runs["first"])


def test_writers_that_move_a_name_at_once_all_stand_in_its_history(tmp_path, runs):
    barrier = threading.Barrier(3)

    def work(name):
        barrier.wait()
        save(Library(open_bundles(tmp_path)), runs[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moves = Library(open_bundles(tmp_path)).moves("main")
    assert {move.id for move in moves} == {baseline.id for _, baseline in runs.values()}


def test_what_is_not_there_is_said_with_what_is(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    with pytest.raises(BaselineMissing, match="no baseline is called 'main'; there are: none"):
        library.find("main")
    save(library, runs["first"], "release-1.0")
    with pytest.raises(BaselineMissing, match=r"no baseline is called 'main'; there are: release-1\.0"):
        library.find("main")
    with pytest.raises(BaselineMissing, match="no baseline has the key or id 0123456789"):
        library.find("0123456789")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "../main",
        "-main",
        ".hidden",
        "a..b",
        "a.",
        "a.lock",
        "a b",
        "a\n",
        "é",
        "a" * 101,
        "deadbeef",
    ],
)
def test_what_cannot_be_a_name_everywhere_is_refused(tmp_path, runs, name):
    library = Library(open_bundles(tmp_path / "place"))
    with pytest.raises(ConfigError, match="cannot name a baseline; use letters, digits"):
        save(library, runs["first"], name)
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize("name", ["main", "release-1.2", "A_b", "v1.0.0-rc.1", "dead", "x" * 100])
def test_every_name_that_is_taken_is_one_for_git_too(tmp_path, runs, name):
    folder = repository(tmp_path / "r", "--bare")
    save(Library(open_bundles(f"git:{folder}")), runs["first"], name)
    assert f"refs/headgate/baselines/names/{name}/00000001" in git(folder, "for-each-ref")


def test_letters_that_mean_several_are_refused(tmp_path, runs, monkeypatch):
    library = Library(open_bundles(tmp_path))
    bundles = [f"entries/{'a' * 32}/{'b' * 32}", f"entries/{'b' * 8}{'c' * 24}/{'d' * 32}"]
    monkeypatch.setattr(library.bundles, "names", lambda _: bundles)
    with pytest.raises(ConfigError, match="means several baselines; give more letters"):
        library.find("b" * 8)


def test_the_nearest_is_the_one_that_differs_least(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    assert library.nearest({"seeds": 1}) is None
    for name in runs:
        save(library, runs[name], name)
    asked = {**runs["other"][1].parts, "seeds": 9}
    nearest, keys = library.nearest(asked)
    assert (nearest.id, keys) == (runs["other"][1].id, ("seeds",))


# --- damage ---


def bend(path):
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["directory", "local"])
@pytest.mark.parametrize("pattern", ["manifest.json", "items.parquet", "results/*", "scores/*", "SHA256SUMS"])
def test_a_damaged_file_is_detected_and_named(tmp_path, runs, kind, pattern):
    library = Library(make_place(kind, tmp_path))
    baseline = save(library, runs["first"])
    (path,) = (tmp_path / "place" / baseline.bundle).glob(pattern)
    bend(path)
    with pytest.raises(StoreError, match="is not what was saved; restore it from a copy, or draw") as caught:
        library.fetch(library.find("main"), cache=tmp_path / "cache")
    assert str(caught.value).startswith(f"{library.address}/{path.relative_to(tmp_path / 'place')}: ")
    assert not (tmp_path / "cache" / baseline.id).exists()


@pytest.mark.parametrize("kind", ["directory", "local"])
def test_a_file_that_went_missing_is_named(tmp_path, runs, kind):
    library = Library(make_place(kind, tmp_path))
    baseline = save(library, runs["first"])
    (tmp_path / "place" / baseline.bundle / "items.parquet").unlink()
    with pytest.raises(StoreError, match=r"items\.parquet"):
        library.fetch(baseline, cache=tmp_path / "cache")


@pytest.mark.parametrize("data", [b"", b"{", b'{"name":"main","key":"../../etc","id":"x","moved":"now"}'])
def test_a_damaged_name_is_named(tmp_path, runs, data):
    library = Library(open_bundles(tmp_path))
    save(library, runs["first"])
    (tmp_path / "names/main/00000001" / FACTS).write_bytes(data)
    with pytest.raises(StoreError, match=r"names/main/00000001/entry\.json: .*; restore it from a copy, or remove it"):
        library.find("main")


def test_facts_under_another_name_are_refused(tmp_path, runs):
    library = Library(open_bundles(tmp_path))
    first, other = save(library, runs["first"]), save(library, runs["other"], "other")
    shutil.copy(tmp_path / other.bundle / FACTS, tmp_path / first.bundle / FACTS)
    with pytest.raises(StoreError, match=f"{first.bundle}/entry.json: is not what was saved"):
        library.find("main")


def test_a_store_cannot_make_a_copy_write_outside_its_folder(tmp_path, runs):
    """Its list of files is data: a path that leads out is not followed, though its checksums be right."""
    _, baseline = runs["first"]
    (tmp_path / "evil").mkdir()
    sums = f"{'0' * 64}  ../../escaped.parquet\n".encode()
    forged = msgspec.structs.replace(baseline, id=content_id(sums))
    place = Objects(LocalStore(tmp_path / "evil"), address="file:///evil")
    bundle = {FACTS: forged.to_json(), "SHA256SUMS": sums}
    assert place.create(forged.bundle, bundle, created=forged.created)
    with pytest.raises(StoreError, match="SHA256SUMS: is not what was saved"):
        Library(place).fetch(forged, cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("escaped*"))


def test_a_copy_that_was_damaged_since_is_named(tmp_path, runs):
    library = Library(make_place("bare", tmp_path))
    baseline = save(library, runs["first"])
    copy = library.fetch(baseline, cache=tmp_path / "cache")
    bend(next((copy / "results").iterdir()))
    with pytest.raises(StoreError, match=f"cache/{baseline.id}/results/.*is not what was saved; remove "):
        library.fetch(baseline, cache=tmp_path / "cache")
    shutil.rmtree(copy)
    assert verify(library.fetch(baseline, cache=tmp_path / "cache")) == []


# --- kills ---


def whole(library, cache):
    """Every baseline that is listed can be fetched; return where `main` points."""
    for baseline in library.entries():
        assert verify(library.fetch(baseline, cache=cache)) == []
    return library.find("main").id


def kill_save(tmp_path, runs, kind, stride):
    """Kill a save before each of its steps; the name means the old baseline or the new one, and both are whole."""
    address = {"directory": "{}", "bare": "git:{}", "local": "objects:{}"}[kind].format
    template = Library(make_place(kind, tmp_path))
    old, (files, new) = save(template, runs["first"]), runs["other"]
    seen, step, code = set(), 1 - stride, -signal.SIGKILL
    with Killer() as killer:
        while code == -signal.SIGKILL:
            step += stride
            copy = tmp_path / str(step)
            shutil.copytree(tmp_path / "place", copy)
            order = {"do": "save", "run": files.path, "store": address(copy), "baseline": new.to_json().decode()}
            code, _ = killer.order(**order, step=step)
            library = Library(opened(kind, copy))
            found = whole(library, tmp_path / "cache" / str(step))
            assert found in {old.id, new.id}, step
            seen.add((found, len(library.entries())))
            assert killer.order(**order)[0] == 0
            assert whole(library, tmp_path / "cache" / str(step)) == new.id
            if kind == "directory":
                assert list((copy / ".new").iterdir()) == []
            shutil.rmtree(copy)
    assert code == 0
    # Killed before the entry was there, between the entry and the name, and not at all.
    states = {(old.id, 1), (old.id, 2), (new.id, 2)}
    assert seen == states if stride == 1 else {(old.id, 1), (new.id, 2)} <= seen <= states


def opened(kind, path):
    if kind == "local":
        return Objects(LocalStore(path), address=str(path))
    return open_bundles(f"git:{path}" if kind == "bare" else path)


@pytest.mark.parametrize(("kind", "stride"), [("directory", 11), ("bare", 13), ("local", 3)])
def test_a_killed_save_leaves_the_old_name_and_no_half_baseline(tmp_path, runs, kind, stride):
    kill_save(tmp_path, runs, kind, stride)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "bare", "local"])
def test_a_killed_save_at_every_step(tmp_path, runs, kind):
    kill_save(tmp_path, runs, kind, 1)
