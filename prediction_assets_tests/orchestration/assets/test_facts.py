"""Facts through their assets: the live source, and what the UI shows of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from prediction_assets.errors import BadInput, SourceUnavailable
from prediction_assets.ingest.live.sources import Sources
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import Settings
from prediction_assets.simulation.slates import simulated_facts
from prediction_assets.slate.deadlines import Clock
from prediction_assets.stores.sql import queries
from prediction_assets_tests.source_server import Asked, Reply, SourceServer

HEADERS = [
    "SEASON_ID", "PLAYER_ID", "PLAYER_NAME", "TEAM_ID", "TEAM_ABBREVIATION", "TEAM_NAME", "GAME_ID",
    "GAME_DATE", "MATCHUP", "WL", "MIN", "FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB",
    "REB", "AST", "STL", "BLK", "TOV", "PF", "PTS", "PLUS_MINUS",
]  # fmt: skip
ROW = [22024, 1, "Ann Example", 10, "BOS", "Boston Celtics", "0022400001", "2024-10-22", "BOS vs. NYK", "W", 30,
       5, 9, 1, 2, 2, 2, 0, 1, 1, 0, 0, 0, 0, 0, 13, 1]  # fmt: skip
LINES = (
    "event_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price\n"
    "e1,2024-10-22T23:30:00Z,BOS,NYK,Ann Example,player_points,one,Over,10.5,-110\n"
)
GAME = {
    "gameId": "0022400001", "gameDateEst": "2024-10-22T00:00:00Z", "gameStatus": 1, "postponedStatus": "N",
    "isNeutral": False, "homeTeam": {"teamTricode": "BOS"}, "awayTeam": {"teamTricode": "NYK"},
}  # fmt: skip


@dataclass
class LiveSeason:
    """A season's made-up answers of stats.nba.com: one game in the logs, and the games of the schedule."""

    server: SourceServer
    settings: Settings
    instance: dg.DagsterInstance
    games: list[dict[str, Any]] = field(default_factory=lambda: [GAME])

    def run(self, clock: Clock | None = None, **more: Any) -> SlateRun:
        self.server.routes = {
            "/stats_nba/stats/leaguegamelog": self._logs,
            "/stats_nba/stats/scheduleleaguev2": lambda _: Reply(
                {"leagueSchedule": {"gameDates": [{"games": [game]} for game in self.games]}}
            ),
        }
        settings = self.server.settings(self.settings, **more)
        return SlateRun(
            settings, self.instance, {"sources": Sources(settings, clock or Clock(), lambda _: None)}
        )

    def _logs(self, asked: Asked) -> Reply:
        rows = [ROW] if asked.parameters["SeasonType"] == "Regular Season" else []
        return Reply({"resultSets": [{"name": "LeagueGameLog", "headers": HEADERS, "rowSet": rows}]})


@pytest.fixture
def season(source_server, settings, instance) -> LiveSeason:
    return LiveSeason(source_server, settings, instance)


def test_a_source_that_fails_keeps_no_other_fact_from_being_stored(season, tmp_path):
    (tmp_path / "lines.csv").write_text(LINES, "utf-8")
    run = season.run()
    season.server.routes["/stats_nba/stats/leaguegamelog"] = Reply("down for hours", 503)
    asked = {"game_logs": {"season": "2024-25"}, "schedule": {"season": "2024-25"}}
    with pytest.raises(SourceUnavailable, match="no answer with game logs of 2024-25"):
        run.ingest({**asked, "prop_lines": {"path": str(tmp_path / "lines.csv")}})
    stored = {
        name: run.stores.warehouse.query(queries.COUNT_FACTS[name])["row_count"][0].as_py()
        for name in (*asked, "prop_lines")
    }
    assert stored == {"game_logs": 0, "schedule": 1, "prop_lines": 1}
    assert [run.status.value for run in season.instance.get_runs()] == ["SUCCESS", "FAILURE"]

    def failures() -> list[tuple[str, bool]]:
        now = datetime.now(UTC)
        found = read_instance(season.instance, None, now, timedelta(hours=1)).failures
        return [(failure.step, failure.recovered) for failure in found if failure.work == "ingest"]

    assert failures() == [("game_logs", False)], "other facts that succeeded since say nothing about it"
    season.run().ingest({"game_logs": {"season": "2024-25"}})
    assert failures() == [("game_logs", True)]


