from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headgate.plan import Plan, differing_keys
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.sources import Items

PROMPTS = [Prompt(name=name, messages=(("user", name + " {{ q }}"),)) for name in ("old", "new")]
MODELS = [Model(id="m1", provider="simulated"), Model(id="m2", provider="simulated", params={"temperature": 0.5})]


def make_plan(folder: Path, n_items: int = 3, **options) -> Plan:
    rows = [{"id": f"i{n}", "q": f"question {n}", "target": n} for n in range(n_items)]
    path = folder / "items.parquet"
    write_items(read_rows(Items(rows=rows), base=folder), PROMPTS, path)
    return Plan(ItemFile(path), **{"prompts": PROMPTS, "models": MODELS, "seeds": 2, **options})


def cells(plan):
    return [(job.item.item_id, job.seed, job.model.id, job.prompt.name) for job in plan]


def test_jobs_of_an_item_and_both_arms_of_a_seed_stand_next_to_each_other(tmp_path):
    assert cells(make_plan(tmp_path, 1)) == [
        ("i0", seed, model, prompt) for seed in (1, 2) for model in ("m1", "m2") for prompt in ("old", "new")
    ]
    assert cells(make_plan(tmp_path, 1, axis="model")) == [
        ("i0", seed, model, prompt) for seed in (1, 2) for prompt in ("old", "new") for model in ("m1", "m2")
    ]


def facts(job):
    return job.index, job.job_id, job.item.item_id, job.prompt, job.model, job.seed, job.messages, job.item.variables


def test_index_slice_and_iteration_agree(tmp_path):
    plan = make_plan(tmp_path)
    jobs = list(plan)
    assert len(jobs) == len(plan) == 3 * 2 * 2 * 2
    assert [plan[index].job_id for index in range(len(plan))] == [job.job_id for job in jobs] == list(plan.job_ids())
    assert facts(plan[-1]) == facts(jobs[-1])
    assert [facts(job) for job in plan[2:5]] == [facts(job) for job in jobs[2:5]]
    with pytest.raises(IndexError):
        plan[len(plan)]


def test_other_seeds_are_other_jobs_of_another_plan(tmp_path):
    plan, other = make_plan(tmp_path), make_plan(tmp_path, first_seed=3)
    assert [job.seed for job in other][:8] == [3, 3, 3, 3, 4, 4, 4, 4]
    assert set(plan.job_ids()).isdisjoint(other.job_ids())
    assert differing_keys(plan.parts, other.parts) == ("first_seed",)
    # Seeds 1 and 2, then 3 and 4, are the seeds 1 to 4 of one plan: replicates of the same jobs.
    assert {*plan.job_ids(), *other.job_ids()} == {*make_plan(tmp_path, seeds=4).job_ids()}


def test_job_ids_are_unique_and_golden(tmp_path):
    plan = make_plan(tmp_path)
    ids = list(plan.job_ids())
    assert len(set(ids)) == len(ids)
    # These stand in stored runs: if they change, no run resumes any more.
    assert ids[:2] == GOLDEN_JOBS
    assert plan.digest == GOLDEN_PLAN


def test_a_job_id_covers_content_and_not_names(tmp_path):
    plan = make_plan(tmp_path)
    renamed = make_plan(
        tmp_path,
        prompts=[Prompt(name=p.name, messages=p.messages, file="elsewhere.txt") for p in PROMPTS],
        models=[
            Model(id="m1", provider="simulated", model="m1", timeout_s=1, base_url="http://127.0.0.1:1/v1"),
            MODELS[1],
        ],
    )
    assert list(plan.job_ids()) == list(renamed.job_ids())
    warmer = make_plan(tmp_path, models=[MODELS[0], MODELS[1].model_copy(update={"params": {"temperature": 0.6}})])
    same = [a == b for a, b in zip(plan.job_ids(), warmer.job_ids(), strict=True)]
    assert same == [job.model.id == "m1" for job in plan]


def test_more_seeds_keep_the_ids_of_those_that_are_there(tmp_path):
    assert set(make_plan(tmp_path).job_ids()) < set(make_plan(tmp_path, seeds=3).job_ids())


def test_messages_are_the_rendered_prompt(tmp_path):
    assert make_plan(tmp_path)[1].messages == b'[{"content":"new question 0","role":"user"}]'


def test_differing_keys_name_the_parts(tmp_path):
    plan = make_plan(tmp_path)
    other = make_plan(tmp_path, models=MODELS[:1], seeds=5)
    assert differing_keys(plan.parts, other.parts) == ("models.m2", "seeds")
    assert differing_keys(plan.parts, plan.parts) == ()


def test_ten_million_jobs_plan_in_under_100_mb(tmp_path):
    script = f"""
import resource, sys
from pathlib import Path
from headgate.plan import Plan
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.sources import Items
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
import random
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
folder = Path({str(tmp_path)!r})
rows = [{{"id": str(n), "q": f"question {{n}}"}} for n in range(1000)]
prompts = [Prompt(name=name, messages=(("user", name + " {{{{ q }}}}"),)) for name in ("old", "new")]
write_items(read_rows(Items(rows=rows), base=folder), prompts, folder / "i.parquet")
models = [Model(id=f"m{{n}}", provider="simulated") for n in range(5)]
plan = Plan(ItemFile(folder / "i.parquet"), prompts=prompts, models=models, seeds=1000)
assert len(plan) == 10_000_000
rng = random.Random(1)
for _ in range(2000):
    plan[rng.randrange(len(plan))]
for number, job in enumerate(plan):
    if number == 50_000:
        break
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 100


GOLDEN_JOBS = ["a9c42953e6ca021995faee8e5c818934", "1687dd3f17db8ff956fa9a45d201f018"]
GOLDEN_PLAN = "061bfe6a083d9046dfb82f23ef01b6ff"


@pytest.mark.parametrize("change", [{"api_version": "2023-06-01"}, {"on_unsupported": "drop"}])
def test_what_changes_what_is_sent_changes_the_plan_and_defaults_do_not(tmp_path, change):
    plain = Model(id="m", provider="anthropic", params={"max_tokens": 8})
    plan = make_plan(tmp_path, models=[plain])
    other = make_plan(tmp_path, models=[Model.model_validate({**plain.model_dump(exclude_unset=True), **change})])
    assert differing_keys(plan.parts, other.parts) == ("models.m",)
    assert set(plan.job_ids()).isdisjoint(other.job_ids())
    assert set(plain.identity) == {"provider", "model", "params", "call", "simulate"}
