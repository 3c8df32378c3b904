"""Real games through the assets. Skipped where the data isn't; none of it is in the repository."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prediction_assets.nba.forecast import market_lines
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.stores.sql.tables import PROP_LINES
from prediction_assets_tests.made_up import ROWS_PER_PLAYER
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA

FILES = {
    "game_logs": "player_game_logs_2023_25.parquet",
    "prop_lines": "prop_lines_2024_25.csv.gz",
    "schedule": "schedule_2023_25.csv",
}

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    settings = load_settings(home=tmp_path_factory.mktemp("real"))
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        ingested = run.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
        assert ingested["prop_lines"]["unresolved_names"] == 0
        yield run


@pytest.mark.parametrize(
    ("slate", "games"),
    [("2025-01-10", 7), ("2024-12-14", 2), ("2024-10-22", 2)],
    ids=["an ordinary night", "neutral sites", "opening night"],
)
def test_a_real_slate_goes_all_the_way(real, slate, games):
    result = real.whole(slate)
    receipt, batch = result.receipt, result.progress.batch
    assert (batch.games, result.progress.unsettled, receipt.status) == (games, (), "success")
    assert 14 * games <= len(batch.expected) <= 24 * games
    assert receipt.rows == receipt.rows_staged == receipt.staged_players * ROWS_PER_PLAYER
    assert receipt.rows_staged == receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged
    assert dict(real.stores.warehouse.parts.staged(slate)) == {}
    assert len(real.stores.outbox.entries(slate)) == 1
    if slate == "2024-12-14":
        assert {p.is_home for p in batch.expected} == {None}


def test_a_real_day_without_games_rests(real):
    result = real.whole("2024-11-28")  # Thanksgiving
    assert (result.progress.batch.games, result.receipt, result.entry) == (0, None, None)


def test_real_files_ingested_again_change_nothing(real):
    again = real.ingest({name: {"path": str(REAL_DATA / file)} for name, file in FILES.items()})
    for counts in again.values():
        assert (counts["rows_inserted"], counts["rows_updated"], counts["rows_replaced"]) == (0, 0, 0)


def test_no_forecast_of_a_real_star_is_absurd(real):
    if real.stores.batch_state.progress("2025-01-10") is None:
        real.whole("2025-01-10")
    rows = real.stores.warehouse.query(
        "SELECT DISTINCT predicted_points FROM predictions.player_prop_predictions "
        "WHERE player_slug = 'nikola-jokic' AND game_date = DATE '2025-01-10' AND is_active"
    )["predicted_points"].to_pylist()
    assert all(22 <= points <= 38 for points in rows)


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
