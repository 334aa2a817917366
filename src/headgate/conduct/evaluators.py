"""Evaluators of other frameworks made ready: what the suite names is resolved, and made when scores are about to be."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from headgate.conduct.metered import Asked, Meter
from headgate.errors import ConfigError
from headgate.execute.transports import TransportName
from headgate.score.adapters.frameworks import NotAnEvaluator, bind_evaluator, silence
from headgate.score.callables import Grade
from headgate.store.manifest import Manifest
from headgate.store.run import RunStore
from headgate.suite.callables import resolve_object
from headgate.suite.scorers.evaluator import Evaluator
from headgate.suite.suite import Suite


class BoundEvaluator:
    """An evaluator that a suite or canary names; it is made when :attr:`grade` is first asked for.

    Parameters
    ----------
    meter : Meter, optional
        What serves the models that it asks.

    Raises
    ------
    ConfigError
        If what it names cannot be imported.
    """

    def __init__(self, spec: Evaluator, *, base: Path, file: Path | None, field: str, meter: Meter | None) -> None:
        silence()  # before the framework is imported
        self.spec, self.meter, self._file, self._field = spec, meter, file, field
        self.target: Any = resolve_object(spec.call, base=base, field=f"{field}.call", file=file)

    @cached_property
    def grade(self) -> Grade:
        """The evaluator as a function of (output, item).

        Raises
        ------
        ConfigError
            If it cannot be made, or is none.
        """
        spec, chat = self.spec, None
        if spec.model is not None and self.meter is not None:
            chat = self.meter.chat_model(spec.model, scorer=spec.name)
        try:
            return bind_evaluator(spec, self.target, chat)
        except NotAnEvaluator as error:
            raise self._wrong(str(error)) from error
        except ConfigError:
            raise
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"cannot be made: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            raise self._wrong(said, mend="`arguments` are its keyword arguments") from error

    def _wrong(self, problem: str, *, mend: str | None = None) -> ConfigError:
        value = self.spec.call if isinstance(self.spec.call, str) else None
        return ConfigError(problem, file=self._file, field=f"{self._field}.call", value=value, mend=mend)


class _HasEvaluator(Protocol):
    @property
    def evaluator(self) -> BoundEvaluator | None: ...


def make_ready(scorers: Sequence[_HasEvaluator]) -> None:
    """Make the evaluators, so that one that cannot be made is found before the first request.

    Raises
    ------
    ConfigError
        If one cannot be made.
    """
    for scorer in scorers:
        if scorer.evaluator is not None:
            _ = scorer.evaluator.grade


@contextmanager
def serving(
    scorers: Sequence[_HasEvaluator], store: RunStore, *, transport: TransportName | None = None
) -> Generator[Asked]:
    """Serve the models that evaluators ask while a run is scored; yields what they have done so far."""
    make_ready(scorers)
    meter = next((scorer.evaluator.meter for scorer in scorers if scorer.evaluator is not None), None)
    if meter is None:
        yield Asked()
        return
    with meter.serving(store, transport=transport) as asked:
        yield asked


def open_meter(declared: object) -> Meter | None:
    """Return what serves the models of a suite; a canary has none."""
    return Meter(declared) if isinstance(declared, Suite) else None


def unmetered(manifest: Manifest) -> list[str]:
    """Return the evaluators of a run that were handed no model: what they ask of one themselves is in no cost."""
    return [one["name"] for one in manifest.suite["scorers"] if one["type"] == "evaluator" and one["model"] is None]
