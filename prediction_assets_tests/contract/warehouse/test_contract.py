"""What every warehouse does alike; each implementation runs every case."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from prediction_assets.errors import (
    AuditRefused,
    DuplicateKeys,
    GameBegan,
    Overtaken,
    PartMismatch,
    SnapshotUnreadable,
)
from prediction_assets.nba.sides import newest_report
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome, fence_of
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import PREDICTIONS_SCHEMA_VERSION, row_hashes
from prediction_assets.stores.protocols import Upserted, Warehouse
from prediction_assets.stores.sql import merge_sql, pruning_sql, table_sql
from prediction_assets.stores.sql.tables import INJURY_REPORTS, PREDICTION_GRADES, SCHEDULE
from prediction_assets_tests.contract.warehouse.conftest import (
    GATHERING_TOO,
    KINDS,
    READ_OTHERWISE,
    SHARED_TOO,
)
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged

# BigQuery refuses to read the predictions without a date, so every query here names one.
ROWS = "FROM predictions.player_prop_predictions WHERE game_date >= DATE '2000-01-01'"
ACTIVE = f"SELECT player_slug, line, predicted_points {ROWS} AND is_active"
WHOLE_TABLE = f"SELECT * {ROWS} ORDER BY player_id, line"


def active(warehouse: Warehouse) -> dict[tuple[str, Decimal], float]:
    rows = warehouse.query(ACTIVE).to_pylist()
    found = {(r["player_slug"], r["line"]): r["predicted_points"] for r in rows}
    assert len(found) == len(rows)
    return found


def total(warehouse: Warehouse) -> int:
    return warehouse.query(f"SELECT COUNT(*) AS n {ROWS}")["n"][0].as_py()


def write(warehouse: Warehouse, number: int, lines: dict[str, float], fence: int = 1) -> PartRef:
    who = player(number)
    return warehouse.parts.write(SLATE, who.slug, rows_of(who, lines), fence)


def merge(warehouse: Warehouse, *outcomes: PlayerOutcome, players: int = 3) -> Receipt:
    return warehouse.merge(plan(progress_of(batch(players), *outcomes), warehouse.receipts(SLATE)))


def ended(number: int, outcome: Outcome, reason: str) -> PlayerOutcome:
    return PlayerOutcome(SLATE, f"{SLATE}@test", f"player-{number}", outcome, "run", NOW, 1, 1, reason=reason)


def counts(receipt: Receipt) -> tuple[int, int, int, int, int]:
    return (
        receipt.rows_staged,
        receipt.rows_inserted,
        receipt.rows_updated,
        receipt.rows_unchanged,
        receipt.rows_superseded,
    )


@READ_OTHERWISE
def test_parts_that_share_a_table_or_are_gathered_first_merge_as_those_with_a_table_each(warehouse):
    others = [write(warehouse, n, {"24.5": 20.0}) for n in (2, 3)]
    parts = [write(warehouse, 1, {"24.5": 20.0, "25.5": 20.0}), *others]
    first = merge(warehouse, *map(staged, parts))
    assert counts(first) == (4, 4, 0, 0, 0)
    assert merge(warehouse, *map(staged, parts)) == first
    moved = write(warehouse, 1, {"25.5": 21.0, "26.5": 20.0})
    second = merge(warehouse, staged(moved, 2), *map(staged, others))
    assert (counts(second), second.revision) == ((2, 1, 1, 0, 1), 2)
    own = {("player-1", Decimal("25.50")): 21.0, ("player-1", Decimal("26.50")): 20.0}
    assert active(warehouse) == own | {(f"player-{n}", Decimal("24.50")): 20.0 for n in (2, 3)}


def test_each_merge_inserts_changes_keeps_and_supersedes_rows_by_their_key(warehouse):
    two = {"24.5": 20.0, "25.5": 20.0}
    others = [write(warehouse, n, {"24.5": 20.0}) for n in (2, 3)]
    parts = [write(warehouse, 1, two), *others]
    first = merge(warehouse, *map(staged, parts))
    assert counts(first) == (4, 4, 0, 0, 0)
    assert (first.rows, first.status, first.revision) == (4, "success", 1)
    assert warehouse.receipts(SLATE) == (first,)

    # The same outcomes again do nothing, although their parts were dropped.
    was_staged = [(part.player_slug, part.part_id) for part in parts]
    assert sorted(warehouse.parts.drop(SLATE, was_staged)) == sorted(was_staged)
    assert list(warehouse.parts.drop(SLATE, was_staged)) == []
    assert merge(warehouse, *map(staged, parts)) == first
    assert len(warehouse.receipts(SLATE)) == 1

    # The same rows in parts of another run change no row and keep the revision; the others' parts are gone.
    before = warehouse.query(WHOLE_TABLE)
    again = merge(warehouse, staged(write(warehouse, 1, two), 2), *map(staged, others))
    assert counts(again) == (2, 0, 0, 2, 0)
    assert [part["player_slug"] for part in again.parts] == ["player-1"]
    assert (again.rows, again.staged_players, again.receipt_id != first.receipt_id) == (4, 3, True)
    assert (again.revision, again.content_digest) == (first.revision, first.content_digest)
    assert warehouse.query(WHOLE_TABLE).equals(before)

    other_rows = {("player-2", Decimal("24.50")): 20.0, ("player-3", Decimal("24.50")): 20.0}
    # Other points at a line; a line more and one less; a line that comes back; half points and whole ones.
    for revision, (lines, expected, kept) in enumerate(
        (
            ({"24.5": 20.0, "25.5": 21.0}, (2, 0, 1, 1, 0), 5),
            ({"25.5": 21.0, "26.5": 20.0}, (2, 1, 0, 1, 1), 6),
            ({"24.5": 20.0, "25.5": 21.0}, (2, 1, 0, 1, 1), 7),
            ({"24.5": 20.0, "25.0": 20.0}, (2, 1, 0, 1, 1), 8),
        ),
        start=2,
    ):
        receipt = merge(warehouse, staged(write(warehouse, 1, lines), revision + 1), *map(staged, others))
        assert (counts(receipt), receipt.rows, receipt.revision) == (expected, 4, revision)
        own = {
            ("player-1", Decimal(line).quantize(Decimal("0.01"))): points for line, points in lines.items()
        }
        assert active(warehouse) == own | other_rows
        assert total(warehouse) == kept, "a superseded row is kept, and stays closed when its line comes back"
    whole = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0, "25": 20.0}), 9), *map(staged, others))
    assert counts(whole) == (2, 0, 0, 2, 0), "25 is 25.0"


def test_outcomes_that_come_back_after_others_are_merged_again_as_a_revision_of_their_own(warehouse):
    """The slate is reopened with a player more, merged, and reopened without him."""
    first, second, third = (staged(write(warehouse, n, {"24.5": 20.0})) for n in (1, 2, 3))
    two = merge(warehouse, first, second, players=2)
    three = merge(warehouse, first, second, third)
    back = merge(warehouse, first, second, players=2)
    assert [r.revision for r in (two, three, back)] == [1, 2, 3]
    assert len({two.receipt_id, three.receipt_id, back.receipt_id}) == 3
    assert len({message_id(r) for r in (two, three, back)}) == 3
    assert back.content_digest == two.content_digest
    assert counts(back) == (0, 0, 0, 0, 1)
    assert active(warehouse).keys() == {("player-1", Decimal("24.50")), ("player-2", Decimal("24.50"))}
    assert merge(warehouse, first, second, players=2) == back
    assert warehouse.receipts(SLATE) == (two, three, back)


@GATHERING_TOO
def test_parts_that_are_not_what_their_outcomes_recorded_are_refused_and_change_nothing(warehouse, request):
    good, gone = write(warehouse, 2, {"24.5": 20.0}), write(warehouse, 3, {"24.5": 20.0})
    list(warehouse.parts.drop(SLATE, [(gone.player_slug, gone.part_id)]))
    rows = rows_of(player(1), {"24.5": 20.0})
    twice = pa.concat_tables([rows, rows_of(player(1), {"24.5": 21.0})])
    stray = rows_of(player(1), {"24.5": 20.0}, slate="2026-01-03")
    part, doubled, strayed = (
        warehouse.parts.write(SLATE, "player-1", each, 1) for each in (rows, twice, stray)
    )
    was_staged = warehouse.parts.staged(SLATE)
    differs = "staged rows differ from what was recorded at staging"
    missing = "parts are missing in staging"
    is_usual = request.node.callspec.params["warehouse"] in KINDS
    for bad, refusal, said in (
        (doubled, DuplicateKeys, "player-1"),
        (dataclasses.replace(part, content_hash="0" * 64), PartMismatch, f"{differs}.*player-1"),
        (gone, PartMismatch, f"{missing}.*player-3"),
        (strayed, DuplicateKeys, "another date"),
        (dataclasses.replace(part, rows=7), PartMismatch, f"{differs}.*player-1"),
        (dataclasses.replace(part, part_id="f" * 32), PartMismatch, f"{missing}.*player-1"),
    )[: None if is_usual else 3]:
        with pytest.raises(refusal, match=said):
            merge(warehouse, staged(bad), staged(good))
        assert (total(warehouse), warehouse.receipts(SLATE)) == (0, ())
        assert warehouse.parts.staged(SLATE) == was_staged


@SHARED_TOO
def test_a_part_replaces_no_other_one_and_a_merge_reads_the_one_that_its_outcome_names(warehouse):
    """An old writer that goes on after a newer one has written."""
    newer = write(warehouse, 1, {"24.5": 21.0}, fence=7)
    older = write(warehouse, 1, {"24.5": 20.0}, fence=4)
    again = write(warehouse, 1, {"24.5": 19.0}, fence=7)
    assert [fence_of(part.part_id) for part in (newer, older, again)] == [7, 4, 7]
    ids = [part.part_id for part in (older, *sorted((newer, again), key=lambda part: part.part_id))]
    assert warehouse.parts.staged(SLATE) == [("player-1", part_id) for part_id in ids]
    merge(warehouse, staged(newer), players=1)
    assert active(warehouse) == {("player-1", Decimal("24.50")): 21.0}
    dropped = ("player-1", newer.part_id)
    assert list(warehouse.parts.drop(SLATE, [("player-2", newer.part_id), dropped])) == [dropped]
    left = [("player-1", part_id) for part_id in ids if part_id != newer.part_id]
    assert warehouse.parts.staged(SLATE) == left
    assert sorted(warehouse.parts.drop(SLATE, [*left, dropped])) == left
    assert warehouse.parts.slates() == []


@SHARED_TOO
def test_parts_are_listed_by_slate_and_player(warehouse):
    other = "2026-01-03"
    slugs = ["aj-green", "aj-green-2", "a-j-green", "0"]
    parts = {
        slug: warehouse.parts.write(SLATE, slug, rows_of(player(n, slug), {"24.5": 20.0}), 1)
        for n, slug in enumerate(slugs, start=1)
    }
    warehouse.parts.write(other, "aj-green", rows_of(player(1, "aj-green"), {"24.5": 20.0}, slate=other), 1)
    assert dict(warehouse.parts.staged(SLATE)) == {slug: part.part_id for slug, part in parts.items()}
    assert warehouse.parts.slates() == [SLATE, other]


def test_who_is_skipped_goes_out_of_force_who_failed_stays_and_without_anybody_the_slate_is_retracted(
    warehouse,
):
    parts = [write(warehouse, n, {"24.5": 20.0}) for n in (1, 2, 3)]
    first = merge(warehouse, *map(staged, parts))

    # Nothing new is merged, and still there is a receipt. Whatever a reason says, it is kept to the letter.
    reason = """it's "quoted", {braced} \\ and \n'; DROP TABLE x; -- @slate $slate, Dončić 😀"""
    receipt = merge(
        warehouse, ended(1, Outcome.SKIPPED, "injured"), ended(2, Outcome.FAILED, reason), staged(parts[2])
    )
    assert {slug for slug, _ in active(warehouse)} == {"player-2", "player-3"}
    assert (counts(receipt), receipt.parts) == ((0, 0, 0, 0, 1), ())
    assert (receipt.rows, receipt.status, receipt.revision) == (2, "partial", 2)
    assert receipt.missing == (
        {"player_slug": "player-1", "outcome": "skipped", "reason": "injured"},
        {"player_slug": "player-2", "outcome": "failed", "reason": reason},
    )
    assert warehouse.receipts(SLATE) == (first, receipt)

    skips = [ended(n, Outcome.SKIPPED, "no game") for n in (1, 2, 3)]
    for revision, superseded, receipt in (
        (3, 2, merge(warehouse, *skips)),
        (4, 0, merge(warehouse, players=0)),
    ):
        assert counts(receipt) == (0, 0, 0, 0, superseded)
        assert (receipt.rows, receipt.revision, receipt.is_retraction) == (0, revision, True)
        assert active(warehouse) == {}
    assert (total(warehouse), len(warehouse.receipts(SLATE)), first.is_retraction) == (3, 4, False)


@pytest.mark.parametrize(
    ("warehouse", "players"),
    [("duckdb", 150), ("in_memory", 60)],
    indirect=["warehouse"],
)
def test_a_slate_s_parts_written_by_8_threads_merge_in_one_go(warehouse, players):
    """``test_bigquery.py`` counts the jobs of the same there."""
    with ThreadPoolExecutor(8) as pool:
        numbers = range(1, players + 1)
        parts = list(pool.map(lambda n: write(warehouse, n, {"20.5": 20.0, "21.5": 20.0}), numbers))
    receipt = merge(warehouse, *map(staged, parts), players=players)
    assert counts(receipt) == (2 * players, 2 * players, 0, 0, 0)


def test_a_merge_that_was_decided_before_another_one_s_receipt_is_refused_and_changes_nothing(warehouse):
    first = staged(write(warehouse, 1, {"24.5": 20.0}))
    late = plan(progress_of(batch(1), first), warehouse.receipts(SLATE))
    newest = merge(warehouse, staged(write(warehouse, 1, {"24.5": 23.0}), 2), players=1)
    with pytest.raises(Overtaken, match=rf"receipt {newest.receipt_id}.*Materialize predictions"):
        warehouse.merge(late)
    assert active(warehouse) == {("player-1", Decimal("24.50")): 23.0}
    assert warehouse.receipts(SLATE) == (newest,)


def test_a_merge_that_would_be_committed_after_a_tip_off_is_refused_and_changes_nothing(warehouse):
    newest = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0})), players=1)
    late = plan(
        progress_of(batch(1), staged(write(warehouse, 1, {"24.5": 23.0}, 2))), warehouse.receipts(SLATE)
    )
    began = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(
        GameBegan, match=f"a game began at {began.isoformat(timespec='seconds')[:16]}"
    ) as refused:
        warehouse.merge(dataclasses.replace(late, before=began))
    assert began <= refused.value.at <= datetime.now(UTC)
    assert active(warehouse) == {("player-1", Decimal("24.50")): 20.0}
    assert warehouse.receipts(SLATE) == (newest,)
    warehouse.merge(dataclasses.replace(late, before=began + timedelta(hours=1)))
    assert active(warehouse) == {("player-1", Decimal("24.50")): 23.0}


def test_other_slates_are_never_touched(warehouse):
    other = "2026-01-03"
    part = warehouse.parts.write(other, "player-1", rows_of(player(1), {"24.5": 20.0}, slate=other), 1)
    progress = progress_of(batch(1, other), staged(part))
    warehouse.merge(plan(progress, ()))
    merge(warehouse, staged(write(warehouse, 1, {"30.5": 20.0})), players=1)
    assert {line for _, line in active(warehouse)} == {Decimal("24.50"), Decimal("30.50")}


@SHARED_TOO
def test_parts_of_an_earlier_schema_version_merge_beside_new_ones(warehouse):
    who = player(1)
    rows = rows_of(who, {"24.5": 20.0})
    at = rows.schema.get_field_index("schema_version")
    rows = rows.set_column(at, rows.schema.field(at), pa.array([PREDICTIONS_SCHEMA_VERSION - 1], pa.int64()))
    at = rows.schema.get_field_index("content_hash")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(row_hashes(rows)))
    part = warehouse.parts.write(SLATE, who.slug, rows, 1)
    earlier = staged(dataclasses.replace(part, schema_version=PREDICTIONS_SCHEMA_VERSION - 1))
    assert counts(merge(warehouse, earlier, staged(write(warehouse, 2, {"24.5": 20.0})))) == (2, 2, 0, 0, 0)
    found = warehouse.query(f"SELECT schema_version {ROWS} ORDER BY player_id")
    assert found["schema_version"].to_pylist() == [PREDICTIONS_SCHEMA_VERSION - 1, PREDICTIONS_SCHEMA_VERSION]


def test_answers_have_the_same_types_everywhere(warehouse):
    made = [
        dataclasses.replace(staged(write(warehouse, n, {"24.5": 20.0})), facts_version=version)
        for n, version in ((1, 12), (2, 9), (3, 10))
    ]
    assert merge(warehouse, *made).facts_version == 9, "the version that holds for all rows"
    assert [receipt.facts_version for receipt in warehouse.receipts(SLATE)] == [9]
    found = warehouse.query(
        f"SELECT game_date, player_id, system, line, predicted_points, is_active, created_at, COUNT(*) AS n {ROWS} "
        "AND game_date = $day AND system = $system AND player_id <= $most AND line > $line AND is_active = $on "
        "AND created_at > $since GROUP BY ALL",
        {
            "day": date.fromisoformat(SLATE),
            "system": "ensemble",
            "most": 101,
            "line": 24.25,
            "on": True,
            "since": NOW.replace(year=2020),
        },
    )
    assert found.num_rows == 1
    assert dict(zip(found.column_names, found.schema.types, strict=True)) == {
        "game_date": pa.date32(),
        "player_id": pa.int64(),
        "system": pa.string(),
        "line": pa.decimal128(6, 2),
        "predicted_points": pa.float64(),
        "is_active": pa.bool_(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "n": pa.int64(),
    }


def test_a_merge_that_does_not_add_up_is_rolled_back(warehouse, monkeypatch):
    parts = staged(write(warehouse, 1, {"24.5": 20.0, "25.5": 20.0}))
    merge(warehouse, parts, players=1)
    again = staged(write(warehouse, 1, {"24.5": 20.0, "25.5": 21.0}))
    wrong = merge_sql.INSERT_ROWS.replace("t.game_date = $slate", "t.game_date = $slate AND FALSE")
    monkeypatch.setattr(merge_sql, "INSERT_ROWS", wrong)
    with pytest.raises(
        AuditRefused, match=r"staged_rows_are_accounted_for: 1: 2 rows staged.*can't be accepted"
    ):
        merge(warehouse, again, players=1)
    assert total(warehouse) == 2
    assert len(warehouse.receipts(SLATE)) == 1


def test_a_snapshot_keeps_types_nulls_lists_and_the_order_of_its_rows(warehouse):
    players = pa.table(
        {
            "player_id": pa.array([3, 1, 2], pa.int64()),
            "name": ["Dončić", None, ""],
            "day": pa.array([date(2026, 1, 2), None, date(2025, 1, 2)], pa.date32()),
            "is_home": [True, None, False],
            "form": [0.1 + 0.2, None, float("nan")],
            "recent": pa.array([[3, 1, 2], [], [7]], pa.list_(pa.int64())),
        }
    )
    history = players.select(["player_id", "form"]).slice(0, 0)
    snapshot_id = warehouse.snapshots.write(SLATE, players, history)
    read = warehouse.snapshots.players(SLATE, snapshot_id)
    assert str(read.to_pylist()) == str(players.to_pylist())
    assert read.schema.types == players.schema.types
    empty = warehouse.snapshots.history(SLATE, snapshot_id)
    assert (empty.num_rows, empty.column_names) == (0, ["player_id", "form"])


def game(game_id: str, day: date, home: str = "S01", away: str = "S02") -> dict[str, object]:
    return {
        "league": "simulated-3", "season_id": 22025, "game_id": game_id, "game_date": day,
        "home_team": home, "away_team": away, "team_a": home, "team_b": away,
    }  # fmt: skip


# Facts versions


def test_facts_are_inserted_updated_kept_and_removed_and_each_change_raises_their_version(warehouse):
    day = date(2026, 1, 2)
    one, other = game("9000000001", day), game("9000000002", day, "S03", "S04")
    group = ("league", "game_date")
    assert warehouse.facts_version() == 0
    for rows, replace_by, done, version in (
        ([one], (), Upserted(1, 0, 0), 1),
        ([one], (), Upserted(0, 0, 1), 1),  # the same again
        ([], (), Upserted(0, 0, 0), 1),
        ([one, other], (), Upserted(1, 0, 1), 2),
        ([other | {"season_id": 22024}], (), Upserted(0, 1, 0), 3),  # corrected
        ([game("9000000003", day, "S05", "S06")], group, Upserted(1, 0, 0, removed=2), 4),
        ([game("9000000003", day, "S05", "S06")], group, Upserted(0, 0, 1), 4),
    ):
        assert warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(rows), replace_by) == done
        assert warehouse.facts_version() == version
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([injury(13, 1, "Out")]))
    assert warehouse.facts_version() == 5, "all tables of facts share one sequence"
    found = warehouse.query("SELECT version, table_name FROM facts.versions ORDER BY version")
    assert found["table_name"].to_pylist() == ["schedule"] * 4 + ["injury_reports"]
    assert found["version"].to_pylist() == [1, 2, 3, 4, 5]
    grade = dict.fromkeys(PREDICTION_GRADES.column_names) | {
        "game_date": date(2026, 1, 2), "origin": "backtest", "market": "player_points", "system": "ensemble",
        "league": "NBA",
        "system_version": "1", "model_id": "", "receipt_id": "", "calibration": "[]", "measures": "{}",
        "graded_at": NOW,
        **dict.fromkeys(("players", "voids", "lines", "line_players", "bets", "hits"), 0),
        **dict.fromkeys(("profit", "own_score", "own_information", "own_variance"), 0.0),
    }  # fmt: skip
    assert warehouse.upsert(PREDICTION_GRADES, PREDICTION_GRADES.arrow_table([grade])).inserted == 1
    assert warehouse.facts_version() == 5, "what is no fact leaves it alone"


def test_reads_that_follow_each_other_see_what_is_written_between_them(warehouse):
    with warehouse.reading():
        assert warehouse.facts_version() == 0
        warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game("9000000001", date(2026, 1, 2))]))
        with warehouse.reading():
            assert warehouse.facts_version() == 1
        assert warehouse.receipts(SLATE) == ()
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game("9000000002", date(2026, 1, 2), "S03", "S04")]))
    assert warehouse.facts_version() == 2


@pytest.mark.parametrize("warehouse", ["duckdb", "in_memory"], indirect=True)
def test_an_ingestion_that_fails_raises_no_facts_version(warehouse, monkeypatch):
    monkeypatch.setattr(
        table_sql, "RAISE_FACTS_VERSION", ("SELECT 1", "INSERT INTO facts.no_such_table VALUES (1)")
    )
    with pytest.raises(duckdb.CatalogException):
        warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game("9000000001", date(2026, 1, 2))]))
    assert warehouse.facts_version() == 0
    assert warehouse.query("SELECT * FROM facts.schedule").num_rows == 0


@pytest.mark.parametrize("warehouse", ["duckdb", "in_memory"], indirect=True)
def test_ingestions_at_once_raise_the_facts_version_once_each(warehouse):
    """The emulator runs one transaction at a time, so it can't show this of BigQuery."""
    tables = [
        SCHEDULE.arrow_table([game(f"900000000{n}", date(2026, 1, 2), f"S0{n}", "S09")]) for n in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rows: warehouse.upsert(SCHEDULE, rows), tables))
    assert warehouse.facts_version() == 8


