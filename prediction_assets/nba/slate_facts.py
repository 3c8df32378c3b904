"""The facts of one slate that decide its rows, read once: games, injuries, lines and tip-offs.

Staging makes its rows from them, and the look for affected players compares with them, so both see the same things. The
features, which are pinned, are not read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from prediction_assets.nba.forecast import lines_by_market
from prediction_assets.nba.forecasting.availability import time_of_day
from prediction_assets.nba.forecasting.candidates import TIMES
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.model_store import MODEL_ID
from prediction_assets.nba.sides import newest_report
from prediction_assets.slate.basis import OUT, Basis
from prediction_assets.slate.batch import ExpectedPlayer
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.markets import POINTS
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class SlateFacts:
    """A slate's facts, as one moment's queries found them."""

    slate: date  # their date
    games: Sequence[Mapping[str, Any]]  # rows of `SLATE_GAMES`
    injuries: Sequence[Mapping[str, Any]]  # rows of `NEWEST_INJURY_REPORT`
    lines: Mapping[int, MarketLine]  # each player's main points line, by player id
    # when each game begins, by its teams; only of games on which there is a line
    tip_offs: Mapping[frozenset[str], datetime]
    # the same for each market that is predicted beside points, by its name
    further: Mapping[str, Mapping[int, MarketLine]] = field(default_factory=dict)

    def bases(
        self, players: Sequence[ExpectedPlayer], features: Mapping[int, tuple[str, str]]
    ) -> dict[str, Basis]:
        """Return what each of these players would be staged from, by slug."""
        teams = {game["game_id"]: frozenset((game["team_a"], game["team_b"])) for game in self.games}
        # A player in the report of two teams is out if one of them says so, as the skip rules have it.
        listed = sorted(self.injuries, key=lambda row: row["status"] == OUT)
        statuses = {row["player_id"]: row["status"] for row in listed}
        pinned_model = next((model for _, model in features.values()), "")
        found = {}
        reports = self._reports()
        for player in players:
            playing = teams.get(player.game_id, frozenset())
            tip_off = self.tip_offs.get(playing)
            line = self.lines.get(player.player_id)
            digest, model = features.get(player.player_id, ("", pinned_model))
            found[player.slug] = Basis(
                game_id=player.game_id if player.team in playing else "",
                opponent=player.opponent,
                tip_off=tip_off.astimezone(UTC).isoformat() if tip_off is not None else "",
                injury=statuses.get(player.player_id, ""),
                line=_number(line.line) if line is not None else "",
                bookmaker=line.bookmaker if line is not None else "",
                offers=self._offers(player.player_id),
                features=digest,
                model=model,
                report=reports.get(player.team, reports.get("", "")),
            )
        return found

    def _offers(self, player: int) -> str:
        """Return a digest of all that is offered on a player, in every market that is predicted."""
        line = self.lines.get(player)
        further = [[name, _offered(lines[player])] for name, lines in self.further.items() if player in lines]
        points = _offered(line) if line is not None else []
        return _digest([points, further] if further else points) if points or further else ""

    def _reports(self) -> dict[str, str]:
        """Return what the newest report says of each team that it names, and under ``""`` of the others.

        Empty where no date before the slate has a report: then nothing was learnt from them.
        """
        if not any(row["has_earlier"] for row in self.injuries):
            return {}
        (time,) = {
            TIMES[time_of_day(row["reported_at"].astimezone(UTC), self.slate)] for row in self.injuries
        }
        listed: dict[str, set[str]] = {"": set()}
        for row in self.injuries:
            listed.setdefault(row["team"], set()).add(f"{row['player_name']} {row['status']}".strip())
        return {team: f"{time}: {'; '.join(sorted(entries))}" for team, entries in listed.items()}

    def begun(self, now: datetime) -> frozenset[str]:
        """Return the ids of the games that began within the last day.

        A slate that is longer over is history: whoever changes it by hand means it.
        """
        found = set()
        for game in self.games:
            tip_off = self.tip_offs.get(frozenset((game["team_a"], game["team_b"])))
            if tip_off is not None and tip_off <= now < tip_off + timedelta(days=1):
                found.add(game["game_id"])
        return frozenset(found)

    def digest(self) -> str:
        """Return a digest of all that :meth:`bases` reads, except tip-offs, for the whole slate."""
        seen = [
            sorted([game["game_id"], game["team_a"], game["team_b"]] for game in self.games),
            sorted(row["player_id"] for row in self.injuries if row["status"] == OUT),
            sorted([player, _offered(line)] for player, line in self.lines.items()),
            sorted(self._reports().items()),
        ]
        further = {
            name: sorted([player, _offered(line)] for player, line in lines.items())
            for name, lines in self.further.items()
        }
        return _digest([seen, further] if further else seen)


def read_slate_facts(
    warehouse: Warehouse, slate: str, league: str, markets: Iterable[str] = ()
) -> SlateFacts:
    """Return the facts of a slate as they are now.

    Args:
        markets: what is predicted; points always are.
    """
    day = parse_slate(slate)
    named = {"slate": day, "league": league}
    lines = lines_by_market(warehouse, league, day, markets)
    return SlateFacts(
        slate=day,
        games=warehouse.query(queries.SLATE_GAMES, {"slate": day}).to_pylist(),
        injuries=newest_report(warehouse, league, day),
        lines=lines.pop(POINTS.name),
        further=lines,
        tip_offs={
            frozenset((row["home_team"], row["away_team"])): row["commence_time"]
            for row in warehouse.query(queries.TIP_OFFS, named).to_pylist()
        },
    )


def _offered(line: MarketLine) -> list[str]:
    """Return a main line with its prices, and the other offers on its player, in no order of their own."""
    main = f"{line.line} {line.bookmaker} {line.over_price} {line.under_price}"
    return [main, *sorted(map(str, line.others))]


def _digest(values: object) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _number(line: Decimal) -> str:
    return f"{line:.1f}" if line * 10 % 1 == 0 else str(line)


def feature_digests(players: pa.Table) -> dict[int, tuple[str, str]]:
    """Return a digest of each player's row of features, and the model that is pinned with it, by player id."""
    found = {}
    for row in players.to_pylist():
        model = row.pop(MODEL_ID)
        found[row["player_id"]] = (_digest(row), model)
    return found
