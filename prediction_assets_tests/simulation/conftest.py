"""Leagues that several tests look at, made once."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from prediction_assets.simulation.league import simulate_league

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def league_of():
    """Return ``simulate_league``, remembering what it made."""
    return functools.cache(simulate_league)


@pytest.fixture(scope="session")
def league(league_of):
    """Return the league of 40 expected players."""
    return league_of(40)


@pytest.fixture(scope="session")
def real_logs():
    """Return the files of real logs; skip where they aren't."""
    files = sorted(REAL_DATA.glob("player_game_logs_*.parquet"))
    if not files:
        pytest.skip(f"no real logs in {REAL_DATA}")
    return files