LISTED = "SELECT league, game_id FROM facts.schedule ORDER BY game_id"
REPLACED_BY = ("league", "game_date")


def dates(*days: date) -> pa.Table:
    schema = pa.schema([SCHEDULE.arrow_schema.field(name) for name in REPLACED_BY])
    return pa.table({"league": ["simulated-3"] * len(days), "game_date": list(days)}, schema)


def test_a_group_without_a_new_row_is_replaced_with_nothing_and_no_other_one_is(warehouse):
    first, second, third = (date(2026, 1, day) for day in (2, 3, 4))
    elsewhere = game("9000000004", second, "S07", "S08") | {"league": "simulated-9"}
    stored = [game("9000000001", first), game("9000000002", second), game("9000000003", third), elsewhere]
    warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table(stored))
    rows = SCHEDULE.arrow_table([game("9000000001", first)])
    done = warehouse.upsert(SCHEDULE, rows, REPLACED_BY, dates(second, date(2026, 1, 9)))
    assert done == Upserted(0, 0, 1, removed=1)
    assert warehouse.query(LISTED)["game_id"].to_pylist() == ["9000000001", "9000000003", "9000000004"]
    # There is no new row at all; then a row moves into another group that is replaced, too.
    done = warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([]), REPLACED_BY, dates(third))
    assert done == Upserted(0, 0, 0, removed=1)
    assert warehouse.query(LISTED)["game_id"].to_pylist() == ["9000000001", "9000000004"]
    later = date(2026, 1, 9)
    moved = SCHEDULE.arrow_table([game("9000000001", later)])
    assert warehouse.upsert(SCHEDULE, moved, REPLACED_BY, dates(first, later)) == Upserted(0, 1, 0)


