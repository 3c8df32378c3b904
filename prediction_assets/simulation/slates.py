"""Which slate and which name a simulated league has. A command asks before it draws one, or without drawing any."""

from __future__ import annotations

from datetime import date

from prediction_assets.errors import BadInput
from prediction_assets.slate.keys import SIMULATED_PREFIX

MOST_EXPECTED_PLAYERS = 5_000

_FIRST_YEAR = 2051


def simulated_slate(expected_players: int) -> date:
    """Return the slate of the simulated league with so many expected players."""
    if not 1 <= expected_players <= MOST_EXPECTED_PLAYERS:
        raise BadInput(
            "simulated league",
            f"{expected_players} expected players",
            hint=f"choose 1 to {MOST_EXPECTED_PLAYERS:,}",
        )
    return date(_FIRST_YEAR + expected_players, 1, 15)


def simulated_name(expected_players: int) -> str:
    """Return the name of the simulated league with so many expected players, ``simulated-40``."""
    return f"{SIMULATED_PREFIX}-{expected_players}"


def simulated_facts(expected_players: int) -> dict[str, dict[str, int]]:
    """Return the config with which each fact asset ingests the simulated league, by the asset's name."""
    return {name: {"simulated_players": expected_players} for name in ("game_logs", "schedule", "prop_lines")}
