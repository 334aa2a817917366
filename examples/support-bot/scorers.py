"""Scorers of this suite: a function of the output and the item returns a number, a Boolean, or None."""


def brief(output: str, item: dict) -> bool:  # noqa: ARG001  # every scorer is given both
    """Return whether the answer has at most 40 words."""
    return len(output.split()) <= 40
