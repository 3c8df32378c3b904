"""The audits in the MERGE's transaction: what one refuses is rolled back, and no reader ever sees it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pytest

from prediction_assets.errors import AuditRefused
from prediction_assets.slate.audits import AUDITS, AuditLimits
from prediction_assets.slate.merge_plan import MergePlan, plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.staged_rows import row_hashes
from prediction_assets.stores.protocols import Warehouse
from prediction_assets.stores.sql import ledger_sql
from prediction_assets.stores.sql.tables import CURRENT_PREDICTIONS, PART_SCHEMA, PREDICTIONS
from prediction_assets_tests.contract.warehouse.by_hand import by_hand
from prediction_assets_tests.contract.warehouse.conftest import BY_DIALECT, opened
from prediction_assets_tests.made_up import NOW, SLATE, batch, bet, player, progress_of, rows_of, staged

FENCES = itertools.count(1)
"""Each write is a run of its own, later than the ones before."""

LIMITS = AuditLimits(one_direction_share=0.75, one_direction_minimum=4)
OVER = {"predicted_points": 30.0, **bet(0.7)}
UNDER = {"predicted_points": 10.0, **bet(0.3)}


@pytest.fixture(params=BY_DIALECT)
def warehouse(request: pytest.FixtureRequest) -> Warehouse:
    return opened(request)


def stage(warehouse: Warehouse, number: int, *rows: Mapping[str, object]) -> PlayerOutcome:
    """Stage a row at each of the lines 20.5, 21.5 and so on, with these values in place of the made-up ones."""
    who = player(number)
    made = rows_of(who, {str(20.5 + n): 20.0 for n in range(len(rows))}).to_pylist()
    table = pa.Table.from_pylist([was | {**row} for was, row in zip(made, rows, strict=True)], PART_SCHEMA)
    at = table.schema.get_field_index("content_hash")
    table = table.set_column(at, table.schema.field(at), pa.array(row_hashes(table)))
    return staged(warehouse.parts.write(SLATE, who.slug, table, next(FENCES)))


def planned(
    warehouse: Warehouse, *outcomes: PlayerOutcome, accepted: Mapping[str, str] | None = None
) -> MergePlan:
    progress = progress_of(batch(2), *outcomes)
    return plan(progress, warehouse.receipts(SLATE), limits=LIMITS, accepted=accepted)


def everything(warehouse: Warehouse) -> list[dict[str, object]]:
    return warehouse.query(ledger_sql.LEDGER, {"slate": date.fromisoformat(SLATE)}).to_pylist()


def failed(receipt: Receipt) -> list[str]:
    return [verdict["name"] for verdict in receipt.audits if not verdict["passed"]]


BAD_ROWS = {
    "no points": ({"predicted_points": -0.5}, "values_in_range", "points -0.5"),
    "more points than anybody ever scored": ({"predicted_points": 120.5}, "values_in_range", "points 120.5"),
    "points that aren't a number": ({"predicted_points": math.nan}, "values_in_range", "points "),
    "no deviation": ({"standard_deviation": 0.0}, "values_in_range", "deviation 0"),
    "a probability above 1": (bet(1.25), "values_in_range", "over 1.25"),
    "probabilities that exceed 1": (
        bet(0.75) | {"probability_push": 0.5, "expected_value": 0.931818}, "values_in_range", "push 0.5",
    ),
    "a confidence below one half": ({"confidence": 0.25}, "values_in_range", "confidence 0.25"),
    "an OVER without an edge": (
        {"recommendation": "OVER"}, "recommendation_agrees_with_its_line", "says OVER and follows PASS",
    ),
    "a PASS with one": (OVER | {"recommendation": "PASS"}, "recommendation_agrees_with_its_line", "follows OVER"),
    "a PASS at no line": (
        {"line_source": "estimated"}, "recommendation_agrees_with_its_line", "follows NO_LINE",
    ),
    "an OVER without a price": (
        OVER | dict.fromkeys(("bet_side", "bet_price", "expected_value")), "recommendation_agrees_with_its_line",
        "says OVER and follows NO_PRICE",
    ),
    "an OVER that is worth more than its price makes it": (
        OVER | {"bet_price": -250}, "recommendation_agrees_with_its_line", "has a value of 0.336364 that does not",
    ),
    "an OVER of the other side": (
        OVER | {"bet_side": "UNDER"}, "recommendation_agrees_with_its_line", "says OVER and follows UNDER",
    ),
    "an OVER at a value that isn't a number": (
        OVER | {"expected_value": math.nan}, "recommendation_agrees_with_its_line", "that does not follow",
    ),
    "a price without a value": (
        {"expected_value": None, "recommendation": "NO_PRICE"}, "recommendation_agrees_with_its_line",
        "has a value of nothing",
    ),
    "odds that pay back less than the stake": ({"bet_odds": 0.9}, "values_in_range", "confidence 0.5"),
    "a market's probability above 1": ({"market_probability": 1.1}, "values_in_range", "confidence 0.5"),
    "a text that would end the document": (
        {"recommendation": 'OVER"}]\\ ![x](http://x)'}, "recommendation_agrees_with_its_line", "says OVER?}]? ![x]",
    ),
}  # fmt: skip
BAD_SLATES = {
    "all in one direction": (
        [OVER] * 4,
        "recommendations_in_both_directions",
        "4 of 4 recommendations .* OVER",
    ),
    "nearly all in the other": (
        [UNDER] * 4 + [OVER],
        "recommendations_in_both_directions",
        "4 of 5 .* UNDER",
    ),
}
GOOD_SLATES = {
    "three of four": [OVER] * 3 + [UNDER],
    "too few to say": [OVER] * 3,
    "away from the main line": [OVER] * 3 + [OVER | {"line_offset": 1}],
}


def bad_groups() -> list[list[str]]:
    """Return the cases that one MERGE refuses at once: four of one audit, whose verdict shows five findings."""
    of_audit: dict[str, list[str]] = {}
    for case, (_, audit, _) in BAD_ROWS.items():
        of_audit.setdefault(audit, []).append(case)
    return [cases[at : at + 4] for cases in of_audit.values() for at in range(0, len(cases), 4)]


def test_a_slate_with_bad_rows_is_refused_and_everything_stays_as_it_was(warehouse):
    good = stage(warehouse, 2, {})
    first = warehouse.merge(planned(warehouse, stage(warehouse, 1, {}, {}), good))
    before = everything(warehouse)
    for cases in bad_groups():
        work = planned(warehouse, stage(warehouse, 1, *(BAD_ROWS[case][0] for case in cases), {}), good)
        with pytest.raises(AuditRefused) as refusal:
            warehouse.merge(work)
        refused = [v for v in refusal.value.verdicts if not v["passed"]]
        verdicts = {v["name"]: v["detail"] for v in refused if v["severity"] == "ERROR"}
        for number, case in enumerate(cases):
            _, audit, offending = BAD_ROWS[case]
            of_row = [
                each for each in verdicts[audit].split("; ") if f"player-1 ensemble {20.5 + number}" in each
            ]
            assert any(offending in each for each in of_row), (case, refused)
        assert f"--accept {refused[0]['name']} --because" in str(refusal.value), cases
        assert (everything(warehouse), warehouse.receipts(SLATE)) == (before, (first,)), cases
        assert ("player-1", work.parts[0].part_id) in warehouse.parts.staged(SLATE), cases


def test_recommendations_in_nearly_one_direction_are_refused_where_they_are_enough_to_say(warehouse):
    good = stage(warehouse, 2, {})
    for case, (rows, audit, offending) in BAD_SLATES.items():
        with pytest.raises(AuditRefused, match=f"{audit}: [0-9]+: {offending}"):
            warehouse.merge(planned(warehouse, stage(warehouse, 1, *rows), good))
        assert everything(warehouse) == [], case
    for case, rows in GOOD_SLATES.items():
        assert failed(warehouse.merge(planned(warehouse, stage(warehouse, 1, *rows), good))) == [], case


def test_five_offending_rows_are_shown_of_any_number(warehouse):
    with pytest.raises(AuditRefused) as refusal:
        warehouse.merge(
            planned(warehouse, stage(warehouse, 1, *[{"confidence": 0.0}] * 7), stage(warehouse, 2, {}))
        )
    (shown,) = (v["detail"] for v in refusal.value.verdicts if v["name"] == "values_in_range")
    assert shown.startswith("7: player-1 ensemble 20.5")
    assert shown.count("player-1") == 5


def test_a_slate_without_rows_too_few_players_or_rows_of_a_retraction_is_refused(warehouse):
    work = planned(warehouse, stage(warehouse, 1, {}), stage(warehouse, 2, {}))
    few = dataclasses.replace(LIMITS, minimum_staged_share=0.75)
    for changes, said in (
        ({"parts": (), "staged_player_ids": ()}, "predictions_not_empty: 0: no row in force"),
        ({"skipped_players": 2}, "predictions_not_empty: 2: 2 rows in force of a slate without predictions"),
        ({"limits": few, "expected_players": 4}, "enough_players_staged: 2: only 2 of 4 players have rows"),
    ):
        with pytest.raises(AuditRefused, match=said):
            warehouse.merge(dataclasses.replace(work, **changes))
    assert everything(warehouse) == []


def test_two_rows_in_force_of_one_key_are_refused_whoever_put_them_there(warehouse):
    first = stage(warehouse, 1, {}), stage(warehouse, 2, {})
    warehouse.merge(planned(warehouse, *first))
    columns = ", ".join("'x'" if name == "receipt_id" else name for name in PREDICTIONS.column_names)
    by_hand(
        warehouse,
        f"INSERT INTO {PREDICTIONS.qualified_name} SELECT {columns} FROM {PREDICTIONS.qualified_name} "
        f"WHERE game_date = DATE '{SLATE}' AND player_id = 102",
    )
    with pytest.raises(
        AuditRefused, match=r"business_key_is_unique: 2: player-2 ensemble 20.50* in force 2 times"
    ):
        warehouse.merge(planned(warehouse, stage(warehouse, 1, {"team": "S09"}), first[1]))


def test_an_accepted_refusal_is_merged_and_kept_in_the_receipt_and_any_other_still_refuses(warehouse):
    good, bad = stage(warehouse, 2, {}), stage(warehouse, 1, {"recommendation": "OVER"}, {"confidence": 0.0})
    why = {"values_in_range": "an exhibition"}
    with pytest.raises(AuditRefused, match="refused by recommendation_agrees_with_its_line"):
        warehouse.merge(planned(warehouse, bad, good, accepted=why))
    both = why | {"recommendation_agrees_with_its_line": 'a "test" of Dončić'}
    receipt = warehouse.merge(planned(warehouse, bad, good, accepted=both))
    assert failed(receipt) == ["values_in_range", "recommendation_agrees_with_its_line"]
    assert {each["name"]: each["because"] for each in receipt.accepted} == both
    assert warehouse.receipts(SLATE) == (receipt,)


def test_a_receipt_lists_the_verdict_of_every_audit_and_a_failed_player_only_warns(warehouse):
    lost = PlayerOutcome(SLATE, f"{SLATE}@test", "player-2", Outcome.FAILED, "run", NOW, 1, 1, "OSError")
    receipt = warehouse.merge(planned(warehouse, stage(warehouse, 1, {}), lost))
    assert [verdict["name"] for verdict in receipt.audits] == [audit.name for audit in AUDITS]
    assert failed(receipt) == ["every_expected_player_settled"]
    assert receipt.audits[-1]["severity"] == "WARN"
    assert receipt.audits[-1]["detail"] == "1: 1 players failed or have no outcome"


@pytest.mark.parametrize("warehouse", ["duckdb", "in_memory"], indirect=True)
def test_a_reader_that_polls_all_the_time_sees_whole_slates_that_passed_and_nothing_else(warehouse):
    """The emulator of BigQuery has no isolation to test: it runs a script's statements on one connection."""
    seen: set[frozenset[tuple[str, float]]] = set()
    done = threading.Event()
    problems: list[BaseException] = []

    def poll() -> None:
        sql = f"SELECT player_slug, predicted_points FROM {CURRENT_PREDICTIONS.qualified_name} WHERE game_date = $slate"
        try:
            while not done.is_set():
                rows = warehouse.query(sql, {"slate": date.fromisoformat(SLATE)}).to_pylist()
                seen.add(frozenset((row["player_slug"], row["predicted_points"]) for row in rows))
                done.wait(0.02)  # the lock is not fair: readers without a pause would keep the writer waiting
        except BaseException as error:  # noqa: BLE001  shown by the test
            problems.append(error)

    reader = threading.Thread(target=poll)
    reader.start()
    allowed = {frozenset()}
    try:
        for points in (20.0, 19.0, 18.0):
            work = planned(warehouse, *(stage(warehouse, n, {"predicted_points": points}) for n in (1, 2)))
            warehouse.merge(work)
            allowed.add(frozenset({("player-1", points), ("player-2", points)}))
            bad = [
                stage(warehouse, 1, {"predicted_points": 5.0}),
                stage(warehouse, 2, {"predicted_points": 500.0}),
            ]
            with pytest.raises(AuditRefused):
                warehouse.merge(planned(warehouse, *bad))
    finally:
        done.set()
        reader.join()
    assert problems == []
    assert seen <= allowed
    assert len(seen) > 1
