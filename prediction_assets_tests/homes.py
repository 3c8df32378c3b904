"""Homes of a simulated slate at each of its steps, made once a session and copied for each test that changes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation import league
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.stores.local.locks import locked
from prediction_assets.stores.protocols import open_progress

PLAYERS = 8
SIMULATED = simulated_slate(PLAYERS).isoformat()
FACTS = simulated_facts(PLAYERS)
DEADLINE_MINUTES = 600
"""A batch that is opened once a session must not be late for its last test, on a busy machine either."""

OpenHome = Callable[..., SlateRun]

TEAMS = 12
"""Of the league, not 30: two fifths of the logs. The model of fewer is worse than a moving average, and isn't used."""


@pytest.fixture(autouse=True)
def small_league(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test that ingests the league again get the one that its home has."""
    monkeypatch.setattr(league, "_TEAMS", TEAMS)


# As the command line does, homes are opened without Dagster's capture of output: it starts two processes for a step.


@contextmanager
def opened(home: Path, **overrides: object) -> Iterator[SlateRun]:
    """Open a home in which a fixture makes something of the league."""
    settings = load_settings(home=home, **overrides)
    with open_instance(settings, capture_output=False) as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(league, "_TEAMS", TEAMS)
        yield SlateRun(settings, instance)


def made_once(
    name: str, folders: pytest.TempPathFactory, of: Path | None, make: Callable[[Path], None]
) -> Path:
    """Return the session's home of this name; the first worker that wants it makes it, from another one's copy."""
    base = folders.getbasetemp()
    homes = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "homes"
    homes.mkdir(exist_ok=True)
    home = homes / name
    with locked(homes / f"{name}.lock", exclusive=True, timeout_seconds=1800):
        if not home.exists():
            being_made = homes / f"{name}.new" / "home"
            shutil.rmtree(being_made.parent, ignore_errors=True)  # of a worker that was ended
            if of is not None:
                shutil.copytree(of, being_made)
            make(being_made)
            being_made.rename(home)
    return home


@pytest.fixture(scope="session")
def ingested_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the simulated league's facts and its model: without one each staging run would fit its own."""

    def make(home: Path) -> None:
        with opened(home) as run:
            run.ingest(FACTS)
            run.train(league=f"simulated-{PLAYERS}", cutoff=SIMULATED)

    return made_once("ingested", tmp_path_factory, None, make)


@pytest.fixture(scope="session")
def ready_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose simulated slate is open and has its features: its players can be staged."""

    def make(home: Path) -> None:
        with opened(home, deadline_minutes=DEADLINE_MINUTES) as run:
            run.roster(SIMULATED)
            run.features(SIMULATED)

    return made_once("ready", tmp_path_factory, ingested_home, make)


@pytest.fixture(scope="session")
def staged_home(ready_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose simulated slate has staged everybody and can be merged."""

    def make(home: Path) -> None:
        with opened(home) as run:
            assert run.stage(SIMULATED)

    return made_once("staged", tmp_path_factory, ready_home, make)


@pytest.fixture(scope="session")
def finished_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the simulated slate went all the way."""

    def make(home: Path) -> None:
        with opened(home) as run:
            run.whole(SIMULATED)

    return made_once("finished", tmp_path_factory, ingested_home, make)


@pytest.fixture(scope="session")
def published_home(finished_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three revisions of the simulated slate: for the second and the third, one player's line moved."""

    def make(home: Path) -> None:
        with opened(home) as run:
            for player in open_progress(run.stores.batch_state, SIMULATED).batch.expected[:2]:
                with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
                    connection.execute(
                        "UPDATE facts.prop_lines SET line = line + 1 "
                        "WHERE game_date = $slate AND player_id = $player",
                        {"slate": SIMULATED, "player": player.player_id},
                    )
                run.whole(SIMULATED)

    return made_once("published", tmp_path_factory, finished_home, make)


@pytest.fixture
def open_home(tmp_path: Path) -> Iterator[OpenHome]:
    """Open a copy of a home; the test may do with it what it wants."""
    with ExitStack() as stack:

        def copy(
            template: Path, resources: Mapping[str, object] | None = None, **overrides: object
        ) -> SlateRun:
            home = tmp_path / "home"
            if not home.exists():
                shutil.copytree(template, home)
            settings = load_settings(home=home, **overrides)
            instance = stack.enter_context(open_instance(settings, capture_output=False))
            return SlateRun(settings, instance, resources)

        yield copy


@pytest.fixture
def ingested(ingested_home: Path, open_home: OpenHome) -> SlateRun:
    return open_home(ingested_home)


@pytest.fixture
def ready(ready_home: Path, open_home: OpenHome) -> SlateRun:
    return open_home(ready_home)


@pytest.fixture
def staged(staged_home: Path, open_home: OpenHome) -> SlateRun:
    return open_home(staged_home)


@pytest.fixture
def finished(finished_home: Path, open_home: OpenHome) -> SlateRun:
    return open_home(finished_home)


@pytest.fixture
def published(published_home: Path, open_home: OpenHome) -> SlateRun:
    return open_home(published_home)
