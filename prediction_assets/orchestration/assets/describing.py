"""What every asset shows in the UI beside its description: owner, group, docs page, columns and lineage.

https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from prediction_assets.errors import plain
from prediction_assets.settings import Settings
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, Table

OWNERS = ["team:predictions"]

# The UI lists groups by name: the numbers keep them in flow order.
FACTS, SLATE, FAN_OUT, FAN_IN, PUBLISHING = "1_facts", "2_slate", "3_fan_out", "4_fan_in", "5_publishing"

DOCS = {
    "game_logs": "README.md#with-your-own-data",
    "schedule": "README.md#with-your-own-data",
    "prop_lines": "docs/runbook.md#a-name-did-not-resolve",
    "injury_reports": "docs/runbook.md#a-player-is-out",
    "slate_roster": "docs/runbook.md#the-slate-is-late",
    "player_features": "docs/how-a-batch-works.md#the-stages",
    "staged_predictions": "docs/runbook.md#a-player-is-missing-or-failed",
    "dead_letters": "docs/runbook.md#dead-letters",
    "predictions": "docs/how-a-batch-works.md#receipt-revision-message",
    "staging_cleanup": "docs/how-a-batch-works.md#killed-and-run-again",
    "phase5_completion": "docs/runbook.md#nothing-was-published",
    "slate_board": "docs/how-a-batch-works.md#the-board",
    "points_model": "docs/forecasting.md#the-trained-model",
    "prediction_grades": "docs/forecasting.md#grades",
}
"""The page to read if an asset looks wrong, by asset; its description ends with it."""


def with_docs(spec: dg.AssetSpec, docs_url: str) -> dg.AssetSpec:
    """Return a spec whose description ends with its page, as a link if the installation has an address for it."""
    page = DOCS.get(spec.key.to_user_string())
    if page is None:
        return spec
    where = f"[{page}]({docs_url.rstrip('/')}/{page})" if docs_url else f"`{page}`"
    return spec.replace_attributes(description=f"{spec.description or ''}\n\nMore: {where}")


def table_schema(table: Table, only: Sequence[str] | None = None) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=c.type.name,
                description=c.description,
                constraints=dg.TableColumnConstraints(
                    nullable=not (c.required or c.name in table.key),
                    other=["business key"] if c.name in _business_key(table) else [],
                ),
            )
            for c in table.columns
            if only is None or c.name in only
        ]
    )


def table_metadata(table: Table) -> dict[str, Any]:
    return {
        "dagster/column_schema": table_schema(table),
        "dagster/table_name": table.qualified_name,
        "business_key": ", ".join(_business_key(table)),
    }


def _business_key(table: Table) -> tuple[str, ...]:
    return table.business_key or table.key


def _from(asset: str, *columns: str) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=c) for c in columns]


def staged_lineage() -> dg.TableColumnLineage:
    """Return where those columns of a part come from that are copied or computed from columns."""
    return dg.TableColumnLineage(
        deps_by_column={
            "line": _from(PROP_LINES.name, "line"),
            "bookmaker": _from(PROP_LINES.name, "bookmaker"),
            "player_id": _from("player_features", "player_id"),
            "predicted_points": _from("player_features", "recent_points", "recent_minutes"),
            "player_name": _from(GAME_LOGS.name, "player_name"),
            "team": _from(GAME_LOGS.name, "team"),
        }
    )


def table_of(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """Return rows as a table with the first row's keys as its columns.

    Text from facts is shown as cells, never as Markdown: the UI would load the image that a player's name draws.
    """
    if not rows:
        return dg.MetadataValue.text("none")
    columns = [dg.TableColumn(name) for name in rows[0]]
    records = [dg.TableRecord({name: _cell(row[name]) for name in rows[0]}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def board_link(settings: Settings, slate: str) -> dict[str, dg.MetadataValue]:
    """Return where people open a slate's board, as metadata; nothing where nobody can."""
    link = settings.board_link(slate)
    if not link:
        return {}
    is_address = link.startswith(("http://", "https://"))
    return {"board": dg.MetadataValue.url(link) if is_address else dg.MetadataValue.path(link)}


def _cell(value: object) -> str | int | float | bool:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 3)
    return "" if value is None else plain(str(value))
