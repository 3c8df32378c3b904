"""The Odds API, version 4: every book's points lines, with alternative lines, of the games that are still to begin.

The list of events is free. The odds of an event cost a credit for each market and region that has any.
https://the-odds-api.com/liveapi/guides/v4/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prediction_assets.errors import BadInput, PredictionAssetsError, SourceRefused
from prediction_assets.ingest import values
from prediction_assets.ingest.files import read_json
from prediction_assets.ingest.live.requesting import Requester
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.odds_api_json import SPORT
from prediction_assets.ingest.prop_lines import POINTS_MARKETS, PropLinesRead, read_prop_lines

KEY_HINT = "set a valid PREDICTION_ASSETS_ODDS_API_KEY; your plan's page says what is left of it"


@dataclass(frozen=True)
class OddsApi:
    """How The Odds API is asked.

    Attributes:
        url: its address.
        key: of the account; a secret.
        regions: whose books are asked, separated by commas.
    """

    url: str
    key: str
    regions: str

    @property
    def cost(self) -> int:
        """Credits that one event's odds take at most."""
        return len(POINTS_MARKETS) * len(self.regions.split(","))

    def events(self, requester: Requester, now: datetime, until: datetime) -> list[str]:
        """Return the ids of the games that begin between two moments.

        Raises:
            BadInput: the answer isn't a list of NBA events.
            SourceUnavailable, SourceRefused: there was no answer.
        """
        parameters = {
            "apiKey": self.key, "dateFormat": "iso",
            "commenceTimeFrom": _iso(now), "commenceTimeTo": _iso(until),
        }  # fmt: skip
        # Not .json: the folder is read as lines, and events without odds are none.
        path = requester.get(f"{self.url}/v4/sports/{SPORT}/events", "events.list", "the games", parameters)
        if path is None:
            return []  # out of season the feed has no such sport
        listed = read_json(path)
        try:
            found = [(str(event["id"]), values.instant(event["commence_time"])) for event in listed]
        except (LookupError, TypeError, ValueError) as error:
            raise BadInput(
                requester.source, f"the list of games isn't of the shape [id, commence_time] ({error!r})"
            ) from None
        return [event_id for event_id, begins in found if now < begins <= until]

    def lines(
        self, requester: Requester, events: Sequence[str], players: PlayerDirectory
    ) -> tuple[PropLinesRead | None, dict[str, str]]:
        """Return what the books offer on these games, and why it is missing for some, by event.

        Raises:
            BadInput: an answer isn't one to its question.
            PredictionAssetsError: there was no answer for any game.
        """
        parameters = {
            "apiKey": self.key, "regions": self.regions, "markets": ",".join(POINTS_MARKETS),
            "oddsFormat": "american", "dateFormat": "iso",
        }  # fmt: skip
        missing: dict[str, str] = {}
        errors: list[PredictionAssetsError] = []
        offered = False
        for event in events:
            address = f"{self.url}/v4/sports/{SPORT}/events/{event}/odds"
            try:
                path = requester.get(address, f"odds_{event}.json", f"the odds of game {event}", parameters)
            except PredictionAssetsError as error:
                if isinstance(error, SourceRefused):
                    raise
                missing[event] = str(error)
                errors.append(error)
                continue
            if path is None:
                continue  # begun or taken off since it was listed
            answer = read_json(path)
            answered = answer.get("id") if isinstance(answer, dict) else None
            if answered != event:
                raise BadInput(requester.source, f"was asked for game {event} and answered with {answered}")
            offered = offered or _has_an_offer(answer)
        if errors and len(errors) == len(events):
            raise errors[0]
        return (read_prop_lines(requester.folder, players) if offered else None), missing


def _has_an_offer(answer: Mapping[str, Any]) -> bool:
    markets = [market for book in answer.get("bookmakers") or [] for market in book.get("markets") or []]
    return any(market.get("key") in POINTS_MARKETS and market.get("outcomes") for market in markets)


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
