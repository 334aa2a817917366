import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import StoreError
from headgate.result import COLUMNS
from headgate.store.schema import RESULTS, SCHEMA_VERSION, SCORES, conform, is_readable, to_batch, to_results
from store_rows import any_result, as_stored, make_result

# The columns that stored runs have. A change here breaks them: add only nullable columns, and raise SCHEMA_VERSION.
V3 = """
job_id string!, item_id string!, prompt string!, prompt_digest string!, model string!, provider string!,
endpoint string!, seed int64!, status string!, started_at timestamp[us, tz=UTC]!, finished_at timestamp[us, tz=UTC]!,
cluster string, seed_sent bool!, error_kind string, error_message large_string, http_status int64,
output large_string, reasoning large_string, stop_reason string, input_tokens int64, output_tokens int64,
cached_tokens int64, cache_write_tokens int64, reasoning_tokens int64, cost_usd double, settled_usd double,
latency_s double, ttfb_s double, queued_s double!, attempts int64!, served_model string, fallback bool!,
cache_hit bool!, generation int64!, request_id string, system_fingerprint string, tool_calls_json large_string,
metadata_json large_string, api_version string, dropped_params string, logprobs_json large_string, substitute string
"""
V4_SCORES = """
job_id string!, item_id string!, cluster string, prompt string!, model string!, seed int64!, scorer string!,
scorer_version string!, value double, label string, explanation large_string, human double
"""


def described(schema):
    return ", ".join(f"{field.name} {field.type}{'' if field.nullable else '!'}" for field in schema)


@pytest.mark.parametrize(("schema", "expected"), [(RESULTS, V3), (SCORES, V4_SCORES)])
def test_columns_are_frozen(schema, expected):
    assert described(schema) == " ".join(expected.split())
    assert SCHEMA_VERSION == 4


def test_columns_are_those_of_the_result():
    assert tuple(RESULTS.names) == COLUMNS


def test_nothing_that_is_summed_is_narrow():
    numbers = [
        field.type
        for field in [*RESULTS, *SCORES]
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    assert numbers
    assert set(numbers) == {pa.int64(), pa.float64()}


@settings(deadline=None)
@given(st.lists(any_result, min_size=1, max_size=5))
def test_rows_come_back(results):
    batch = to_batch(results)
    batch.validate(full=True)
    assert to_results(batch) == [as_stored(result) for result in results]


@settings(deadline=None)  # pyarrow.array imports pandas on its first call
@given(st.lists(any_result, min_size=1, max_size=5))
def test_buffers_equal_those_of_pyarrow(results):
    """The hand-laid buffers against the slow obvious way."""
    stored = [as_stored(result) for result in results]
    columns = [pa.array([getattr(row, field.name) for row in stored], field.type) for field in RESULTS]
    assert to_batch(results).equals(pa.RecordBatch.from_arrays(columns, schema=RESULTS))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("output", 5, "int does not fit column 'output' of large_string"),
        ("item_id", None, "null does not fit column 'item_id' of string: it must be there"),
        ("seed", 1.5, "float does not fit column 'seed' of int64"),
        ("input_tokens", "12", "str does not fit column 'input_tokens' of int64"),
        ("output_tokens", 2**63, "int does not fit column 'output_tokens' of int64"),
        ("latency_s", "fast", "str does not fit column 'latency_s' of double"),
        ("fallback", "yes", "str does not fit column 'fallback' of bool"),
        ("started_at", None, "null does not fit column 'started_at' of timestamp[us, tz=UTC]"),
    ],
)
def test_a_misfit_names_job_and_column(column, value, message):
    results = [make_result(1), make_result(2, **{column: value}), make_result(3)]
    with pytest.raises(StoreError) as caught:
        to_batch(results)
    assert str(caught.value).startswith(f"job {make_result(2).job_id}: {message}")


def test_older_batches_gain_null_columns():
    old = to_batch([make_result(1)]).drop_columns(["metadata_json", "cost_usd"])
    assert is_readable(old.schema)
    new = conform(old)
    assert new.schema.equals(RESULTS)
    assert to_results(new)[0].cost_usd is None


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch.rename_columns(["other", *batch.schema.names[1:]]),
        lambda batch: batch.set_column(7, "seed", batch.column("seed").cast(pa.int32())),
    ],
)
def test_foreign_columns_are_refused(change):
    batch = change(to_batch([make_result(1)]))
    assert not is_readable(batch.schema)
    with pytest.raises(StoreError, match="written by another version"):
        conform(batch)


def test_a_missing_required_column_is_not_readable():
    assert not is_readable(to_batch([make_result(1)]).drop_columns(["job_id"]).schema)
