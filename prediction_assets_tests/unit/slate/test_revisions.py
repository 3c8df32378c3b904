"""Revisions only grow, also past a store that was lost or restored older."""

from __future__ import annotations

import dataclasses

import pytest

from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.receipt import MergeCounts
from prediction_assets.slate.revisions import SeenRevision, revision_floor, revision_id
from prediction_assets_tests.made_up import NOW, SLATE, receipt
from prediction_assets_tests.unit.slate.test_merge_plan import ALL

X, Y, Z = "x" * 64, "y" * 64, "z" * 64


def seen(revision: int, content: str) -> SeenRevision:
    return SeenRevision(revision, revision_id(SLATE, revision, content))


@pytest.mark.parametrize(
    ("was_seen", "floor"),
    [
        ([], 0),
        ([seen(3, Y)], 3),
        ([seen(3, X)], 2),  # its own number: the same content keeps it
        ([seen(1, X), seen(3, Y)], 3),
        ([seen(1, Y), seen(3, X), seen(2, Z)], 2),
        ([seen(3, X), seen(3, Y)], 3),  # one number, two contents: neither keeps it
        ([seen(3, X), seen(3, X)], 2),
    ],
)
def test_new_content_exceeds_every_number_that_was_seen(was_seen: list[SeenRevision], floor: int) -> None:
    assert revision_floor(SLATE, X, was_seen) == floor


OWN = plan(ALL, ()).content_digest
"""The content of the outcomes that are merged below."""


@pytest.mark.parametrize(
    ("in_warehouse", "was_seen", "revision"),
    [
        # in the warehouse: revision and content of each receipt
        ([], [], 1),
        ([], [(3, Y)], 4),  # the warehouse was lost
        ([], [(3, OWN)], 3),  # lost, and the same content again
        ([(1, Y)], [(1, Y)], 2),
        ([(1, Y)], [(3, Z)], 4),  # restored from before revision 2
        ([(1, Y)], [(1, Y), (2, Z), (3, OWN)], 3),
        ([(1, OWN)], [(1, OWN)], 1),
        (
            [(1, OWN)],
            [(1, OWN), (2, Y)],
            3,
        ),  # consumers hold revision 2, so what is in force needs a number above it
        ([(3, Y)], [], 4),  # outbox and batch state were lost
        ([(3, Y)], [(1, Z)], 4),  # or restored
        ([(3, OWN)], [(1, Z)], 3),
        ([(3, OWN)], [(3, Y)], 4),  # consumers hold another content of this number
    ],
)
def test_a_merge_gets_a_number_that_no_consumer_holds_for_other_content(
    in_warehouse: list[tuple[int, str]], was_seen: list[tuple[int, str]], revision: int
) -> None:
    receipts = [
        receipt(f"r{n}", n, parts=0, revision=number, content_digest=content)
        for n, (number, content) in enumerate(in_warehouse)
    ]
    work = plan(ALL, receipts, seen=[seen(*each) for each in was_seen])
    made = work.receipt(MergeCounts(75, 75, 0, 0, 0, 75, ""), receipts, merge_ms=1.0, now=NOW)
    assert made.revision == revision


def test_a_newest_receipt_with_a_number_that_is_too_low_is_not_taken_for_the_work_done() -> None:
    first = plan(ALL, ()).receipt(MergeCounts(75, 75, 0, 0, 0, 75, ""), (), merge_ms=1.0, now=NOW)
    again = dataclasses.replace(ALL, receipt=first)
    assert plan(again, [first]).receipt_id == first.receipt_id
    work = plan(again, [first], seen=[seen(1, OWN), seen(2, Y)])
    assert (work.receipt_id == first.receipt_id, work.parts, work.revision_floor) == (False, (), 2)
