"""What a framework is to the rest: how its evaluators are told, called, and given a model to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.fields import Fields
from headgate.score.callables import Grade

Offers = Mapping[str, Callable[[ChatModel], Any]]
"""Parameter of what makes an evaluator to the form of the model that it takes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One framework; what it names of it is imported when an evaluator of it is there.

    Attributes
    ----------
    packages : tuple of str
        Top-level packages that its evaluators come from.
    is_evaluator : callable
        Whether an object is one of its evaluators, by what the object has: nothing is imported.
    bind : callable
        Evaluator and fields to a function of (output, item), sync or async, that returns whatever the evaluator does.
    usual : mapping of str to str
        Its fields, and what they hold where the suite does not say.
    fresh : bool
        Evaluators keep their result in themselves: each row has one of its own, and ``bind`` takes what makes it.
    labels : mapping of str to float
        Score of each label that it knows.
    """

    name: str
    packages: tuple[str, ...]
    is_evaluator: Callable[[Any], bool]
    bind: Callable[[Any, Fields], Grade]
    usual: Mapping[str, str]
    offers: Offers = field(default_factory=dict[str, Callable[[ChatModel], Any]])
    fresh: bool = False
    labels: Mapping[str, float] = field(default_factory=dict[str, float])


def has(*names: str) -> Callable[[Any], bool]:
    """Return the test whether an object, and no class, has these methods."""

    def test(target: Any) -> bool:
        return not isinstance(target, type) and all(callable(getattr(target, name, None)) for name in names)

    return test
