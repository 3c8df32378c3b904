"""Why a MERGE is refused: each sentence names the slate, the value and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prediction_assets.errors import DuplicateKeys, GameBegan, Overtaken, PartMismatch
from prediction_assets.slate import merge_errors
from prediction_assets.slate.outcome import PartRef
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets_tests.made_up import NOW, SLATE

PART = PartRef(SLATE, "player-1", 101, "p", 25, "c", PREDICTIONS_SCHEMA_VERSION, "snapshot1")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            merge_errors.part_gone(SLATE, [f"p-{n}" for n in range(7)]),
            PartMismatch,
            "parts are missing in staging: p-0, p-1, p-2, p-3, p-4 and 2 more; the target was not touched",
        ),
        (
            merge_errors.part_gone(SLATE, ["p-0", "p-1"]),
            PartMismatch,
            "in staging: p-0, p-1; the target was not touched",
        ),
        (
            merge_errors.older_than_merged(SLATE, "p-0"),
            PartMismatch,
            "the part of p-0 is older than one of his that is merged: batch state is older",
        ),
        (
            merge_errors.another_players_part(SLATE, "p-0", 7),
            PartMismatch,
            "part of p-0 was staged for player 7",
        ),
        (merge_errors.part_unreadable(SLATE, "no magic"), PartMismatch, "a part can't be read (no magic)"),
        (
            merge_errors.part_changed(SLATE, ["p-0"]),
            PartMismatch,
            "differ from what was recorded at staging: p-0",
        ),
        (
            merge_errors.faulty_key(SLATE, "p-0", "ensemble", "20.50", 2),
            DuplicateKeys,
            "2 staged rows of p-0 share the key (ensemble, 20.50)",
        ),
        (merge_errors.overtaken(SLATE, "r9"), Overtaken, "another MERGE (receipt r9) was committed"),
        (merge_errors.game_began(SLATE, NOW, NOW), GameBegan, "a game began at 2026-01-02T"),
    ],
)
def test_a_refusal_names_the_slate_and_the_value(error, kind, said):
    assert type(error) is kind
    assert str(error).startswith(f"slate {SLATE}: ")
    assert said in str(error)


def test_parts_of_a_newer_schema_are_refused_by_their_players():
    merge_errors.require_known_schema(SLATE, [PART])
    newer = replace(PART, player_slug="player-2", schema_version=PREDICTIONS_SCHEMA_VERSION + 1)
    with pytest.raises(PartMismatch, match="the parts of player-2 were staged by a newer version"):
        merge_errors.require_known_schema(SLATE, [PART, newer])
