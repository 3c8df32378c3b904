"""Names: which player a book means.

Books, feeds and stats.nba.com spell one player differently: accents, dots, suffixes, nicknames.
:class:`PlayerDirectory` knows every spelling in the game logs. It returns the one player id that a name can mean, or
the reason why there is none. It never guesses, because a line of the wrong player is worse than no line.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from prediction_assets.ingest import values
from prediction_assets.ingest.files import read_files
from prediction_assets.slate.keys import NBA_LEAGUE, slugify
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries

_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "v"})

# Checked on the lines of 2024-25: on every game day with such a line, one of the event's teams had a log of the player,
# except on one day when he did not play.
NICKNAMES: tuple[tuple[str, str], ...] = (
    ("BJ Boston", "Brandon Boston"),
    ("Carlton Carrington", "Bub Carrington"),
    ("Herb Jones", "Herbert Jones"),
    ("James Huff", "Jay Huff"),
    ("Moe Wagner", "Moritz Wagner"),
    ("Nicolas Claxton", "Nic Claxton"),
    ("Ron Holland", "Ronald Holland"),
)
"""Two spellings of one player that no rule derives, without suffixes; either may be the book's."""

_ACTIVE_WITHIN = timedelta(days=730)
"""A name means the namesake who played within two years, if there is one."""


class PlayerSpelling(NamedTuple):
    """One spelling of one player, with one of his teams and the last date of that combination."""

    player_id: int
    player_name: str
    team: str
    last_game_date: date


class NameKey(NamedTuple):
    """A name without accents, case, punctuation and blanks."""

    base: str  # letters and digits of the name without its suffix: `garytrent`
    suffix: str  # `jr`, `sr`, `ii`, `iii`, `iv`, `v` or ''


@dataclass(frozen=True, slots=True)
class Resolved:
    """The one player that a name means."""

    player_id: int


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The reason why a name has no player: ``unknown: ...`` or ``ambiguous: ...``."""

    reason: str


class UnresolvedName(NamedTuple):
    """A name without a player id, the number of its rows, and the reason."""

    name: str
    rows: int
    reason: str


def name_key(name: str) -> NameKey:
    """Return a name's key.

    >>> name_key("C.J. McCollum") == name_key("CJ McCollum")
    True
    >>> name_key("Gary Trent Jr.")
    NameKey(base='garytrent', suffix='jr')
    """
    words = slugify(name).split("-")
    # At least three words, because V may be a family name.
    if len(words) > 2 and words[-1] in _SUFFIXES:
        return NameKey("".join(words[:-1]), words[-1])
    return NameKey("".join(words), "")


_NICKNAME_PAIRS = frozenset((name_key(one).base, name_key(other).base) for one, other in NICKNAMES)


def is_same_name(one: str, other: str) -> bool:
    """Return whether two spellings may be of one player: suffixes, accents, dots and known nicknames don't matter."""
    bases = name_key(one).base, name_key(other).base
    return bases[0] == bases[1] or bases in _NICKNAME_PAIRS or bases[::-1] in _NICKNAME_PAIRS