def test_a_season_of_the_live_source_is_ingested_like_a_file(season):
    run = season.run()
    ingested = run.ingest({"game_logs": {"season": "2024-25"}, "schedule": {"season": "2024-25"}})
    assert ingested["game_logs"]["rows_inserted"] == ingested["schedule"]["rows_inserted"] == 1
    assert ingested["game_logs"]["source"] == "stats_nba"
    again = run.ingest({"game_logs": {"season": "2024-25"}})
    assert again["game_logs"]["rows_unchanged"] == 1


def test_a_season_fetched_again_removes_what_is_postponed_and_keeps_what_it_omits(season):
    run = season.run()

    def fetched(*games: dict[str, Any], **more: bool) -> Any:
        season.games = list(games)
        return run.ingest({"schedule": {"season": "2024-25", **more}})["schedule"]

    def on(number: int, **more: str) -> dict[str, Any]:
        return GAME | {"gameId": f"002240000{number}", "gameDateEst": f"2024-10-2{number}T00:00:00Z"} | more

    def left() -> list[str]:
        found = run.stores.warehouse.query("SELECT game_id FROM facts.schedule ORDER BY game_id")
        return [game_id[-1] for game_id in found["game_id"].to_pylist()]

    assert fetched(on(1), on(2), on(3), on(4))["rows_inserted"] == 4
    # The 22nd's only game is postponed, the 23rd's is not listed at all.
    answer = (on(1), on(2, postponedStatus="Y"), on(4))
    done = fetched(*answer)
    assert (done["rows_replaced"], done["rows_unchanged"], done["left_out"]) == (1, 2, {"postponed": 1})
    assert (done["rows_quarantined"], left()) == (1, ["1", "3", "4"])
    assert "stats_nba lists 2024-10-23 and not this game, BOS and NYK" in done["quarantined"][0]
    (check,) = run._instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("schedule"), "nothing_in_quarantine"), limit=1
    )
    assert check.status.value == "FAILED"
    done = fetched(*answer, replace_omitted=True)
    assert (done["rows_replaced"], done["rows_quarantined"], left()) == (1, 0, ["1", "4"])


LIVE = {"game_logs_sources": "stats_nba", "schedule_sources": "stats_nba,cdn_nba"}


def test_the_sources_in_the_settings_are_asked_when_nothing_is_named(season):
    done = season.run(**LIVE, injury_reports_sources="official_report").ingest(
        {"game_logs": {"season": "2024-25"}, "schedule": {"season": "2024-25"}, "injury_reports": {}}
    )
    assert {facts: each["source"] for facts, each in done.items()} == {
        "game_logs": "stats_nba", "schedule": "stats_nba",
    }  # fmt: skip
    assert len(season.server.paths("/official_report/")) == 12


def test_a_second_source_that_took_over_is_in_the_metadata(season):
    run = season.run(**LIVE)
    document = {"leagueSchedule": {"seasonYear": "2024-25", "gameDates": [{"games": [GAME]}]}}
    season.server.routes["/stats_nba/stats/scheduleleaguev2"] = Reply("", 403)
    season.server.routes["/cdn_nba/"] = Reply(document)
    done = run.ingest({"schedule": {"season": "2024-25"}})["schedule"]
    assert (done["source"], done["rows_inserted"]) == ("cdn_nba", 1)
    assert "status 403 Forbidden" in done["failed_sources"]["stats_nba"]


class BeforeTheSeason(Clock):
    """A clock that stands where the league has not published its season yet."""

    def now(self) -> datetime:
        return datetime(2024, 7, 20, tzinfo=UTC)


def test_a_season_that_is_not_published_is_no_failure_and_holds_up_no_other_fact(season, tmp_path):
    season.settings = season.settings.model_copy(update={"injury_reports": None})
    run = season.run(BeforeTheSeason(), **LIVE, prop_lines=a_line(tmp_path))
    season.server.routes = {"/": Reply({"leagueSchedule": {"seasonYear": "2024-25", "gameDates": []}})}
    season.server.routes["/stats_nba/stats/leaguegamelog"] = Reply(
        {"resultSets": [{"name": "LeagueGameLog", "headers": HEADERS, "rowSet": None}]}
    )
    asked = {"season": "2024-25"}
    done = run.ingest({"game_logs": asked, "schedule": asked, "prop_lines": {}})
    assert {facts: each["rows_inserted"] for facts, each in done.items()} == {
        "game_logs": 0, "schedule": 0, "prop_lines": 1,
    }  # fmt: skip


