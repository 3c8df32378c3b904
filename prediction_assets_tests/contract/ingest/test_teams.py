"""How feeds write teams."""

from __future__ import annotations

import re

import pytest

from prediction_assets.ingest.teams import FEED_VARIANTS, NBA_TEAMS, abbreviation


def test_a_team_has_one_abbreviation_however_a_feed_writes_it() -> None:
    written = {name: code for code, name in NBA_TEAMS.items()} | FEED_VARIANTS
    written |= {"los angeles clippers": "LAC", "LAC": "LAC"}
    assert {name: abbreviation(name) for name in written} == written


def test_there_are_thirty_teams() -> None:
    assert len(NBA_TEAMS) == len(set(NBA_TEAMS.values())) == 30


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Bostn Celtic", "unknown team 'Bostn Celtic' (is it 'Boston Celtics'?)"),
        ("Seattle SuperSonics", "unknown team 'Seattle SuperSonics'"),
        ("Los Angeles", "unknown team 'Los Angeles'"),
        ("Quidditch", "unknown team 'Quidditch'"),
        ("", "unknown team ''"),
    ],
)
def test_an_unknown_team_is_refused_with_the_one_that_it_resembles(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        abbreviation(name)
