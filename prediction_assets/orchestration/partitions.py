"""Dynamic partitions of slates and slate players, the ranges of a staging run, and checks with partitions.

Player keys are flat, ``slate:player``: in a product of dates and players, most cells would be players who don't play.
What doesn't belong here: the form of a key (:mod:`prediction_assets.slate.keys`).
https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning  # not exported by dagster

from prediction_assets.errors import BadInput
from prediction_assets.orchestration.run_tags import RANGE_END_TAG, RANGE_START_TAG
from prediction_assets.slate.keys import split_player_key

SLATES = dg.DynamicPartitionsDefinition(name="slates")
SLATE_PLAYERS = dg.DynamicPartitionsDefinition(name="slate_players")

_FIRST_PAGE = 1000


@contextmanager
def preview_features() -> Iterator[None]:
    """Define checks with partitions without the warning that each start of each process would print.

    They are in preview in Dagster 1.13. Only they tie an evaluation to one slate's materialization, which the gate in
    front of the completion message needs; the gate's tests would show a breaking change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        yield


def registered_keys(instance: dg.DagsterInstance, wanted: Collection[str]) -> list[str]:
    """Return the registered slate players from the oldest wanted one to the newest, in registration order."""
    # A sensor reads tonight's keys every few seconds; they are among the last of up to 100,000.
    missing, newest_first, cursor, limit = set(wanted), list[str](), None, _FIRST_PAGE
    while missing:
        page = instance.get_paginated_dynamic_partitions(
            SLATE_PLAYERS.name or "", limit=limit, ascending=False, cursor=cursor
        )
        limit *= 2
        newest_first.extend(page.results)
        missing.difference_update(page.results)
        cursor = page.cursor
        if not page.has_more:
            break
    return newest_first[::-1]


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys of one staging run: Dagster's range, in the order of registration."""

    first: str
    last: str
    players: tuple[str, ...] = ()  # the keys to stage, if the range covers others, too; none: all of it

    def tags(self) -> dict[str, str]:
        return {RANGE_START_TAG: self.first, RANGE_END_TAG: self.last}

    def ops(self, **config: object) -> dict[str, dict[str, object]]:
        """Return the config of the run's op, with further values of it."""
        named = {"players": [*self.players]} if self.players else {}
        return {"staged_predictions": {**named, **config}} if named or config else {}


def ranges(registered: Sequence[str], wanted: Collection[str], size: int) -> list[KeyRange]:
    """Return the fewest ranges that cover the wanted keys; one that covers others names its players.

    Dagster's ranges follow the order of registration. A player who was added late comes after the next slate's keys,
    and the keys of players who left the slate stay among the others.

    Args:
        registered: registered keys in that order, complete between the wanted ones; see :func:`registered_keys`.

    Raises:
        BadInput: a wanted key isn't registered.
    """
    position = {key: number for number, key in enumerate(registered)}
    unknown = {*wanted}.difference(position)
    if unknown:
        raise BadInput("slate_players", f"{min(unknown)} is not registered", hint="materialize slate_roster")
    ordered = sorted({*wanted}, key=position.__getitem__)
    found = []
    for begin in range(0, len(ordered), size):
        keys = ordered[begin : begin + size]
        covers_others = position[keys[-1]] - position[keys[0]] + 1 > len(keys)
        found.append(KeyRange(keys[0], keys[-1], tuple(keys) if covers_others else ()))
    return found


def keys_of_players(keys: Sequence[str], players: Sequence[str]) -> Sequence[str]:
    """Return the keys of a run's range that are of these players; all of them, if no player is named.

    Args:
        players: keys, or slugs: a slug has to be in the range once.

    Raises:
        BadInput: a player is not in the range, or he is there with several slates.
    """
    found = []
    for name in players:
        his = [key for key in keys if name in (key, split_player_key(key)[1])]
        if len(his) != 1:
            raise BadInput(
                "players",
                f"{name!r} is {'not' if not his else 'several times'} among the partitions of this run",
                hint="select partitions that cover the player, and write him as 2026-01-02:stephen-curry",
            )
        found += his
    return found or keys


def one_slate(keys: Iterable[str]) -> tuple[str, list[str]]:
    """Return the slate and the slugs of slate player keys."""
    pairs = [split_player_key(key) for key in keys]
    slates = sorted({slate for slate, _ in pairs})
    if len(slates) != 1:
        raise BadInput(
            "slate_players",
            f"a staging run covers {len(slates)} slates ({', '.join(slates[:3])})",
            hint="select partitions of one slate only: a range follows the order of registration",
        )
    return slates[0], [slug for _, slug in pairs]
