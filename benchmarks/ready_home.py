"""Make a home as it is on a morning: facts ingested, a model trained, no slate run yet.

python -m benchmarks.ready_home PLAYERS
"""

from __future__ import annotations

import sys

from prediction_assets.cli.console import open_slate_run
from prediction_assets.simulation.slates import simulated_facts, simulated_slate


def main(players: int) -> None:
    """Ingest the simulated league into the environment's home and train on the games before its slate."""
    with open_slate_run() as (_, runner):
        runner.ingest(simulated_facts(players))
        runner.train(cutoff=simulated_slate(players).isoformat())


if __name__ == "__main__":
    main(int(sys.argv[1]))
