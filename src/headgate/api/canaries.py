"""Canaries: live traffic, judged."""

from __future__ import annotations

from collections.abc import Callable

from headgate.api.calls import RunPath, as_path, complete
from headgate.decide.verdict import Verdict
from headgate.suite.canary import Canary


def canary(
    declared: Canary,
    *,
    stable: str | None = None,
    canary: str | None = None,
    state: RunPath | None = None,
    max_minutes: float = 0.0,
    poll_s: float = 5.0,
    on_verdict: Callable[[Verdict], object] | None = None,
) -> Verdict:
    r"""Judge a canary against stable on live traffic, as far as it has come; one may look as often as one likes.

    Parameters
    ----------
    declared : Canary
        Where the traffic is and what may pass; see :func:`load_canary`.
    stable, canary : str, optional
        In place of those that are declared.
    state : path, optional
        Folder in which what was seen survives: the next call reads only what is new.
    max_minutes : float
        Wait so long for more traffic while the verdict is inconclusive; default: do not wait.
    poll_s : float
        Seconds between two looks at the sources meanwhile.
    on_verdict : callable, optional
        Receives the verdict after each of these looks.

    Returns
    -------
    Verdict
        ``pass``: promote; ``fail``: roll back; ``inconclusive``: too little traffic yet, or none, or an alarm. Never
        ``invalid``.

    Raises
    ------
    ConfigError
        If the declaration is wrong, or the state is of another one.
    StoreError
        If the disk refuses, or another process has the state.

    Examples
    --------
    >>> import headgate as hg, json, pathlib, tempfile
    >>> def log(path, errors):
    ...     rows = ({"time": 1.7e9 + n, "id": f"{path.name}{n}", "status": "error" if n % 100 < errors else "ok"}
    ...             for n in range(2000))
    ...     path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stable, new = pathlib.Path(folder, "stable.jsonl"), pathlib.Path(folder, "new.jsonl")
    ...     _ = log(stable, errors=1), log(new, errors=20)
    ...     gates = [{"metric": "error_rate", "margin": 0.05}]
    ...     hg.canary(hg.Canary(gates=gates), stable=str(stable), canary=str(new)).verdict
    'fail'
    """
    return complete(
        canary_async(
            declared,
            stable=stable,
            canary=canary,
            state=state,
            max_minutes=max_minutes,
            poll_s=poll_s,
            on_verdict=on_verdict,
        )
    )


async def canary_async(
    declared: Canary,
    *,
    stable: str | None = None,
    canary: str | None = None,
    state: RunPath | None = None,
    max_minutes: float = 0.0,
    poll_s: float = 5.0,
    on_verdict: Callable[[Verdict], object] | None = None,
) -> Verdict:
    """Judge a canary inside an asyncio event loop; as :func:`canary`."""
    from headgate.conduct.canary import Watcher, watch

    watcher = Watcher(declared, stable=stable, canary=canary, state=as_path(state))
    try:
        return await watch(watcher, max_minutes=max_minutes, poll_s=poll_s, on_verdict=on_verdict)
    finally:
        watcher.close()
