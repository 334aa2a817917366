"""From estimates to a verdict."""

from __future__ import annotations

from headgate.decide.paired import decide_paired
from headgate.decide.replay import Replay, replay_paired

__all__ = ["Replay", "decide_paired", "replay_paired"]
