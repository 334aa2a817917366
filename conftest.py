"""What holds for all tests, and for the examples in docstrings."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Freeze what importing and collecting have left.

    Every run in this process would walk over it: a run collects garbage once before it starts, unless the program
    around it has frozen what it has (``headgate.conduct.collector``).
    """
    gc.collect()
    gc.freeze()
