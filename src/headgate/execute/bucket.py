"""One dimension of a quota: an amount per second and a burst, kept as one virtual time."""

from __future__ import annotations

Weights = tuple[float, float, float]
"""What one request, one input token and one output token add to an amount."""


class Bucket:
    """A rate and a burst, held as a single virtual time (GCRA).

    In every window the admitted amount is at most ``rate * window + burst`` (one oversize amount may exceed the burst;
    it waits for a full bucket and leaves a debt).

    Parameters
    ----------
    rate : float
        Amount per second.
    burst_s : float
        Seconds of rate that may go at once after idle time, beside the first unit: ``burst = 1 + burst_s * rate``.
    weights : tuple of 3 floats
        What a request, each of its input tokens and each of its output tokens amount to.

    Examples
    --------
    >>> bucket = Bucket(rate=10, burst_s=0)
    >>> bucket.commit(250, 30, now=0.0)
    >>> round(bucket.ready_at(250, 30, now=0.0), 3)
    0.1

    References
    ----------
    ATM Forum (1996), Traffic Management 4.0, the generic cell rate algorithm.
    """

    __slots__ = ("_per_input", "_per_output", "_per_request", "_theoretical", "burst", "burst_s", "rate")

    def __init__(self, *, rate: float, burst_s: float, weights: Weights = (1, 0, 0)) -> None:
        self.rate, self.burst_s, self.burst = rate, burst_s, 1 + burst_s * rate
        self._per_request, self._per_input, self._per_output = weights
        self._theoretical = float("-inf")

    def ready_at(self, input_tokens: float, output_tokens: float, now: float) -> float:
        """Return the earliest time, not before ``now``, at which a request may go."""
        ready = self._theoretical
        if ready <= now:  # the burst is full
            return now
        left = self.burst - self._per_request - self._per_input * input_tokens - self._per_output * output_tokens
        if left > 0:
            ready -= left / self.rate
        return ready if ready > now else now

    def commit(self, input_tokens: float, output_tokens: float, now: float) -> None:
        """Take what a request amounts to."""
        amount = self._per_request + self._per_input * input_tokens + self._per_output * output_tokens
        start = self._theoretical
        self._theoretical = (start if start > now else now) + amount / self.rate

    def settle(self, input_tokens: float, output_tokens: float, now: float) -> None:
        """Correct an earlier commit by these tokens: fewer than none are a refund, more are a debt."""
        excess = self._per_input * input_tokens + self._per_output * output_tokens
        if excess < 0:
            self._theoretical += excess / self.rate
        elif excess > 0:
            self._theoretical = max(now, self._theoretical) + excess / self.rate

    def retune(self, rate: float, *, now: float) -> None:
        """Change the rate; what is owed stays the same amount."""
        owed = max(0.0, self._theoretical - now) * self.rate
        self.rate, self.burst = rate, 1 + self.burst_s * rate
        self._theoretical = now + owed / rate

    def drain(self, remaining: float, *, now: float, most_s: float) -> None:
        """Leave no more than ``remaining`` of the burst, but let it fill up again within ``most_s`` seconds."""
        self._theoretical = max(self._theoretical, now + min((self.burst - remaining) / self.rate, most_s))
