"""Whom a book means, and when nobody can tell."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_assets.errors import BadInput
from prediction_assets.ingest import names
from prediction_assets.ingest.names import (
    NICKNAMES,
    PlayerDirectory,
    Resolved,
    Unresolved,
    name_key,
    read_aliases,
)
from prediction_assets_tests.contract.ingest.conftest import directory_of

Write = Callable[..., Path]

THEN = date(2025, 1, 2)
LONG_AGO = date(2019, 4, 1)

PLAYERS = [
    (1, "Zoran Brežina", "DEN", THEN),
    (2, "T.J. O'Quill Jr.", "LAL", THEN),
    (3, "Karl-Olu Marchetti", "BOS", THEN),
    (4, "Ilya Ødegård II", "MIA", THEN),
    (5, "Sam Stone", "DEN", THEN),
    (6, "Sam Stone", "LAL", THEN),
    (7, "Max Ford Sr.", "NYK", LONG_AGO),
    (8, "Max Ford Jr.", "NYK", THEN),
    (9, "Ray Vance", "UTA", LONG_AGO),
    (10, "Ray Vance II", "DAL", THEN),
    (11, "Deon Ash", "LAL", LONG_AGO),
    (12, "Deon Ash", "CHI", THEN),
    (13, "Bub Carrington", "WAS", THEN),
]


@pytest.fixture(scope="module")
def directory() -> PlayerDirectory:
    return PlayerDirectory.from_rows(PLAYERS)


@pytest.mark.parametrize(
    ("name", "player_id"),
    [
        ("Zoran Brežina", 1),
        ("zoran brezina", 1),
        ("ZORAN BREZ\u030cINA", 1),  # decomposed
        ("Zoran Brezina Jr", 1),  # the logs lack his suffix
        ("TJ OQuill Jr", 2),
        ("T. J. O’Quill Jr.", 2),
        ("T.J. O'Quill", 2),  # the book lacks it
        ("T.J. O'Quill, Jr.", 2),
        ("Karl Olu Marchetti", 3),
        ("KarlOlu Marchetti", 3),
        ("Ilya Odegard", 4),
        ("Ilya Ødegård II", 4),
        ("Max Ford Sr", 7),
        ("Max Ford Jr", 8),
        ("Ray Vance", 9),
        ("Carlton Carrington", 13),
    ],
)
def test_a_name_resolves(name: str, player_id: int, directory: PlayerDirectory) -> None:
    assert directory.resolve(name) == Resolved(player_id)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Nobody Atall", "unknown: no game log has this name"),
        ("Zoran Brezinna", "unknown: no game log has this name, the nearest is 'Zoran Brežina'"),
        ("T.J. O'Quill Sr.", 'unknown: no game log has this name, the nearest is "T.J. O\'Quill Jr."'),
        ("Sam Stone", "ambiguous: may be player 5 (DEN), 6 (LAL)"),
        ("Max Ford", "ambiguous: may be player 7 (NYK), 8 (NYK)"),
        ("???", "unknown: '???' has no letters to compare"),
    ],
)
def test_a_name_that_means_no_one_player_says_why(name: str, reason: str, directory: PlayerDirectory) -> None:
    assert directory.resolve(name) == Unresolved(reason)


@pytest.mark.parametrize(
    ("name", "teams", "player_id"),
    [
        ("Sam Stone", {"LAL", "MIA"}, 6),
        ("Sam Stone", {"LAL", "DEN"}, None),
        ("Sam Stone", {"NYK", "MIA"}, None),
        ("Zoran Brezina", {"NYK", "MIA"}, 1),  # traded today: no other player has his name
        ("Max Ford", {"NYK", "MIA"}, 8),  # Sr. hasn't played for years
        ("Ray Vance", {"DAL", "MIA"}, 10),  # nor has the namesake without a suffix
        ("Deon Ash", {"LAL", "MIA"}, 12),  # who left LAL years ago isn't meant
    ],
)
def test_namesakes_are_told_apart_by_team_and_by_who_still_plays(
    name: str, teams: set[str], player_id: int | None, directory: PlayerDirectory
) -> None:
    answer = directory.resolve(name, frozenset(teams), THEN)
    assert (answer.player_id if isinstance(answer, Resolved) else None) == player_id


def test_namesakes_are_told_apart_by_the_team_of_that_day() -> None:
    directory = PlayerDirectory.from_rows(
        [
            (1, "Sam Stone", "DAL", date(2025, 1, 30)),
            (1, "Sam Stone", "LAL", date(2025, 4, 10)),
            (2, "Sam Stone", "LAL", date(2025, 1, 30)),
            (2, "Sam Stone", "DAL", date(2025, 4, 10)),
        ]
    )
    before, after = date(2025, 1, 15), date(2025, 3, 1)
    dallas = frozenset({"DAL", "MIA"})
    assert directory.resolve("Sam Stone", dallas, before) == Resolved(1)
    assert directory.resolve("Sam Stone", dallas, after) == Resolved(2)


def test_a_users_alias_wins_over_the_logs(directory: PlayerDirectory) -> None:
    aliased = PlayerDirectory.from_rows(PLAYERS, {"Sam Stone": 6, "Big Z": 1, "New Rookie": 99})
    assert aliased.resolve("sam stone") == Resolved(6)
    assert aliased.resolve("Big Z.") == Resolved(1)
    assert aliased.resolve("New Rookie") == Resolved(99)
    assert isinstance(directory.resolve("Big Z"), Unresolved)


def test_a_directory_may_come_from_tuples_or_dicts() -> None:
    fields = ("player_id", "player_name", "team", "last_game_date")
    dicts = [dict(zip(fields, row, strict=True)) for row in PLAYERS]
    directory = PlayerDirectory.from_rows(dicts)
    assert len(directory) == len(PLAYERS)
    assert directory.resolve("Zoran Brezina") == Resolved(1)


def test_a_directory_knows_every_spelling_in_the_game_logs() -> None:
    rows = [
        {"player_id": 1, "player_name": "Danilo Exumé", "team": "DAL", "game_date": date(2024, 1, 2)},
        {"player_id": 1, "player_name": "Dan Exumé", "team": "DAL", "game_date": date(2025, 1, 2)},
    ]
    directory = directory_of(pa.Table.from_pylist(rows))
    assert directory.resolve("Danilo Exume") == directory.resolve("Dan Exumé") == Resolved(1)


def test_nicknames_work_either_way_round() -> None:
    for one, other in NICKNAMES:
        assert PlayerDirectory.from_rows([(1, one, "DEN", THEN)]).resolve(other) == Resolved(1)
        assert PlayerDirectory.from_rows([(1, other, "DEN", THEN)]).resolve(one) == Resolved(1)


LETTERS = st.text("abcdefghijklmnopqrstuwxyzáčđêñøšüABCDEŽ", min_size=2, max_size=9)
SPELLINGS = [
    str.upper,
    lambda name: name.replace("-", " "),
    lambda name: name.replace(" ", "  "),
    lambda name: f"{name[0]}.{name[1:]}",
    lambda name: name + " Jr.",
    lambda name: name + " III",
]


@given(st.tuples(LETTERS, LETTERS, LETTERS), st.sampled_from(SPELLINGS), st.permutations(range(3)))
def test_a_lone_bearer_is_found_however_he_is_spelled(
    parts: tuple[str, str, str], respell: Callable[[str], str], order: list[int]
) -> None:
    name = f"{parts[0]} {parts[1]}-{parts[2]}"
    rows = [(1, name, "DEN", THEN), (2, "Wholly Different", "DEN", THEN), (1, name, "LAL", LONG_AGO)]
    directory = PlayerDirectory.from_rows([rows[i] for i in order])
    assert directory.resolve(respell(name)) == Resolved(1)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(PLAYERS), max_size=8), st.text(max_size=20))
def test_no_text_makes_resolving_fail_or_invent_a_player(rows: list, name: str) -> None:
    answer = PlayerDirectory.from_rows(rows).resolve(name, frozenset({"DEN", "LAL"}), THEN)
    if isinstance(answer, Resolved):
        assert answer.player_id in {row[0] for row in rows}
    else:
        assert answer.reason.startswith(("unknown: ", "ambiguous: "))


@given(st.text(max_size=30))
def test_a_key_of_a_key_is_itself(name: str) -> None:
    key = name_key(name)
    assert name_key(key.base) == (key.base, "")


def test_aliases_are_read_from_csv(write_csv: Write) -> None:
    path = write_csv([{"Name": "Big Z", "player_id": 1}, {"Name": "big z.", "player_id": "1.0"}])
    assert read_aliases(path) == {"Big Z": 1, "big z.": 1}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"name": "Big Z", "player": 1}], r"missing column player_id \(is it 'player'\?\)"),
        ([{"name": "Big Z", "player_id": "Z"}], "row 2, column player_id: 'Z' is not a whole number"),
        ([{"name": "??", "player_id": 1}], "row 2, column name: '\\?\\?' has no letters"),
        (
            [{"name": "Big Z", "player_id": 1}, {"name": "BIG Z", "player_id": 2}],
            "row 3, column player_id: 'BIG Z' is player 2 here and 1 in row 2",
        ),
    ],
)
def test_a_bad_alias_is_named(rows: list[dict], problem: str, write_csv: Write) -> None:
    with pytest.raises(BadInput, match=problem):
        read_aliases(write_csv(rows))


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(names) == (0, 4)
