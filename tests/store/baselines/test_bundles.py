"""One contract for every place: a bundle appears whole, once, and never changes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading

import pytest

from headgate.errors import StoreError
from headgate.store.baselines.directory import Directory
from headgate.store.baselines.git import GitRefs
from stored_baselines import PLACES, make_place

WHEN = "2026-01-01T00:00:00+00:00"
every_place = pytest.mark.parametrize("place", PLACES, indirect=True)


def content(place, name, file):
    return b"".join(place.read(name, file))


@every_place
def test_what_was_put_comes_back(place, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 60_000)  # 15 MB: in parts, where a place takes parts
    files = {
        "entry.json": b"{}",
        "empty": b"",
        "results/0001-0000-ab-0001.parquet": large,
        "scores/correct@1.0.parquet": b"\x00\xff\n",
        "scores/other@2.parquet": b"b",
    }
    assert place.create("entries/k/one", files, created=WHEN)
    for file, source in files.items():
        expected = source if isinstance(source, bytes) else source.read_bytes()
        assert content(place, "entries/k/one", file) == expected, file
    if place.address != "memory:":  # which has it in memory as it is
        largest = max(map(len, place.read("entries/k/one", "results/0001-0000-ab-0001.parquet")))
        assert largest < 12 * 2**20, "it came in one piece"


@every_place
def test_names_are_listed_by_folder_and_in_order(place):
    for name in ("names/main/00000002", "names/main/00000001", "names/other/00000001", "names/main-2/00000001"):
        assert place.create(name, {"entry.json": name.encode()}, created=WHEN)
    assert place.names("names/main") == ["names/main/00000001", "names/main/00000002"]
    assert place.names("names") == sorted(
        ["names/main/00000001", "names/main/00000002", "names/main-2/00000001", "names/other/00000001"]
    )
    assert place.names("entries") == place.names("names/absent") == []


@every_place
def test_a_bundle_is_made_once(place):
    assert place.create("names/main/00000001", {"entry.json": b"first", "a": b"1"}, created=WHEN)
    assert not place.create("names/main/00000001", {"entry.json": b"second", "a": b"2"}, created=WHEN)
    assert content(place, "names/main/00000001", "entry.json") == b"first"
    assert content(place, "names/main/00000001", "a") == b"1"


@every_place
def test_a_file_that_is_not_there_is_named(place):
    place.create("entries/k/one", {"entry.json": b"{}"}, created=WHEN)
    for name in ("entries/k/one", "entries/k/two"):
        with pytest.raises(StoreError) as caught:
            content(place, name, "items.parquet")
        assert f"{name}" in str(caught.value)
        assert "items.parquet" in str(caught.value)
        assert str(place.address) in str(caught.value)


@pytest.mark.parametrize("place", ["memory", "local", "s3"], indirect=True)
def test_objects_of_a_bundle_that_was_never_finished_are_not_listed(place):
    """What a writer that was killed leaves; the next one of the same name takes its place."""
    import obstore

    obstore.put(place._store, "entries/k/one/a", b"torn")
    assert place.names("entries") == []
    assert place.create("entries/k/one", {"entry.json": b"{}", "a": b"whole"}, created=WHEN)
    assert content(place, "entries/k/one", "a") == b"whole"


RACER = """
import sys
from headgate.store.baselines.address import open_bundles
place, me = open_bundles(sys.argv[1]), sys.argv[2]
place.names("names")
print("ready", flush=True)
sys.stdin.readline()
won = [n for n in range(25)
       if place.create(f"names/main/{n:08d}", {"entry.json": me.encode()}, created="2026-01-01T00:00:00+00:00")]
print(won, flush=True)
"""


@pytest.mark.parametrize("kind", ["directory", "bare", "s3"])
def test_of_two_processes_one_makes_each_bundle(kind, tmp_path, request):
    """Both start at one word; each name has one maker, and holds what that one wrote."""
    if kind == "s3":
        request.getfixturevalue("s3")
    place = make_place(kind, tmp_path)
    address = place.address if kind != "s3" else f"s3://baselines/{tmp_path.name}"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, address, me], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for me in "ab"
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = {me: json.loads(racer.communicate()[0]) for me, racer in zip("ab", racers, strict=True)}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert sorted(itertools.chain(*won.values())) == list(range(25))
    for me, numbers in won.items():
        assert {content(place, f"names/main/{number:08d}", "entry.json") for number in numbers} <= {me.encode()}


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_of_many_threads_one_makes_a_bundle(place):
    made = []
    barrier = threading.Barrier(6)

    def make(number):
        barrier.wait()
        if place.create("names/main/00000001", {"entry.json": b"%d" % number, "a": b"same"}, created=WHEN):
            made.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert content(place, "names/main/00000001", "entry.json") == b"%d" % made[0]
    assert place.names("names") == ["names/main/00000001"]


def test_only_places_of_plain_files_have_a_folder(tmp_path):
    assert Directory(tmp_path).folder("entries/k/one") == tmp_path / "entries/k/one"
    for kind in ("memory", "bare"):
        place = make_place(kind, tmp_path / kind if kind == "memory" else tmp_path)
        assert place.folder("entries/k/one") is None
        assert isinstance(place, GitRefs) == (kind == "bare")
