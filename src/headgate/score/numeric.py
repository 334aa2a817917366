"""The numeric scorer: a number of the output against the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.scorers import Numeric

_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES: Final = (
    r"\b\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}\S*)?",  # 2024-01-31, 2024-01-31T12:00:00Z
    r"\b\d{1,4}/\d{1,2}/\d{2,4}\b",  # 31/01/2024
    r"\b\d{1,2}\.\d{1,2}\.(?:\d{4}|\d{2})\b",  # 31.01.2024
    r"\b\d{1,2}:\d{2}(?::\d{2})?\b",  # 12:30
    rf"(?i)\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b",  # January 5th, 2024
    rf"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}})?\b",  # 5 January 2024
)
_NAMES: Final = (
    r"\bv?\d+(?:\.\d+){2,}\b",  # versions, addresses
    r"\b[A-Za-z_]+\d\w*\b",  # words that hold digits: A1, covid19
)
_CURRENCY: Final = r"\b(?:USD|EUR|GBP|JPY|CNY|CHF|CAD|AUD|INR|SEK|NOK|DKK|PLN|BRL|KRW|US\$|A\$|C\$)\s?(-?[\d.,])"
_POWER: Final = r"(\d)\s*(?:[×x*·]|\\times)\s*10\s*(?:\^|\*\*)\s*\{?\s*([-+]?\d+)\}?"  # noqa: RUF001 - the sign is meant
_RANGE: Final = r"(\d)\s?[-–](\d)"  # noqa: RUF001 - a hyphen between numbers is no sign
_MAGNITUDES: Final = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_NUMBER: Final = (
    r"[-+]?(?:[$€£¥₹]\s?)?(?:\d{1,3}(?:[,'’_\x{00A0}\x{202F}]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?"  # noqa: RUF001
    r"|[-+]?(?:[$€£¥₹]\s?)?\.\d+(?:[eE][-+]?\d+)?"
)


def find_number(
    text: pl.Expr,
    *,
    take: Literal["last", "first"] = "last",
    decimal: Literal[".", ","] = ".",
    percent: Literal["number", "fraction"] = "number",
) -> pl.Expr:
    """Return a number of a text as float64, null where there is none.

    ``$1,234.5``, ``1.5e3``, ``1.5 x 10^3`` and ``2 million`` are read whole; dates, times, versions and words that
    hold digits are passed over, and a hyphen between two numbers is no sign.

    Examples
    --------
    >>> import polars as pl
    >>> texts = ["12 + 3 = 15.", "about 1,250", "$1.2 million on 2024-01-31", "none"]
    >>> pl.DataFrame({"t": texts}).select(find_number(pl.col("t"))).to_series().to_list()
    [15.0, 1250.0, 1200000.0, None]
    """
    import polars as pl

    text = text.str.replace_all("−", "-", literal=True)  # noqa: RUF001 - a minus sign becomes a hyphen
    text = text.str.replace_all(_CURRENCY, " $1").str.replace_all(_POWER, "${1}e${2}")
    for word, digits in _MAGNITUDES.items():
        text = text.str.replace_all(rf"(?i)(\d)\s*{word}s?\b", f"${{1}}e{digits}")
    if percent == "fraction":
        text = text.str.replace_all(r"(\d)\s*%", "${1}e-2")
    for pattern in _DATES:
        text = text.str.replace_all(pattern, " ")
    if decimal == ",":
        for _ in range(2):  # matches that share a digit: 1.234.567
            text = text.str.replace_all(r"(\d)\.(\d{3})\b", "$1$2")
        text = text.str.replace_all(r"(\d),(\d)", "$1.$2")
    for pattern in _NAMES:
        text = text.str.replace_all(pattern, " ")
    for _ in range(2):
        text = text.str.replace_all(_RANGE, "$1 $2")
    found = text.str.extract_all(_NUMBER)
    one = found.list.last() if take == "last" else found.list.first()
    return one.str.replace_all(r"[^-+\d.eE]", "").cast(pl.Float64, strict=False)


def numeric(spec: Numeric, output: pl.Expr, target: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the output's number is the target within the tolerance.

    An output without a number is wrong (False); a target without one cannot be scored (null).

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import Numeric
    >>> frame = pl.DataFrame({"output": ["= 4.01", "four"], "target": ["4", "4"]})
    >>> spec = Numeric(name="sum", type="numeric", tolerance=0.05)
    >>> frame.select(numeric(spec, pl.col("output"), pl.col("target"))).to_series().to_list()
    [True, False]
    """
    import polars as pl

    got = find_number(output, take=spec.take, decimal=spec.decimal, percent=spec.percent)
    wanted = find_number(target, take=spec.take, decimal=spec.decimal, percent=spec.percent)
    allowed = pl.max_horizontal(pl.lit(spec.tolerance), wanted.abs() * spec.relative_tolerance)
    close = (got - wanted).abs() <= allowed
    readable = wanted.is_finite()  # 1e999 is no number to compare with
    return pl.when(readable).then(close.fill_null(value=False))
