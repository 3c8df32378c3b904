"""The receipt: read back as it was written, or refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.receipt import Receipt, merged_part_ids, unaltered
from prediction_assets_tests.made_up import receipt


def test_a_receipt_is_read_back_from_its_row():
    assert Receipt.from_row(receipt().to_row()) == receipt()


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"staged_players": 3}, "isn't what its seal was made for"),
        ({"seal": ""}, "isn't what its seal was made for"),
        ({"parts": "[]"}, "isn't what its seal was made for"),
        ({"parts": "[{"}, "can't be read"),
        ({"missing": None}, "can't be read"),
        ({"a_column_of_somebody_s": 1}, "can't be read"),
    ],
)
def test_a_row_that_was_edited_by_hand_is_refused_and_nothing_is_done_on_its_strength(
    cells: dict[str, Any], problem: str
):
    with pytest.raises(ReceiptAltered, match=problem) as refused:
        Receipt.from_row({**receipt().to_row(), **cells})
    assert "slate 2026-01-02: receipt r1 in predictions.consolidation_receipts" in str(refused.value)
    assert "Nothing of the slate is merged, dropped or announced" in str(refused.value)


def test_a_count_that_the_merge_found_is_not_sealed():
    assert not replace(receipt(), rows_inserted=0, merge_ms=1.0).is_altered


def test_an_edited_copy_is_ignored_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert unaltered(receipt(), "state.sqlite") == receipt()
        assert not caplog.records
        assert unaltered(replace(receipt(), status="success"), "state.sqlite") is None
    assert "the copy of receipt r1 in state.sqlite was edited by hand" in caplog.text


def test_merged_are_the_parts_that_any_receipt_names():
    assert merged_part_ids([]) == frozenset()
    assert merged_part_ids([receipt(parts=1), receipt(parts=2)]) == {f"{0:032}", f"{1:032}"}
