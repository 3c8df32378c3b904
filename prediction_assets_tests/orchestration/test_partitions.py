"""Ranges of slate players: what a staging run covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.orchestration.partitions import keys_of_players, one_slate, ranges


@pytest.mark.parametrize(
    ("registered", "wanted", "size", "expected"),
    [
        ("abcdef", "bcd", 99, [("b", "d", "")]),
        ("abcdef", "abcdef", 4, [("a", "d", ""), ("e", "f", "")]),
        ("abcdef", "abef", 99, [("a", "f", "abef")]),
        ("abcdef", "abef", 2, [("a", "b", ""), ("e", "f", "")]),
        ("abcdef", "c", 1, [("c", "c", "")]),
        ("abcdef", "", 1, []),
    ],
)
def test_ranges_are_the_fewest_that_fit(registered, wanted, size, expected):
    found = ranges(list(registered), list(wanted), size)
    assert [(each.first, each.last, "".join(each.players)) for each in found] == expected


def test_a_late_player_s_range_names_its_players_because_it_covers_the_next_slate():
    registered = ["2026-01-02:a", "2026-01-02:b", "2026-01-03:a", "2026-01-03:b", "2026-01-02:late"]
    wanted = [key for key in registered if key.startswith("2026-01-02")]
    (found,) = ranges(registered, wanted, 99)
    assert (found.first, found.last) == ("2026-01-02:a", "2026-01-02:late")
    assert one_slate(keys_of_players(registered, found.players)) == ("2026-01-02", ["a", "b", "late"])


def test_a_slate_of_450_without_60_of_them_and_with_3_new_players_is_one_run():
    first = [f"2026-01-02:p{number:03}" for number in range(450)]
    dropped = {*first[::7][:60]}
    registered = [*first, "2026-01-03:p000", *(f"2026-01-02:new-{number}" for number in range(3))]
    wanted = [key for key in registered if key.startswith("2026-01-02") and key not in dropped]
    (found,) = ranges(registered, wanted, 5000)
    assert one_slate(keys_of_players(registered, found.players))[1] == [key[11:] for key in wanted]
    assert len(wanted) == 450 - 60 + 3


def test_players_are_told_by_slug_or_key_and_one_who_is_not_in_the_range_is_named():
    keys = ["2026-01-02:a", "2026-01-02:b", "2026-01-03:a"]
    assert keys_of_players(keys, []) == keys
    assert keys_of_players(keys, ["b", "2026-01-03:a"]) == ["2026-01-02:b", "2026-01-03:a"]
    with pytest.raises(BadInput, match="'a' is several times"):
        keys_of_players(keys, ["a"])
    with pytest.raises(BadInput, match="'c' is not"):
        keys_of_players(keys, ["c"])


@given(
    registered=st.lists(st.integers(0, 99).map(str), unique=True, max_size=40),
    chosen=st.sets(st.integers(0, 39)),
    size=st.integers(1, 7),
)
def test_ranges_cover_exactly_the_wanted_keys(registered, chosen, size):
    wanted = {key for position, key in enumerate(registered) if position in chosen}
    covered: list[str] = []
    for each in ranges(registered, wanted, size):
        keys = registered[registered.index(each.first) : registered.index(each.last) + 1]
        staged = each.players or keys
        assert {*staged} <= {*keys}
        assert 1 <= len(staged) <= size
        covered += staged
    assert sorted(covered) == sorted(wanted)
    assert len(ranges(registered, wanted, size)) == -(-len(wanted) // size)


def test_an_unregistered_key_is_named():
    with pytest.raises(BadInput, match="2026-01-02:nobody"):
        ranges(["2026-01-02:a"], ["2026-01-02:nobody"], 10)


def test_a_run_over_two_slates_is_refused():
    assert one_slate(["2026-01-02:a", "2026-01-02:b"]) == ("2026-01-02", ["a", "b"])
    with pytest.raises(BadInput, match="2 slates"):
        one_slate(["2026-01-02:a", "2026-01-03:b"])
