"""Ranges of slate players: what a staging run covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.orchestration.partitions import one_slate, ranges


@pytest.mark.parametrize(
    ("registered", "wanted", "size", "expected"),
    [
        ("abcdef", "bcd", 99, [("b", "d")]),
        ("abcdef", "abcdef", 4, [("a", "d"), ("e", "f")]),
        ("abcdef", "abef", 99, [("a", "b"), ("e", "f")]),
        ("abcdef", "c", 1, [("c", "c")]),
        ("abcdef", "", 1, []),
    ],
)
def test_ranges_are_the_fewest_that_fit(registered, wanted, size, expected):
    assert ranges(list(registered), list(wanted), size) == expected


def test_a_late_player_s_range_does_not_swallow_the_next_slate():
    registered = ["2026-01-02:a", "2026-01-02:b", "2026-01-03:a", "2026-01-03:b", "2026-01-02:late"]
    wanted = [key for key in registered if key.startswith("2026-01-02")]
    assert ranges(registered, wanted, 99) == [
        ("2026-01-02:a", "2026-01-02:b"),
        ("2026-01-02:late", "2026-01-02:late"),
    ]


@given(
    registered=st.lists(st.integers(0, 99).map(str), unique=True, max_size=40),
    chosen=st.sets(st.integers(0, 39)),
    size=st.integers(1, 7),
)
def test_ranges_cover_exactly_the_wanted_keys(registered, chosen, size):
    wanted = {key for position, key in enumerate(registered) if position in chosen}
    covered: list[str] = []
    for first, last in ranges(registered, wanted, size):
        keys = registered[registered.index(first) : registered.index(last) + 1]
        assert 1 <= len(keys) <= size
        covered += keys
    assert sorted(covered) == sorted(wanted)


def test_an_unregistered_key_is_named():
    with pytest.raises(BadInput, match="2026-01-02:nobody"):
        ranges(["2026-01-02:a"], ["2026-01-02:nobody"], 10)


def test_a_run_over_two_slates_is_refused():
    assert one_slate(["2026-01-02:a", "2026-01-02:b"]) == ("2026-01-02", ["a", "b"])
    with pytest.raises(BadInput, match="2 slates"):
        one_slate(["2026-01-02:a", "2026-01-03:b"])
