"""The Odds API's answers (version 4, JSON) as rows of :mod:`.prop_lines`.

Read are the three shapes of https://the-odds-api.com/liveapi/guides/v4/: the odds of one event, a list of events, and a
historical snapshot, which wraps either in ``data`` with its ``timestamp``. One row is one outcome. What doesn't belong
here: what a row must satisfy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from prediction_assets.errors import BadInput
from prediction_assets.ingest.files import read_json
from prediction_assets.ingest.rows import SourceRows, column_of

SPORT = "basketball_nba"
"""The feed's key of the NBA; pre-season, summer league and the WNBA have keys of their own."""

_COLUMNS = (
    "event_id", "commence_time", "home_team", "away_team", "player", "market", "bookmaker", "side", "line", "price",
    "capture", "captured_at",
)  # fmt: skip
_EVENT = ("id", "commence_time", "home_team", "away_team")
_SHAPE = (
    "expected The Odds API's answer to /v4/sports/basketball_nba/events/{id}/odds, or a list of such events"
)


def read_odds_json(path: Path) -> SourceRows:
    """Return the outcomes of an answer of The Odds API that was saved as a file; none where no book offers anything.

    All that a book showed on an event at one moment is one capture: a ladder of alternative lines comes in a market of
    its own, with an update time of its own. A capture's time is the snapshot's, or else the book's newest
    ``last_update`` on the event.

    Raises:
        BadInput: the document has another shape, or events of another sport.
    """
    source, document = str(path), read_json(path)
    taken = None
    if isinstance(document, dict) and "data" in document:
        taken, document = document.get("timestamp"), document["data"]
    if isinstance(document, dict) and "bookmakers" not in document:
        raise _not_odds(source, document)
    events = document if isinstance(document, list) else [document]
    rows: list[tuple[Any, ...]] = []
    for position, event in enumerate(events):
        if not isinstance(event, dict) or "bookmakers" not in event:
            raise _not_odds(source, event if isinstance(event, dict) else {})
        rows.extend(_event_rows(event, taken, source, "" if event is document else f"[{position}]"))
    columns = zip(*rows, strict=True) if rows else ([] for _ in _COLUMNS)
    table = pa.table({name: column_of(list(cells)) for name, cells in zip(_COLUMNS, columns, strict=True)})
    return SourceRows(source, table, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _not_odds(source: str, document: Mapping[str, Any]) -> BadInput:
    if isinstance(said := document.get("message"), str):
        return BadInput(source, f"The Odds API answered with an error: {said[:200]}")
    if "commence_time" in document:
        return BadInput(source, "lists events without their odds", hint=_SHAPE)
    return BadInput(source, "is not The Odds API's JSON: there is no bookmakers", hint=_SHAPE)


def _event_rows(
    event: Mapping[str, Any], taken: str | None, source: str, where: str
) -> Iterator[tuple[Any, ...]]:
    if (sport := event.get("sport_key", SPORT)) != SPORT:
        raise BadInput(
            source, f"event {event.get('id')} is of {sport}", hint=f"save the answers of {SPORT} only"
        )
    cells = tuple(_cell(event, name, source, where) for name in _EVENT)
    for i, book in enumerate(_listed(event, "bookmakers", source, where)):
        at = f"{where}.bookmakers[{i}]".removeprefix(".")
        key, markets = _cell(book, "key", source, at), _listed(book, "markets", source, at)
        updates = [market.get("last_update") for market in markets] + [book.get("last_update")]
        seen = taken or max((str(update) for update in updates if update), default=None)
        for j, market in enumerate(markets):
            name = _cell(market, "key", source, f"{at}.markets[{j}]")
            for outcome in _listed(market, "outcomes", source, f"{at}.markets[{j}]"):
                yield (
                    *cells, outcome.get("description"), name, key, outcome.get("name"), outcome.get("point"),
                    outcome.get("price"), seen or "", seen,
                )  # fmt: skip


def _cell(thing: Mapping[str, Any], name: str, source: str, where: str) -> Any:
    if thing.get(name) in (None, ""):
        raise BadInput(source, f"{where or 'the event'} has no {name}", hint=_SHAPE)
    return thing[name]


def _listed(thing: Mapping[str, Any], name: str, source: str, where: str) -> list[Any]:
    # A book that took its offers back is listed with null or an empty list.
    found = thing.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadInput(source, f"{name} of {where or 'the event'} is not a list of objects", hint=_SHAPE)
    return found