def injury(hour: int, player_id: int | None, status: str, day: int = 2) -> dict[str, object]:
    return {
        "league": "NBA",
        "game_date": date(2026, 1, day),
        "reported_at": datetime(2026, 1, 2, hour, tzinfo=UTC),
        "team": "DEN",
        "player_name": "" if player_id is None else f"Player {player_id}",
        "player_id": player_id,
        "status": status,
        "reason": None,
    }


REPORTS = {
    "none": ([], []),
    "one": ([[injury(13, 1, "Out"), injury(13, 2, "Out")]], [1, 2]),
    "a player left it": ([[injury(13, 1, "Out"), injury(13, 2, "Out")], [injury(17, 2, "Out")]], [2]),
    "it names nobody of the date": (
        [[injury(13, 1, "Out")], [injury(17, None, "Not yet submitted")]],
        [None],
    ),
    "in any order": ([[injury(17, None, "Not yet submitted")], [injury(13, 1, "Out")]], [None]),
    "the team has reported since": ([[injury(13, None, "Not yet submitted")], [injury(17, 1, "Out")]], [1]),
    "a later one of another date only": ([[injury(13, 1, "Out")], [injury(17, 2, "Out", day=3)]], [1]),
}
"""Reports in the order in which they come, and the players of the one that holds."""


