"""The receipt: read back as it was written, or refused."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from prediction_assets.errors import ReceiptAltered
from prediction_assets.slate.receipt import LISTS, Receipt, merged_part_ids, unaltered
from prediction_assets_tests.made_up import receipt


def test_a_receipt_is_read_back_from_its_row():
    assert Receipt.from_row(receipt().to_row()) == receipt()


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"staged_players": 3}, "isn't what its hash was made for"),
        ({"receipt_hash": ""}, "isn't what its hash was made for"),
        ({"parts": "[]"}, "isn't what its hash was made for"),
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


OTHERS: dict[type, Any] = {int: 99, float: 99.0, str: "other", type(None): 7, tuple: ({"name": "else"},)}


@pytest.mark.parametrize("name", [f.name for f in fields(Receipt) if f.name != "pruned_at"])
def test_every_value_is_in_the_hash(name):
    made = receipt()
    was = getattr(made, name)
    other = was + timedelta(microseconds=1) if isinstance(was, datetime) else OTHERS[type(was)]
    assert replace(made, **{name: other}).is_altered


def test_a_receipt_whose_lists_were_pruned_is_as_it_was_and_one_that_was_emptied_by_hand_is_not():
    emptied = replace(receipt(), parts=(), missing=())
    assert emptied.is_altered
    assert not replace(emptied, pruned_at=receipt().consolidated_at).is_altered
    assert replace(emptied, pruned_at=receipt().consolidated_at, lists_digest="0" * 64).is_altered


def test_an_edited_copy_is_ignored_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert unaltered(receipt(), "state.sqlite") == receipt()
        assert not caplog.records
        assert unaltered(replace(receipt(), status="success"), "state.sqlite") is None
    assert "the copy of receipt r1 in state.sqlite was edited by hand" in caplog.text


def test_merged_are_the_parts_that_any_receipt_names():
    assert merged_part_ids([]) == frozenset()
    assert merged_part_ids([receipt(parts=1), receipt(parts=2)]) == {f"{0:032}", f"{1:032}"}


def test_the_order_in_which_a_store_returns_the_fields_of_its_lists_changes_no_hash() -> None:
    verdicts = ({"name": "values_in_range", "passed": True, "severity": "ERROR", "detail": ""},)
    accepted = ({"name": "values_in_range", "because": "an exhibition game"},)
    made = receipt(audits=verdicts, accepted=accepted)

    def turned(items: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        return tuple(dict(reversed(each.items())) for each in items)

    again = replace(made, **{name: turned(getattr(made, name)) for name in LISTS})
    assert again.computed_hash() == made.receipt_hash
    assert not again.is_altered
