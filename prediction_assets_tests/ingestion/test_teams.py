"""How feeds write teams."""

from __future__ import annotations

import pytest

from prediction_assets.ingest.teams import FEED_VARIANTS, NBA_TEAM_NAMES, NBA_TEAMS, TeamNames


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, code) for code, name in NBA_TEAMS.items()),
        *FEED_VARIANTS.items(),
        ("los angeles clippers", "LAC"),
        ("LAC", "LAC"),
        ("Seattle SuperSonics", None),
        ("Los Angeles", None),
        ("", None),
    ],
)
def test_a_team_has_one_abbreviation(name: str, code: str | None) -> None:
    assert NBA_TEAM_NAMES.abbreviation(name) == code


def test_there_are_thirty_teams() -> None:
    assert len(NBA_TEAMS) == len(set(NBA_TEAMS.values())) == 30


@pytest.mark.parametrize(("name", "closest"), [("Bostn Celtic", "Boston Celtics"), ("Quidditch", None)])
def test_an_unknown_team_may_resemble_one(name: str, closest: str | None) -> None:
    assert NBA_TEAM_NAMES.closest(name) == closest


def test_another_league_has_its_own_teams() -> None:
    league = TeamNames({"ZAG": "Zagreb Comets"})
    assert league.abbreviation("Zagreb Comets") == "ZAG"
    assert league.abbreviation("Boston Celtics") is None
