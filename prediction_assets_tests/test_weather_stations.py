"""Another subject than basketball on the same assets: ``examples/weather_stations.py``, from end to end."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from prediction_assets import cli
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.outcome import Outcome
from prediction_assets_tests.examples import EXAMPLES, load_example
from prediction_assets_tests.sensors.ticking import requested, tick

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = EXAMPLES / "weather_stations.py"
EXTENDING = ROOT / "docs" / "extending.md"

SLATE = "2026-05-02"
REGIONS = ("north", "south", "west")
STATIONS = 12
ROWS = STATIONS * 2 * 5


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("weather_stations")


def observations(days: int = 60, stations: int = STATIONS) -> list[str]:
    """Return a made-up spring: rain on every other day or so; the first station fell silent long ago."""
    draw, end = random.Random(5), date.fromisoformat(SLATE)
    lines = []
    for station in range(1, stations + 2):
        last = end - timedelta(days=20 if station == stations + 1 else 1)
        for back in range(days):
            rain = draw.choice([0.0, draw.expovariate(1 / 8)])
            region = REGIONS[station % len(REGIONS)]
            lines.append(f"{station},Station {station},{region},{last - timedelta(days=back)},{rain:.1f}")
    return lines


def write(home: Path, lines: list[str]) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "observations.csv"
    file.write_text("\n".join(["station_id,station,region,day,rain_mm", *lines, ""]), "utf-8")
    return file


@pytest.fixture
def rain(example: ModuleType, tmp_path: Path) -> Iterator[SlateRun]:
    settings = load_settings(home=tmp_path / "home")
    file = write(settings.home, observations())
    with open_instance(settings) as instance:
        yield SlateRun(
            settings, instance, {"subject": example.WeatherStationsResource(observations=str(file))}
        )


def in_force(run: SlateRun) -> list[dict[str, object]]:
    return run.warehouse.query(
        "SELECT player_id, player_slug, team, game_id, league, system, line, predicted_points, probability_over, "
        f"content_hash FROM predictions.player_prop_predictions WHERE game_date = DATE '{SLATE}' AND is_active "
        "ORDER BY player_id, system, line"
    ).to_pylist()


@pytest.mark.slow
def test_a_day_of_rain_goes_all_the_way_and_again_changes_nothing(rain):
    result = rain.whole(SLATE)
    receipt = result.receipt
    assert (receipt.status, receipt.rows, receipt.rows_inserted) == ("success", ROWS, ROWS)
    assert (result.event.message["league"], result.event.message["staged_players"]) == ("rain", STATIONS)
    assert rain.warehouse.parts.staged(SLATE) == {}
    rows = in_force(rain)
    assert {row["system"] for row in rows} == {"last_month", "last_week"}
    assert {row["team"] for row in rows} == {row["game_id"] for row in rows} == set(REGIONS)
    checks = rain._instance.get_latest_materialization_event(dg.AssetKey("phase5_completion"))
    assert checks is not None  # it is only made when every blocking check passed

    again = rain.whole(SLATE)
    assert (again.receipt.rows_inserted, again.receipt.rows_updated, again.receipt.rows_unchanged) == (
        0,
        0,
        ROWS,
    )
    assert len(rain.events(SLATE)) == 1
    assert in_force(rain) == rows


@pytest.mark.slow
def test_a_station_that_fails_is_told_and_merged_when_it_is_run_again(rain):
    blocked = rain._settings.home / "staging" / SLATE / "station-3.parquet"
    blocked.mkdir(parents=True)
    partial = rain.whole(SLATE)
    assert (partial.receipt.status, partial.receipt.rows) == ("partial", ROWS - 10)
    assert [letter.player_slug for letter in rain.dead_letters(SLATE)] == ["station-3"]

    blocked.rmdir()
    event = rain.replay(SLATE, ["station-3"])
    assert (event.message["status"], event.message["rows"]) == ("success", ROWS)
    assert rain.dead_letters(SLATE) == []
    assert len(rain.events(SLATE)) == 2


@pytest.mark.slow
def test_a_station_with_too_few_observations_is_skipped_with_the_reason(rain):
    write(rain._settings.home, [*observations(), f"99,New Station,north,2026-05-01,{3.0}"])
    result = rain.whole(SLATE)
    assert result.progress.count(Outcome.SKIPPED) == 1
    assert result.progress.outcomes["new-station"].reason == "no features before the slate"
    assert (result.receipt.status, result.receipt.rows) == ("success", ROWS)


@pytest.mark.slow
def test_the_sensors_carry_the_stations_as_they_carry_players(rain):
    rain.roster(SLATE)
    (features,) = requested(tick(rain, "staging_sensor"))
    assert (features.job_name, features.partition_key) == ("features", SLATE)
    rain.features(SLATE)
    (staging,) = requested(tick(rain, "staging_sensor"))
    assert staging.job_name == "staging"
    rain.stage(SLATE)
    (consolidation,) = requested(tick(rain, "consolidation_sensor"))
    assert (consolidation.job_name, consolidation.partition_key) == ("consolidation", SLATE)


@pytest.mark.slow
def test_one_station_forecast_alone_gets_the_numbers_that_it_gets_among_all(rain):
    rain.whole(SLATE)
    rows = in_force(rain)
    rain.stage(SLATE, ["station-5"])
    assert rain.consolidate(SLATE).rows_unchanged == 10
    assert in_force(rain) == rows


@pytest.mark.slow
def test_the_morning_check_of_a_subject_without_a_schedule_is_yellow_and_says_where(
    rain, monkeypatch, capsys
):
    rain.whole(SLATE)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(rain._settings.home))
    monkeypatch.setattr(sys, "argv", ["prediction-assets", "health", "--slate", SLATE])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    colors = {words[1]: words[0] for words in lines if words[0] in {"GREEN", "YELLOW", "RED"}}
    assert len(colors) == 10
    assert {name for name, color in colors.items() if color != "GREEN"} == {
        "batch_opened",
        "versions_consistent",
    }
    assert stopped.value.code == 1


def test_the_example_is_a_code_location_of_under_a_hundred_lines(example, tmp_path, monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))
    resources = example.defs().resources
    assert resources["subject"].observations == str(tmp_path / "observations.csv")
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 100


def test_the_walk_through_shows_the_file_as_it_is():
    chapter = (
        EXTENDING.read_text("utf-8")
        .partition("## Another subject than basketball\n")[2]
        .partition("\n## ")[0]
    )
    blocks = re.findall(r"^```python\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)
    shown = [line for block in blocks for line in block.splitlines() if line]
    assert shown == [line for line in EXAMPLE.read_text("utf-8").splitlines() if line]
