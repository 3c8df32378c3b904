"""Evidence: what new facts contradict, among themselves, in what is stored, and in what is possible.

Pure functions from rows to objections. A row with an objection is not stored; it goes into quarantine. What is stored
stands until an operator says otherwise; of new rows that contradict each other, none is stored. So the order of rows
doesn't matter, and one file is treated as two. What doesn't belong here: reading the warehouse and storing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from prediction_assets.ingest import game_ids, limits
from prediction_assets.ingest.names import is_same_name
from prediction_assets.slate.keys import GAME_TIME_ZONE

Row = Mapping[str, Any]
Name = Callable[[int], str]
"""Returns how an objection names the row at a position: ``row 12 of logs.csv``."""


class Kind(StrEnum):
    """Why a row is in quarantine: it contradicts another, it is beyond a limit, or a source no longer lists it."""

    CONTRADICTION = "contradiction"
    LIMIT = "limit"
    OMISSION = "omission"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a new row can't be stored.

    Attributes:
        position: the row's place in the new rows.
        subject: whom or what it is about: ``game 0022400061``.
        reason: what the row says and what the other side says, one line.
    """

    position: int
    kind: Kind
    subject: str
    reason: str


class Game(NamedTuple):
    """One game as a table has it; the order of the two teams has no meaning."""

    game_date: date
    teams: tuple[str, str]

    def __str__(self) -> str:
        return f"{' and '.join(self.teams)} on {self.game_date}"


@dataclass(frozen=True)
class StoredFacts:
    """What the warehouse knows, as far as new facts can contradict it.

    Attributes:
        logged: the games that have game logs, by id.
        scheduled: the games in the schedule, by id.
        names: every spelling of each player's name, by player id.
        appearances: by player and date, his game and team in the game logs, of the new rows' dates.
    """

    logged: Mapping[str, Game] = field(default_factory=dict)
    scheduled: Mapping[str, Game] = field(default_factory=dict)
    names: Mapping[int, Collection[str]] = field(default_factory=dict)
    appearances: Mapping[tuple[int, date], tuple[str, str]] = field(default_factory=dict)


def teams_of(one: str, other: str) -> tuple[str, str]:
    """Return two teams in an order of their own."""
    return (one, other) if one <= other else (other, one)


def _latest_date(now: datetime) -> date:
    return now.astimezone(GAME_TIME_ZONE).date() + timedelta(days=limits.FURTHEST_DAYS)


def objections_to_logs(
    rows: Sequence[Row], stored: StoredFacts, now: datetime, name: Name
) -> list[Objection]:
    """Return what speaks against new game logs."""
    today = now.astimezone(GAME_TIME_ZONE).date()
    found: list[Objection] = []
    spelled: dict[int, dict[str, int]] = defaultdict(dict)
    appearances: dict[tuple[int, date], dict[tuple[str, str], int]] = defaultdict(dict)
    for position, row in enumerate(rows):
        game, day, player = row["game_id"], row["game_date"], row["player_id"]
        subject = f"game {game}"
        if wrong := game_ids.objection(game, row["season_id"], day):
            found.append(Objection(position, Kind.CONTRADICTION, subject, wrong))
        if day > today:
            found.append(
                Objection(
                    position, Kind.LIMIT, subject, f"a game log of {day}, which is after today, {today}"
                )
            )
        for column, most in limits.MOST_IN_A_GAME.items():
            if row[column] > most:
                reason = f"{row['player_name']} has {row[column]} {column}, more than {most}"
                found.append(Objection(position, Kind.LIMIT, f"player {player}", reason))
        new = Game(day, teams_of(row["team"], row["opponent"]))
        known, where = stored.logged.get(game), "game logs"
        if known is None:
            known, where = stored.scheduled.get(game), "schedule"
        if known is not None and known != new:
            reason = f"it is {new} here, and {known} in the stored {where}"
            found.append(Objection(position, Kind.CONTRADICTION, subject, reason))
        spelled[player].setdefault(row["player_name"], position)
        appearances[player, day].setdefault((game, row["team"]), position)
    wrong_names = _contradicting_names(spelled, stored, name)
    in_two = _in_two_games(appearances, stored, name)
    for position, row in enumerate(rows):
        player = row["player_id"]
        subject = f"player {player}"
        about_his_name = wrong_names.get((player, row["player_name"]))
        about_his_game = in_two.get((player, row["game_date"], row["game_id"], row["team"]))
        found += [
            Objection(position, Kind.CONTRADICTION, subject, reason)
            for reason in (about_his_name, about_his_game)
            if reason
        ]
    return found


