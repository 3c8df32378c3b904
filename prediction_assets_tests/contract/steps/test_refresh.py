"""Refresh of a slate whose features aren't pinned: they come first, and their players' parts with them."""

from __future__ import annotations

from dataclasses import replace

from prediction_assets.slate.basis import Basis
from prediction_assets.steps.refresh import read_refresh
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of, staged

BASIS = Basis("9000000001", "S02", "", "Probable", "24.5", "Book A", "o1", "f1", "m1")


def test_without_pinned_features_no_player_is_due_whatever_the_facts_say(stores):
    stores.batch_state.open(batch(2))
    for who in (player(1), player(2)):
        part = stores.warehouse.parts.write(SLATE, who.slug, rows_of(who, {"20.5": 21.0}), 1)
        stores.batch_state.record([replace(staged(part), basis=BASIS)])
    progress = stores.batch_state.progress(SLATE)
    assert progress.feature_snapshot is None
    found = read_refresh(progress, stores.warehouse, NOW, roster_since=stores.warehouse.facts_version())
    assert (dict(found.due), dict(found.late), found.needs_features) == ({}, {}, False)
