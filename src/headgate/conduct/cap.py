"""A run's cap: whether it can be held, what of it is spent, and what is said when it is used up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from headgate.errors import ConfigError
from headgate.execute.budget import Budget
from headgate.execute.tokens import output_limit
from headgate.prices import ModelPrice, format_usd
from headgate.shard import WHOLE
from headgate.store.costs import sum_costs
from headgate.store.run import RunStore
from headgate.suite.model import Model, Suite
from headgate.suite.prompts import Prompt


def cap_suite(suite: Suite, *, max_cost_usd: float | None) -> Suite:
    """Return a suite with another cap, where one is given.

    Raises
    ------
    ConfigError
        If it is no amount above zero.
    """
    if max_cost_usd is None:
        return suite
    if not 0 < max_cost_usd < float("inf"):
        mend = "give US dollars above zero, or leave it out"
        raise ConfigError("is no amount to spend", field="max_cost_usd", value=max_cost_usd, mend=mend)
    budget = suite.budget.model_copy(update={"max_cost_usd": float(max_cost_usd)})
    return suite.model_copy(update={"budget": budget})


def check_cap(
    suite: Suite,
    prompts: Sequence[Prompt],
    prices: Mapping[str, ModelPrice | None],
    *,
    judges: Mapping[str, Sequence[Prompt]] | None = None,
) -> None:
    """Refuse a cap that could not be held, where nothing bounds what a request may cost.

    Parameters
    ----------
    judges : mapping, optional
        The prompts of each judge, by the id of its model.

    Raises
    ------
    ConfigError
        If a model has no price, or nothing limits its output.
    """
    if suite.budget.max_cost_usd is None:
        return
    for index, model in enumerate(suite.models):
        asked = prompts if model.role == "tested" else (judges or {}).get(model.id, ())
        for field, problem, mend in _unbounded(model, asked, prices.get(model.id)):
            raise ConfigError(
                problem,
                file=suite.file,
                line=suite.line("models", index, field) or suite.line("models", index),
                field=f"models.{index}.{field}",
                mend=mend,
            )


def _unbounded(model: Model, prompts: Sequence[Prompt], price: ModelPrice | None) -> Iterator[tuple[str, str, str]]:
    name = f"the price of {model.id!r} is not known, and the run has a cap (max_cost_usd)"
    if price is None:
        mend = "declare input_usd_per_million and output_usd_per_million, both 0 where it costs nothing"
        yield "price", name, mend
    for prompt in prompts:
        if output_limit({**prompt.params, **model.params}) is None:
            said = f"nothing limits what {model.id!r} brings for prompt {prompt.name!r}, and the run has a cap"
            yield "params", f"{said} (max_cost_usd)", "declare max_tokens, or max_completion_tokens"


def open_budget(suite: Suite, store: RunStore, *, on_used_up: Callable[[], object]) -> Budget | None:
    """Return what is left of the cap for a run, or for its shard: what its rows have cost is spent."""
    cap = suite.budget.max_cost_usd
    if cap is None:
        return None
    shard = store.manifest.shard or WHOLE
    return Budget(cap / shard.count, spent_usd=sum_costs(store.files).settled_usd, on_used_up=on_used_up)


def describe_used_up(budget: Budget) -> str:
    """Say that the money is used up.

    Examples
    --------
    >>> describe_used_up(Budget(5, spent_usd=4.875, on_used_up=print))
    'the cap of $5.00 is reached, raise it to go on ($4.88 spent, and the next request may cost $0)'
    """
    cap, spent, following = map(format_usd, (budget.max_cost_usd, budget.spent_usd, budget.next_usd))
    return f"the cap of {cap} is reached, raise it to go on ({spent} spent, and the next request may cost {following})"
