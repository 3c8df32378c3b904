"""A look over stores in memory: what it opens and ends, what it asks the stores, and what it can't read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest

from prediction_assets.errors import WarehouseBusy
from prediction_assets.monitoring.health_facts import CheckResult, InstanceFacts
from prediction_assets.monitoring.open_alerts import look
from prediction_assets.monitoring.reader import Sources
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.alert import Alert, Change
from prediction_assets.stores.sql.tables import SCHEDULE
from prediction_assets_tests.in_memory import InMemoryAlertStore, InMemoryStores, Opening
from prediction_assets_tests.made_up import NOW, SLATE, batch
from prediction_assets_tests.made_up_facts import MINUTE, failed_tick, failure, instance


class Counted(InMemoryAlertStore):
    """A store that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def change(self, key: str, change: Change) -> Alert | None:
        self.asked["change"] += 1
        return super().change(key, change)

    def unsettled(self) -> Sequence[Alert]:
        self.asked["unsettled"] += 1
        return super().unsettled()


@dataclass
class Looking:
    """Stores in memory, what Dagster would say, and a clock."""

    stores: InMemoryStores
    alerts: Counted = field(default_factory=Counted)
    dagster: InstanceFacts = field(default_factory=instance)
    minutes: float = 5.0
    busy: bool = False
    opened_the_warehouse: int = 0

    def look(self) -> tuple[list[str], Counter[str]]:
        """Look once; return the open alerts and what the store of alerts was asked."""
        self.alerts.asked.clear()
        clock = Clock()
        clock.now = lambda: NOW + self.minutes * MINUTE  # type: ignore[method-assign]
        stores: Any = Opening(self.stores, self._warehouse)
        done = look(Sources(stores, lambda *_: self.dagster, load_settings(), clock), self.alerts)
        assert done.unread == ()
        asked = Counter(self.alerts.asked)
        return sorted(alert.key for alert in self.alerts.unsettled() if alert.is_open), asked

    def _warehouse(self) -> Any:
        self.opened_the_warehouse += 1
        if self.busy:
            raise WarehouseBusy("held")
        return self.stores.warehouse


@pytest.fixture
def looking() -> Looking:
    stores = InMemoryStores()
    stores.batch_state.open(batch(2))
    return Looking(stores)


def test_a_look_at_a_healthy_slate_reads_the_alerts_once_and_no_warehouse(looking: Looking):
    assert looking.look() == ([], {"unsettled": 1})
    assert looking.opened_the_warehouse == 0


def test_a_finding_costs_one_change_when_it_is_new_and_one_when_it_is_over(looking: Looking):
    looking.dagster = instance(failed_tick("staging_sensor"))
    assert looking.look() == (["tick:staging_sensor"], {"unsettled": 1, "change": 1})
    assert looking.look() == (["tick:staging_sensor"], {"unsettled": 1})
    looking.dagster = instance(failed_tick("staging_sensor", error="still full"))
    assert looking.look() == (["tick:staging_sensor"], {"unsettled": 1, "change": 1})
    looking.dagster = instance(failed_tick("staging_sensor", recovered=True))
    assert looking.look() == ([], {"unsettled": 1, "change": 1})
    assert looking.look() == ([], {"unsettled": 1})


@pytest.mark.parametrize(
    ("failing", "key", "over"),
    [
        ({"failures": (failure("staging"),)}, f"run:staging:{SLATE}",
         {"failures": (failure("staging", recovered=True),)}),
        ({"failures": (failure("roster", "2026-99-99"),)}, "run:roster:2026-99-99",
         {"failures": (failure("roster", "2026-99-99", recovered=True),)}),
        ({"failures": (failure("consolidation", refused=(("values_in_range", "x"),)),)},
         f"check:predictions:values_in_range:{SLATE}",
         {"failures": (failure("consolidation", recovered=True),)}),
        ({"checks": (CheckResult("schedule", "nothing_in_quarantine", False, True, ""),)},
         "check:schedule:nothing_in_quarantine",
         {"checks": (CheckResult("schedule", "nothing_in_quarantine", True, True, ""),)}),
    ],
)  # fmt: skip
def test_a_failure_s_alert_ends_when_the_work_succeeds_and_not_when_the_failure_is_forgotten(
    looking: Looking, failing, key, over
):
    looking.dagster = instance(**failing) if "checks" in failing else instance(*failing["failures"])
    assert looking.look()[0] == [key]
    looking.dagster = instance()
    assert looking.look()[0] == [key]
    looking.dagster = instance(**over) if "checks" in over else instance(*over["failures"])
    assert looking.look()[0] == []


def test_a_silent_daemon_is_over_when_it_beats(looking: Looking):
    looking.dagster = instance(daemon_silent_since=NOW)
    assert looking.look()[0] == ["daemon"]
    looking.dagster = instance()
    assert looking.look()[0] == []


def a_game_of_tonight(looking: Looking, day: str = "2026-01-03") -> None:
    """Put a game on a slate that nobody opens, and let its roster be late."""
    game = {
        "league": "NBA",
        "season_id": 22025,
        "game_id": "0022500001",
        "game_date": date.fromisoformat(day),
    }
    teams = {"home_team": "S01", "away_team": "S02", "team_a": "S01", "team_b": "S02"}
    looking.stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game | teams]))
    looking.minutes = timedelta(days=1, hours=1).total_seconds() / 60


def test_a_busy_warehouse_neither_opens_nor_ends_an_alert(looking: Looking):
    a_game_of_tonight(looking)
    looking.busy = True
    assert looking.look()[0] == [f"no_receipt:{SLATE}"]
    looking.busy = False
    both = [f"no_receipt:{SLATE}", "no_roster:2026-01-03"]
    assert looking.look()[0] == both
    looking.busy = True
    assert looking.look()[0] == both


def test_a_roster_s_alert_lasts_until_it_is_opened_and_ends_with_its_day(looking: Looking):
    a_game_of_tonight(looking)
    assert "no_roster:2026-01-03" in looking.look()[0]
    looking.minutes += timedelta(hours=22).total_seconds() / 60
    assert "no_roster:2026-01-03" in looking.look()[0]
    looking.stores.batch_state.open(replace(batch(2, "2026-01-03"), deadline=NOW + timedelta(days=3)))
    assert "no_roster:2026-01-03" not in looking.look()[0]


def test_a_day_without_games_is_never_late(looking: Looking):
    a_game_of_tonight(looking, "2026-01-09")
    assert looking.look()[0] == [f"no_receipt:{SLATE}"]
