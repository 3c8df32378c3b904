"""The Odds API, version 4: every book's points lines, with alternative lines, of the games that are still to begin.

The list of events is free. The odds of an event cost a credit for each market and region that has any.
https://the-odds-api.com/liveapi/guides/v4/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from prediction_assets.errors import (
    BadInput,
    PredictionAssetsError,
    SourceEmpty,
    SourceRefused,
    SourceUnavailable,
    one_line,
)
from prediction_assets.ingest import values
from prediction_assets.ingest.files import read_json
from prediction_assets.ingest.live.requesting import Requester
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.odds_api_json import SPORT
from prediction_assets.ingest.prop_lines import PropLinesRead, read_prop_lines
from prediction_assets.slate.markets import ALTERNATE, POINTS, of_feed

REFUSED = ".refused"
"""Ends the name of a recorded answer that isn't one to its question; its folder is read without it."""

_EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""An id is part of an address and of a file's name."""

KEY_HINT = "set a valid PREDICTION_ASSETS_ODDS_API_KEY; your plan's page says what is left of it"


@dataclass(frozen=True)
class OddsApi:
    """How The Odds API is asked."""

    url: str  # its address
    key: str  # of the account; a secret
    regions: str  # whose books are asked, separated by commas
    # what is asked for, with the ladder of lines around each main line
    markets: tuple[str, ...] = (POINTS.name,)

    @property
    def asked(self) -> list[str]:
        """The feed's names of the markets."""
        return [name + end for name in self.markets for end in ("", ALTERNATE)]

    @property
    def cost(self) -> int:
        """Credits that one event's odds take at most."""
        return len(self.asked) * len(self.regions.split(","))

    def events(
        self, requester: Requester, now: datetime, until: datetime, *, are_owed: bool
    ) -> dict[str, str]:
        """Return the games that begin between two moments: the teams, by the event's id.

        Args:
            are_owed: the stored schedule has games that didn't begin yet.

        Raises:
            BadInput: the answer isn't a list of NBA events.
            SourceEmpty: no game is listed, and some are to be played.
        """
        parameters = {
            "apiKey": self.key, "dateFormat": "iso",
            "commenceTimeFrom": _iso(now), "commenceTimeTo": _iso(until),
        }  # fmt: skip
        # Not .json: the folder is read as lines, and events without odds are none.
        path = requester.get(f"{self.url}/v4/sports/{SPORT}/events", "events.list", "the games", parameters)
        # Out of season the feed has no such sport.
        listed = [] if path is None else read_json(path)
        try:
            found = [
                (_event_id(event), _teams(event), values.instant(event["commence_time"])) for event in listed
            ]
        except (LookupError, TypeError, ValueError) as error:
            raise BadInput(
                requester.source, f"the list of games isn't of the shape [id, commence_time] ({error!r})"
            ) from None
        events = {event_id: teams for event_id, teams, begins in found if now < begins <= until}
        if are_owed and not events:
            raise SourceEmpty(f"{requester.source} lists no game, and games are to be played tonight")
        return events

    def lines(
        self,
        requester: Requester,
        events: Mapping[str, str],
        slate: date,
        players: PlayerDirectory,
        *,
        are_owed: bool,
    ) -> tuple[PropLinesRead | None, dict[str, str]]:
        """Return what the books offer on these games, and why it is missing for some, by their teams.

        A game whose answer is missing or wrong takes no other game's lines with it.

        Args:
            events: the teams, by the event's id.
            are_owed: the games begin so soon that every book has lines.

        Raises:
            PredictionAssetsError: there was no good answer for any game.
            SourceEmpty: no game has a line, and lines are owed.
        """
        parameters = {
            "apiKey": self.key, "regions": self.regions, "markets": ",".join(self.asked),
            "oddsFormat": "american", "dateFormat": "iso",
        }  # fmt: skip
        failed: dict[str, str] = {}
        errors: list[PredictionAssetsError] = []
        offered = False
        for event, teams in events.items():
            if errors and isinstance(errors[-1], SourceRefused):
                failed[event] = "not asked for, because the source refused the game before"
                continue
            address = f"{self.url}/v4/sports/{SPORT}/events/{event}/odds"
            try:
                path = requester.get(address, f"odds_{event}.json", f"the odds of {teams}", parameters)
                # No answer: the game began or was taken off since it was listed.
                if path is not None and _offers(requester.source, path, event, slate, players):
                    offered = True
            except (SourceUnavailable, SourceRefused, BadInput) as error:
                failed[event] = str(error)
                errors.append(error)
        if events and len(failed) == len(events):
            raise errors[0]
        if are_owed and not offered and not errors:
            raise SourceEmpty(
                f"{requester.source} has no line of {len(events)} games, and they begin within hours"
            )
        missing = {events[event]: why for event, why in failed.items()}
        return (read_prop_lines(requester.folder, players) if offered else None), missing


def _offers(source: str, path: Path, event: str, slate: date, players: PlayerDirectory) -> bool:
    """Return whether the recorded answer has lines of the game.

    Raises:
        BadInput: it isn't an answer to the question; the file is set aside.
    """
    try:
        answer = read_json(path)
        answered = answer.get("id") if isinstance(answer, dict) else None
        if answered != event:
            said = one_line(str(answered), 80)
            raise BadInput(source, f"was asked for game {event} and answered with {said}")
        offered = _has_an_offer(answer)
        days = pc.unique(read_prop_lines(path, players).table["game_date"]).to_pylist() if offered else []
        if others := [str(day) for day in days if day != slate]:
            raise BadInput(
                source, f"was asked for game {event} of {slate} and answered with one of {others[0]}"
            )
    except BadInput:
        path.rename(path.with_name(path.name + REFUSED))
        raise
    return offered


def _event_id(event: Mapping[str, Any]) -> str:
    if not _EVENT_ID.fullmatch(str(event["id"])):
        raise ValueError("an id is of letters, digits, - and _")
    return str(event["id"])


def _teams(event: Mapping[str, Any]) -> str:
    """Return ``Los Angeles Lakers at Denver Nuggets``, or the id of an event without teams."""
    away, home = event.get("away_team"), event.get("home_team")
    return one_line(f"{away} at {home}", 80) if away and home else f"game {event['id']}"


def _has_an_offer(answer: Mapping[str, Any]) -> bool:
    try:
        markets = [market for book in answer.get("bookmakers") or [] for market in book.get("markets") or []]
        return any(of_feed(str(market.get("key"))) and market.get("outcomes") for market in markets)
    except (AttributeError, TypeError):
        return True  # of another shape: reading it says which


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
