import msgspec
import pytest

from headgate.errors import ConfigError, StoreError
from headgate.identity import digest
from headgate.store.manifest import differences, make_manifest, read_manifest, suite_json, write_manifest
from headgate.suite.suite import Suite
from store_rows import make_plan, make_run, make_suite


@pytest.fixture
def made(tmp_path):
    return make_run(tmp_path / "run")


def test_it_comes_back(tmp_path, made):
    _, manifest = made
    write_manifest(tmp_path / "manifest.json", manifest)
    assert read_manifest(tmp_path / "manifest.json") == manifest
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_facts(made):
    plan, manifest = made
    assert (manifest.schema, manifest.name, manifest.scorers) == (4, "sums", {"correct": "1"})
    assert (manifest.plan.digest, manifest.plan.n_jobs) == (plan.digest, 20)
    assert manifest.plan.items.n_items == 5
    assert manifest.plan.parts == plan.parts
    assert manifest.plan.prompts["candidate"].messages == [("user", "Shortly: {{ q }}")]
    assert digest(manifest.plan.models["small"].identity) == manifest.plan.models["small"].digest
    assert manifest.suite_digest == digest(manifest.suite)
    assert manifest.run_id[:8] == manifest.created[:10].replace("-", "")


def test_two_runs_of_one_suite_differ_in_name_only(tmp_path):
    (_, one), (_, two) = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    assert one.run_id != two.run_id
    assert (one.suite_digest, one.plan) == (two.suite_digest, two.plan)


def test_it_is_written_once(tmp_path, made):
    write_manifest(tmp_path / "manifest.json", made[1])
    with pytest.raises(StoreError, match=r"manifest\.json: is there already"):
        write_manifest(tmp_path / "manifest.json", made[1])


def test_keys_of_later_versions_are_ignored(tmp_path, made):
    path = tmp_path / "manifest.json"
    write_manifest(path, made[1])
    data = msgspec.json.decode(path.read_bytes()) | {"later": 1}
    path.write_bytes(msgspec.json.encode(data))
    assert read_manifest(path) == made[1]


def test_a_folder_without_manifest_is_no_run(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_manifest(tmp_path / "manifest.json")
    assert str(caught.value) == f"{tmp_path}: is not a run directory: it has no manifest.json"


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"schema": 1}', b"[]", b'{"schema": "1"}', b"\xff\xfe"])
def test_a_damaged_manifest_is_named(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest\.json: is damaged: .*; restore it from a copy of the run"):
        read_manifest(path)


def test_a_later_schema_is_refused(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_bytes(b'{"schema": 5, "everything": "else may differ"}')
    with pytest.raises(StoreError, match="is of schema 5, and this headgate reads up to 4; update headgate"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({}, ()),
        ({"name": "renamed"}, ()),
        ({"seeds": 3}, ("seeds",)),
        ({"items": [{"id": "x", "q": "1", "target": "1"}]}, ("items",)),
        ({"prompts": {"baseline": "{{ q }}", "candidate": "Briefly: {{ q }}"}}, ("prompts.candidate",)),
        ({"prompts": {"baseline": "{{ q }}"}}, ("prompts.candidate",)),
        ({"models": [{"id": "small", "provider": "simulated", "params": {"temperature": 1}}]}, ("models.small",)),
        (
            {"models": [{"id": "large", "provider": "simulated"}], "seeds": 1},
            ("models.large", "models.small", "seeds"),
        ),
    ],
)
def test_differences_are_dotted_names(tmp_path, made, change, keys):
    other = make_plan(tmp_path / "other", make_suite(**change))
    assert differences(other, made[1].plan) == keys
    assert differences(made[1].plan, other) == keys


def grade(output, item):
    return 1.0


class Grader:
    def __call__(self, output, item):
        return 1.0


def test_the_suite_stands_there_as_json(tmp_path):
    suite = make_suite(
        models=[
            {"id": "mine", "provider": "python", "call": grade},
            {"id": "far", "provider": "openai-compatible", "base_url": "https://me:pw@host/v1", "api_key": "env:KEY"},
        ],
        scorers=[{"name": "g", "type": "python", "call": Grader()}, {"name": "h", "type": "python", "call": grade}],
    )
    declared = suite_json(suite)
    assert msgspec.json.decode(msgspec.json.encode(declared)) == declared
    assert declared["models"][0]["call"] == f"{__name__}:grade"
    assert [scorer["call"] for scorer in declared["scorers"]] == [f"{__name__}:Grader", f"{__name__}:grade"]
    assert declared["models"][1]["base_url"] == "https://host/v1"
    assert declared["models"][1]["api_key"] == "env:KEY"
    assert declared["items"]["rows"] == []
    again = Suite.model_validate(declared)
    assert again.seeds == suite.seeds


def test_secrets_of_the_command_line_stay_out(tmp_path):
    suite = make_suite()
    plan = make_plan(tmp_path, suite)
    manifest = make_manifest(suite, plan, argv=["headgate", "run", "--api-key=hunter2", "sk-abcdefghijkl"])
    assert b"hunter2" not in msgspec.json.encode(manifest)
    assert manifest.argv == ["headgate", "run", "--api-key=***", "***"]
