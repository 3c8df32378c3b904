"""How slates, slate players and slugs are spelled."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.slate.keys import (
    is_simulated,
    is_slate,
    parse_slate,
    player_key,
    player_slugs,
    slate_key,
    slugify,
    split_player_key,
)

# All letters of the plane that names are written in, sampled: st.text would tabulate all of Unicode first.
NAMES = st.text("".join(map(chr, [*range(0x3100), *range(0xFB00, 0x10000)])), max_size=30)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Stephen Curry", "stephen-curry"),
        ("C.J. McCollum", "cj-mccollum"),
        ("P.J. Washington", "pj-washington"),
        ("De'Aaron Fox", "deaaron-fox"),
        ("De’Aaron Fox", "deaaron-fox"),
        ("Luka Dončić", "luka-doncic"),
        ("Nikola Đurišić", "nikola-durisic"),
        ("Gary Trent Jr.", "gary-trent-jr"),
        ("Karl-Anthony Towns", "karl-anthony-towns"),
        ("  Nenê  ", "nene"),
        ("姚明", ""),
    ],
)
def test_a_name_is_slugged(name, slug):
    assert slugify(name) == slug


def test_the_unicode_form_of_a_name_does_not_matter():
    composed = unicodedata.normalize("NFC", "Dante Exúm Dončić")
    assert slugify(composed) == slugify(unicodedata.normalize("NFD", composed)) == "dante-exum-doncic"


@given(NAMES)
def test_a_slug_has_its_shape_whatever_the_name(name):
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", slugify(name))


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.integers(1, 10**12), NAMES | st.sampled_from(["A", "a", "A 1", "Å", "a-2"]), max_size=12
    )
)
def test_slugs_are_unique_per_player_valid_and_independent_of_order(names):
    slugs = player_slugs(names)
    assert len(set(slugs.values())) == len(names)
    assert slugs == player_slugs(dict(reversed(names.items())))
    for slug in slugs.values():
        assert split_player_key(player_key("2026-01-02", slug)) == ("2026-01-02", slug)


def test_namesakes_get_their_id_appended_both_of_them():
    slugs = player_slugs({7: "Jalen Williams", 8: "Jalen Williams", 9: "Jaylin Williams"})
    assert slugs == {7: "jalen-williams-7", 8: "jalen-williams-8", 9: "jaylin-williams"}


def test_a_name_that_spells_a_namesake_s_slug_with_its_id_gets_a_slug_of_its_own():
    slugs = player_slugs({1: "A", 2: "A", 3: "A 1"})
    assert slugs == {1: "a-1-1", 2: "a-2", 3: "a-1-3"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-1-2",
        "2026-02-30",
        "20260102",
        "2026-01-02T00:00",
        "tonight",
        "２０２６-01-02",
        "2026-01-02\n",
    ],
)
def test_what_is_not_a_date_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="YYYY-MM-DD"):
        parse_slate(text)


@given(st.dates())
def test_every_date_survives_its_key(day):
    assert parse_slate(slate_key(day)) == day


@pytest.mark.parametrize(
    "key",
    ["2026-01-02", "2026-01-02:", ":curry", "2026-01-02:Curry", "2026-01-02:a/../b", "2026-01-02:a:b", "x:y"],
)
def test_what_is_not_a_slate_player_is_refused(key):
    with pytest.raises(BadInput):
        split_player_key(key)


@pytest.mark.parametrize(
    ("text", "found"), [("2026-01-02", True), ("2026-02-30", False), ("2026-01-02:a", False), ("", False)]
)
def test_a_slate_s_key_is_told_from_other_keys(text, found):
    assert is_slate(text) is found


@pytest.mark.parametrize(("league", "simulated"), [("simulated-40", True), ("NBA", False), ("", False)])
def test_a_league_says_whether_it_is_simulated(league, simulated):
    assert is_simulated(league) is simulated
