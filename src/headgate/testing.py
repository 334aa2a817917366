"""Public fakes for tests of your own: a provider over loopback HTTP whose accuracy, limits and faults you declare.

Examples
--------
>>> from headgate.testing import SimulatedServer, Simulation
>>> with SimulatedServer({"small": Simulation(accuracy=0.9)}, answers={"1 + 1?": "2"}) as server:
...     url = server.base_url  # hand it to any OpenAI client
"""

from __future__ import annotations

from headgate.simulate.server import SimulatedServer
from headgate.suite.simulation import Faults, Simulation

__all__ = ["Faults", "SimulatedServer", "Simulation"]
