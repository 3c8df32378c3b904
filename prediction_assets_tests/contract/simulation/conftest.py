"""Leagues that several tests look at, made once."""

from __future__ import annotations

import functools

import pytest

from prediction_assets.simulation.league import simulate_league


@pytest.fixture(scope="session")
def league_of():
    """Return ``simulate_league``, remembering what it made."""
    import duckdb  # noqa: F401  so that no test pays for it

    return functools.cache(simulate_league)


@pytest.fixture(scope="session")
def league(league_of):
    """Return the league of 40 expected players."""
    return league_of(40)
