"""A whole examination: what a suite declares, then this machine, then where it would send requests."""

from __future__ import annotations

import platform
from collections.abc import Collection
from pathlib import Path

from headgate.conduct.doctor.declared import Declared
from headgate.conduct.doctor.endpoints import examine_keys, examine_reach
from headgate.conduct.doctor.finding import Diagnosis, Finding, from_error, ok
from headgate.conduct.doctor.live import ask_models
from headgate.conduct.doctor.machine import examine_machine
from headgate.conduct.hosts import check_hosts
from headgate.errors import ConfigError
from headgate.execute.endpoint import resolve_key, served_at
from headgate.execute.transports import TransportName
from headgate.store.provenance import versions
from headgate.suite.files import load_suite
from headgate.suite.model import Model
from headgate.suite.suite import Suite


async def examine(
    suite: Suite | Path,
    *,
    live: bool = False,
    out: Path | None = None,
    allow_hosts: Collection[str] | None = None,
    transport: TransportName | None = None,
) -> Diagnosis:
    """Look at everything that a run of a suite rests on.

    Parameters
    ----------
    suite : Suite or Path
        A file that is no suite is a finding too.
    live : bool
        Ask each model for a word: that costs what a few tokens cost.
    out : Path, optional
        Where the run would be written; default: ``runs/NAME``.
    allow_hosts : collection of str, optional
        Hosts that keys may go to; a model elsewhere is a problem, and is not asked.
    """
    found: list[Finding] = []
    declared = _load(suite, found)
    if declared is not None:
        read = Declared(declared)
        found += read.examine()
        found += examine_keys(declared, allow_hosts)
        found += examine_machine(declared, read.prompts, jobs=read.jobs, out=out or Path("runs") / declared.name)
        found += examine_reach(declared)
        if live:
            models = [model for model in declared.places if _may_be_asked(declared, model, allow_hosts)]
            found += [each async for each in ask_models(declared, read.prompts, models=models, transport=transport)]
    name = str(suite) if isinstance(suite, Path) else str(suite.file or suite.name)
    known = {**versions(), "platform": platform.platform()}
    return Diagnosis(suite=name, live=live, versions=known, findings=tuple(found))


def _load(suite: Suite | Path, found: list[Finding]) -> Suite | None:
    if isinstance(suite, Path):
        try:
            suite = load_suite(suite)
        except ConfigError as error:
            found.append(from_error("suite", error))
            return None
    found.append(ok("suite", f"{suite.name} can be read"))
    return suite


def _may_be_asked(suite: Suite, model: Model, allow_hosts: Collection[str] | None) -> bool:
    try:
        served_at(model, file=suite.file)
        resolve_key(model, base=suite.base, file=suite.file)
        check_hosts(suite, [model], allow_hosts)
    except ConfigError:
        return False  # which was said already
    return True
