"""Metric families as text, as both Prometheus and OpenMetrics read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[Mapping[str, str], float]
"""Labels and value."""


def family(name: str, kind: str, said: str, samples: Iterable[Sample]) -> Iterator[str]:
    r"""Yield the lines of one family.

    Parameters
    ----------
    name, kind, said : str
        Its name without ``headgate_``, its type, and a word of help.
    samples : iterable of (labels, value)
        Label names are ours; their values may be any text.

    Examples
    --------
    >>> print("\n".join(family("jobs", "gauge", "Jobs.", [({"arm": 'a "b"'}, 2)])))
    # HELP headgate_jobs Jobs.
    # TYPE headgate_jobs gauge
    headgate_jobs{arm="a \"b\""} 2
    """
    yield f"# HELP headgate_{name} {said}"
    yield f"# TYPE headgate_{name} {kind}"
    for labels, value in samples:
        yield f"headgate_{name}{_labels(labels)} {_number(value)}"


def _number(value: float) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(int(value))


def _labels(labels: Mapping[str, str]) -> str:
    text = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{text}}}" if text else ""
