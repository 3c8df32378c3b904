"""A slate's chain: whatever of rows and receipts is changed, added or removed, the first broken link is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from prediction_assets.slate.chain import ChainReport, verify_chain
from prediction_assets.slate.receipt import Receipt, rows_digest
from prediction_assets.stores.sql.tables import PART_COLUMNS, PART_SCHEMA, PREDICTIONS
from prediction_assets_tests.made_up import NOW, player, receipt, row_content_hash, rows_of

Rows = list[dict[str, Any]]
Receipts = Sequence[Receipt]

LEDGER = (
    # player, line, points; inserted by, closed by
    (1, "24.5", 20.0, 1, None),
    (1, "25.5", 20.0, 1, 2),
    (1, "26.5", 20.0, 2, 3),
    (2, "24.5", 20.0, 1, None),
)
FIRST, MOVED, BACK, OTHER = range(4)
"""The rows by their places in the ledger."""


def moment(sequence: int) -> Any:
    return NOW + timedelta(hours=sequence)


def ledger() -> Rows:
    made = []
    for number, line, points, inserted, closed in LEDGER:
        (row,) = rows_of(player(number), {line: points}).to_pylist()
        made.append(
            row
            | {
                "is_active": closed is None,
                "receipt_id": f"r{inserted}",
                "created_at": moment(inserted),
                "superseded_by": closed and f"r{closed}",
                "superseded_at": closed and moment(closed),
            }
        )
    return made


def chained(found: Receipts) -> Receipts:
    """Return the receipts with the hashes that follow each other."""
    made: list[Receipt] = []
    for each in found:
        made.append(replace(each, previous_hash=made[-1].receipt_hash if made else "").hashed())
    return made


def receipts() -> Receipts:
    hashes = [row["content_hash"] for row in ledger()]
    in_force = ((FIRST, MOVED, OTHER), (FIRST, BACK, OTHER), (FIRST, OTHER))
    return chained(
        [
            receipt(
                f"r{sequence}", sequence=sequence, revision=sequence, consolidated_at=moment(sequence),
                rows=len(there), rows_digest=rows_digest(hashes[place] for place in there),
            )
            for sequence, there in enumerate(in_force, start=1)
        ]
    )  # fmt: skip


def verified(rows: Rows, found: Receipts) -> ChainReport:
    table = pa.Table.from_pylist(rows, PREDICTIONS.arrow_schema)
    return verify_chain(found, table, [column.name for column in PART_COLUMNS])


def test_a_chain_that_nobody_touched_holds_and_names_its_newest_hash():
    made = receipts()
    report = verified(ledger(), made)
    assert (report.broken, report.receipts, report.rows, report.pruned) == (None, 3, 4, 0)
    assert (report.head, report.hashes) == (made[-1].receipt_hash, tuple(r.receipt_hash for r in made))


def test_a_slate_without_a_receipt_and_a_row_has_nothing_that_could_be_broken():
    assert verified([], []) == ChainReport(head="", receipts=0, rows=0)


def other_points(row: dict[str, Any]) -> dict[str, Any]:
    """Return other values with the hash that is right for them."""
    changed = {name: row[name] for name in PART_SCHEMA.names} | {"predicted_points": 27.0}
    return {"predicted_points": 27.0, "content_hash": row_content_hash(changed)}


EDITED_ROWS: dict[str, tuple[int, Callable[[dict[str, Any]], dict[str, Any]], int, str]] = {
    "points": (OTHER, lambda _: {"predicted_points": 27.0}, 1, "other values"),
    "a hash": (OTHER, lambda _: {"content_hash": "x"}, 1, "other values"),
    "points with their hash": (OTHER, other_points, 1, "are other ones than the receipt's"),
    "a closed row": (BACK, lambda _: {"predicted_points": 27.0}, 2, "other values"),
    "a row that is back": (BACK, lambda _: {"is_active": True}, 2, "in force, although a receipt closed"),
    "a row taken out": (OTHER, lambda _: {"is_active": False}, 1, "no receipt closed"),
    "a row with an end": (OTHER, lambda _: {"superseded_at": moment(2)}, 1, "no receipt closed"),
    "a later end": (BACK, lambda _: {"superseded_at": moment(9)}, 2, "wasn't closed when"),
    "an earlier making": (BACK, lambda _: {"created_at": moment(1)}, 2, "wasn't inserted when"),
    "a row of no receipt": (BACK, lambda _: {"receipt_id": "x"}, 0, "receipt x, which isn't there"),
    "closed by no receipt": (BACK, lambda _: {"superseded_by": "x"}, 2, "by receipt x, which isn't a later one"),
    "closed by the receipt that inserted it": (BACK, lambda _: {"superseded_by": "r2"}, 2, "isn't a later one"),
    "closed by an earlier receipt": (BACK, lambda _: {"superseded_by": "r1"}, 2, "isn't a later one"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITED_ROWS)
def test_an_edited_row_is_named_with_the_receipt_that_inserted_it(edit):
    place, change, sequence, reason = EDITED_ROWS[edit]
    rows = ledger()
    rows[place] |= change(rows[place])
    link = verified(rows, receipts()).broken
    assert link is not None
    assert (link.sequence, reason in link.reason) == (sequence, True), link


@pytest.mark.parametrize(("place", "sequence"), [(OTHER, 1), (MOVED, 1), (BACK, 2)])
def test_a_deleted_row_breaks_the_receipt_that_put_it_into_force(place, sequence):
    rows = ledger()
    del rows[place]
    link = verified(rows, receipts()).broken
    assert link is not None
    assert (link.sequence, "2 rows were in force" in link.reason) == (sequence, True), link


EDITED_RECEIPTS: dict[str, tuple[Callable[[list[Receipt]], Receipts], int, str]] = {
    "a count": (lambda r: [*r[:2], replace(r[2], staged_players=9)], 3, "its hash was made for"),
    "an audit": (
        lambda r: [*r[:2], replace(r[2], audits=({"name": "x", "passed": True},))], 3, "its hash was made for",
    ),
    "a count with its hash": (
        lambda r: [r[0], replace(r[1], staged_players=9).hashed(), r[2]], 3, "doesn't follow the receipt before it",
    ),
    "another first one": (lambda r: [replace(r[0], previous_hash="x").hashed(), *r[1:]], 1, "doesn't follow"),
    "a removed one": (lambda r: [r[0], r[2]], 0, "names receipt r2, which isn't there"),
    "a removed one that changed no row": (
        lambda r: [*r, replace(r[2], sequence=5, receipt_id="r5")],
        4,
        "receipt 4 of the slate isn't there: this is number 5",
    ),
    "another count of rows": (
        lambda r: chained([*r[:2], replace(r[2], rows=3)]), 3, "2 rows were in force after it by the table, 3 by",
    ),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITED_RECEIPTS)
def test_an_edited_receipt_is_named(edit):
    change, sequence, reason = EDITED_RECEIPTS[edit]
    link = verified(ledger(), change(list(receipts()))).broken
    assert link is not None
    assert (link.sequence, reason in link.reason) == (sequence, True), link


def marked(found: Receipts, *sequences: int) -> Receipts:
    """Return the receipts, some marked as pruned."""
    return [replace(each, pruned_at=NOW) if each.sequence in sequences else each for each in found]


@pytest.mark.parametrize(
    ("pruned", "gone", "broken_at"),
    [
        ((1,), (MOVED,), None),
        ((1, 2), (MOVED, BACK), None),
        ((1, 2), (), None),  # marked, and its rows are still there
        ((2,), (MOVED,), 1),
        ((1, 2, 3), (OTHER,), 3),  # what the newest one put into force is never pruned
    ],
)
def test_closed_rows_of_a_pruned_receipt_may_be_gone_and_no_others(pruned, gone, broken_at):
    rows = [row for place, row in enumerate(ledger()) if place not in gone]
    report = verified(rows, marked(receipts(), *pruned))
    assert (report.broken and report.broken.sequence, report.pruned) == (broken_at, len(pruned))


def test_a_row_more_than_a_pruned_receipt_counts_is_not_excused():
    again = {**ledger()[FIRST], "receipt_id": "r1"}
    link = verified([*ledger(), again], marked(receipts(), 1)).broken
    assert link is not None
    assert (link.sequence, "4 rows were in force" in link.reason) == (1, True)
