"""Dynamic partitions of slates and slate players, the ranges of a staging run, and checks with partitions.

Player keys are flat, ``slate:player``: in a product of dates and players, most cells would be players who don't play.
What doesn't belong here: the form of a key (:mod:`prediction_assets.slate.keys`).
https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning  # not exported by dagster

from prediction_assets.errors import BadInput
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


def ranges(registered: Sequence[str], wanted: Collection[str], size: int) -> list[tuple[str, str]]:
    """Return the fewest ``(first, last)`` ranges that cover the wanted keys and no others.

    Dagster's ranges follow the order of registration. A player who was added late comes after the next slate's keys, so
    one range from a slate's first key to its last could cover that next slate too.

    Args:
        registered: registered keys in that order, complete between the wanted ones; see :func:`registered_keys`.
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
        BadInput: there is no key, or the keys belong to several slates.
    """
    pairs = [split_player_key(key) for key in keys]
    slates = sorted({slate for slate, _ in pairs})
    if len(slates) != 1:
        raise BadInput(
            "slate_players",
            f"a staging run covers {len(slates)} slates ({', '.join(slates[:3])})",
            hint="select partitions of one slate only: a range follows the order of registration",
        )
    return slates[0], [slug for _, slug in pairs]
