"""Made-up players, batches and rows, without anything of Dagster's: a child process imports them in no time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from prediction_assets.slate.batch import Batch, ExpectedPlayer, Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome, fence_of
from prediction_assets.slate.receipt import Receipt, lists_digest
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.sql.tables import PART_SCHEMA

SLATE = "2026-01-02"
NOW = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)


ROWS_PER_PLAYER = 25
"""Five systems x five lines."""


def row_content_hash(row: Mapping[str, object]) -> str:
    """Return SHA-256 over a row's values in the declared column order, each as text with its name; NULL is left out."""
    values = {
        name: row[name] for name in PART_SCHEMA.names if name != "content_hash" and row.get(name) is not None
    }
    text = "".join(f"{name}={_text(value)}," for name, value in values.items())
    return hashlib.sha256(text.encode()).hexdigest()


def _text(value: object) -> str:
    if isinstance(value, float):
        if not abs(value) <= 1e6:
            return "beyond"
        steps = value * 2**32
        return f"{math.floor(steps)}.{math.floor((steps - math.floor(steps)) * 2**53)}"
    if isinstance(value, str):
        return f"{len(value)}:{value}"
    if isinstance(value, Decimal):
        return f"{value * 100:.0f}"
    return str(int(value) if isinstance(value, bool) else value)


def player(number: int, slug: str | None = None) -> ExpectedPlayer:
    """Return a made-up expected player."""
    return ExpectedPlayer(
        player_id=100 + number,
        slug=slug or f"player-{number}",
        name=f"Player {number}",
        team="S01",
        opponent="S02",
        is_home=True,
        game_id="9000000001",
    )


def batch(players: int = 3, slate: str = SLATE) -> Batch:
    """Return a made-up batch."""
    return Batch(
        slate=slate,
        batch_id=f"{slate}@test",
        league="simulated-3",
        games=1,
        opened_at=NOW,
        deadline=NOW + timedelta(minutes=30),
        expected=tuple(player(n) for n in range(1, players + 1)),
    )


def bet(probability_over: float) -> dict[str, object]:
    """Return the columns that follow from P(over) where both sides cost -110, and from the default settings."""
    won, odds = max(probability_over, 1 - probability_over), 1 + 100 / 110
    side, value = "OVER" if probability_over >= 0.5 else "UNDER", round(won * odds - 1, 6)
    return {
        "probability_over": probability_over,
        "probability_push": 0.0,
        "recommendation": side if value >= 0.02 else "PASS",
        "confidence": won,
        "market_probability": 0.5,
        "consensus_probability": 0.5,
        "bet_side": side,
        "bet_bookmaker": "Simulated Book A",
        "bet_price": -110,
        "bet_odds": round(odds, 4),
        "fair_odds": round(1 / won, 4),
        "edge": round(won - 1 / odds, 6),
        "expected_value": value,
    }


def rows_of(
    who: ExpectedPlayer, lines: dict[str, float], slate: str = SLATE, snapshot: str = "snapshot1"
) -> pa.Table:
    """Return a made-up part: one row per line, with the points that the only system predicts."""
    made = []
    for line, points in lines.items():
        row = {
            "game_date": datetime.fromisoformat(slate).date(),
            "game_id": who.game_id,
            "player_id": who.player_id,
            "market": "player_points",
            "system": "ensemble",
            "line": Decimal(line).quantize(Decimal("0.01")),
            "league": "simulated-3",
            "player_slug": who.slug,
            "player_name": who.name,
            "team": who.team,
            "opponent": who.opponent,
            "is_home": who.is_home,
            "predicted_points": points,
            "standard_deviation": 6.0,
            **bet(0.5),
            "line_source": "market",
            "line_offset": Decimal("0.00"),
            "bookmaker": "Simulated Book A",
            "system_version": "1",
            "feature_snapshot": snapshot,
            "schema_version": PREDICTIONS_SCHEMA_VERSION,
        }
        row["content_hash"] = row_content_hash(row)
        made.append(row)
    return pa.Table.from_pylist(made, schema=PART_SCHEMA)


def staged(part: PartRef, minutes: int = 1) -> PlayerOutcome:
    """Return the outcome of a written part, with the part's fence."""
    return PlayerOutcome(
        part.slate,
        f"{part.slate}@test",
        part.player_slug,
        Outcome.STAGED,
        "run",
        NOW + timedelta(minutes=minutes),
        fence_of(part.part_id) or 1,
        1,
        part=part,
    )


def progress_of(opened: Batch, *outcomes: PlayerOutcome) -> Progress:
    """Return a batch's progress with these outcomes."""
    return Progress(opened, {c.player_slug: c for c in outcomes}, "snapshot1")


def receipt(receipt_id: str = "r1", minutes: int = 0, parts: int = 2, **changes: object) -> Receipt:
    """Return the receipt, with its hashes, of a partial slate: two players staged, one failed."""
    made = Receipt(
        receipt_id=receipt_id, slate=SLATE, league="NBA", batch_id="b", status="partial", sequence=1, revision=1,
        replaces=None, rows_digest="e" * 64, lists_digest="",
        content_digest="d" * 64, expected_players=3, staged_players=2, skipped_players=0, failed_players=1,
        rows=50, rows_staged=50, rows_inserted=50, rows_updated=0, rows_unchanged=0, rows_superseded=0,
        feature_snapshot="snapshot1", facts_version=1, merge_ms=12.0, consolidated_at=NOW + timedelta(minutes=minutes),
        parts=tuple(
            {"player_slug": f"player-{n}", "part_id": f"{n:032}", "rows": 25, "content_hash": "c" * 64}
            for n in range(parts)
        ),
        missing=({"player_slug": "player-9", "outcome": "failed", "reason": "no"},),
    )  # fmt: skip
    made = replace(made, **changes)  # type: ignore[arg-type]
    return replace(made, lists_digest=lists_digest(made.parts, made.missing)).hashed()


def dated(receipt: Receipt, moment: datetime) -> tuple[Receipt, str]:
    """Return a slate's newest receipt as a clock at this moment would have made it, and the UPDATE that makes it so."""
    made = replace(receipt, consolidated_at=moment).hashed()
    return made, (
        f"UPDATE predictions.consolidation_receipts SET receipt_hash = '{made.receipt_hash}', "
        f"consolidated_at = CAST('{moment.astimezone(UTC).isoformat(sep=' ')}' AS TIMESTAMPTZ) "
        f"WHERE game_date = DATE '{made.slate}' AND receipt_id = '{made.receipt_id}'"
    )
