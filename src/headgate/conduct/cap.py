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
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt
from headgate.suite.scorers import Evaluator
from headgate.suite.suite import Suite


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
    caps = [name for name in ("max_cost_usd", "max_tokens") if getattr(suite.budget, name) is not None]
    if not caps:
        return
    free = {scorer.model for scorer in suite.scorers if isinstance(scorer, Evaluator)}
    for index, model in enumerate(suite.models):
        asked = prompts if model.role == "tested" else [*(judges or {}).get(model.id, ())]
        if model.id in free:  # what an evaluator asks is known when it asks
            asked = [*asked, Prompt(name="of its evaluators", messages=())]
        told = (found for place in model.places for found in _unbounded(place, asked, prices.get(place.id), caps))
        for field, problem, mend in told:
            raise ConfigError(
                problem,
                file=suite.file,
                line=suite.line("models", index, field) or suite.line("models", index),
                field=f"models.{index}.{field}",
                mend=mend,
            )


def _unbounded(
    model: Model, prompts: Sequence[Prompt], price: ModelPrice | None, caps: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    if price is None and "max_cost_usd" in caps:
        name = f"the price of {model.id!r} is not known, and the run has a cap (max_cost_usd)"
        mend = "declare input_usd_per_million and output_usd_per_million, both 0 where it costs nothing"
        yield "price", name, mend
    for prompt in prompts:
        if output_limit({**prompt.params, **model.params}) is None:
            said = f"nothing limits what {model.id!r} brings for prompt {prompt.name!r}, and the run has a cap"
            yield "params", f"{said} ({caps[0]})", "declare max_tokens, or max_completion_tokens"


def open_budgets(
    suite: Suite, store: RunStore, *, on_used_up: Callable[[str], object]
) -> tuple[Budget | None, Budget | None]:
    """Return what is left of the caps of money and of tokens for a run, or for its shard; what its rows took is spent.

    Parameters
    ----------
    on_used_up : callable
        Receives, in words, which of them is used up.
    """
    caps, count = suite.budget, (store.manifest.shard or WHOLE).count
    if caps.max_cost_usd is None and caps.max_tokens is None:
        return None, None
    spent = sum_costs(store.files)
    money = tokens = None
    if caps.max_cost_usd is not None:
        budget = money = Budget(
            caps.max_cost_usd / count, spent=spent.settled_usd, on_used_up=lambda: on_used_up(describe_used_up(budget))
        )
    if caps.max_tokens is not None:
        counted = tokens = Budget(
            caps.max_tokens / count,
            spent=spent.tokens,
            on_used_up=lambda: on_used_up(describe_used_up(counted, show=_show_tokens)),
        )
    return money, tokens


def describe_used_up(budget: Budget, *, show: Callable[[float], str] = format_usd) -> str:
    """Say that a budget is used up.

    Examples
    --------
    >>> describe_used_up(Budget(5, spent=4.875, on_used_up=print))
    'the cap of $5.00 is reached, raise it to go on ($4.88 spent, and the next request may cost $0)'
    """
    cap, spent, following = map(show, (budget.limit, budget.spent, budget.following))
    return f"the cap of {cap} is reached, raise it to go on ({spent} spent, and the next request may cost {following})"


def _show_tokens(tokens: float) -> str:
    return f"{tokens:,.0f} tokens"