def test_the_newest_injury_report_with_a_row_of_the_date_holds_as_a_whole(warehouse):
    for turn in (
        0,
        1,
    ):  # each history in a league of its own: the first report of all, then the second of all
        rows = [
            row | {"league": league}
            for league, (reports, _) in REPORTS.items()
            for report in reports[turn : turn + 1]
            for row in report
        ]
        warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(rows), ("league", "reported_at"))
    for league, (reports, newest) in REPORTS.items():
        found = newest_report(warehouse, league, date(2026, 1, 2))
        assert [row["player_id"] for row in found] == newest, league
        before = newest_report(warehouse, league, date(2026, 1, 2), datetime(2026, 1, 2, 13, tzinfo=UTC))
        first = [row["player_id"] for report in reports for row in report if row["reported_at"].hour == 13]
        assert [row["player_id"] for row in before] == (first if reports else []), league


def test_closed_rows_and_lists_of_receipts_are_pruned_and_nothing_that_is_in_force(warehouse):
    kept = staged(write(warehouse, 2, {"24.5": 20.0}))
    made = [
        merge(warehouse, staged(write(warehouse, 1, {line: 20.0}), n), kept, players=2)
        for n, line in enumerate(("24.5", "25.5", "26.5"), start=1)
    ]
    ids, in_force = [receipt.receipt_id for receipt in made], active(warehouse)

    # Old are receipts that no row in force names (player 2's row names the first), and rows out of force.
    later, earlier = datetime.now(UTC) + timedelta(days=1), NOW - timedelta(days=1)
    old = {"before": later, "since": date(2000, 1, 1)}
    found = warehouse.query(pruning_sql.OLD_RECEIPTS, old).to_pylist()
    assert [row["receipt_id"] for row in found] == [ids[1]]
    rows = warehouse.query(pruning_sql.OLD_CLOSED_ROWS, old).to_pylist()
    assert rows == [{"game_date": date.fromisoformat(SLATE), "row_count": 2}]
    for statement in (pruning_sql.OLD_RECEIPTS, pruning_sql.OLD_CLOSED_ROWS):
        assert warehouse.query(statement, old | {"before": earlier}).num_rows == 0

    # The lists of named receipts, but never the newest one's.
    pruned = [dataclasses.replace(each, parts=(), missing=(), pruned_at=NOW) for each in made]
    assert warehouse.prune_receipts("2026-01-03", ids, NOW) == 0
    assert warehouse.prune_receipts(SLATE, [ids[0]], NOW) == 1
    assert warehouse.receipts(SLATE) == (pruned[0], *made[1:])
    assert warehouse.prune_receipts(SLATE, ids, NOW) == 1
    assert warehouse.receipts(SLATE) == (*pruned[:2], made[2])
    assert warehouse.prune_receipts(SLATE, ids, NOW) == 0

    # Closed rows from before a moment; the receipts that counted them are marked.
    assert warehouse.prune_closed_rows(SLATE, earlier, NOW) == 0
    assert warehouse.prune_closed_rows("2026-01-03", later, NOW) == 0
    assert total(warehouse) == 4
    assert warehouse.prune_closed_rows(SLATE, later, later) == 2
    assert (total(warehouse), active(warehouse)) == (2, in_force)
    assert [receipt.pruned_at for receipt in warehouse.receipts(SLATE)] == [NOW, NOW, None]
    assert warehouse.prune_closed_rows(SLATE, later, NOW) == 0

    # A line that was pruned is a new row, and the chain goes on. A part whose receipt lists none is merged again.
    back = merge(warehouse, staged(write(warehouse, 1, {"24.5": 20.0, "26.5": 20.0}), 9), kept, players=2)
    assert (counts(back), back.revision) == ((3, 1, 0, 2, 0), made[2].revision + 1)


