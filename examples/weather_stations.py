"""Tomorrow's rain at weather stations, with the same assets: a roster, features and two systems are all it takes.

A station is what the assets call a player, a region is its game, and points are millimetres of rain. Observations are
a CSV in the home, one row per station and day: station_id, station, region, day, rain_mm.

    PREDICTION_ASSETS_HOME=/tmp/rain dagster dev -f examples/weather_stations.py
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import fmean, stdev

import dagster as dg
import pyarrow as pa
from prediction_assets.orchestration.resources.ports import SubjectResource

from prediction_assets.nba.forecasting.predictions import PREDICTION_SCHEMA, rows_without_market
from prediction_assets.nba.subject import Features, Roster, Subject
from prediction_assets.orchestration.build import build_defs
from prediction_assets.settings import load_settings
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.keys import parse_slate, player_slugs, slate_key
from prediction_assets.stores.protocols import BatchState, Snapshot, Warehouse

HEAVY_RAIN = Decimal(10)  # millimetres in a day: the middle one of the five lines
SYSTEMS = {"last_month": 30, "last_week": 7}  # each expects the mean of so many days
FEWEST_OBSERVATIONS = 7
COLUMNS = pa.schema({"player_id": pa.int64(), **dict.fromkeys(["deviation", *SYSTEMS], pa.float64())})


@dataclass(frozen=True)
class WeatherStations(Subject):
    """Who is expected, from what they are predicted, and how."""

    observations: Path

    def _before(self, slate: str, days: int) -> dict[int, list[dict[str, str]]]:
        """Return each station's observations of so many days before the slate, oldest first."""
        day, found = parse_slate(slate), defaultdict(list)
        with self.observations.open(encoding="utf-8", newline="") as file:
            for row in sorted(csv.DictReader(file), key=lambda row: row["day"]):
                if day - timedelta(days) <= date.fromisoformat(row["day"]) < day:
                    found[int(row["station_id"])].append(row)
        return found

    def tonight(self, warehouse: Warehouse, state: BatchState, now: datetime) -> str:
        return slate_key(now.date() + timedelta(days=1))

    def roster(self, warehouse: Warehouse, slate: str) -> Roster:
        """Expect the stations that were heard of within a week."""
        newest = {station: rows[-1] for station, rows in self._before(slate, 7).items()}
        slugs = player_slugs({station: row["station"] for station, row in newest.items()})
        stations = [
            ExpectedPlayer(station, slugs[station], row["station"], row["region"], "", None, row["region"])
            for station, row in newest.items()
        ]
        regions = sorted({station.team for station in stations})
        expected = tuple(sorted(stations, key=lambda station: station.slug))
        return Roster("rain", [{"game_id": region} for region in regions], expected, len(expected))

    def features(self, warehouse: Warehouse, batch: Batch) -> Features:
        rows = []
        for station, observed in sorted(self._before(batch.slate, 30).items()):
            rain = [float(row["rain_mm"]) for row in observed]
            if len(rain) >= FEWEST_OBSERVATIONS:
                means = {system: fmean(rain[-days:]) for system, days in SYSTEMS.items()}
                rows.append({"player_id": station, "deviation": stdev(rain), **means})
        return Features(pa.Table.from_pylist(rows, COLUMNS))

    def forecasts(self, warehouse: Warehouse, batch: Batch, snapshot: Snapshot) -> pa.Table:
        region = {station.player_id: station.game_id for station in batch.expected}
        rows = []
        for row in snapshot.players.to_pylist():
            station, deviation = row["player_id"], max(row["deviation"], 1.0)
            for system in SYSTEMS:
                mean = max(row[system], 0.1)
                rows += rows_without_market(
                    station, region[station], system, "1", mean, deviation, HEAVY_RAIN
                )
        return pa.Table.from_pylist(rows, PREDICTION_SCHEMA)


class WeatherStationsResource(SubjectResource):
    observations: str

    @property
    def port(self) -> WeatherStations:
        return WeatherStations(Path(self.observations))


@dg.definitions
def defs() -> dg.Definitions:
    settings = load_settings()
    stations = WeatherStationsResource(observations=str(settings.home / "observations.csv"))
    return build_defs(settings, {"subject": stations})
