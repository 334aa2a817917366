"""What would spoil a run, before it is one."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.api.calls import RunPath, as_path, complete
from headgate.execute.transports import TransportName
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    from headgate.conduct.doctor.finding import Diagnosis


def doctor(
    suite: Suite | RunPath,
    *,
    live: bool = False,
    out: RunPath | None = None,
    allow_hosts: Collection[str] | None = None,
    transport: TransportName | None = None,
) -> Diagnosis:
    """Look at everything that a run of a suite rests on: files, keys, endpoints, disk, clock.

    Parameters
    ----------
    suite : Suite or path
        A file that is no suite is a finding, not an exception.
    live : bool
        Ask each model for a word, which costs what a few tokens cost. Without it no key is sent.
    out : path, optional
        Where the run would be written; default: ``runs/NAME``. Nothing stays there.
    allow_hosts, transport
        As for :func:`run`.

    Returns
    -------
    Diagnosis
        ``findings``, each with a level (``ok``, ``warning``, ``problem``), what it is about, what was seen and what to
        do; and the ``exit_code`` of the command.

    Examples
    --------
    >>> import headgate as hg
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": "1 + 1 = ?", "target": 2}],
    ...     prompts={"plain": "{{ qestion }}"},
    ...     models=[{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0}}],
    ... )
    >>> found = hg.doctor(suite, live=True)
    >>> [each.about for each in found.findings if each.level == "problem"], found.exit_code
    (['items'], 2)
    """
    from headgate.conduct.doctor.examine import examine

    given = suite if isinstance(suite, Suite) else Path(suite)
    return complete(examine(given, live=live, out=as_path(out), allow_hosts=allow_hosts, transport=transport))
