"""Logs beside Inspect's own package: it reads what we write, and we read what it writes.

``nox -s inspect`` installs inspect_ai and runs this; without it the tests are skipped, and say so.
"""

from __future__ import annotations

import pytest

import headgate as hg

inspect_log = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed: nox -s inspect")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    suite = hg.Suite(
        name="sums",
        items=[{"id": f"i{n}", "question": f"{n} + 1", "target": n + 1} for n in range(30)],
        prompts={
            "plain": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "{{ question }}"}]
        },
        models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.7, "latency_s": 0}}],
        seeds=2,
        scorers=[{"name": "correct", "type": "numeric"}],
    )
    return hg.run(suite, out=tmp_path_factory.mktemp("runs") / "run")


def test_inspect_reads_our_log(run, tmp_path):
    file = tmp_path / "run.eval"
    hg.export_run(run, file)
    log = inspect_log.read_eval_log(str(file))
    rows = {(row["item_id"], row["seed"]): row for row in hg.scan(run).collect().to_dicts()}
    scores = {(row["item_id"], row["seed"]): row["value"] for row in hg.scan_scores(run).collect().to_dicts()}
    assert log.status == "success"
    assert (log.eval.model, log.eval.config.epochs, log.eval.dataset.samples) == ("simulated/small", 2, 30)
    assert len(log.samples) == 60
    for sample in log.samples:
        key = sample.id, sample.epoch
        assert sample.output.completion == rows[key]["output"]
        assert sample.scores["correct"].as_float() == scores[key]
        assert [message.role for message in sample.messages] == ["system", "user", "assistant"]
    (score,) = log.results.scores
    assert score.metrics["mean"].value == pytest.approx(sum(scores.values()) / 60)
    one = inspect_log.read_eval_log_sample(str(file), id="i3", epoch=2)
    assert one.output.completion == rows["i3", 2]["output"]
    assert len(inspect_log.read_eval_log_sample_summaries(str(file))) == 60


@pytest.mark.parametrize("form", ["eval", "json"])
def test_we_read_what_inspect_writes(tmp_path, form):
    import inspect_ai
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    def answer() -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", "yes")
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it downloads a tokenizer
        return output

    samples = [Sample(id=n, input=f"question {n}", target="yes" if n % 3 else "no") for n in range(20)]
    task = inspect_ai.Task(dataset=samples, solver=generate(), scorer=match(location="exact"), epochs=2, name="t")
    model = get_model("mockllm/model", custom_outputs=[answer() for _ in range(40)])
    (log,) = inspect_ai.eval(task, model=model, log_dir=str(tmp_path), log_format=form, display="none")
    verdict = hg.gate_scores(log.location.removeprefix("file://"), min=0.1)
    (row,) = verdict.metrics
    assert (row.n_items, row.n_jobs, row.name) == (20, 40, "match")
    assert row.candidate_mean == pytest.approx(log.results.scores[0].metrics["accuracy"].value)
