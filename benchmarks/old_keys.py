"""Give a home partition keys of slates long gone.

python -m benchmarks.old_keys HOME KEYS
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.partitions import SLATE_PLAYERS
from prediction_assets.settings import load_settings

PLAYERS = 450
AT_ONCE = 5_000


def register(instance: dg.DagsterInstance, count: int) -> list[str]:
    """Register this many slate players, 450 a slate, and return their keys."""
    first = date(2000, 1, 1)
    keys = [f"{first + timedelta(days=n // PLAYERS)}:player-{n % PLAYERS:05}" for n in range(count)]
    for start in range(0, count, AT_ONCE):
        instance.add_dynamic_partitions(SLATE_PLAYERS.name or "", keys[start : start + AT_ONCE])
    return keys


if __name__ == "__main__":
    with open_instance(load_settings(home=Path(sys.argv[1]))) as opened:
        register(opened, int(sys.argv[2]))
