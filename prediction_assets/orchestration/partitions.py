"""Dynamic partitions of slates and slate players, and the ranges that a staging run covers.

Flat ``slate:player`` keys, never a date x player product: most cells of that would be players who don't
play. https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import dagster as dg

from prediction_assets.errors import BadInput
from prediction_assets.slate.keys import split_player_key

SLATES = dg.DynamicPartitionsDefinition(name="slates")
SLATE_PLAYERS = dg.DynamicPartitionsDefinition(name="slate_players")

_FIRST_PAGE = 1000


def registered_keys(instance: dg.DagsterInstance, wanted: Collection[str]) -> list[str]:
    """Return the registered slate players from the newest back to the oldest wanted one, in registration order.

    A sensor asks for tonight's keys every few seconds, and they are among the last of possibly 100,000.
    """
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


def ranges(registered: Sequence[str], wanted: Collection[str], size: int) -> list[tuple[str, str]]:
    """Return the fewest ``(first, last)`` ranges that cover the wanted keys and no others.

    Dagster's ranges follow the order in which keys were registered, so a player who was added late stands
    behind the next slate's keys: a range from a slate's first to its last key would swallow that slate.
    These are built by position instead.

    Args:
        registered: keys of the partitions definition, in registration order and without gaps between the
            wanted ones; see :func:`registered_keys`.
        wanted: the keys to cover; each must be registered.
        size: the most keys in a range.

    Raises:
        BadInput: a wanted key isn't registered.
    """
    wanted = set(wanted)
    unknown = wanted.difference(registered)
    if unknown:
        raise BadInput("slate_players", f"{min(unknown)} is not registered", hint="materialize slate_roster")
    found: list[list[str]] = []
    open_range = False
    for key in registered:
        if key not in wanted:
            open_range = False
        elif open_range and len(found[-1]) < size:
            found[-1].append(key)
        else:
            found.append([key])
            open_range = True
    return [(keys[0], keys[-1]) for keys in found]


def one_slate(keys: Iterable[str]) -> tuple[str, list[str]]:
    """Return the slate and the slugs of slate player keys.

    Raises:
        BadInput: there is no key, or the keys are of more than one slate.
    """
    pairs = [split_player_key(key) for key in keys]
    slates = sorted({slate for slate, _ in pairs})
    if len(slates) != 1:
        raise BadInput(
            "slate_players",
            f"a staging run was asked for {len(slates)} slates ({', '.join(slates[:3])})",
            hint="select the partitions of one slate: a range follows the order of registration",
        )
    return slates[0], [slug for _, slug in pairs]