def test_an_installation_with_live_sources_never_takes_the_simulated_league_unasked(season):
    run = season.run(**LIVE)
    with pytest.raises(BadInput, match=r"the answer has games of 2024-25, .* was requested"):
        run.ingest({"game_logs": {}})
    assert run.ingest({"prop_lines": {}}) == {}
    assert leagues(run, "game_logs") == []


def a_line(folder: Path) -> Path:
    path = folder / "lines.csv"
    path.write_text(
        "event_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price\n"
        "e1,2024-10-23T00:10:00Z,Boston Celtics,New York Knicks,No Body,player_points,Book,Over,20.5,-110\n"
        "e1,2024-10-23T00:10:00Z,Boston Celtics,New York Knicks,No Body,player_points,Book,Under,20.5,-110\n",
        "utf-8",
    )
    return path


@pytest.fixture
def real(season) -> SlateRun:
    """A home with a real game, ingested without any setting that names a file."""
    run = season.run()
    run.ingest({"game_logs": {"season": "2024-25"}, "schedule": {"season": "2024-25"}})
    return run


def leagues(run: SlateRun, facts: str) -> list[str]:
    return run.stores.warehouse.query(f"SELECT DISTINCT league FROM facts.{facts} ORDER BY league")[
        "league"
    ].to_pylist()


@pytest.mark.parametrize("facts", ["game_logs", "schedule", "prop_lines"])
def test_the_simulated_league_is_not_ingested_unasked_among_real_games(real, facts):
    with pytest.raises(
        BadInput,
        match=r"this home holds real games, so the simulated league is not ingested; set PREDICTION_ASSETS_",
    ) as refused:
        real.ingest({facts: {}})
    assert f"set PREDICTION_ASSETS_{facts.upper()}, or name a path" in str(refused.value)
    assert "simulated-40" not in leagues(real, facts)


def test_the_simulated_league_can_be_asked_for_beside_real_games(real):
    real.ingest(simulated_facts(8))
    assert leagues(real, "game_logs") == ["NBA", "simulated-8"]


def test_a_home_without_real_games_gets_the_simulated_league_unasked_and_again(slate_run):
    for inserted in (True, False):
        done = slate_run.ingest({"game_logs": {}, "schedule": {}, "prop_lines": {}})
        assert {facts: each["source"] for facts, each in done.items()} == dict.fromkeys(done, "simulated-40")
        assert len(done) == 3
        assert bool(done["prop_lines"]["rows_inserted"]) is inserted


def test_an_installation_that_names_one_file_is_told_which_other_is_missing_and_may_lack_lines(
    settings, instance, tmp_path
):
    named = settings.model_copy(update={"game_logs": tmp_path / "logs.csv"})
    run = SlateRun(named, instance)
    with pytest.raises(BadInput, match="schedule: no path is named, and PREDICTION_ASSETS_GAME_LOGS is set"):
        run.ingest({"schedule": {}})
    assert run.ingest({"prop_lines": {}}) == {}
    assert leagues(run, "prop_lines") == []


def test_simulated_facts_are_labelled_where_they_show(ingested):
    record = ingested._instance.get_latest_materialization_event(dg.AssetKey("game_logs"))
    metadata = record.asset_materialization.metadata
    assert metadata["simulated"].value is True
    assert metadata["source"].value == "simulated-8"


def test_a_name_that_does_not_resolve_is_reported_and_kept_without_an_id(slate_run, tmp_path):
    done = slate_run.ingest({"prop_lines": {"path": str(a_line(tmp_path))}})["prop_lines"]
    assert done["unresolved_names"] == 1
    assert "No Body" in str(done["unresolved"])
    stored = slate_run.stores.warehouse.query("SELECT player_id, game_date FROM facts.prop_lines").to_pylist()
    assert [(row["player_id"], row["game_date"].isoformat()) for row in stored] == [(None, "2024-10-22")]


def test_a_line_that_nobody_can_reach_is_kept_as_offered_and_counted(slate_run, tmp_path):
    lines = tmp_path / "lines.csv"
    rows = [
        f"e1,2024-10-23T00:10:00Z,Boston Celtics,New York Knicks,No Body,player_points,Book,{side},{line},-110\n"
        for line in ("20.5", "100", "2050")
        for side in ("Over", "Under")
    ]
    header = "event_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price\n"
    lines.write_text(header + "".join(rows), "utf-8")
    done = slate_run.ingest({"prop_lines": {"path": str(lines)}})["prop_lines"]
    assert (done["rows_inserted"], done["out_of_reach"]) == (3, 1)
