"""What `predictions` shows of a slate as it is in force: a picture, and numbers by system and line."""

import base64
from collections.abc import Sequence
from typing import Any

import dagster as dg

from prediction_assets.orchestration.assets.describing import table_of
from prediction_assets.orchestration.slate_picture import EDGE_BINS, SlateCounts, slate_picture
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.markets import labelled
from prediction_assets.slate.outcome import Outcome
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import queries


def slate_in_force(
    warehouse: Warehouse, progress: Progress
) -> tuple[dg.MarkdownMetadataValue, dict[str, Any]]:
    by_system, lines, edges = _read(warehouse, progress.batch.slate)
    main_lines = sum(row["players"] for row in lines)
    on_market = sum(row["players"] for row in lines if row["line_source"] == "market")
    numbers = {
        "systems": table_of([_system(row) for row in by_system]),
        "share_of_players_with_market_line": round(on_market / main_lines, 4) if main_lines else 0.0,
        "players_with_edge_over_5_percent": sum(edges) - sum(edges[EDGE_BINS // 2 - 1 : EDGE_BINS // 2 + 1]),
    }
    return _embedded(slate_picture(_counts(progress, by_system, lines, edges))), numbers


def _read(warehouse: Warehouse, slate: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]:
    """Return the rows by system, the players by line, and the edges."""
    day = parse_slate(slate)
    return (
        warehouse.query(queries.SLATE_BY_SYSTEM, {"slate": day}).to_pylist(),
        warehouse.query(queries.SLATE_LINES, {"slate": day}).to_pylist(),
        _edges(warehouse, slate),
    )


def _counts(
    progress: Progress,
    by_system: Sequence[dict[str, Any]],
    lines: Sequence[dict[str, Any]],
    edges: Sequence[int],
) -> SlateCounts:
    batch = progress.batch
    return SlateCounts(
        title=f"slate {batch.slate}, {batch.league}: {len(batch.expected)} expected players",
        outcomes=_outcomes(progress),
        rows_by_system={labelled(row["market"], row["system"]): row["row_count"] for row in by_system},
        lines={row["bookmaker"] or row["line_source"]: row["players"] for row in lines},
        edges=edges,
    )


def _outcomes(progress: Progress) -> dict[str, int]:
    return {
        **{outcome.value: progress.count(outcome) for outcome in Outcome},
        "unsettled": len(progress.unsettled),
    }


def _edges(port: Warehouse, slate: str) -> list[int]:
    """Return players by bin of the ensemble's P(points > main market line)."""
    bins = [0] * EDGE_BINS
    for row in port.query(queries.SLATE_EDGES, {"slate": parse_slate(slate)}).to_pylist():
        bins[min(row["bin"], EDGE_BINS - 1)] += row["players"]
    return bins


def _system(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "system": labelled(row["market"], row["system"]),
        "rows": row["row_count"],
        "mean points": row["mean_points"],
        "mean deviation": row["mean_deviation"],
        "over": row["over_count"],
        "under": row["under_count"],
        "pass": row["pass_count"],
        "no price": row["no_price_count"],
        "no line": row["no_line_count"],
    }


def _embedded(picture: str) -> dg.MarkdownMetadataValue:
    # The only Markdown of ours. An image can't run scripts, and the text in it is escaped.
    data = base64.b64encode(picture.encode()).decode()
    return dg.MetadataValue.md(f"![the slate's picture](data:image/svg+xml;base64,{data})")
