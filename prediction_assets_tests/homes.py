"""Homes of a simulated slate at each of its steps, made once per worker and copied for each test that changes them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation.league import simulated_facts, simulated_slate
from prediction_assets.stores.protocols import open_progress

PLAYERS = 8
SIMULATED = simulated_slate(PLAYERS).isoformat()
FACTS = simulated_facts(PLAYERS)
DEADLINE_MINUTES = 600
"""A batch that is opened once a session must not be late for its last test, on a busy machine either."""

OpenHome = Callable[..., SlateRun]

# As the command line does, homes are opened without Dagster's capture of output: it starts two processes for a step.


@pytest.fixture(scope="session")
def ingested_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the simulated league's facts and its model: without one each staging run would fit its own."""
    home = tmp_path_factory.mktemp("ingested") / "home"
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        run = SlateRun(settings, instance)
        run.ingest(FACTS)
        run.train(league=f"simulated-{PLAYERS}", cutoff=SIMULATED)
    return home


@pytest.fixture(scope="session")
def ready_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose simulated slate is open and has its features: its players can be staged."""
    home = tmp_path_factory.mktemp("ready") / "home"
    shutil.copytree(ingested_home, home)
    settings = load_settings(home=home, deadline_minutes=DEADLINE_MINUTES)
    with open_instance(settings, capture_output=False) as instance:
        run = SlateRun(settings, instance)
        run.roster(SIMULATED)
        run.features(SIMULATED)
    return home


@pytest.fixture(scope="session")
def staged_home(ready_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose simulated slate has staged everybody and can be merged."""
    home = tmp_path_factory.mktemp("staged") / "home"
    shutil.copytree(ready_home, home)
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        assert SlateRun(settings, instance).stage(SIMULATED)
    return home


@pytest.fixture(scope="session")
def finished_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the simulated slate went all the way."""
    home = tmp_path_factory.mktemp("finished") / "home"
    shutil.copytree(ingested_home, home)
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        SlateRun(settings, instance).whole(SIMULATED)
    return home


@pytest.fixture(scope="session")
def published_home(finished_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three revisions of the simulated slate: for the second and the third, one player's line moved."""
    home = tmp_path_factory.mktemp("published") / "home"
    shutil.copytree(finished_home, home)
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        run = SlateRun(settings, instance)
        for player in open_progress(run.stores.batch_state, SIMULATED).batch.expected[:2]:
            with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
                connection.execute(
                    "UPDATE facts.prop_lines SET line = line + 1 WHERE game_date = $slate AND player_id = $player",
                    {"slate": SIMULATED, "player": player.player_id},
                )
            run.whole(SIMULATED)
    return home


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
