"""What `predictions` shows of a slate as it is in force: a picture, and numbers by system and line."""

import base64
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
    batch, slate = progress.batch, {"slate": parse_slate(progress.batch.slate)}
    by_system = warehouse.query(queries.SLATE_BY_SYSTEM, slate).to_pylist()
    lines = warehouse.query(queries.SLATE_LINES, slate).to_pylist()
    edges = [0] * EDGE_BINS  # players by bin of the ensemble's P(points > main market line)
    for row in warehouse.query(queries.SLATE_EDGES, slate).to_pylist():
        edges[min(row["bin"], EDGE_BINS - 1)] += row["players"]
    main_lines = sum(row["players"] for row in lines)
    on_market = sum(row["players"] for row in lines if row["line_source"] == "market")
    numbers = {
        "systems": table_of([_system(row) for row in by_system]),
        "share_of_players_with_market_line": round(on_market / main_lines, 4) if main_lines else 0.0,
        "players_with_edge_over_5_percent": sum(edges) - sum(edges[EDGE_BINS // 2 - 1 : EDGE_BINS // 2 + 1]),
    }
    outcomes = {outcome.value: progress.count(outcome) for outcome in Outcome}
    counts = SlateCounts(
        title=f"slate {batch.slate}, {batch.league}: {len(batch.expected)} expected players",
        outcomes={**outcomes, "unsettled": len(progress.unsettled)},
        rows_by_system={labelled(row["market"], row["system"]): row["row_count"] for row in by_system},
        lines={row["bookmaker"] or row["line_source"]: row["players"] for row in lines},
        edges=edges,
    )
    # The only Markdown of ours. An image can't run scripts, and the text in it is escaped.
    data = base64.b64encode(slate_picture(counts).encode()).decode()
    return dg.MetadataValue.md(f"![the slate's picture](data:image/svg+xml;base64,{data})"), numbers


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
