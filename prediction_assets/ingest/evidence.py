"""Evidence: what new facts contradict, among themselves, in what is stored, and in what is possible.

Pure functions from rows to objections. A row with an objection is not stored; it goes into quarantine. What is stored
stands until an operator says otherwise; of new rows that contradict each other, none is stored. So the order of rows
doesn't matter. In two files the first one's row is stored and the second one's waits; in one file both wait. Game logs
or a schedule in which a game contradicts itself are refused by their readers. What doesn't belong here: reading the
warehouse and storing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from prediction_assets.ingest import game_ids, limits
from prediction_assets.ingest.names import is_same_name
from prediction_assets.ingest.teams import FIRST_SEASON, NBA_TEAMS
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE, Table

Row = Mapping[str, Any]
Name = Callable[[int], str]
"""Returns how an objection names the row at a position: ``row 12 of logs.csv``."""
Topic = tuple[Any, ...]
"""What two rows can disagree about: an :class:`About`, and the ids that say which one."""


class Kind(StrEnum):
    """Why a row is in quarantine: it contradicts another, it is beyond a limit, or a source no longer lists it."""

    CONTRADICTION = "contradiction"
    LIMIT = "limit"
    OMISSION = "omission"


class About(StrEnum):
    GAME = "the date and teams of a game"
    NAME = "the name of a player"
    APPEARANCE = "the game and team of a player on a date"
    TEAM_GAME = "the game of a team on a date"
    EVENT = "the teams of an event"
    OFFERED_GAME = "the game of a player on a date, in the lines"
    OFFERED_ID = "the id of a name in an event"
    REPORTED_TEAM = "the team of a player in a report"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a new row can't be stored."""

    position: int  # the row's place in the new rows
    kind: Kind
    subject: str  # whom or what it is about: `game 0022400061`
    reason: str  # what the row says and what the other side says, one line
    is_stored: bool = False  # the other side is stored in the row's own table


class Game(NamedTuple):
    """One game as a table has it; the order of the two teams has no meaning."""

    game_date: date
    teams: tuple[str, str]

    def __str__(self) -> str:
        return f"{' and '.join(self.teams)} on {self.game_date}"


@dataclass(frozen=True)
class StoredFacts:
    """What the warehouse knows, as far as new facts can contradict it."""

    logged: Mapping[str, Game] = field(default_factory=dict)  # the games that have game logs, by id
    scheduled: Mapping[str, Game] = field(default_factory=dict)  # the games in the schedule, by id
    # what the stored rows of the same table say, by topic; see `claims`
    said: Mapping[Topic, Collection[Any]] = field(default_factory=dict)


def teams_of(one: str, other: str) -> tuple[str, str]:
    """Return two teams in an order of their own."""
    return (one, other) if one <= other else (other, one)


def claims(facts: Table, row: Row) -> dict[Topic, Any]:
    """Return what a row says that another row of its table can contradict, by topic."""
    if facts is GAME_LOGS:
        player, day, game = row["player_id"], row["game_date"], row["game_id"]
        return {
            (About.GAME, game): Game(day, teams_of(row["team"], row["opponent"])),
            (About.APPEARANCE, player, day): (game, row["team"]),
            (About.NAME, player): row["player_name"],
            **{(About.TEAM_GAME, team, day): game for team in (row["team"], row["opponent"])},
        }
    if facts is SCHEDULE:
        teams = teams_of(row["team_a"], row["team_b"])
        return {
            (About.GAME, row["game_id"]): Game(row["game_date"], teams),
            **{(About.TEAM_GAME, team, row["game_date"]): row["game_id"] for team in teams},
        }
    player, day = row["player_id"], row["game_date"]
    if facts is INJURY_REPORTS:
        topic = (About.REPORTED_TEAM, player, day, row["reported_at"])
        return {} if player is None else {topic: row["team"]}
    teams = teams_of(row["home_team"], row["away_team"])
    found: dict[Topic, Any] = {(About.EVENT, row["event_id"]): teams}
    if player is not None:
        found[About.OFFERED_GAME, player, day] = teams
        found[About.OFFERED_ID, row["event_id"], row["player_name"]] = player
    return found


def said(facts: Table, rows: Iterable[Row]) -> dict[Topic, set[Any]]:
    """Return what rows say, by topic."""
    found: dict[Topic, set[Any]] = defaultdict(set)
    for row in rows:
        for topic, value in claims(facts, row).items():
            found[topic].add(value)
    return found


def agree(topic: Topic, one: Any, other: Any) -> bool:
    """Return whether two rows say the same about a topic."""
    return is_same_name(one, other) if topic[0] is About.NAME else one == other


