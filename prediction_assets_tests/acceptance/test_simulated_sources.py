"""The made-up live sources of ``dev --simulated-sources``: on any day and at any hour their slate is announced."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from prediction_assets.cli.simulated_sources import SimulatedSources, serving, simulated_settings
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.orchestration.fact_schedules import evening_requests
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE, slate_key
from prediction_assets_tests.in_memory import InMemoryWarehouse


class StoppedClock(Clock):
    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def test_nothing_is_ingested_by_hand_and_the_slate_is_announced(
    tmp_path, instance: dg.DagsterInstance
) -> None:
    clock = StoppedClock(datetime(2026, 11, 29, 20, 0, tzinfo=UTC))
    with serving(SimulatedSources(10, clock)) as address:
        own = simulated_settings(tmp_path)
        settings = load_settings(**own, stats_nba_url=address, odds_api_url=address)
        sources = Sources(settings, clock)
        run = SlateRun(settings, instance, {"sources": sources, "clock": clock})
        facts: dict[str, dict[str, object]] = {}
        for _ in range(
            2
        ):  # without a schedule nothing is known of tonight: its lines come with the next tick
            requests = evening_requests(settings, sources, run.stores.warehouse, clock.moment)
            assert isinstance(requests, list)
            asked = [key.to_user_string() for request in requests for key in request.asset_selection or []]
            assert not set(asked) & set(facts)
            facts |= run.ingest({name: {} for name in asked})
        assert set(facts) == {"game_logs", "schedule", "prop_lines"}
        assert all(done["rows_inserted"] and not done["rows_quarantined"] for done in facts.values())
        done = run.whole("2026-11-29")
    assert done.published
    assert done.receipt is not None
    assert (done.receipt.status, done.receipt.league) == ("success", "NBA")
    assert done.receipt.staged_players > 0
    with_lines = "SELECT COUNT(*) AS n FROM predictions.player_prop_predictions WHERE line_source = 'market'"
    assert run.stores.warehouse.query(with_lines).to_pylist()[0]["n"] > 0


@pytest.mark.parametrize(
    "now",
    ["2026-09-02T12:00", "2026-10-25T03:59", "2027-07-04T23:59"],
)
def test_on_any_day_the_answers_are_ones_to_the_questions(tmp_path, now) -> None:
    clock = StoppedClock(datetime.fromisoformat(f"{now}:00+00:00"))
    today = clock.moment.astimezone(GAME_TIME_ZONE).date()
    with serving(SimulatedSources(10, clock)) as address:
        settings = load_settings(**simulated_settings(tmp_path), stats_nba_url=address, odds_api_url=address)
        sources, warehouse = Sources(settings, clock), InMemoryWarehouse()
        schedule, logs = sources.schedule(warehouse).read, sources.game_logs(warehouse).read
        assert schedule is not None
        assert logs is not None
        assert today in schedule.table["game_date"].to_pylist()
        assert max(logs.table["game_date"].to_pylist()) < today
        assert slate_key(today)
