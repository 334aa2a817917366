"""Scorers of this suite: a function of the output and the item returns a number, a Boolean, or None."""


def brief(output, item):
    """Return 1 for an answer of at most 40 words."""
    return len(output.split()) <= 40