_TEXTS: Mapping[str, Callable[[Topic, Any], tuple[str, str]]] = {
    About.NAME: lambda topic, name: (f"id {topic[1]} is ", name),
    About.TEAM_GAME: lambda topic, game: (f"{topic[1]} plays on {topic[2]} ", f"in game {game}"),
    About.APPEARANCE: lambda topic, at: (f"on {topic[2]} he is ", f"of {at[1]} in game {at[0]}"),
    About.EVENT: lambda topic, teams: (f"event {topic[1]} is ", " and ".join(teams)),
    About.OFFERED_GAME: lambda topic, teams: (f"on {topic[2]} he plays ", f"in {' and '.join(teams)}"),
    About.OFFERED_ID: lambda topic, player: (f"{topic[2]} of event {topic[1]} is ", f"player {player}"),
    About.REPORTED_TEAM: lambda _, team: ("he is ", f"of {team}"),
}
"""How an objection says what a topic is: the words that both sides share, and this side's own. The date and teams
of a game aren't in it: they are compared with two tables. So are the games of a schedule."""


def _contradictions(
    facts: Table, rows: Sequence[Row], known: Mapping[Topic, Collection[Any]], name: Name
) -> dict[tuple[Topic, Any], tuple[str, bool]]:
    """Return why what rows say contradicts what is stored (true then) or, where nothing is, another of the rows."""
    new: dict[Topic, dict[Any, int]] = defaultdict(dict)
    for position, row in enumerate(rows):
        for topic, value in claims(facts, row).items():
            if topic[0] in _TEXTS:
                new[topic].setdefault(value, position)
    wrong: dict[tuple[Topic, Any], tuple[str, bool]] = {}
    for topic, values in new.items():
        stored = sorted(known.get(topic, ()))
        for value in values:
            others = [other for other in stored or sorted(values) if not agree(topic, value, other)]
            if not others or (stored and len(others) < len(stored)):
                continue
            where = f"the stored {facts.name.replace('_', ' ')}" if stored else name(values[others[0]])
            text = _TEXTS[topic[0]]
            lead, here = text(topic, value)
            reason = f"{lead}{here} here, and {text(topic, others[0])[1]} in {where}"
            wrong[topic, value] = reason, bool(stored)
    return wrong


def _objections(
    facts: Table, rows: Sequence[Row], known: Mapping[Topic, Collection[Any]], name: Name
) -> Iterator[Objection]:
    """Yield what other rows of their table have against rows."""
    wrong = _contradictions(facts, rows, known, name)
    for position, row in enumerate(rows):
        for topic, value in claims(facts, row).items():
            if found := wrong.get((topic, value)):
                about = f"player {row['player_id']}" if row["player_id"] is not None else f"event {topic[1]}"
                yield Objection(position, Kind.CONTRADICTION, about, *found)


def _latest_date(now: datetime) -> date:
    return now.astimezone(GAME_TIME_ZONE).date() + timedelta(days=limits.FURTHEST_DAYS)


def objections_to_logs(
    rows: Sequence[Row], stored: StoredFacts, now: datetime, name: Name
) -> list[Objection]:
    today = now.astimezone(GAME_TIME_ZONE).date()
    playing = {
        (team, game.game_date): game_id for game_id, game in stored.scheduled.items() for team in game.teams
    }
    found: list[Objection] = []
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
            is_stored = where == "game logs"
            found.append(Objection(position, Kind.CONTRADICTION, subject, reason, is_stored))
        if known is None and (
            team := next((t for t in new.teams if playing.get((t, day), game) != game), None)
        ):
            other = playing[team, day]
            reason = f"{team} plays on {day} in game {game} here, and in game {other} in the stored schedule"
            found.append(Objection(position, Kind.CONTRADICTION, subject, reason))
        found += _of_no_team(position, subject, row["season_id"], new.teams)
    return [*found, *_objections(GAME_LOGS, rows, stored.said, name)]


def _of_no_team(position: int, subject: str, season_id: int, teams: Iterable[str]) -> Iterator[Objection]:
    """Yield the teams that the NBA hasn't in a game's season, as far as its teams are known here."""
    if season_id % 10_000 >= FIRST_SEASON:
        for team in teams:
            if team not in NBA_TEAMS:
                reason = f"no team of the NBA has the abbreviation {team} in {game_ids.season_name(season_id % 10_000)}"
                yield Objection(position, Kind.CONTRADICTION, subject, reason)


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
        yield from _of_no_team(position, subject, row["season_id"], new.teams)
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
            yield Objection(position, Kind.CONTRADICTION, subject, reason, where == "schedule")


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
                is_stored = where == "schedule"
                yield Objection(position, Kind.CONTRADICTION, f"game {game_id}", reason, is_stored)
                break


