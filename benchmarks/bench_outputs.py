"""The gate on stored outputs of real models: how often it blocks when nothing changed, and what it tells apart.

``python benchmarks/bench_outputs.py FOLDER [--splits 1000]``: FOLDER holds ``gsm8k_4models_correctness.jsonl`` (of
openai/grade-school-math), ``routellm_mmlu_*.csv`` (of lm-sys/RouteLLM), ``eqbench_v2/*.json`` (of EQ-bench/EQ-Bench),
``mtbench_gpt4judge_5models.jsonl`` (MT-Bench judgements of FastChat) and ``taubench_airline_gpt4o_4trials.jsonl`` (of
sierra-research/tau-bench). Everything is drawn from one seed: two runs print the same.

A/A, where a block is false by construction:

- halves: the items of one model are split at random into two halves, whose scores meet in random pairs;
- seeds: of each item, half of its repeats are the candidate's and half the baseline's, at random;
- swaps: of each item a coin says which of two models is the candidate: equal in truth, as different as the models are.

A/B: of two models of which one is known to be better, each is the candidate once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import headgate as hg
from headgate.decide import decide_paired
from headgate.stats import clopper_pearson
from headgate.store.importers.read import read_scores
from headgate.store.importers.row import Columns

Split = Callable[..., bool]
SEED = 20_260_801
ALPHA = 0.05


class Scores(NamedTuple):
    """One model's scores: items x seeds."""

    name: str
    values: np.ndarray
    bounds: tuple[float, float] | None
    margin: float


class Pair(NamedTuple):
    """Two models of which the first is known to be better, in one file."""

    name: str
    file: Path
    better: dict[str, Any]
    worse: dict[str, Any]
    options: dict[str, Any]


def pairs(folder: Path, scratch: Path) -> Iterator[Pair]:
    gsm8k = folder / "gsm8k_4models_correctness.jsonl"
    order = ["175b_verification", "6b_verification", "175b_finetuning", "6b_finetuning"]
    for better, worse in [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]:
        yield Pair(
            f"GSM8K: {order[better]}, {order[worse]}",
            gsm8k,
            {"score": f"{order[better]}.is_correct"},
            {"score": f"{order[worse]}.is_correct"},
            {"item": "question", "margin": 0.05},
        )
    for file in sorted(folder.glob("routellm_mmlu_*.csv")):
        yield Pair(
            f"MMLU {file.stem.removeprefix('routellm_mmlu_')}: gpt-4-1106, Mixtral-8x7B",
            file,
            {"score": "gpt-4-1106-preview"},
            {"score": "mistralai/Mixtral-8x7B-Instruct-v0.1"},
            {"margin": 0.05},
        )
    eqbench = write_eqbench(folder / "eqbench_v2", scratch / "eqbench.jsonl")
    for better, worse in [
        ("gpt-4-0613", "mistralai__mistral-7b-instruct-v0.1"),
        ("gpt-4-0314", "TheBloke__Mistral-7B-Instruct-v0.2-GGUF"),
        ("gpt-4-1106-preview", "huggingfaceh4__zephyr-7b-beta"),
    ]:
        options = {"bounds": None, "margin": 0.5}  # a wrong answer can score less than 0
        yield Pair(f"EQ-Bench v2: {better}, {worse}", eqbench, {"score": better}, {"score": worse}, options)
    judged = folder / "mtbench_gpt4judge_5models.jsonl"
    options = {"item": "question_id", "seed": "turn", "bounds": (0, 10), "margin": 0.5}
    chat, base = ({"where": {"model": name}} for name in ("llama2_chat_7b", "llama2_7b"))
    yield Pair("MT-Bench: llama2_chat_7b, llama2_7b", judged, chat, base, options)


def write_eqbench(folder: Path, file: Path) -> Path:
    """Write the items that every model answered, a row each and a column for each model, as JSON lines."""
    models = {path.stem: eqbench_scores(path) for path in sorted(folder.glob("*.json"))}
    shared = set.intersection(*(set(scores) for scores in models.values()))
    rows = ({"id": item, **{name: models[name][item] for name in models}} for item in sorted(shared, key=int))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def eqbench_scores(path: Path) -> dict[str, float]:
    run = json.loads(path.read_text())["raw_results"]["1"]["individual_scores"]
    found = {item: one["first_pass_score"] for item, one in run.items()}
    return {item: float(score) for item, score in found.items() if score is not None}


