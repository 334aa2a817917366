"""inspect-ai: a task over JSON lines, scored by ``includes``. The file stands in BENCH_ITEMS."""

from __future__ import annotations

import os

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def bench() -> Task:
    fields = FieldSpec(input="question", target="target", id="id")
    return Task(dataset=json_dataset(os.environ["BENCH_ITEMS"], fields), solver=generate(), scorer=includes())
