"""Keys: how a slate, a slate player and a player's slug are spelled.

Names of partitions, parts, files and documents are made from these keys alone. So an identifier always has one of two
validated shapes: a slate ``2026-01-02`` or a slug ``[a-z0-9-]+``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from prediction_assets.errors import BadInput

GAME_TIME_ZONE = ZoneInfo("America/New_York")
"""A game belongs to its US Eastern calendar date."""

NBA_LEAGUE = "NBA"
"""The ``league`` of real games. A simulated league's name starts with :data:`SIMULATED_PREFIX`."""

SIMULATED_PREFIX = "simulated"

_SLATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")

_SEPARATOR = ":"

# Letters that Unicode doesn't decompose into a base letter and a mark.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "Ae", "ı": "i"}
)


def parse_slate(text: str, given_as: str = "slate") -> date:
    """Return the date of a slate key such as ``2026-01-02``.

    Args:
        given_as: what an error names, such as the option that holds the key.

    Raises:
        BadInput: the text is not an ISO calendar date.
    """
    if _SLATE.match(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise BadInput(given_as, f"{text!r} is not a date", hint="write it as YYYY-MM-DD, for example 2026-01-02")


def is_slate(text: str) -> bool:
    try:
        parse_slate(text)
    except BadInput:
        return False
    return True


def slate_key(day: date) -> str:
    """Return the partition key of a slate: the games' date in America/New_York, ISO 8601."""
    return day.isoformat()


def is_simulated(league: str) -> bool:
    """Return whether a league is simulated; the UI and the message label it so."""
    return league.startswith(SIMULATED_PREFIX)


def player_key(slate: str, slug: str) -> str:
    """Return the partition key of a slate player, ``2026-01-02:stephen-curry``.

    Raises:
        BadInput: the slate or the slug is not of its shape.
    """
    parse_slate(slate)
    if not _SLUG.match(slug):
        raise BadInput("player", f"{slug!r} is not a slug", hint="use lower-case letters, digits and hyphens")
    return f"{slate}{_SEPARATOR}{slug}"


def split_player_key(key: str) -> tuple[str, str]:
    """Return ``(slate, slug)`` of a slate player's partition key."""
    slate, separator, slug = key.partition(_SEPARATOR)
    if not separator:
        raise BadInput("slate player", f"{key!r} has no slate", hint="write it as 2026-01-02:stephen-curry")
    player_key(slate, slug)
    return slate, slug


def player_slugs(names: Mapping[int, str]) -> dict[int, str]:
    """Return one unique slug per player id.

    If players' names give the same slug, each of them gets his id appended (``jalen-williams-1631114``); so does a name
    that gives no slug. A player's slug doesn't depend on the order in which players are listed.
    """
    plain = {player_id: slugify(name) for player_id, name in names.items()}
    taken = Counter(plain.values())
    slugs = {
        player_id: slug if slug and taken[slug] == 1 else f"{slug}-{player_id}".lstrip("-")
        for player_id, slug in plain.items()
    }
    # A real name can still spell another player's slug with the id appended ("a-1" beside two "a").
    while len(set(slugs.values())) < len(slugs):
        seen = Counter(slugs.values())
        slugs = {
            player_id: slug if seen[slug] == 1 else f"{slug}-{player_id}" for player_id, slug in slugs.items()
        }
    return slugs


def slugify(name: str) -> str:
    """Return a name as a slug: lower-case ASCII words joined by hyphens, ``""`` when nothing remains.

    Dots and apostrophes are left out (``C.J. McCollum`` is ``cj-mccollum``, ``De'Aaron Fox`` ``deaaron-fox``);
    every other run of characters outside ``a-z0-9`` becomes one hyphen.
    """
    ascii_name = re.sub(r"['’‘`.]", "", to_ascii(re.sub(r"[’‘]", "'", name))).lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")


def to_ascii(name: str) -> str:
    """Return a name without accents: ``Dončić`` becomes ``Doncic``, whatever Unicode form it came in."""
    decomposed = unicodedata.normalize("NFKD", name.translate(_UNDECOMPOSED))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).encode("ascii", "ignore").decode()
