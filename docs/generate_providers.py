"""Write the table of docs/providers.md from the catalogue: ``python docs/generate_providers.py``."""

from __future__ import annotations

from pathlib import Path

from headgate.execute.providers.catalogue import FEATURES, PROVIDERS, Provider

PAGE = Path(__file__).parent / "providers.md"
BEGIN, END = "<!-- generated: python docs/generate_providers.py -->\n\n", "\n<!-- end -->\n"


def table() -> str:
    """Return the table: a line for each provider."""
    head = ["`provider`", "what", "address", "key", *FEATURES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(_cells(name, record))} |" for name, record in PROVIDERS.items()]
    return "\n".join(lines) + "\n"


def _cells(name: str, record: Provider) -> list[str]:
    if record.adapter is None or name == "simulated":
        address = ""
    else:
        address = "`base_url`" if record.base_url is None else f"`{record.base_url}`"
    key = "" if record.key is None else f"`{record.key}`" + ("" if record.key_needed else ", if set")
    return [f"`{name}`", record.title, address, key, *("yes" if each in record.supports else "" for each in FEATURES)]


def providers_page() -> str:
    """Return the page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(providers_page(), encoding="utf-8")
