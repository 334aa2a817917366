"""The assertions of promptfoo's tests as scorers of a suite, and their sets as weighted ones."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from headgate.identity import digest
from headgate.registry.importers.assertions import Refused, Scored, translate
from headgate.registry.importers.draft import Draft, ScorerDraft, safe_name
from headgate.registry.importers.promptfoo_tests import Test
from headgate.registry.importers.values import NotCarriedError, Setting, render_plain
from headgate.suite.gate import BUILTIN_METRICS

_READ: Final = frozenset({"type", "value", "transform", "$ref", "metric"})
_READ_OF_SETS: Final = frozenset({"type", "assert", "$ref"})
_NO_SET: Final = "not all of it is carried over as 0 or 1: what is, is judged one by one"
_NOTHING: Final = "a scorer has nothing like it"

Placed = tuple[str, Mapping[str, Any]]
"""An assertion, and where it stands."""


class AssertionReader:
    """Reads the assertions of one test after another into a draft, whose last item is the test's.

    Parameters
    ----------
    config : mapping
        The configuration: its templates of assertions, and what its providers are.
    """

    def __init__(self, draft: Draft, config: Mapping[str, Any]) -> None:
        self._draft = draft
        self._templates: Mapping[str, Any] = config.get("assertionTemplates") or {}
        self._tools = _shared_tools(draft)
        self._asks_openai = any(model.get("provider") == "openai" for model in draft.models)
        self._asked = _asked(draft)
        self._seen: Counter[str] = Counter()
        self._metrics: defaultdict[str, set[str]] = defaultdict(set)
        self._setting = Setting(variables={})

    def add(self, test: Test) -> None:
        """Read the assertions of a test for the item that was added last."""
        options = test.data.get("options") or {}
        self._seen = Counter()
        self._setting = Setting(
            variables=self._draft.items[-1],
            base=self._draft.source.parent,
            tools=self._tools,
            embeddings=_of_kind(options.get("provider"), "embedding"),
            judge=_of_kind(options.get("provider"), "text"),
            own_rubric="rubricPrompt" in options,
            asked=self._asked,
            asks_openai=self._asks_openai,
            transforms=_transforms(options),
        )
        entries = list(self._resolved(test.where, test.data.get("assert") or []))
        threshold = test.data.get("threshold")
        if threshold is None:
            self._add_each(entries)
        else:
            self._add_set(test.where, {"threshold": threshold}, entries)

    def note(self) -> None:
        """Note what a reader of the suite should know of the assertions together."""
        for metric, names in self._metrics.items():
            if len(names) > 1:
                self._draft.note(
                    f"the metric {metric} is several scorers, each for some items: {', '.join(sorted(names))}"
                )
        has_tools = any({"tools", "functions"} & set(model.get("params", ())) for model in self._draft.models)
        if self._draft.scorers and has_tools:
            self._draft.note(
                "promptfoo judges a tool call as the text of its JSON; scorers of text judge the text alone"
            )

    def _resolved(self, where: str, assertions: Sequence[Any]) -> Iterator[Placed]:
        """Yield assertions, with references resolved."""
        for index, one in enumerate(assertions):
            place, found = f"{where}.assert.{index}", one
            if isinstance(one, Mapping) and "$ref" in one:
                found = self._templates.get(str(one["$ref"]).rpartition("/")[2])
            if isinstance(found, Mapping):
                yield place, found
            else:
                self._draft.leave(place, "assertion", "it is no mapping, or names a template that is not there")

    def _add_each(self, entries: Sequence[Placed]) -> None:
        for where, one in entries:
            if one.get("type") == "assert-set":
                self._add_set(where, one, list(self._resolved(where, one.get("assert") or [])))
            else:
                self._add_one(where, one)

    def _add_one(self, where: str, one: Mapping[str, Any]) -> None:
        scored = self._translated(one)
        if isinstance(scored, Refused):
            self._draft.leave(where, f"assertion {one.get('type')}", scored.why)
            return
        weight = one.get("weight", 1)
        self._place(where, one, scored, gated=weight != 0)  # of no weight: promptfoo shows it, and passes it

    def _add_set(self, where: str, one: Mapping[str, Any], entries: list[Placed]) -> None:
        """Add a weighted scorer of 0 or 1 where a set has a threshold; without, each of its assertions has to pass."""
        threshold, found = one.get("threshold"), [self._translated(entry) for _, entry in entries]
        parts = [scored for scored in found if isinstance(scored, Scored) and not scored.line.degree]
        weights = [entry.get("weight", 1) for _, entry in entries]
        whole = len(parts) == len(entries) and all(map(_is_share, weights)) and any(weights)
        if whole and isinstance(threshold, int | float) and 0 <= threshold <= 1:
            names = [
                self._place(at, entry, part, gated=False) for (at, entry), part in zip(entries, parts, strict=True)
            ]
            fields = {"type": "weighted", "of": names, "threshold": threshold}
            name = self._name(self._metric(where, one) or "assert_set", ScorerDraft(fields=fields, expects=None), None)
            self._leave_options(where, one, _READ_OF_SETS | {"threshold", "metric"})
            self._draft.scorers[name].values[len(self._draft.items) - 1] = ""
            return
        of = "set" if "type" in one else "test"
        for key in sorted(set(one) - _READ_OF_SETS):
            why = _NO_SET if key == "threshold" else _NOTHING
            self._draft.leave(f"{where}.{key}", f"{of} option {key}", why)
        self._add_each(entries)

    def _translated(self, one: Mapping[str, Any]) -> Scored | Refused:
        return translate(one, replace(self._setting, transforms=(*self._setting.transforms, *_transforms(one))))

    def _place(self, where: str, one: Mapping[str, Any], scored: Scored, *, gated: bool) -> str:
        """Put what an assertion expects into its scorer, and return the scorer's name."""
        weight = one.get("weight", 1)
        self._leave_options(where, one, _READ | scored.line.options | ({"weight"} if _is_share(weight) else set()))
        fields = {**scored.fields, **({} if weight == 1 or not _is_share(weight) else {"weight": weight})}
        if scored.judge is not None:
            fields["model"] = self._judge(scored.judge)
        wanted = ScorerDraft(fields=fields, expects=None if scored.value is None else scored.line.expects, gated=gated)
        metric = self._metric(where, one)
        name = self._name(
            metric or scored.kind.replace("-", "_"), wanted, None if scored.line.per_item else scored.value
        )
        self._draft.scorers[name].values[len(self._draft.items) - 1] = scored.value or ""
        if metric is not None:
            self._metrics[metric].add(name)
        if scored.line.differs is not None:
            self._draft.note(f"{scored.kind}: {scored.line.differs}")
        return name

    def _judge(self, model: Mapping[str, Any]) -> str:
        """Return the id of a judge, which is added if there is none."""
        models = self._draft.models
        for there in models:
            if {key: value for key, value in there.items() if key != "id"} == dict(model):
                return str(there["id"])
        name = safe_name(f"judge-{model['model']}", "judge", taken={one["id"] for one in models})
        models.append({"id": name, **model})
        return name

    def _metric(self, where: str, one: Mapping[str, Any]) -> str | None:
        try:
            name = render_plain(str(one.get("metric") or ""), self._setting.variables)
        except NotCarriedError as error:
            self._draft.leave(f"{where}.metric", "assertion option metric", str(error))
            return None
        return safe_name(name, "metric") if name else None

    def _leave_options(self, where: str, one: Mapping[str, Any], read: frozenset[str]) -> None:
        for key in sorted(set(one) - read):
            self._draft.leave(f"{where}.{key}", f"assertion option {key}", _NOTHING)

    def _name(self, base: str, wanted: ScorerDraft, shared: str | None) -> str:
        """Return the name of the scorer that does this, which is added if there is none: on an item the n-th alike."""
        scorers = self._draft.scorers
        key = digest([base, dict(wanted.fields), wanted.gated, shared])
        self._seen[key] += 1
        index, same = 0, 0
        while True:
            index += 1
            name = base if index == 1 else f"{base}_{index}"
            if name in BUILTIN_METRICS:
                continue
            there = scorers.setdefault(name, wanted)
            alike = (dict(there.fields), there.expects, there.gated) == (
                dict(wanted.fields),
                wanted.expects,
                wanted.gated,
            )
            if there is wanted or (alike and (shared is None or shared in there.values.values())):
                same += 1
                if same == self._seen[key]:
                    return name


