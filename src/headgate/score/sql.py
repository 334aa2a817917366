"""Scorer of SQL: whether it parses, and names only what it may."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from headgate.errors import ConfigError
from headgate.score.callables import Score
from headgate.score.documents import fenced
from headgate.score.library import load_library

if TYPE_CHECKING:
    from headgate.suite.scorers import SqlValid


def sql_valid(spec: SqlValid) -> Callable[[str], bool | Score]:
    """Return a function: whether an output is SQL; if not, the reason.

    An expression alone is no statement, and neither is one that the parser only passes on (``VACUUM``).

    Examples
    --------
    >>> from headgate.suite.scorers import SqlValid
    >>> valid = sql_valid(SqlValid(name="sql", type="sql_valid", statements=["select"], tables=["t"]))
    >>> valid("SELECT a FROM t"), valid("DROP TABLE t").explanation, valid("SELECT * FROM u").explanation
    (True, 'a drop statement is not allowed', 'table u is not allowed')
    """
    check_dialect(spec)

    def grade(output: str) -> bool | Score:
        texts = [*(fenced(output) if spec.extract else ()), output]
        found = [_fault(spec, text) for text in texts]
        fault = next((None for one in found if one is None), found[0])
        return True if fault is None else Score(0.0, explanation=fault)

    return grade


def check_dialect(spec: SqlValid) -> None:
    """Raise ConfigError if sqlglot is not installed, or has no such dialect."""
    library = _library()
    try:
        library.Dialect.get_or_raise(spec.dialect)
    except ValueError as error:
        raise ConfigError(
            f"is no dialect of sqlglot: {str(error)[:200]}", field="dialect", value=spec.dialect
        ) from error


def _library() -> Any:
    # What it cannot parse and passes on, it logs: here that is a score.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return load_library("sqlglot")


def _fault(spec: SqlValid, text: str) -> str | None:
    """Return what is wrong with a text as SQL; None if nothing is."""
    library = _library()
    try:
        statements = [one for one in library.parse(text, dialect=spec.dialect) if one is not None]
    except library.errors.SqlglotError as error:
        return f"does not parse: {' '.join(str(error).split())[:200]}"
    except RecursionError:
        return "is nested too deeply"
    if not statements:
        return "there is no statement"
    return next(filter(None, (_refused(spec, one) for one in statements)), None)


def _refused(spec: SqlValid, statement: Any) -> str | None:
    kinds = load_library("sqlglot.expressions")
    known: dict[str, Any] = {
        "select": kinds.Query,
        "insert": kinds.Insert,
        "update": kinds.Update,
        "delete": kinds.Delete,
        "create": kinds.Create,
        "drop": kinds.Drop,
        "alter": kinds.Alter,
        "merge": kinds.Merge,
    }
    kind = next((name for name, one in known.items() if isinstance(statement, one)), None)
    if kind is None or (isinstance(statement, kinds.Select) and not statement.args.get("expressions")):
        return "is no statement"
    if spec.statements and kind not in spec.statements:
        return f"a {kind} statement is not allowed"
    return _other_table(spec, statement.find_all(kinds.Table), {cte.alias for cte in statement.find_all(kinds.CTE)})


def _other_table(spec: SqlValid, tables: Iterable[Any], local: set[str]) -> str | None:
    allowed = {name.lower() for name in spec.tables}
    if not allowed:
        return None
    for table in tables:
        names = {table.name.lower(), ".".join(part.name for part in table.parts).lower()}
        if table.name not in local and not names & allowed:
            return f"table {table.name[:100]} is not allowed"
    return None