def test_a_snapshot_is_named_by_its_content_listed_read_and_dropped(warehouse):
    snapshots = warehouse.snapshots
    assert list(snapshots.stored()) == []
    players = pa.table({"player_id": [1, 2], "form": [10.0, 20.0]})
    history = pa.table({"player_id": [1], "points": [12]})
    one = snapshots.write(SLATE, players, history)
    assert snapshots.write(SLATE, players, history) == one
    two = snapshots.write("2026-01-03", players.slice(0, 1), history)
    assert one != two
    assert list(snapshots.stored()) == [(SLATE, one), ("2026-01-03", two)]
    assert (snapshots.is_whole(SLATE, one), snapshots.is_whole(SLATE, "0" * 20)) == (True, False)
    assert snapshots.players(SLATE, one, [2])["form"].to_pylist() == [20.0]
    snapshots.drop(SLATE, one)
    snapshots.drop(SLATE, one)
    assert list(snapshots.stored()) == [("2026-01-03", two)]
    assert snapshots.history("2026-01-03", two)["points"].to_pylist() == [12]
    of_an_earlier_version = one[:20]
    for gone in (one, "0" * 40, of_an_earlier_version, "", "../x", one.upper(), f"{one}0"):
        assert not snapshots.is_whole(SLATE, gone)
        for read in (snapshots.players, snapshots.history):
            with pytest.raises(SnapshotUnreadable, match="materialize player_features for"):
                read(SLATE, gone)
