"""200 flipped bits in each kind of file."""

from __future__ import annotations

import pytest

from prediction_assets_tests.homes import ready_home, staged, staged_home
from prediction_assets_tests.orchestration.test_damaged_files import (
    parts_read_or_refused,
    snapshots_read_or_refused,
    state_read_or_refused,
    warehouse_read_or_refused,
)

__all__ = ["ready_home", "staged", "staged_home"]  # fixtures

FLIPS = 200


@pytest.mark.parametrize("read", [parts_read_or_refused, snapshots_read_or_refused])
def test_none_of_200_flipped_bits_changes_what_is_made_of_a_staged_slate(staged, read):
    assert read(staged._settings.home, FLIPS).total() == FLIPS


@pytest.mark.parametrize("read", [state_read_or_refused, warehouse_read_or_refused])
def test_none_of_200_flipped_bits_changes_what_is_read_of_a_finished_slate(finished, read):
    assert read(finished._settings.home, FLIPS).total() == FLIPS
