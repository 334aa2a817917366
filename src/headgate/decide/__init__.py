"""From estimates to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.decide.paired import decide_paired
    from headgate.decide.replay import Replay, replay_paired

__all__ = ["Replay", "decide_paired", "replay_paired"]


def __getattr__(name: str) -> Any:
    """Load what is asked for: the statistics behind it are 20 MB, which a run does not need."""
    if name == "decide_paired":
        from headgate.decide.paired import decide_paired

        return decide_paired
    if name in __all__:
        from headgate.decide import replay

        return getattr(replay, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