def games_off(rows: Sequence[Row], stored: StoredFacts, now: datetime) -> dict[int, Game]:
    """Return the games of lines that aren't played on the lines' date, postponed or cancelled, by the rows' positions.

    Neither of such a game's teams has a game on the date, although other teams have. That says nothing before the date
    is over, because a schedule may lack a game; but if lines of the event are stored, the game was scheduled then.
    """
    today = now.astimezone(GAME_TIME_ZONE).date()
    dates = {game.game_date for game in stored.scheduled.values()}
    known = [*stored.scheduled.values(), *stored.logged.values()]
    busy = {(game.game_date, team) for game in known for team in game.teams}
    found = {}
    for position, row in enumerate(rows):
        day, teams = row["game_date"], teams_of(row["home_team"], row["away_team"])
        was_scheduled = teams in stored.said.get((About.EVENT, row["event_id"]), ())
        if day in dates and busy.isdisjoint((day, team) for team in teams) and (day < today or was_scheduled):
            found[position] = Game(day, teams)
    return found


def objections_to_lines(
    rows: Sequence[Row], stored: StoredFacts, now: datetime, name: Name
) -> list[Objection]:
    """Return what speaks against new lines.

    A line must be of a game of the schedule, on a date that has any. A schedule that has no game of the date says
    nothing: it may come later.
    """
    furthest, latest = _latest_date(now), now + limits.CLOCK_TOLERANCE
    oldest = timedelta(days=limits.FURTHEST_DAYS)
    games_of: dict[date, set[tuple[str, str]]] = defaultdict(set)
    for game in stored.scheduled.values():
        games_of[game.game_date].add(game.teams)
    found: list[Objection] = []
    compared: list[int] = []
    for position, row in enumerate(rows):
        subject = f"{row['player_name']} at {row['bookmaker']}"
        for side in ("over_price", "under_price"):
            if row[side] is not None and abs(row[side]) > limits.HIGHEST_PRICE:
                reason = f"{side} {row[side]} is beyond {limits.HIGHEST_PRICE}"
                found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["game_date"] > furthest:
            reason = f"its game of {row['game_date']} is more than {limits.FURTHEST_DAYS} days from today"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["captured_at"] is not None and row["captured_at"].date() < row["game_date"] - oldest:
            reason = (
                f"it was captured at {utc(row['captured_at'])}, more than {oldest.days} days before its game"
            )
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        if row["captured_at"] is not None and row["captured_at"] > latest:
            reason = f"it was captured at {utc(row['captured_at'])}, which is after now, {utc(now)}"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        game = Game(row["game_date"], teams_of(row["home_team"], row["away_team"]))
        if games_of[game.game_date] and game.teams not in games_of[game.game_date]:
            others = ", ".join(sorted("-".join(teams) for teams in games_of[game.game_date]))
            reason = f"it is of {game} here, and the stored schedule has {others} on that date"
            found.append(Objection(position, Kind.CONTRADICTION, subject, reason))
        else:
            compared.append(position)
    # A stored line of a game that the schedule does not have is no evidence against one that it has.
    known = {
        topic: games_of[topic[2]].intersection(values)
        if topic[0] is About.OFFERED_GAME and games_of[topic[2]]
        else values
        for topic, values in stored.said.items()
    }
    among = [rows[position] for position in compared]
    found += [
        replace(objection, position=compared[objection.position])
        for objection in _objections(PROP_LINES, among, known, lambda position: name(compared[position]))
    ]
    return found


def objections_to_reports(
    rows: Sequence[Row], stored: StoredFacts, now: datetime, name: Name
) -> list[Objection]:
    latest = now + limits.CLOCK_TOLERANCE
    found: list[Objection] = []
    for position, row in enumerate(rows):
        reported, day = row["reported_at"], row["game_date"]
        subject = row["player_name"] or row["team"]
        midnight = datetime.combine(day, time(0), GAME_TIME_ZONE).astimezone(UTC)
        if reported > latest:
            reason = f"it was reported at {utc(reported)}, which is after now, {utc(now)}"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
        elif not midnight - limits.REPORTED_BEFORE <= reported <= midnight + limits.REPORTED_AFTER:
            reason = f"a report of {utc(reported)} can't be about games of {day}"
            found.append(Objection(position, Kind.LIMIT, subject, reason))
    return [*found, *_objections(INJURY_REPORTS, rows, stored.said, name)]


def by_position(objections: Iterable[Objection]) -> dict[int, list[Objection]]:
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


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
