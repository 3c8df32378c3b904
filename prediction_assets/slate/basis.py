"""What a player was staged from, and what has changed since: the causes that a new revision names. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prediction_assets.slate.receipt import Receipt

OUT = "Out"
"""The only status of the injury report that rules a player out; a doubtful player may play."""

REPORTED_NAMED = 3
"""Entries of a report that a cause names."""

NOT_EXPECTED = "no longer expected"
"""The cause of a player whose rows go out of force because his batch lost him."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The facts that a player's outcome was made from, each as a short text, ``""`` where there is none."""

    game_id: str = ""  # his game, if it is scheduled on the slate's date and his team plays in it
    opponent: str = ""  # his team's opponent, as he was expected
    tip_off: str = ""  # when his game begins, ISO 8601 in UTC. It changes no row, so it is no cause.
    injury: str = ""  # his status in the newest injury report
    line: str = ""  # his main line
    bookmaker: str = ""  # the book that offers it
    offers: str = ""  # a digest of it with its prices, and of all that else is offered on him
    features: str = ""  # a digest of his row of features
    # the stored model that is pinned with them; '' where the systems are fitted on past games
    model: str = ""
    # the time of day of the newest injury report, and what it says of each of his side: `evening: A B Out; C
    # D Questionable`. '' where the systems learnt nothing from reports
    report: str = ""

    @property
    def absence(self) -> str:
        """Why he isn't predicted, ``""`` if he is."""
        if not self.game_id:
            return _NO_GAME
        if self.injury == OUT:
            return _OUT
        return "" if self.features or self.line else _NO_FEATURES

    def begins_by(self, now: datetime) -> bool:
        """Return whether his game has begun; one whose tip-off no line says hasn't, because nobody can bet on it."""
        return bool(self.tip_off) and datetime.fromisoformat(self.tip_off) <= now


_NO_GAME, _OUT, _NO_FEATURES = "no game", "out", "no features"
RULED_OUT = "ruled out"
"""The cause of a player whom the newest report rules out."""

OTHER_LINE = ("line moved", "line withdrawn", "book changed")
"""How the causes begin of a player whose line in force isn't his main line any more."""

_CAME = {_NO_GAME: "game moved", _OUT: RULED_OUT, _NO_FEATURES: "game log corrected"}
_WENT = {**_CAME, _OUT: "back in"}


def causes(before: Basis, now: Basis) -> tuple[str, ...]:
    """Return what changed between two bases of a player that changes his rows; nothing if he stays unpredicted.

    >>> causes(Basis("1", "BOS", line="24.5", features="f"), Basis("1", "BOS", line="25.5", features="f"))
    ('line moved 24.5 -> 25.5',)
    """
    if before.absence and now.absence:
        return ()
    if _NO_FEATURES in (before.absence, now.absence) and before.features == now.features:
        return (_moved(before.line, now.line),)  # a player without features is predicted from his line alone
    if now.absence:
        return (_CAME[now.absence],)
    if before.absence:
        return (_WENT[before.absence],)
    found = []
    if before.game_id != now.game_id:
        found.append(_CAME[_NO_GAME])
    if before.opponent != now.opponent:
        found.append(f"opponent changed {before.opponent} -> {now.opponent}")
    if before.line != now.line:
        found.append(_moved(before.line, now.line))
    elif before.bookmaker != now.bookmaker:
        found.append(f"book changed {before.bookmaker} -> {now.bookmaker}")
    elif before.offers != now.offers:
        found.append("prices moved")
    # The features are about the game, too: of another game they are others, and no log was corrected.
    if before.features != now.features and found[:1] != [_CAME[_NO_GAME]] and before.opponent == now.opponent:
        found.append(_CAME[_NO_FEATURES])
    if before.model != now.model:
        found.append("model changed")  # one slate has one model
    if before.report != now.report:
        found.append(_reported(before.report, now.report))
    return tuple(found)


def _reported(before: str, now: str) -> str:
    """Return what the newest report says of his side that the one before didn't say."""
    (_, _, was), (time, _, said) = before.partition(":"), now.partition(":")
    old, new = ({each.strip() for each in listed.split(";")} - {""} for listed in (was, said))
    if not old ^ new:
        return f"report of {time}" if time else "report withdrawn"
    news = sorted(new - old) or [f"no longer {each}" for each in sorted(old - new)]
    more = f" and {len(news) - REPORTED_NAMED} more" if len(news) > REPORTED_NAMED else ""
    return f"team report: {', '.join(news[:REPORTED_NAMED])}{more}"


def _moved(before: str, now: str) -> str:
    if not before:
        return f"line added {now}"
    return f"line moved {before} -> {now}" if now else f"line withdrawn {before}"


@dataclass(frozen=True, slots=True)
class Affected:
    """The players whose facts are no longer those that they were staged from, with the causes, by slug."""

    due: Mapping[str, tuple[str, ...]]  # they can be staged again
    late: Mapping[str, tuple[str, ...]]  # their games have begun: their rows stay


def affected(staged_from: Mapping[str, Basis | None], facts: Mapping[str, Basis], now: datetime) -> Affected:
    """Return who is affected by the facts of now, and why.

    Args:
        staged_from: what each settled player was staged from, by slug; None where nobody knows.
        facts: what he would be staged from now, by slug.
    """
    found = {
        slug: why
        for slug, before in sorted(staged_from.items())
        if before is not None and slug in facts and (why := causes(before, facts[slug]))
    }
    # A game that was begun by its old tip-off has begun, wherever the schedule moved it meanwhile.
    late = {slug for slug in found if any(at.begins_by(now) for at in (staged_from[slug], facts[slug]) if at)}
    return Affected(
        due={slug: why for slug, why in found.items() if slug not in late},
        late={slug: why for slug, why in found.items() if slug in late},
    )


def merged_bases(receipts: Iterable[Receipt]) -> dict[str, Basis]:
    """Return what each player's rows in force, or his skip, were made from, by slug, as the receipts say."""
    found: dict[str, Basis] = {}
    for receipt in receipts:
        for entry in (*receipt.parts, *receipt.missing):
            # The rows of a player who failed stay in force, and with them what they were made from.
            if entry.get("basis") and entry.get("outcome") != "failed":
                found[entry["player_slug"]] = Basis(**entry["basis"])
    return found


def why_changed(
    receipts: Iterable[Receipt], revision: int, players: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return why a revision changed players' rows, by slug, sorted; one whose facts are the same isn't in it.

    Args:
        receipts: the slate's receipts.
        players: slugs of the players whose rows it put into force or took out of it.
    """
    mine = [receipt for receipt in receipts if receipt.revision == revision]
    entries = {entry["player_slug"]: entry for each in mine for entry in (*each.parts, *each.missing)}
    gone = () if any(each.pruned_at for each in mine) else (NOT_EXPECTED,)
    found = {slug: tuple(entries[slug].get("causes", ())) if slug in entries else gone for slug in players}
    return {slug: why for slug, why in sorted(found.items()) if why}
