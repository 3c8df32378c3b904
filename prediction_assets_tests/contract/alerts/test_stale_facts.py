"""The alert for stale facts: opened once, over with the next line, silent without a batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from prediction_assets.monitoring.health_facts import InstanceFacts
from prediction_assets.monitoring.open_alerts import look
from prediction_assets.monitoring.reader import Sources
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.sql.tables import PROP_LINES, SCHEDULE
from prediction_assets_tests.in_memory import InMemoryStores
from prediction_assets_tests.made_up import batch

SLATE = date(2026, 1, 16)
DUE = datetime(2026, 1, 16, 15, tzinfo=UTC)  # 07:00 in Los Angeles
HOUR = timedelta(hours=1)


class StoppedClock(Clock):
    def __init__(self) -> None:
        self.moment = DUE

    def now(self) -> datetime:
        return self.moment


def test_an_alert_is_opened_once_and_is_over_with_the_next_line(tmp_path):
    stores = InMemoryStores()
    game = {
        "league": "NBA", "season_id": 22025, "game_id": "0022500600", "game_date": SLATE, "team_a": "DEN",
        "team_b": "LAL",
    }  # fmt: skip
    stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game]))
    settings = load_settings(home=tmp_path, prop_lines=tmp_path)
    clock = StoppedClock()
    sources = Sources(stores, InstanceFacts((), None, ()), settings, clock)

    def open_alerts(hours: float) -> list[str]:
        clock.moment = DUE + hours * HOUR
        look(sources, stores.alerts)
        return [alert.key for alert in stores.alerts.unsettled() if alert.is_open and alert.kind == "stale"]

    assert open_alerts(6) == [], "no batch is open"
    stores.batch_state.open(replace(batch(slate="2026-01-16"), league="NBA"))
    assert open_alerts(1) == []
    assert open_alerts(3) == open_alerts(4) == ["stale:prop_lines:2026-01-16"]
    row = dict.fromkeys(
        ("event_id", "capture", "bookmaker", "player_name", "market", "home_team", "away_team"), "x"
    )
    row |= {
        "league": "NBA",
        "game_date": SLATE,
        "commence_time": DUE + 12 * HOUR,
        "line": Decimal("1.5"),
        "sequence": 1,
    }
    stores.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table([row | {"captured_at": DUE + 4 * HOUR}]))
    assert open_alerts(5) == []
    assert open_alerts(7) == ["stale:prop_lines:2026-01-16"]
    assert open_alerts(13) == [], "the last game began"
