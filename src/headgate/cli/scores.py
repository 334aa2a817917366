"""The options of `headgate gate` that say where scores stand in another tool's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.errors import ConfigError


def _column(flag: str, text: str) -> Any:
    return typer.Option(flag, metavar="COLUMN", help=f"File: {text}")


Item = Annotated[str | None, _column("--item", "identifies an item; default: item_id, else id.")]
Score = Annotated[str | None, _column("--score", "the score; default: score, else the format's only one.")]
Seed = Annotated[str | None, _column("--seed", "tells repeats of an item apart.")]
Cluster = Annotated[str | None, _column("--cluster", "groups items that are not independent.")]
BaselineScore = Annotated[str | None, _column("--baseline-score", "the baseline's score, if it is another column.")]
Where = Annotated[
    list[str] | None, typer.Option("--where", metavar="COLUMN=VALUE", help="File: only rows with this value.")
]
BaselineWhere = Annotated[
    list[str] | None, typer.Option("--baseline-where", metavar="COLUMN=VALUE", help="File: the baseline's rows.")
]
Bounds = Annotated[
    str | None,
    typer.Option("--bounds", metavar="LOW,HIGH|none", help="File: smallest and largest score; default: 0,1."),
]
Higher = Annotated[
    bool | None, typer.Option("--higher-is-better/--lower-is-better", help="File: which end of the score is good.")
]
Margin = Annotated[float | None, typer.Option("--margin", metavar="X", help="File: not worse by more than this.")]
Least = Annotated[float | None, typer.Option("--min", metavar="X", help="File: the mean is at least this.")]
Most = Annotated[float | None, typer.Option("--max", metavar="X", help="File: the mean is at most this.")]
MaxRatio = Annotated[
    float | None, typer.Option("--max-ratio", metavar="X", help="File: at most so many times the baseline's.")
]
Alpha = Annotated[
    float | None, typer.Option("--alpha", metavar="X", help="File: rate of false blocks and passes; default: 0.05.")
]
FormatName = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help="File: read it as this; default: what it looks like.")
]


def score_options(
    path: Path, given: Mapping[str, Any], *, of_runs: Mapping[str, Any], suite: Path | None
) -> dict[str, Any] | None:
    """Return the keywords of :func:`headgate.gate_scores`; None where the first argument is a run.

    Raises
    ------
    ConfigError
        If an option of runs goes with a file, or one of files with a run, or its value cannot be read.
    """
    options = {name: value for name, value in given.items() if value is not None and value != []}
    if path.is_dir() or (not path.exists() and not options):
        _refuse(options, "goes with a file of scores, and this is a run", path)
        return None
    _refuse({name: value for name, value in of_runs.items() if value is not None}, "goes with a run", path)
    if suite is not None:
        declared = {"margin", "min", "max", "max_ratio", "alpha", "bounds", "higher_is_better"}
        _refuse({name: value for name, value in options.items() if name in declared}, "stands in the suite", path)
    for name in ("where", "baseline_where"):
        if name in options:
            options[name] = _pairs(options[name], flag=_flag(name))
    if "bounds" in options:
        options["bounds"] = _bounds(options["bounds"])
    return options


def _refuse(options: Mapping[str, Any], problem: str, path: Path) -> None:
    for name, value in options.items():
        raise ConfigError(problem, file=path, field=_flag(name), value=value)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _pairs(texts: Sequence[str], *, flag: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for column, equals, _ in pairs:
        if not column or not equals:
            raise ConfigError("is no condition", field=flag, value=column, mend="write it like COLUMN=VALUE")
    return {column: value for column, _, value in pairs}


def _bounds(text: str) -> tuple[float, float] | None:
    if text == "none":
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        mend = "write them like 0,1; or none"
        raise ConfigError("are no two numbers", field="--bounds", value=text, mend=mend) from None
    return low, high
