"""Which store is behind, in every combination of stores that are current, older or lost."""

from __future__ import annotations

import itertools

import pytest

from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.receipt import Receipt
from prediction_assets.slate.reconcile import Behind, SlateCopies, behind
from prediction_assets_tests.made_up import NOW, SLATE, receipt

FIRST, SECOND = (receipt(f"r{n}", n, revision=n, content_digest=f"{n}" * 64) for n in (1, 2))

EXPECTED = """
    cccc -   ccco D   cccl D    ccoc O   ccoo O   ccol O    cclc O   cclo O   ccll O
    cocc B   coco BD  cocl BD   cooc BO  cooo BO  cool BO   colc BO  colo BO  coll BO
    clcc B   clco BD  clcl BD   cloc BO  cloo BO  clol BO   cllc BO  cllo BO  clll BO
    occc W   occo W   occl W    ococ W   ocoo W   ocol W    oclc W   oclo W   ocll W
    oocc W   ooco W   oocl W    oooc W   oooo -   oool D    oolc W   oolo O   ooll O
    olcc W   olco W   olcl W    oloc W   oloo B   olol BD   ollc W   ollo BO  olll BO
    lccc W   lcco W   lccl W    lcoc W   lcoo W   lcol W    lclc W   lclo W   lcll W
    locc W   loco W   locl W    looc W   looo W   lool W    lolc W   lolo W   loll W
    llcc W   llco W   llcl W    lloc W   lloo W   llol W    lllc W   lllo W   llll -
"""
"""Warehouse, batch state, outbox and destination, each current, older or lost (c, o, l): then which of them is behind.
A warehouse that is behind comes before everything else. A lost outbox announces, so nothing is delivered beside it."""

NAMES = {
    "W": Behind.WAREHOUSE,
    "B": Behind.BATCH_STATE,
    "O": Behind.OUTBOX,
    "D": Behind.DELIVERY,
}
TABLE = dict(zip(EXPECTED.split()[::2], EXPECTED.split()[1::2], strict=True))


def delivered(made: Receipt, **changes: object) -> OutboxEntry:
    values = {"delivery_id": "d", "delivered_at": NOW, **changes}
    message = {"rows": made.rows}
    return OutboxEntry(message_id(made), SLATE, made.receipt_id, made.revision, message, **values)  # type: ignore[arg-type]


def copies(warehouse: str, batch_state: str, outbox: str, destination: str) -> SlateCopies:
    newest = {"c": SECOND, "o": FIRST, "l": None}
    has = {"c": [FIRST, SECOND], "o": [FIRST], "l": []}
    return SlateCopies(
        newest[warehouse],
        newest[batch_state],
        [delivered(made) for made in has[outbox]],
        {message_id(made): made.revision for made in has[destination]},
    )


def test_the_table_has_every_combination() -> None:
    assert set(TABLE) == {"".join(states) for states in itertools.product("col", repeat=4)}


@pytest.mark.parametrize("states", sorted(TABLE))
def test_a_store_is_behind(states: str) -> None:
    wanted = [] if TABLE[states] == "-" else [NAMES[letter] for letter in TABLE[states]]
    assert list(behind(copies(*states))) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"delivery_id": None, "delivered_at": None}, [Behind.OUTBOX]),
        ({"delivery_id": None, "delivered_at": None, "replaced_by": "x"}, [Behind.OUTBOX]),
    ],
)
def test_a_message_that_waits_is_not_delivered(changes: dict[str, object], wanted: list[Behind]) -> None:
    waiting = [delivered(FIRST, **changes)]
    assert list(behind(SlateCopies(FIRST, FIRST, waiting, {}))) == wanted


def test_a_destination_that_nobody_can_look_into_is_never_behind() -> None:
    assert behind(SlateCopies(FIRST, FIRST, [delivered(FIRST)], None)) == ()


def test_a_consumed_older_message_may_be_gone() -> None:
    assert (
        behind(SlateCopies(SECOND, SECOND, [delivered(FIRST), delivered(SECOND)], {message_id(SECOND): 2}))
        == ()
    )


def test_a_number_that_means_other_content_elsewhere_puts_the_warehouse_behind() -> None:
    other = receipt("r9", 9, revision=2, content_digest="9" * 64)
    assert behind(SlateCopies(other, other, [delivered(SECOND)], {})) == (Behind.WAREHOUSE,)


def test_an_empty_warehouse_is_right_about_a_slate_that_was_retracted() -> None:
    retracted = receipt(revision=2, rows=0, staged_players=0, failed_players=0, skipped_players=3)
    assert behind(SlateCopies(None, retracted, [], {})) == ()
    assert behind(SlateCopies(None, None, [delivered(FIRST), delivered(retracted)], {})) == ()
    assert behind(SlateCopies(None, FIRST, [delivered(retracted)], {})) == ()
    assert behind(SlateCopies(FIRST, retracted, [], {})) == (Behind.WAREHOUSE,)