def _contradicting_names(
    spelled: Mapping[int, Mapping[str, int]], stored: StoredFacts, name: Name
) -> dict[tuple[int, str], str]:
    """Return the names that contradict their id's stored names or, without any, its other new names."""
    wrong: dict[tuple[int, str], str] = {}
    for player, new in spelled.items():
        known = stored.names.get(player, ())
        for spelling in new:
            if known:
                if not any(is_same_name(spelling, other) for other in known):
                    listed = ", ".join(sorted(known))
                    wrong[player, spelling] = (
                        f"id {player} is {spelling} here, and {listed} in the stored game logs"
                    )
                continue
            for other, at in new.items():
                if not is_same_name(spelling, other):
                    wrong[player, spelling] = f"id {player} is {spelling} here, and {other} in {name(at)}"
    return wrong


def _in_two_games(
    appearances: Mapping[tuple[int, date], Mapping[tuple[str, str], int]], stored: StoredFacts, name: Name
) -> dict[tuple[int, date, str, str], str]:
    """Return the appearances of a player who has another game, or another team, on the same date."""
    wrong: dict[tuple[int, date, str, str], str] = {}
    for (player, day), new in appearances.items():
        known = stored.appearances.get((player, day))
        for game, team in new:
            other, where = known, "the stored game logs"
            if known is None:
                others = [(found, at) for found, at in new.items() if found != (game, team)]
                if not others:
                    continue
                other, where = others[0][0], name(others[0][1])
            if other is not None and other != (game, team):
                wrong[player, day, game, team] = (
                    f"on {day} he is of {team} in game {game} here, and of {other[1]} in game {other[0]} in {where}"
                )
    return wrong


def objections_to_games(
    rows: Sequence[Row],
    stored: StoredFacts,
    now: datetime,
    *,
    may_move: Callable[[str], bool],
    leaving: Collection[str],
) -> list[Objection]:
    """Return what speaks against new games of the schedule, which don't contradict each other.

    Args:
        may_move: whether the source may give a stored game, by its id, another date.
        leaving: the ids of stored games that this source takes off the schedule.
    """
    found = list(_objections_to_each(rows, stored, _latest_date(now), may_move))
    coming = {row["game_id"] for row in rows}
    held = {rows[objection.position]["game_id"] for objection in found}
    while True:
        # A row that is held leaves its stored game where it is, which may be in the way of another row.
        staying = (stored.scheduled.keys() - coming - set(leaving)) | held
        more = list(_second_games(rows, stored, staying, held))
        if not more:
            return found
        found += more
        held |= {rows[objection.position]["game_id"] for objection in more}


def _objections_to_each(
    rows: Sequence[Row], stored: StoredFacts, furthest: date, may_move: Callable[[str], bool]
) -> Iterator[Objection]:
    """Yield what speaks against each game by itself, and against the same game as it is stored."""
    for position, row in enumerate(rows):
        game_id, day = row["game_id"], row["game_date"]
        new, subject = Game(day, teams_of(row["team_a"], row["team_b"])), f"game {game_id}"
        if wrong := game_ids.objection(game_id, row["season_id"], day):
            yield Objection(position, Kind.CONTRADICTION, subject, wrong)
        if day > furthest:
            reason = f"its date {day} is more than {limits.FURTHEST_DAYS} days from today"
            yield Objection(position, Kind.LIMIT, subject, reason)
        # Game logs say what was played: a stored schedule that they contradict doesn't stand.
        known, where, moves = stored.logged.get(game_id), "game logs", False
        if known is None:
            known, where, moves = stored.scheduled.get(game_id), "schedule", True
        if known is None or known == new:
            continue
        if known.teams != new.teams or not (moves and may_move(game_id)):
            reason = f"it is {new} here, and {known} in the stored {where}"
            yield Objection(position, Kind.CONTRADICTION, subject, reason)


def _second_games(
    rows: Sequence[Row], stored: StoredFacts, staying: Collection[str], held: Collection[str]
) -> Iterator[Objection]:
    """Yield the games whose team has another game on the date, in the schedule as far as it stays or in the logs."""
    busy: dict[tuple[str, date], tuple[str, str]] = {}
    for games, where in ((stored.scheduled, "schedule"), (stored.logged, "game logs")):
        for game_id, game in games.items():
            if where == "game logs" or game_id in staying:
                busy.update({(team, game.game_date): (game_id, where) for team in game.teams})
    for position, row in enumerate(rows):
        game_id, day = row["game_id"], row["game_date"]
        if game_id in held:
            continue
        for team in teams_of(row["team_a"], row["team_b"]):
            other, where = busy.get((team, day), (game_id, ""))
            if other != game_id:
                reason = f"{team} plays it on {day} here, and game {other} in the stored {where} on that date"
                yield Objection(position, Kind.CONTRADICTION, f"game {game_id}", reason)
                break