def _transforms(options: Mapping[str, Any]) -> tuple[str, ...]:
    found = options.get("transform")
    return () if found is None else (str(found).strip(),)


def _of_kind(provider: Any, kind: str) -> Any:
    """Return the provider of a kind of work: one may be named for each."""
    return provider.get(kind) if isinstance(provider, Mapping) and "id" not in provider else provider


def _asked(draft: Draft) -> str:
    """Return what is asked as a template over columns: the prompt, or of several what their variables hold."""
    prompts = list(draft.prompts.values())
    if len(prompts) == 1 and all(isinstance(content, str) for _, content in prompts[0].messages):
        return "\n".join(str(content) for _, content in prompts[0].messages)
    names = {name for prompt in prompts for name in prompt.variables or ()}
    return "\n".join(f"{{{{ {name} }}}}" for name in sorted(names))


def _is_share(weight: Any) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight < math.inf


def _shared_tools(draft: Draft) -> list[Any] | None:
    """Return the tools of the models that have any, where they are the same."""
    params = [model.get("params", {}) for model in draft.models]
    found = [one[key] for one in params for key in ("tools", "functions") if key in one]
    tools = found[0] if found and isinstance(found[0], list) else None
    return tools if tools and all(digest(one) == digest(tools) for one in found) else None
