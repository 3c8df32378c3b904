"""The NBA's JSON: game logs and schedule of stats.nba.com, and the current schedule of cdn.nba.com.

stats.nba.com answers browsers; it lets the addresses of many clouds wait in vain. cdn.nba.com answers everybody.
"""

from __future__ import annotations

from pathlib import Path

from prediction_assets.errors import BadInput, SourceEmpty
from prediction_assets.ingest.files import read_json
from prediction_assets.ingest.game_ids import require_season, season_name
from prediction_assets.ingest.game_logs import GameLogsRead, convert
from prediction_assets.ingest.live.requesting import Requester
from prediction_assets.ingest.nba_json import log_rows, season_year
from prediction_assets.ingest.rows import SourceRows
from prediction_assets.ingest.schedule import ScheduleRead, read_schedule
from prediction_assets.ingest.seasons import first_year

REGULAR_SEASON = "Regular Season"
LOG_TYPES = {REGULAR_SEASON: 1946, "IST": 2023, "PlayIn": 2019, "Playoffs": 1946}
"""stats.nba.com's names of the kinds of games, in the order of a season, and the year each was first played.

IST is the NBA Cup final; the Cup's other games are of the regular season (swar/nba_api issue 492).
"""

HEADERS = {
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "en-US,en;q=0.9",
    "Origin": "https://www.nba.com",
    "Referer": "https://www.nba.com/",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
}
"""What a browser sends; without these stats.nba.com doesn't answer."""

STATS_HINT = (
    "stats.nba.com refuses addresses of many clouds: ask from another network, or set a second source"
)


def fetch_game_logs(requester: Requester, url: str, season: str, *, played: int) -> GameLogsRead | None:
    """Return a season's player game logs of every kind of game, None when nothing was played yet.

    Args:
        season: ``2024-25``.
        played: games of the season that are over by the stored schedule.

    Raises:
        BadInput: an answer isn't one of LeagueGameLog to this question.
        SourceEmpty: there is no log of games that were played.
    """
    year = first_year(season)
    found: dict[Path, SourceRows] = {}
    for kind, since in LOG_TYPES.items():
        if year >= since:
            parameters = {
                "Counter": "0", "DateFrom": "", "DateTo": "", "Direction": "ASC", "LeagueID": "00",
                "PlayerOrTeam": "P", "Season": season, "SeasonType": kind, "Sorter": "DATE",
            }  # fmt: skip
            what = f"game logs of {season}, {kind}"
            name = f"leaguegamelog_{season}_{kind.replace(' ', '')}.json"
            path = requester.get(f"{url}/stats/leaguegamelog", name, what, parameters)
            if path is None:
                raise BadInput(
                    requester.source, f"has no {what}: its address changed", hint="set a second source"
                )
            rows = log_rows(read_json(path), str(path))
            if len(rows):
                found[path] = rows
    if not found and played:
        raise SourceEmpty(
            f"{requester.source} has no game log of {season}, and {played} of its games were played"
        )
    if not found:
        return None
    read = convert([*found.values()])
    require_season(read.table["season_id"].unique().to_pylist(), year, requester.source)
    return read


def fetch_schedule(requester: Requester, url: str, season: str, *, is_owed: bool) -> ScheduleRead | None:
    """Return a season's games, None when it isn't published yet.

    Args:
        url: the address of scheduleLeagueV2 there.
        season: ``2024-25``.
        is_owed: the season is published by now.

    Raises:
        BadInput: the answer isn't one of scheduleLeagueV2 to this question.
        SourceEmpty: the season is published, and not here.
    """
    year, what = first_year(season), f"the schedule of {season}"
    parameters = {"LeagueID": "00", "Season": season}
    path = requester.get(url, f"scheduleleaguev2_{season}.json", what, parameters)
    lacks = "has no answer"
    if path is not None:
        answer = read_json(path)
        said = season_year(answer)
        # Until the next season is published, the answer is the last one's.
        is_last = said is not None and said == season_name(year - 1)
        if said is not None and said != season and not is_last:
            raise BadInput(requester.source, f"was asked for {season} and answered with {said}")
        if not is_last and (said is None or _lists_a_game(answer)):
            read = read_schedule(path)
            require_season(read.table["season_id"].unique().to_pylist(), year, requester.source)
            return read
        lacks = f"answered with {said}" if is_last else "lists no game"
    if is_owed:
        raise SourceEmpty(f"{requester.source} was asked for {what} and {lacks}; set a second source")
    return None


def _lists_a_game(answer: object) -> bool:
    dates = answer["leagueSchedule"].get("gameDates") if isinstance(answer, dict) else None
    return dates is None or any(day.get("games") for day in dates if isinstance(day, dict))
