"""Odd nights of real games, and real lines that moved. Skipped where the data isn't."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.nba.forecast import market_lines
from prediction_assets.stores.sql.tables import PROP_LINES
from prediction_assets_tests.acceptance.test_real_slates import FILES, go_all_the_way, real
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

__all__ = ["real"]  # a fixture

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)


def test_opening_night_goes_all_the_way(real):
    go_all_the_way(real, "2024-10-22", games=2)


def test_real_files_ingested_again_change_nothing(real):
    again = real.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
    for counts in again.values():
        assert (counts["rows_inserted"], counts["rows_updated"], counts["rows_replaced"]) == (0, 0, 0)


def test_on_neutral_sites_nobody_is_at_home(real):
    go_all_the_way(real, "2024-12-14", games=2)
    assert {p.is_home for p in real.stores.batch_state.progress("2024-12-14").batch.expected} == {None}


def test_real_lines_that_moved_in_a_day_stage_exactly_their_players(real, monkeypatch):
    """The captures of a real day arrive one after another; the schedule and the injury report stay."""
    warehouse, state = real.stores.warehouse, real.stores.batch_state
    slate, day = "2024-12-25", date(2024, 12, 25)
    lines = warehouse.query("SELECT * FROM facts.prop_lines WHERE game_date = $day", {"day": day})
    captures = sorted(set(lines["capture"].to_pylist()))
    halves = [lines.filter(pc.is_in(lines["capture"], pa.array(captures[:n]))) for n in (1, len(captures))]
    early = min(lines["commence_time"].to_pylist()) - timedelta(hours=2)
    monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda clock: early)

    def offer(rows: pa.Table) -> None:
        replaced = PROP_LINES.arrow_table([]).select(["league", "game_date"])
        warehouse.upsert(PROP_LINES, rows.cast(PROP_LINES.arrow_schema), ("league", "game_date"), replaced)

    def in_force() -> dict[str, set[str]]:
        rows = warehouse.query(
            "SELECT player_slug, content_hash || receipt_id AS mark FROM predictions.player_prop_predictions "
            "WHERE game_date = $day AND is_active", {"day": day},
        ).to_pylist()  # fmt: skip
        return {
            s: {r["mark"] for r in rows if r["player_slug"] == s} for s in {r["player_slug"] for r in rows}
        }

    def fences() -> dict[str, int]:
        return {slug: outcome.fence for slug, outcome in state.progress(slate).outcomes.items()}

    # A part of the lines first: a third of the players' are a point lower, as if they moved later.
    lower = halves[-1].to_pylist()
    for number, row in enumerate(lower):
        row["line"] -= number % 3 == 0
    offer(PROP_LINES.arrow_table([*{tuple(row[k] for k in PROP_LINES.key): row for row in lower}.values()]))
    first = real.whole(slate)
    assert (first.progress.batch.games, first.progress.unsettled, first.receipt.status) == (5, (), "success")
    players = {player.player_id: player.slug for player in state.progress(slate).batch.expected}
    for rows in (halves[0], halves[-1]):
        was, before, staged = market_lines(warehouse, "NBA", day), in_force(), fences()
        offer(rows)
        now = market_lines(warehouse, "NBA", day)
        moved = {slug for who, slug in players.items() if was.get(who) != now.get(who)}
        real.refresh(slate, early)
        after = in_force()
        assert {slug for slug, fence in fences().items() if fence != staged[slug]} == moved
        # A price that moves without consequence leaves a row as it was.
        changed = {slug for slug in after if after[slug] != before[slug]}
        assert changed <= moved
        message = real.stores.outbox.entries(slate)[-1].message
        assert {each["player_slug"] for each in message["changes"]} == changed or not changed