def objections_to_lines(
    rows: Sequence[Row], stored: StoredFacts, now: datetime, name: Name
) -> list[Objection]:
    """Return what speaks against new lines."""
    furthest, latest = _latest_date(now), now + limits.CLOCK_TOLERANCE
    games_of: dict[date, set[tuple[str, str]]] = defaultdict(set)
    for game in stored.scheduled.values():
        games_of[game.game_date].add(game.teams)
    found: list[Objection] = []
    matchups: dict[tuple[int, date], dict[tuple[str, str], int]] = defaultdict(dict)
    for position, row in enumerate(rows):
        subject = f"{row['player_name']} at {row['bookmaker']}"
        for side in ("over_price", "under_price"):
            if row[side] is not None and abs(row[side]) > limits.HIGHEST_PRICE:
                reason = f"{side} {row[side]} is beyond {limits.HIGHEST_PRICE}"
                found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["game_date"] > furthest:
            reason = f"its game of {row['game_date']} is more than {limits.FURTHEST_DAYS} days from today"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["captured_at"] is not None and row["captured_at"] > latest:
            reason = f"it was captured at {_utc(row['captured_at'])}, which is after now, {_utc(now)}"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["player_id"] is not None:
            teams = teams_of(row["home_team"], row["away_team"])
            matchups[row["player_id"], row["game_date"]].setdefault(teams, position)
    for position, row in enumerate(rows):
        player, day = row["player_id"], row["game_date"]
        if player is None or len(matchups[player, day]) < 2:
            continue
        teams = teams_of(row["home_team"], row["away_team"])
        scheduled = games_of[day] & set(matchups[player, day])
        if scheduled == {teams}:
            continue
        other = next(o for o in sorted(scheduled or matchups[player, day]) if o != teams)
        reason = (
            f"{row['player_name']} plays in {' and '.join(teams)} on {day} here, and in {' and '.join(other)} in "
            f"{name(matchups[player, day][other])}"
        )
        found.append(Objection(position, Kind.CONTRADICTION, f"player {player}", reason))
    return found


def objections_to_reports(rows: Sequence[Row], now: datetime, name: Name) -> list[Objection]:
    """Return what speaks against new rows of injury reports."""
    latest = now + limits.CLOCK_TOLERANCE
    found: list[Objection] = []
    of_player: dict[tuple[int, date, datetime], dict[str, int]] = defaultdict(dict)
    for position, row in enumerate(rows):
        reported, day = row["reported_at"], row["game_date"]
        subject = row["player_name"] or row["team"]
        midnight = datetime.combine(day, time(0), GAME_TIME_ZONE).astimezone(UTC)
        if reported > latest:
            reason = f"it was reported at {_utc(reported)}, which is after now, {_utc(now)}"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        elif not midnight - limits.REPORTED_BEFORE <= reported <= midnight + limits.REPORTED_AFTER:
            found.append(
                Objection(
                    position,
                    Kind.LIMIT,
                    subject,
                    f"a report of {_utc(reported)} can't be about games of {day}",
                )
            )
        if row["player_id"] is not None:
            of_player[row["player_id"], day, reported].setdefault(row["team"], position)
    for position, row in enumerate(rows):
        if row["player_id"] is None:
            continue
        teams = of_player[row["player_id"], row["game_date"], row["reported_at"]]
        other = next((team for team in sorted(teams) if team != row["team"]), None)
        if other is not None:
            reason = f"{row['player_name']} is of {row['team']} here, and of {other} in {name(teams[other])}"
            found.append(Objection(position, Kind.CONTRADICTION, f"player {row['player_id']}", reason))
    return found


def by_position(objections: Iterable[Objection]) -> dict[int, list[Objection]]:
    """Return the objections to each row."""
    found: dict[int, list[Objection]] = defaultdict(list)
    for objection in objections:
        found[objection.position].append(objection)
    return dict(sorted(found.items()))


def omitted(
    listed: Collection[date], coming: Collection[str], leaving: Collection[str], stored: StoredFacts
) -> Iterator[tuple[str, Game]]:
    """Yield the stored games of dates that a source lists, but that it neither lists nor calls postponed."""
    for game_id, game in sorted(stored.scheduled.items()):
        if game.game_date in listed and game_id not in coming and game_id not in leaving:
            yield game_id, game


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
