"""A slate of six players in stores in memory, made without a run: each test breaks it in one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib import resources
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from prediction_assets.monitoring.evaluate import Line
from prediction_assets.monitoring.health_facts import Unreadable
from prediction_assets.monitoring.health_report import Report, report_on
from prediction_assets.monitoring.reader import Sources, read_facts
from prediction_assets.nba.forecasting.systems import SYSTEMS
from prediction_assets.orchestration.instance_reader import read_instance
from prediction_assets.settings import Settings
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.completion_message import Changes, OutboxEntry, completion_message, message_id
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import GAME_TIME_ZONE
from prediction_assets.slate.markets import POINTS
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION
from prediction_assets.stores.sql.tables import GAME_LOGS, PART_SCHEMA, PROP_LINES, SCHEDULE
from prediction_assets_tests.in_memory import InMemoryStores
from prediction_assets_tests.made_up import dated, player, row_content_hash

PLAYERS = 6
RUNNING = {system.name: system.version for system in SYSTEMS}
GAME = "0022500001"


def part_rows(
    who: ExpectedPlayer,
    slate: str,
    *,
    lines: int = 5,
    versions: Callable[[str], str] = lambda system: RUNNING[system],
    line_source: str = "market",
    schema_version: int = PREDICTIONS_SCHEMA_VERSION,
) -> pa.Table:
    """Return a part of every system at some lines."""
    made = []
    for system in SYSTEMS:
        for line in range(lines):
            row = {
                "game_date": date.fromisoformat(slate),
                "game_id": who.game_id,
                "player_id": who.player_id,
                "market": POINTS.name,
                "system": system.name,
                "line": Decimal(f"{18 + line}.50"),
                "league": "NBA",
                "player_slug": who.slug,
                "player_name": who.name,
                "team": who.team,
                "opponent": who.opponent,
                "is_home": True,
                "predicted_points": 20.0,
                "standard_deviation": 6.0,
                "probability_over": 0.5,
                "probability_push": 0.0,
                "recommendation": "NO_PRICE" if line_source == "market" else "NO_LINE",
                "confidence": 0.5,
                "line_source": line_source,
                "line_offset": Decimal(f"{line - 2}.00"),
                "bookmaker": "A Book" if line_source == "market" else None,
                "system_version": versions(system.name),
                "feature_snapshot": "snapshot1",
                "schema_version": schema_version,
            }
            row["content_hash"] = row_content_hash(row)
            made.append(row)
    return pa.Table.from_pylist(made, schema=PART_SCHEMA)


class World:
    """One slate's real stores, and the morning check on them.

    Attributes:
        now: the time that the check goes by.
        slate: today's, in America/New_York.
    """

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance, self.stores = settings, instance, InMemoryStores()
        self.warehouse, self.state = self.stores.warehouse, self.stores.batch_state
        self.dead_letters, self.outbox = self.stores.dead_letters, self.stores.outbox
        self.now = datetime.now(UTC)
        self.slate = self.now.astimezone(GAME_TIME_ZONE).date().isoformat()

    def shifted(self, days: int) -> str:
        """Return the slate some days from the world's."""
        return (date.fromisoformat(self.slate) + timedelta(days=days)).isoformat()

    def schedule(self, *days: int, games: int = 1) -> None:
        """Put games on the slates that are so many days from the world's."""
        rows = [
            {
                "league": "NBA",
                "season_id": 22025,
                "game_id": f"{int(GAME) + 100 * (day + 50) + n:010}" if day or n else GAME,
                "game_date": date.fromisoformat(self.shifted(day)),
                "home_team": "S01",
                "away_team": "S02",
                "team_a": "S01",
                "team_b": "S02",
            }
            for day in days
            for n in range(games)
        ]
        self.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(rows))

    def logs(self, *days: int) -> None:
        """Log the games of the slates that are so many days from the world's: a player's box score each."""
        scheduled = self.warehouse.query(
            "SELECT game_id, game_date FROM facts.schedule ORDER BY game_date, game_id"
        ).to_pylist()
        wanted = {date.fromisoformat(self.shifted(day)) for day in days}
        self.warehouse.upsert(
            GAME_LOGS,
            GAME_LOGS.arrow_table(
                [
                    {
                        **{c.name: 0 for c in GAME_LOGS.columns if c.required},
                        "league": "NBA",
                        "season_id": 22025,
                        "player_id": 101,
                        "player_name": "Player 1",
                        "team_id": 1,
                        "team": "S01",
                        "team_name": "S",
                        "opponent": "S02",
                        "is_home": True,
                        **game,
                    }
                    for game in scheduled
                    if game["game_date"] in wanted
                ]
            ),
        )

    def lines(self, *days: int) -> None:
        """Put a book's line on the slates that are so many days from the world's."""
        self.warehouse.upsert(
            PROP_LINES,
            PROP_LINES.arrow_table(
                [
                    {
                        "league": "NBA",
                        "event_id": f"event{day}",
                        "capture": "",
                        "market": POINTS.name,
                        "bookmaker": "A Book",
                        "player_name": "Player 1",
                        "line": Decimal("20.50"),
                        "player_id": 101,
                        "home_team": "S01",
                        "away_team": "S02",
                        "over_price": -110,
                        "under_price": -110,
                        "game_date": date.fromisoformat(self.shifted(day)),
                        "commence_time": self.now + timedelta(days=day),
                        "captured_at": self.now + timedelta(days=day),
                    }
                    for day in days
                ]
            ),
        )

    def open(self, *, opened: int = 60, deadline: int = 30, slate: str | None = None) -> Batch:
        """Open the batch, so many minutes ago, its deadline so many minutes ago (negative: to come)."""
        slate = slate or self.slate
        return self.state.open(
            Batch(
                slate=slate,
                batch_id=f"{slate}@test",
                league="NBA",
                games=1,
                opened_at=self.ago(opened),
                deadline=self.ago(deadline),
                expected=tuple(replace(player(n), game_id=GAME) for n in range(1, PLAYERS + 1)),
            )
        )

    def ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def settle(
        self,
        outcome: Outcome,
        *numbers: int,
        minutes: float = 40,
        slate: str | None = None,
        **rows: object,
    ) -> None:
        """Give players an outcome, staged ones with a part."""
        slate = slate or self.slate
        progress = self.state.progress(slate)
        assert progress is not None
        for number in numbers:
            who = progress.batch.expected[number - 1]
            part = None
            if outcome is Outcome.STAGED:
                part = self.warehouse.parts.write(slate, who.slug, part_rows(who, slate, **rows), 1)  # type: ignore[arg-type]
            reason = "" if part else "OSError: No space left on device (3 attempts)"
            at = self.ago(minutes - number / 60)
            self.state.record(
                [PlayerOutcome(slate, f"{slate}@test", who.slug, outcome, "run", at, 1, 1, reason, part)]
            )

    def merge(self, *, slate: str | None = None, cleanup: bool = True, minutes: float = 35) -> Receipt:
        """Consolidate, so many minutes ago."""
        slate = slate or self.slate
        progress = self.state.progress(slate)
        assert progress is not None
        receipt = self.warehouse.merge(plan(progress, self.warehouse.receipts(slate)))
        receipt, statement = dated(receipt, self.ago(minutes))
        self.sql(statement)
        if cleanup:
            list(self.warehouse.parts.drop(slate, self.warehouse.parts.staged(slate)))
            self.state.mark_consolidated(receipt)
        return receipt

    def announce(self, receipt: Receipt, *, deliver: bool = True) -> None:
        """Store the completion, and deliver it."""
        message = completion_message(receipt, Changes(), output_table="t", published_at=self.now)
        entry = OutboxEntry(message_id(receipt), receipt.slate, receipt.receipt_id, receipt.revision, message)
        self.outbox.enqueue(entry)
        if deliver:
            delivery_id = self.stores.publisher.publish(message)
            self.outbox.mark_delivered(entry.message_id, delivery_id, self.now)

    def sql(self, statement: str, **parameters: object) -> None:
        """Change the warehouse behind everybody's back."""
        with self.warehouse._connect(write=True) as connection:
            connection.execute(statement, parameters)

    def edit_receipt(self, slate: str, **values: object) -> None:
        """Change a slate's newest receipt behind everybody's back, with the hash of what it then says."""
        newest = self.warehouse.receipts(slate)[-1]
        made = replace(newest, **values).hashed()  # type: ignore[arg-type]
        assigned = ", ".join(f"{name} = ${name}" for name in (*values, "receipt_hash"))
        self.sql(
            f"UPDATE predictions.consolidation_receipts SET {assigned} WHERE receipt_id = $id",
            **values,
            receipt_hash=made.receipt_hash,
            id=newest.receipt_id,
        )

    def healthy(self) -> None:
        """Make all ten green."""
        self.schedule(-2, -1, 0, 1)
        self.logs(-2, -1)
        self.open()
        self.settle(Outcome.STAGED, *range(1, PLAYERS + 1))
        self.announce(self.merge())

    def report(
        self, slate: str | None = None, *, minutes: int = 30, instance: Unreadable | None = None
    ) -> Report:
        """Make the report."""
        sources = Sources(
            self.stores, instance or partial(read_instance, self.instance), self.settings, Clock()
        )
        return report_on(read_facts(sources, slate, timedelta(minutes=minutes)))

    def says(self, line: str, slate: str | None = None) -> Line:
        """Return one line."""
        return self.report(slate).lines[line]


@pytest.fixture
def world(settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(settings, instance)
    monkeypatch.setattr(Clock, "now", lambda self: made.now)
    return made


def health_schema() -> dict[str, Any]:
    """Return the published JSON Schema of ``prediction-assets health --json``."""
    text = resources.files("prediction_assets.monitoring").joinpath("health.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
