"""Leagues that several tests look at, made once."""

from __future__ import annotations

import functools

import pytest

from prediction_assets.simulation.league import simulate_league
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA


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
        pytest.skip(WITHOUT_REAL_DATA)
    return files
