"""What a suite will take, foreseen or tried on a few items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.api.calls import Run, RunPath, Watch, as_path, complete, make_options
from headgate.api.runs import conduct_run
from headgate.conduct.cap import cap_suite
from headgate.conduct.prepare import prepare
from headgate.errors import ConfigError
from headgate.execute.transports import TransportName
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import httpx

    from headgate.conduct.planning import Forecast


def forecast(suite: Suite, *, stored: RunPath | None = None) -> Forecast:
    """Foresee what a suite will take and what its gates can show; no model is asked.

    Parameters
    ----------
    stored : path or Run, optional
        An earlier run, such as a :func:`pilot`: how much its items and arms differ, and what its jobs take, is then
        measured and not assumed.

    Returns
    -------
    Forecast
        Jobs, tokens, costs and minutes by lane; for each gate whether it can pass, and how likely.

    Raises
    ------
    ConfigError
        If the suite is wrong, or the stored run lacks what a gate needs.

    Examples
    --------
    >>> import headgate as hg
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(20)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "params": {"max_tokens": 8},
    ...              "price": {"input_usd_per_million": 1, "output_usd_per_million": 4}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> found = hg.forecast(suite)
    >>> found.jobs, found.is_worth_it, found.gates[0].needed_items, 0 < found.cost_usd < 0.01
    (40, False, 54, True)
    """
    from headgate.conduct.planning import forecast_suite

    return forecast_suite(suite, stored=as_path(stored))


def pilot(
    suite: Suite,
    *,
    out: RunPath,
    items: int = 30,
    max_cost_usd: float | None = None,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
) -> Run:
    """Run a suite on a few items, drawn at random, for :func:`forecast` to plan by.

    The run is for planning only: it has a directory of its own, and no check or gate of the suite counts its rows. It
    resumes like any run; more items go on from fewer.

    Parameters
    ----------
    out : path
        Its run directory, which no other run of the suite should share.
    items : int
        How many; all of them, where the suite has no more.
    max_cost_usd, allow_hosts, client, transport, watch
        As for :func:`run`.

    Raises
    ------
    ConfigError, EndpointError, StoreError, Interrupted
        As :func:`run`.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(400)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.9, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = hg.pilot(suite, out=folder + "/pilot")
    ...     found = hg.forecast(suite, stored=done)
    >>> done.done, found.gates[0].known, found.lanes[0].measured
    (60, True, 800)
    """
    return complete(
        pilot_async(
            suite,
            out=out,
            items=items,
            max_cost_usd=max_cost_usd,
            allow_hosts=allow_hosts,
            client=client,
            transport=transport,
            watch=watch,
        )
    )


async def pilot_async(
    suite: Suite,
    *,
    out: RunPath,
    items: int = 30,
    max_cost_usd: float | None = None,
    allow_hosts: Collection[str] | None = None,
    client: httpx.AsyncClient | None = None,
    transport: TransportName | None = None,
    watch: Watch | None = None,
) -> Run:
    """Run a suite on a few items, inside an asyncio event loop; as :func:`pilot`."""
    if items < 2:
        raise ConfigError("is too few to see how items differ", field="items", value=items, mend="ask for 2 or more")
    options = replace(make_options(client, transport, None, None), pilot=items)
    capped = cap_suite(suite, max_cost_usd=max_cost_usd)
    return await conduct_run(prepare(capped, Path(out), allow_hosts=allow_hosts), options, watch)
