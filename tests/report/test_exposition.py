from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headgate.report.exposition import family


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**53) | st.floats(-1e6, 1e6))
def test_prometheus_reads_back_labels_and_values(label, value):
    lines = family("things", "gauge", "Things.", [({"a": label}, value)])
    (read,) = text_string_to_metric_families("\n".join(lines) + "\n")
    (sample,) = read.samples
    assert (sample.name, sample.labels) == ("headgate_things", {"a": label})
    assert sample.value == (float(f"{value:.12g}") if isinstance(value, float) else value)
