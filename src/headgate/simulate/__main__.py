"""``python -m headgate.simulate MODELS``: serve simulated models in a process of their own until it is ended.

``MODELS`` is a JSON object, model name to simulation, such as ``{"small": {"accuracy": 0.9}}``. The base URL is the
first line on stdout.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys

from headgate.simulate.server import SimulatedServer
from headgate.suite.simulation import Simulation


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m headgate.simulate", description="Serve simulated models.")
    parser.add_argument("models", metavar="MODELS", help="JSON object: model name to simulation")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    try:
        models = {name: Simulation(**options) for name, options in json.loads(arguments.models).items()}
    except (ValueError, TypeError, AttributeError) as error:
        parser.error(f"MODELS is not a JSON object of model name to simulation: {error}")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with SimulatedServer(models, port=arguments.port) as server:
        sys.stdout.write(server.base_url + "\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
