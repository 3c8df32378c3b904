"""Whoever has a line is expected: a slate in DuckDB, from the facts to the roster and to what is asked of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from prediction_assets.nba.forecast import AskedFeatures, slate_features, with_newcomers
from prediction_assets.nba.roster import read_roster, roster_candidates
from prediction_assets.slate.batch import Progress
from prediction_assets.steps.refresh import read_refresh
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE
from prediction_assets_tests.contract.nba.conftest import game_log, scheduled
from prediction_assets_tests.in_memory import InMemoryWarehouse
from prediction_assets_tests.made_up import batch

SLATE = date(2025, 12, 20)
TIP_OFF = datetime(2025, 12, 21, 0, 30, tzinfo=UTC)
LEAGUE = "simulated-test"

REGULAR, RESERVE, AWAY, LONG_GONE, DEBUT, TRADED, BENCHED, NAMELESS, ELSEWHERE = range(1, 10)


def log(player_id: int, days: int, minutes: int, team: str = "AAA", **cells: Any) -> dict[str, Any]:
    return game_log(
        game_id=f"90225{player_id:02d}{days:03d}", game_date=SLATE - timedelta(days), player_id=player_id,
        player_name=f"Player {player_id}", team=team, opponent="ZZZ", minutes=minutes, **cells,
    )  # fmt: skip


def offer(player_id: int, **cells: Any) -> dict[str, Any]:
    return {
        "league": LEAGUE, "event_id": "e", "capture": "c",
        "market": "player_points", "bookmaker": "Book A", "player_name": f"Player {player_id}",
        "line": Decimal("7.5"), "player_id": player_id, "game_date": SLATE, "commence_time": TIP_OFF,
        "home_team": "AAA", "away_team": "BBB", "over_price": -110, "under_price": -110,
        "captured_at": TIP_OFF - timedelta(hours=8),
    } | cells  # fmt: skip


@pytest.fixture
def facts() -> InMemoryWarehouse:
    """Return the facts of a slate of one game, BBB at AAA; lines are on everybody but the benched player."""
    warehouse = InMemoryWarehouse()
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([scheduled(league=LEAGUE)]))
    logs = [log(REGULAR, days, 30) for days in range(1, 9)]
    logs += [log(player, days, 9) for player in (RESERVE, BENCHED) for days in range(1, 9)]
    logs += [log(AWAY, 90, 30), log(LONG_GONE, 700, 30, "BBB"), log(TRADED, 3, 30, "ZZZ")]
    logs += [log(ELSEWHERE, 3, 30, "YYY")]
    warehouse.upsert(GAME_LOGS, GAME_LOGS.arrow_table(logs))
    ingest(warehouse, *map(offer, (REGULAR, RESERVE, AWAY, LONG_GONE, DEBUT, TRADED, NAMELESS, ELSEWHERE)))
    report = [
        {
            "league": LEAGUE, "game_date": SLATE, "reported_at": TIP_OFF - timedelta(hours=10), "team": team,
            "player_name": f"Player {player}", "player_id": player, "status": "Available", "reason": None,
        }
        for player, team in ((DEBUT, "BBB"), (TRADED, "AAA"))
    ]  # fmt: skip
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(report))
    return warehouse


def ingest(warehouse: InMemoryWarehouse, *offers: Mapping[str, Any]) -> None:
    warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table([*offers]), ("event_id",))


def expected(warehouse: InMemoryWarehouse) -> dict[int, str]:
    return {who.player_id: who.team for who in read_roster(warehouse, SLATE.isoformat()).players}


WITH_LINES = {REGULAR: "AAA", RESERVE: "AAA", AWAY: "AAA", LONG_GONE: "BBB", DEBUT: "BBB", TRADED: "AAA"}


def test_reserves_returning_players_and_newcomers_with_a_line_are_expected_on_their_team(facts):
    # Nothing gives the nameless player a team, and the last one's team doesn't play.
    assert expected(facts) == WITH_LINES
    (debut,) = [p for p in read_roster(facts, SLATE.isoformat()).players if p.player_id == DEBUT]
    assert (debut.name, debut.opponent, debut.is_home, debut.game_id) == (
        "Player 5", "AAA", False, scheduled()["game_id"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "unusable",
    [
        {"captured_at": TIP_OFF + timedelta(minutes=1)},
        {"home_team": "CCC"},
        {"game_date": SLATE + timedelta(1)},
        {"over_price": -10_000},
        {"player_id": None},
    ],
    ids=[
        "seen after tip-off",
        "on another game",
        "on another date",
        "suspended",
        "of a name without a player",
    ],
)
def test_an_offer_that_is_no_line_of_the_slate_makes_nobody_expected(facts, unusable):
    ingest(facts, *(offer(player) | unusable for player in (RESERVE, DEBUT)))
    assert expected(facts) == {REGULAR: "AAA"}


def test_a_candidate_s_past_says_whether_he_is_a_rookie_and_has_moved(facts):
    rookie, from_elsewhere, settled, veteran = range(20, 24)
    since_summer = [log(player, days, 20) for player in (from_elsewhere, settled) for days in range(1, 26)]
    before = [
        log(settled, 26, 20, "BBB"),
        log(from_elsewhere, 40, 20, "BBB"),
        log(veteran, 250, 20, season_id=22024),
    ]
    del since_summer[24]  # so that the game for BBB is among the newest 25 of the first one
    logs = [log(rookie, 1, 20), *since_summer, *before, log(veteran, 1, 20)]
    facts.upsert(GAME_LOGS, GAME_LOGS.arrow_table(logs))
    said = {
        row["player_id"]: (row["is_rookie"], row["has_moved"])
        for row in roster_candidates(facts, LEAGUE, SLATE, {})
    }
    assert [said[player] for player in (rookie, from_elsewhere, settled, veteran)] == [
        (True, False), (True, True), (True, False), (False, False),
    ]  # fmt: skip


def test_a_newcomer_gets_a_row_without_features_only_while_he_has_a_line(facts):
    players = read_roster(facts, SLATE.isoformat()).players
    features, _ = slate_features(
        facts, AskedFeatures(LEAGUE, SLATE, [p.player_id for p in players], 700, "model")
    )
    assert {*features["player_id"].to_pylist()} == {REGULAR, RESERVE, AWAY}
    rows = with_newcomers(features, players, {DEBUT, REGULAR}, SLATE).to_pylist()
    assert [row["player_id"] for row in rows] == [REGULAR, RESERVE, AWAY, DEBUT]
    assert (rows[3]["games_last_25"], rows[3]["home"], rows[3]["model_id"]) == (0, 0.0, "model")
    assert with_newcomers(features, players, set(), SLATE) is features


def test_a_line_that_comes_later_adds_its_player_and_one_that_goes_drops_nobody_by_itself(facts):
    opened = batch(0)
    agreed = facts.facts_version()
    open_batch = type(opened)(
        SLATE.isoformat(), "b", LEAGUE, 1, opened.opened_at, opened.deadline,
        read_roster(facts, SLATE.isoformat()).players,
    )  # fmt: skip
    progress, now = Progress(open_batch, {}, None), TIP_OFF - timedelta(hours=6)

    def roster():
        return read_refresh(progress, facts, now, roster_since=agreed)

    assert not roster().is_needed
    everybody = [offer(player) for player in (*WITH_LINES, BENCHED)]
    ingest(facts, *everybody)
    assert (roster().roster.added, roster().needs_roster) == (("player-7",), True)
    ingest(facts, *(each for each in everybody if each["player_id"] not in (DEBUT, RESERVE, BENCHED)))
    assert (roster().roster.dropped, roster().needs_roster) == (("player-2", "player-5"), False)
