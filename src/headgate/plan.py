"""From suite to jobs: a lazy, ordered, index-addressable sequence of item x prompt x model x seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Literal, NamedTuple, overload

import msgspec

from headgate.identity import digest
from headgate.suite.gate import Arm
from headgate.suite.items import Item, ItemFile
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

_JOB_ID_VERSION = b"headgate/job/1"


class Job(msgspec.Struct, frozen=True, gc=False):
    """One cell: item x prompt x model x seed; the unit that is planned, run, stored and resumed.

    Attributes
    ----------
    index : int
        Place in the plan, from 0.
    job_id : str
        Content id, 32 hexadecimal characters.
    item : Item
        The dataset row, shared by all its jobs.
    seed : int
        Replicate number, from 1.
    """

    index: int
    job_id: str
    item: Item
    prompt: Prompt
    model: Model
    seed: int

    @property
    def messages(self) -> bytes:
        """The rendered chat messages as a JSON array."""
        return self.item.messages[self.prompt.name]


class Cell(NamedTuple):
    """One (seed, prompt, model) of every item, with the part of the job id that it determines."""

    prompt: Prompt
    model: Model
    seed: int
    key: bytes


class Plan(Sequence[Job]):
    """All jobs of a suite, in order, none of them held.

    Jobs of one item stand next to each other; inside an item the compared axis turns fastest, so that both arms of an
    (item, seed) are neighbours and meet the same weather at the provider.

    Parameters
    ----------
    items : ItemFile
        Items and rendered prompts.
    prompts, models : sequence
        In the order of the suite.
    seeds : int
        Number of replicates.
    first_seed : int
        Number of the first one: other seeds are other jobs, with answers of their own.
    axis : {"prompt", "model"}
        The compared axis.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from headgate.suite.items import Row, write_items
    >>> prompts = [Prompt(name=name, messages=(("user", name + " {{ q }}"),)) for name in ("a", "b")]
    >>> row = Row(number=1, line=1, item_id="i", cluster=None, target=None, variables={"q": "?"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "items.parquet"
    ...     _ = write_items([row], prompts, path)
    ...     model = Model(id="m", provider="simulated")
    ...     plan = Plan(ItemFile(path), prompts=prompts, models=[model], seeds=2)
    ...     [(job.seed, job.prompt.name) for job in plan]
    [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
    """

    def __init__(
        self,
        items: ItemFile,
        *,
        prompts: Sequence[Prompt],
        models: Sequence[Model],
        seeds: int,
        first_seed: int = 1,
        axis: Literal["prompt", "model"] = "prompt",
    ) -> None:
        self.items, self.seeds, self.first_seed, self.axis = items, seeds, first_seed, axis
        self.prompts, self.models = tuple(prompts), tuple(models)
        self.cells = tuple(self._cells())
        self._length = len(items) * len(self.cells)

    def _cells(self) -> Iterator[Cell]:
        models = {model.id: digest(model.identity) for model in self.models}
        outer, inner = (self.models, self.prompts) if self.axis == "prompt" else (self.prompts, self.models)
        pairs = [(first, second) for first in outer for second in inner]
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for pair in pairs:
                model, prompt = pair if self.axis == "prompt" else pair[::-1]
                assert isinstance(model, Model)
                assert isinstance(prompt, Prompt)
                yield Cell(prompt, model, seed, cell_key(prompt.digest, models[model.id], seed))

    @property
    def parts(self) -> dict[str, object]:
        """What the plan's digest covers, by name: the keys that a mismatch reports."""
        return plan_parts(
            items=self.items.digest,
            prompts={prompt.name: prompt.digest for prompt in self.prompts},
            models={model.id: digest(model.identity) for model in self.models},
            seeds=self.seeds,
            first_seed=self.first_seed,
            axis=self.axis,
        )

    @property
    def digest(self) -> str:
        """Content id of the whole plan."""
        return digest(self.parts)

    def job_id(self, index: int) -> str:
        """Return the id of a job without reading its item's text; see :func:`make_job_id`."""
        item, cell = divmod(index, len(self.cells))
        return make_job_id(self.items.item_digest(item), self.cells[cell].key).hex()

    def job_ids(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """Yield the ids of jobs ``start`` to ``stop`` in order."""
        return (self.job_id(index) for index in range(start, len(self) if stop is None else stop))

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Job]: ...
    def __getitem__(self, index: int | slice) -> Job | Sequence[Job]:
        if isinstance(index, slice):
            return list(self.jobs(range(*index.indices(len(self)))))
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"job {index} of a plan with {self._length}")
        return next(self.jobs((place,)))

    def jobs(self, indices: Iterable[int]) -> Iterator[Job]:
        """Yield the jobs at some places, each when it is asked for."""
        items, cells = self.items, self.cells
        for number, places in groupby(indices, lambda index: index // len(cells)):
            item, key = items[number], items.item_digest(number)
            for index in places:
                prompt, model, seed, cell = cells[index % len(cells)]
                yield Job(index, make_job_id(key, cell).hex(), item, prompt, model, seed)


def plan_suite(
    suite: Suite, *, items: ItemFile, prompts: Sequence[Prompt], arm: Arm | None = None, seeds: int | None = None
) -> Plan:
    """Plan a suite whose items are written and whose prompts are loaded: one arm, or other seeds, where given."""
    axis: Literal["prompt", "model"] = "prompt" if suite.compare is None else suite.compare.baseline.axis
    return Plan(
        items,
        prompts=[prompt for prompt in prompts if arm is None or arm.has_prompt(prompt.name)],
        models=[model for model in suite.tested if arm is None or arm.has_model(model.id)],
        seeds=seeds or suite.seeds,
        first_seed=suite.first_seed,
        axis=axis,
    )


def plan_parts(
    *, items: str, prompts: Mapping[str, str], models: Mapping[str, str], seeds: int, first_seed: int, axis: str
) -> dict[str, object]:
    """Return what the digest of a plan covers; seeds that are numbered from 1 need no mention."""
    parts: dict[str, object] = {
        "items": items,
        "prompts": dict(prompts),
        "models": dict(models),
        "seeds": seeds,
        "axis": axis,
    }
    return parts if first_seed == 1 else parts | {"first_seed": first_seed}


def cell_key(prompt: str, model: str, seed: int) -> bytes:
    """Return the part of a job's id that its prompt, its model (by their digests) and its seed determine."""
    return bytes.fromhex(prompt) + bytes.fromhex(model) + seed.to_bytes(4, "big")


def make_job_id(item: bytes, cell: bytes) -> bytes:
    """Return the id of a job, 16 bytes, from the digest of its item and the key of its cell.

    Notes
    -----
    BLAKE2b-128 over a version tag, the digest of the item (id and content), of the prompt, of the model with its
    parameters, and the seed. Names, endpoints, limits and deadlines are not part of it.
    """
    return blake2b(_JOB_ID_VERSION + item + cell, digest_size=16).digest()


def differing_keys(ours: Mapping[str, object], theirs: Mapping[str, object]) -> tuple[str, ...]:
    """Return the dotted names of what differs between two plans' ``parts``.

    Examples
    --------
    >>> differing_keys({"seeds": 1, "prompts": {"a": "x"}}, {"seeds": 1, "prompts": {"a": "y", "b": "z"}})
    ('prompts.a', 'prompts.b')
    """
    found: list[str] = []
    for key in sorted(set(ours) | set(theirs)):
        one, two = ours.get(key), theirs.get(key)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            found += [f"{key}.{name}" for name in sorted(set(one) | set(two)) if one.get(name) != two.get(name)]
        elif one != two:
            found.append(key)
    return tuple(found)
