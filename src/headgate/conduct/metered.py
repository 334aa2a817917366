"""Models that evaluators ask: served while a run is scored, with their requests as rows and counted in its cost."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from headgate.conduct.model_server import ModelServer
from headgate.execute.endpoint import resolve_key
from headgate.execute.transports import TransportName
from headgate.score.adapters.chat import ChatModel, ModelFailed
from headgate.store.run import RunStore
from headgate.suite.suite import Suite

_NOT_SERVING: Final = "is asked while no run is scored: ask it when a row is graded, not when the evaluator is made"


@dataclass(slots=True)
class Asked:
    """What evaluators took from the run's caps while its answers were scored: US dollars, and tokens."""

    settled_usd: float = 0.0
    tokens: float = 0.0


class Meter:
    """What serves the models that the evaluators of a suite ask, while a run is scored.

    Parameters
    ----------
    suite : Suite
        Whose models, lanes and cap they are.
    """

    def __init__(self, suite: Suite) -> None:
        self._suite, self._models = suite, {model.id: model for model in suite.models}
        self._asked: set[str] = set()
        self._server: ModelServer | None = None

    def chat_model(self, model: str, *, scorer: str) -> ChatModel:
        """Return a model as evaluators ask it.

        Parameters
        ----------
        model : str
            Its id.
        scorer : str
            On whose behalf; it stands in the rows.

        Raises
        ------
        ConfigError
            If its key or its callable is missing.
        """
        found, suite = self._models[model], self._suite
        resolve_key(found, base=suite.base, file=suite.file)
        self._asked.add(model)

        def ask(request: Mapping[str, Any]) -> Future[dict[str, Any]]:
            if self._server is None:
                raise ModelFailed(f"{model} {_NOT_SERVING}")
            return self._server.ask(found, request, scorer=scorer)

        return ChatModel(model, ask)

    @contextmanager
    def serving(self, store: RunStore, *, transport: TransportName | None = None) -> Generator[Asked]:
        """Serve the models while the block runs; at its end their rows are on the disk, and what they took is known."""
        asked = Asked()
        if not self._asked:
            yield asked
            return
        models = [model for model in self._suite.models if model.id in self._asked]
        self._server = ModelServer(self._suite, models, store, transport=transport)
        try:
            with self._server.running():
                yield asked
        finally:
            asked.settled_usd, asked.tokens = self._server.taken
            self._server = None