class PlayerDirectory:
    """Every player of the game logs by every spelling of his name.

    Build it with :meth:`from_rows`.

    >>> directory = PlayerDirectory.from_rows([(7, "Zoran Brežina Jr.", "DEN", date(2025, 1, 2))])
    >>> directory.resolve("Zoran Brezina")
    Resolved(player_id=7)
    """

    def __init__(self, spellings: Iterable[PlayerSpelling], aliases: Mapping[str, int]) -> None:
        self._exact: dict[NameKey, set[int]] = defaultdict(set)
        self._suffixes: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._last_dates: dict[int, dict[str, date]] = defaultdict(dict)
        self._display: dict[str, str] = {}
        for player_id, name, team, last in spellings:
            key = name_key(name)
            self._exact[key].add(player_id)
            self._suffixes[key.base][key.suffix].add(player_id)
            self._display[key.base] = name
            dates = self._last_dates[player_id]
            dates[team] = max(last, dates.get(team, last))
        self._aliases = {name_key(name): player_id for name, player_id in aliases.items()}
        self._nicknames: dict[str, set[str]] = defaultdict(set)
        for one, other in NICKNAMES:
            self._nicknames[name_key(one).base].add(name_key(other).base)
            self._nicknames[name_key(other).base].add(name_key(one).base)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[int, str, str, date] | Mapping[str, Any]],
        aliases: Mapping[str, int] | None = None,
    ) -> PlayerDirectory:
        """Return the directory of ``(player_id, player_name, team, last_game_date)`` rows.

        Args:
            rows: one per spelling and team of a player, in any order, as tuples or as dicts with these keys;
                repeats are harmless.
            aliases: name to player id, see :func:`read_aliases`; they come before every other spelling.
        """
        spellings = (
            PlayerSpelling(*(row[name] for name in PlayerSpelling._fields))
            if isinstance(row, Mapping)
            else PlayerSpelling(*row)
            for row in rows
        )
        return cls(spellings, aliases or {})

    def __len__(self) -> int:
        return len(self._last_dates)

    def resolve(
        self, name: str, teams: frozenset[str] | None = None, on: date | None = None
    ) -> Resolved | Unresolved:
        """Return the one player that a name can mean.

        Tried in order: the name with its suffix, the name where one side lacks the suffix, nicknames. Where namesakes
        remain, exactly one of them must be of the event's teams.

        Args:
            teams: abbreviations of the event's two teams.
            on: the event's date; decides which namesakes were active, and their teams.
        """
        key = name_key(name)
        if not key.base:
            return Unresolved(f"unknown: {name!r} has no letters to compare")
        if key in self._aliases:
            return Resolved(self._aliases[key])
        pools = (self._exact.get(key, set()), self._without_suffix(key), self._by_nickname(key))
        for pool in pools:
            if active := {player for player in pool if self._is_active(player, on)}:
                return self._only(active, teams, on)
        everyone: set[int] = next((pool for pool in pools if pool), set())
        return self._only(everyone, teams, on) if everyone else Unresolved(self._unknown(key))

    def _without_suffix(self, key: NameKey) -> set[int]:
        # Two different suffixes are two people: Jr. is not Sr.
        return {
            player
            for suffix, players in self._suffixes.get(key.base, {}).items()
            if not suffix or not key.suffix or suffix == key.suffix
            for player in players
        }

    def _by_nickname(self, key: NameKey) -> set[int]:
        alternatives = self._nicknames.get(key.base, set())
        return {player for base in alternatives for player in self._without_suffix(NameKey(base, key.suffix))}

    def _is_active(self, player: int, on: date | None) -> bool:
        return on is None or max(self._last_dates[player].values()) >= on - _ACTIVE_WITHIN

    def _only(
        self, players: set[int], teams: frozenset[str] | None, on: date | None
    ) -> Resolved | Unresolved:
        if len(players) > 1 and teams:
            there = {player for player in players if self._team(player, on) in teams}
            if len(there) == 1:
                return Resolved(there.pop())
        if len(players) == 1:
            return Resolved(next(iter(players)))
        listed = ", ".join(f"{player} ({self._team(player, on)})" for player in sorted(players))
        return Unresolved(f"ambiguous: may be player {listed}")

    def _team(self, player: int, on: date | None) -> str:
        """Return the player's team on a date: the first team whose last game of his is not before it, else his
        latest.
        """
        stints = sorted((last, team) for team, last in self._last_dates[player].items())
        return next((team for last, team in stints if on is not None and last >= on), stints[-1][1])

    def _unknown(self, key: NameKey) -> str:
        close = difflib.get_close_matches(key.base, self._display, n=1, cutoff=0.75)
        nearest = f", the nearest is {self._display[close[0]]!r}" if close else ""
        return f"unknown: no game log has this name{nearest}"


def stored_players(warehouse: Warehouse, aliases: Path | None) -> PlayerDirectory:
    """Return the players that a name can mean: by the stored game logs' spellings and a file of the user's aliases."""
    known = warehouse.query(queries.KNOWN_PLAYERS, {"league": NBA_LEAGUE}).to_pylist()
    return PlayerDirectory.from_rows(known, read_aliases(aliases) if aliases else {})


def read_aliases(path: Path) -> dict[str, int]:
    """Return a user's aliases, name to player id, from a CSV with the columns ``name`` and ``player_id``.

    Raises:
        BadInput: a missing column, an id that is no number, or one name with two ids.
    """
    aliases: dict[str, int] = {}
    seen: dict[NameKey, tuple[int, str]] = {}
    for file, rows in zip(*read_files(path, ("name", "player_id")), strict=True):
        rows.require(["name", "player_id"])
        names = rows.parse("name", values.text, pa.string()).to_pylist()
        ids = rows.parse("player_id", values.whole_number(minimum=1), pa.int64()).to_pylist()
        for index, (name, player_id) in enumerate(zip(names, ids, strict=True)):
            key = name_key(name)
            if not re.search("[a-z]", key.base):
                raise rows.bad(index, f"{name!r} has no letters to compare", column=rows.find("name"))
            where = f"row {int(rows.numbers[index])} of {file}"
            earlier, first = seen.setdefault(key, (player_id, where))
            if earlier != player_id:
                raise rows.bad(
                    index,
                    f"{name!r} is player {player_id} here and {earlier} in {first}",
                    column=rows.find("player_id"),
                )
            aliases[name] = player_id
    return aliases
