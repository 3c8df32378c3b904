"""The platform needs no pool."""

from __future__ import annotations

from prediction_assets.definitions import build_defs


def test_no_asset_waits_for_a_pool(settings):
    graph = build_defs(settings).resolve_asset_graph()
    assert {node.key.to_user_string(): node.pools for node in graph.asset_nodes if node.pools} == {}