def read(file: Path, which: dict[str, Any], options: dict[str, Any]) -> np.ndarray:
    """Return one arm's scores, items x seeds, in the order of the file."""
    named = {key: value for key, value in {**options, **which}.items() if key in {"item", "seed", "score", "where"}}
    bounds = options.get("bounds", (0, 1))
    table = read_scores(file, Columns(**named), bounds=bounds)
    found = np.full((len(table.items), table.seeds), np.nan)
    order = {item: place for place, item in enumerate(sorted(table.items))}
    found[[order[table.items[item]] for item in table.item], table.seed - 1] = table.value
    assert np.isfinite(found).all()
    return found


def blocked(candidate: np.ndarray, baseline: np.ndarray, scores: Scores) -> bool:
    items = np.repeat(np.arange(len(candidate)), candidate.shape[1])
    decision = decide_paired(
        candidate.ravel(), baseline.ravel(), items=items, margin=scores.margin, alpha=ALPHA, bounds=scores.bounds
    )
    return decision.verdict == "fail"


def split_items(scores: Scores, rng: np.random.Generator) -> bool:
    order = rng.permutation(len(scores.values))
    half = len(order) // 2
    return blocked(scores.values[order[:half]], scores.values[order[half : 2 * half]], scores)


def split_seeds(scores: Scores, rng: np.random.Generator) -> bool:
    drawn = rng.permuted(scores.values, axis=1)
    half = drawn.shape[1] // 2
    return blocked(drawn[:, :half], drawn[:, half : 2 * half], scores)


def swap_arms(scores: Scores, rng: np.random.Generator) -> bool:
    swapped = rng.random(len(scores.values)) < 0.5
    first, second = scores.values[..., 0], scores.values[..., 1]
    candidate = np.where(swapped[:, None], second, first)
    return blocked(candidate, np.where(swapped[:, None], first, second), scores)


def replays(known: list[Pair], trials: Path) -> Iterator[tuple[str, Scores, Split]]:
    kind = {"item": "task_id", "seed": "trial", "score": "reward"}
    yield "seeds", Scores("tau-bench airline, gpt-4o", read(trials, {}, kind), (0, 1), 0.05), split_seeds
    seen = set[str]()
    for pair in known:
        bounds, margin = pair.options.get("bounds", (0, 1)), pair.options["margin"]
        arms = [read(pair.file, which, pair.options) for which in (pair.better, pair.worse)]
        suite, _, models = pair.name.partition(": ")
        for model, values in zip(models.split(", "), arms, strict=True):
            name = f"{suite}, {model}"
            if name not in seen:
                yield "halves", Scores(name, values, bounds, margin), split_items
            seen.add(name)
        yield "swaps", Scores(pair.name, np.stack(arms, axis=-1), bounds, margin), swap_arms


def share(count: int, splits: int) -> str:
    low, high = clopper_pearson(count, splits)
    return f"{count / splits:.3f} | {low:.3f} to {high:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="The gate on stored outputs of real models.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report(asked.folder, list(pairs(asked.folder, Path(scratch))), asked.splits)


def report(folder: Path, known: list[Pair], splits: int) -> None:
    print(f"A/A: share of {splits} splits that were blocked; declared at most {ALPHA}\n")
    print("| split | scores | items | blocked | 95 % of that share |\n|---|---|---|---|---|")
    counts: dict[str, list[int]] = {}
    for label, scores, split in replays(known, folder / "taubench_airline_gpt4o_4trials.jsonl"):
        rng = np.random.default_rng(SEED)
        count = sum(split(scores, rng) for _ in range(splits))
        counts.setdefault(label, []).append(count)
        print(f"| {label} | {scores.name} | {len(scores.values)} | {share(count, splits)} |", flush=True)
    for label, found in counts.items():
        print(f"| {label} | all {len(found)} | | {share(sum(found), splits * len(found))} |")
    print("\nA/B: the better model as the candidate, and the worse one\n")
    print("| better, worse | items | difference | better is | worse is |\n|---|---|---|---|---|")
    for pair in known:
        verdicts = [judge(pair, *arms) for arms in ((pair.better, pair.worse), (pair.worse, pair.better))]
        row = verdicts[0].metrics[0]
        words = " | ".join(one.verdict for one in verdicts)
        print(f"| {pair.name} | {row.n_items} | {row.estimate:+.3f} | {words} |")


def judge(pair: Pair, candidate: dict[str, Any], baseline: dict[str, Any]) -> hg.Verdict:
    other = {f"baseline_{key}": value for key, value in baseline.items()}
    item = {} if "item" in pair.options or pair.file.suffix != ".csv" else {"item": "prompt"}
    return hg.gate_scores(pair.file, **pair.options, **item, **candidate, **other)


if __name__ == "__main__":
    main()
