"""Lines and reports that come again: what a copy covers is replaced, what it omits stays where others contradict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest import quarantine
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.merging import merge_injury_reports, merge_prop_lines
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.ingest.quarantine import State
from prediction_assets_tests.contract.ingest.test_evidence import (
    NOW,
    PLAYERS,
    TONIGHT,
    Home,
    Row,
    box,
    game,
    line,
    report,
)

QUILL = {"Team": "LAL", "Player Name": "Quill Jr., Tadeo"}
EARLIER = {"Reported At": "2024-11-05T12:30:00Z"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def offered(home: Home) -> list[float]:
    sql = "SELECT line FROM facts.prop_lines ORDER BY event_id, bookmaker, captured_at, line"
    return [float(each) for each in home.warehouse.query(sql)["line"].to_pylist()]


def listed(home: Home) -> list[tuple[str, str, str]]:
    sql = "SELECT reported_at, player_name, status FROM facts.injury_reports ORDER BY ALL"
    return [
        (f"{row['reported_at']:%H:%M}", row["player_name"], row["status"])
        for row in home.warehouse.query(sql).to_pylist()
    ]


def rungs(*lines: float, **cells: Any) -> list[Row]:
    return [line(line=each, **cells) for each in lines]


WHOLE = rungs(19.5, 21.5, 23.5)
COPIES: list[tuple[str, list[Row], list[float]]] = [
    ("a part of a ladder", rungs(21.5), [19.5, 21.5, 23.5]),
    ("a part with a corrected price", rungs(21.5, price="-120"), [19.5, 21.5, 23.5]),
    ("another book", rungs(30.5, bookmaker="Other"), [19.5, 21.5, 23.5, 30.5]),
    ("another moment", rungs(30.5, captured_at="2024-11-05T14:30:00Z"), [19.5, 21.5, 23.5, 30.5]),
    ("another player", rungs(30.5, player="Tadeo Quill"), [19.5, 21.5, 23.5, 30.5]),
    ("lines that moved", rungs(20.5, 21.5), [20.5, 21.5]),
    ("a moved line beside one that waits", [*rungs(20.5), *rungs(21.5, price="-200000")], [19.5, 20.5, 21.5, 23.5]),
    ("only a line that waits", rungs(40.5, price="-200000"), [19.5, 21.5, 23.5]),
]  # fmt: skip


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])
@pytest.mark.parametrize(("case", "copy", "left"), COPIES, ids=[each[0] for each in COPIES])
def test_a_copy_of_lines_replaces_only_the_offers_that_it_has(
    home: Home, case: str, copy: list[Row], left: list[float], turn: int
) -> None:
    home.lines(*WHOLE[::turn])
    home.lines(*copy[::turn])
    assert offered(home) == left


def test_lines_without_a_time_are_what_is_offered_now(home: Home) -> None:
    rows = [{name: cell for name, cell in row.items() if name != "captured_at"} for row in WHOLE]
    home.lines(*rows)
    home.lines(rows[1])
    assert offered(home) == [21.5]


@pytest.mark.parametrize("name", ["2024-11-05.csv", "lines.csv"])
def test_an_operator_may_replace_the_lines_that_a_file_omits(home: Home, name: str) -> None:
    for rows, replaces in ((WHOLE, False), (WHOLE[1:], True)):
        read = read_prop_lines(home.file(rows, name), PLAYERS)
        merge_prop_lines(home.warehouse, read, name, NOW, replace_omitted=replaces)
    assert offered(home) == [21.5, 23.5]


DEN, LAL = report(), report(**QUILL)
SECOND = report(**{"Player Name": "Else, Someone", "Current Status": "Doubtful"})
REPORTS: list[tuple[str, list[Row], list[Row], list[str], list[str]]] = [
    ("the other team only", [DEN, LAL], [LAL], ["Tadeo Quill Jr.", "Zoran Brezina"], []),
    ("a correction", [DEN, SECOND], [DEN], ["Zoran Brezina"], []),
    ("another spelling", [DEN], [report(**{"Player Name": "Brežina, Zoran"})], ["Zoran Brežina"], []),
    (
        "a player whom another report lists",
        [report(**EARLIER), DEN, SECOND],
        [SECOND],
        ["Someone Else", "Zoran Brezina"],
        ["Zoran Brezina"],
    ),
    (
        "a team that has not reported",
        [report(**{"Player Name": "", "Current Status": "", "Reason": "NOT YET SUBMITTED"})],
        [DEN],
        ["Zoran Brezina"],
        [],
    ),
    (
        "a row that waits",
        [DEN, SECOND],
        [SECOND, report(Team="LAL"), report()],
        ["Someone Else", "Zoran Brezina"],
        ["player 901", "player 901"],
    ),
]


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])
@pytest.mark.parametrize(("case", "first", "copy", "left", "waiting"), REPORTS, ids=[r[0] for r in REPORTS])
def test_a_copy_of_a_report_replaces_the_teams_that_it_lists(
    home: Home, case: str, first: list[Row], copy: list[Row], left: list[str], waiting: list[str], turn: int
) -> None:
    home.reports(*first[::turn])
    merged = home.reports(*copy[::turn])
    assert [name for moment, name, _ in listed(home) if moment == "14:30"] == left
    assert [entry.subject for entry in merged.quarantined] == waiting[: len(merged.quarantined)]
    assert bool(merged.quarantined) == bool(waiting)


def test_an_omitted_player_waits_and_both_decisions_about_him_hold(home: Home) -> None:
    home.reports(report(**EARLIER), DEN, SECOND)
    (entry,) = home.reports(SECOND).quarantined
    assert (
        "omits him from DEN in the report of 2024-11-05 14:30Z, and the stored report of 2024-11-05 12:30Z"
        in (entry.reason)
    )
    assert entry.reason.endswith("he stays Out")
    quarantine.discard(home.warehouse, [entry])
    assert home.reports(SECOND).quarantined == ()
    assert ("14:30", "Zoran Brezina", "Out") in listed(home)
    quarantine.accept(home.warehouse, quarantine.find(home.warehouse, [entry.quarantine_id]))
    assert ("14:30", "Zoran Brezina", "Out") not in listed(home)


def test_an_operator_may_replace_what_a_report_omits(home: Home) -> None:
    home.reports(report(**EARLIER), DEN, SECOND)
    path = home.file([SECOND])
    merge_injury_reports(
        home.warehouse, read_injury_reports(path, PLAYERS), str(path), NOW, replace_omitted=True
    )
    assert listed(home) == [("12:30", "Zoran Brezina", "Out"), ("14:30", "Someone Else", "Doubtful")]


# Against stored rows of another file ---------------------------------------------------------------

SIDES: list[tuple[str, Row, Row, str]] = [
    ("two games", line(), line(event_id="e2", home_team="BOS", away_team="NYK"), "he plays in"),
    (
        "two games at two moments and books",
        line(),
        line(
            event_id="e2", home_team="BOS", away_team="NYK", bookmaker="B", captured_at="2024-11-05T13:00:00Z"
        ),
        "he plays in",
    ),
    ("an event of other teams", line(), line(player="Nobody Known", home_team="BOS"), "event e1 is"),
]


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])
@pytest.mark.parametrize(("case", "one", "other", "reason"), SIDES, ids=[each[0] for each in SIDES])
def test_a_line_that_contradicts_one_of_another_file_waits_and_the_stored_one_stays(
    home: Home, case: str, one: Row, other: Row, reason: str, turn: int
) -> None:
    first, second = (one, other)[::turn]
    home.lines(first)
    (entry,) = home.lines(second).quarantined
    assert (reason in entry.reason, "in the stored prop lines" in entry.reason) == (True, True)
    assert len(offered(home)) == 1
    together = Home(home.folder)
    assert len(together.lines(first, second).quarantined) == 2
    assert offered(together) == []


def test_a_name_that_had_another_id_in_the_event_waits(home: Home) -> None:
    namesake = PlayerDirectory.from_rows([(977, "Zoran Brežina", "DEN", date(2024, 11, 1))])
    home.lines(line())
    path = home.file([line(captured_at="2024-11-05T14:30:00Z")])
    merged = merge_prop_lines(home.warehouse, read_prop_lines(path, namesake), str(path), NOW)
    (entry,) = merged.quarantined
    assert (
        "Zoran Brezina of event e1 is player 977 here, and player 901 in the stored prop lines"
        in entry.reason
    )


@pytest.mark.parametrize(
    ("scheduled", "waits"),
    [
        ([game(61, TONIGHT, "BOS", "NYK")], True),
        ([game(61, TONIGHT, "BOS", "NYK"), game(62, TONIGHT, "LAL", "DEN")], False),
        ([game(61, "2024-11-06", "BOS", "NYK")], False),
        ([], False),
    ],
    ids=["others only", "this one too, the other way round", "another date", "none"],
)
def test_a_line_of_a_game_that_the_schedule_does_not_know_waits(
    home: Home, scheduled: Sequence[Row], waits: bool
) -> None:
    if scheduled:
        home.schedule(*scheduled)
    merged = home.lines(line())
    assert bool(merged.quarantined) is waits
    if waits:
        assert (
            "it is of DEN and LAL on 2024-11-05 here, and the stored schedule has BOS-NYK on that date"
            in (merged.quarantined[0].reason)
        )


def test_a_scheduled_game_s_line_is_stored_though_one_of_an_unknown_game_came_before(home: Home) -> None:
    home.lines(line(event_id="e2", home_team="BOS", away_team="NYK"))
    home.schedule(game(61, TONIGHT))
    assert home.lines(line()).quarantined == ()


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "in another order"])
def test_a_player_of_two_teams_in_two_files_of_one_report_waits(home: Home, turn: int) -> None:
    first, second = [report(), report(Team="LAL")][::turn]
    home.reports(first)
    (entry,) = home.reports(second).quarantined
    assert entry.reason.startswith(
        f"he is of {second['Team']} here, and of {first['Team']} in the stored injury"
    )
    assert len(listed(home)) == 1


# Decisions ----------------------------------------------------------------------------------------

ELSEWHERE = line(event_id="e2", home_team="BOS", away_team="NYK")
PAIRS: dict[str, tuple[Row, Row]] = {
    "lines": (line(), ELSEWHERE),
    "reports": (report(), report(Team="LAL")),
    "logs": (box(), box(GAME_ID="0022400062", MATCHUP="DEN vs. BOS")),
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", PAIRS)


def counted(home: Home) -> int:
    return sum(
        home.warehouse.query(f"SELECT COUNT(*) AS n FROM facts.{table}")["n"][0].as_py()
        for table in ("game_logs", "prop_lines", "injury_reports")
    )


@KINDS
@pytest.mark.parametrize("chosen", [0, 1])
def test_an_accepted_side_of_a_contradiction_in_one_file_stays_when_the_file_comes_again(
    home: Home, kind: str, chosen: int
) -> None:
    ingest = getattr(home, kind)
    waiting = ingest(*PAIRS[kind]).quarantined
    assert len(waiting) == 2
    quarantine.accept(home.warehouse, [waiting[chosen]])
    quarantine.discard(home.warehouse, [waiting[1 - chosen]])
    for rows in (PAIRS[kind], PAIRS[kind][::-1]):
        merged = ingest(*rows, now=NOW + timedelta(hours=1))
        assert (merged.quarantined, merged.upserted.inserted, merged.discarded) == ((), 0, 1)
    assert (counted(home), home.open_rows()) == (1, [])


@KINDS
def test_a_discarded_row_does_not_return_in_a_file_of_its_own(home: Home, kind: str) -> None:
    ingest = getattr(home, kind)
    quarantine.discard(home.warehouse, ingest(*PAIRS[kind]).quarantined)
    for row in PAIRS[kind]:
        assert ingest(row).quarantined == ()
    assert counted(home) == 0


def test_a_discarded_row_of_the_future_does_not_return_when_its_time_has_come(home: Home) -> None:
    late = line(captured_at="2024-11-05T18:00:00Z")
    quarantine.discard(home.warehouse, home.lines(late).quarantined)
    assert home.lines(late, now=NOW + timedelta(hours=6)).quarantined == ()
    assert offered(home) == []
    assert home.lines(late | {"price": "-115"}, now=NOW + timedelta(hours=6)).upserted.inserted == 1


def test_the_newest_decision_holds_when_an_operator_changes_his_mind(home: Home) -> None:
    first, second = box(), box(PLAYER_NAME="Olu Marchetti", AST=8)
    for row in (first, second):
        home.logs(first)
        quarantine.accept(home.warehouse, home.logs(row).quarantined)
    assert [row[2] for row in home.stored_logs()] == ["Olu Marchetti"]
    merged = home.logs(second)
    assert (merged.quarantined, merged.upserted.updated) == ((), 0)


def test_an_accepted_row_that_contradicts_what_was_stored_since_is_a_new_question(home: Home) -> None:
    home.schedule(game(61, "2024-11-20"))
    moved = game(61, "2024-11-22")
    quarantine.accept(home.warehouse, home.schedule(moved).quarantined)
    assert home.schedule(moved).quarantined == ()
    home.schedule(game(61, "2024-11-25"), replace_omitted=True)
    assert len(home.schedule(moved).quarantined) == 1
    assert home.stored_games()["61"][0] == "2024-11-25"


@pytest.mark.parametrize("cells", [{"SEASON_ID": 22023}, {"GAME_DATE": "2024-10-23"}, {"MIN": 80}])
def test_what_no_other_log_contradicts_is_accepted_once_for_every_morning(home: Home, cells: Row) -> None:
    home.schedule(game(61))
    quarantine.accept(home.warehouse, home.logs(box(**cells)).quarantined)
    merged = home.logs(box(**cells), now=NOW + timedelta(days=1))
    assert (merged.quarantined, merged.upserted.unchanged) == ((), 1)


@KINDS
@pytest.mark.parametrize("turn", [1, -1])
def test_accepting_both_sides_is_refused_and_names_both(home: Home, kind: str, turn: int) -> None:
    waiting = getattr(home, kind)(*PAIRS[kind]).quarantined
    with pytest.raises(BadInput, match="contradict each other, only one can be accepted") as refused:
        quarantine.accept(home.warehouse, waiting[::turn])
    for entry in waiting:
        assert entry.quarantine_id in str(refused.value)
        assert entry.source_row in str(refused.value)
    assert counted(home) == 0
    assert {entry.state for entry in quarantine.read_all(home.warehouse)} == {State.OPEN}


def test_two_contents_of_one_row_from_two_days_are_not_accepted_together(home: Home) -> None:
    for minutes in (3500, 3600):
        home.logs(box(MIN=minutes))
    with pytest.raises(BadInput, match=r"3500 minutes.*3600 minutes|3600 minutes.*3500 minutes"):
        quarantine.accept(home.warehouse, home.open_rows())
    assert home.stored_logs() == []


@KINDS
def test_an_accepted_row_takes_the_place_of_the_stored_one_that_it_contradicts(home: Home, kind: str) -> None:
    ingest = getattr(home, kind)
    first, second = PAIRS[kind]
    ingest(first)
    (entry,) = ingest(second).quarantined
    quarantine.accept(home.warehouse, [entry])
    assert counted(home) == 1
    assert ingest(second).quarantined == ()
    assert [e.kind.value for e in ingest(first).quarantined] == ["contradiction"]


@KINDS
def test_in_one_file_or_two_and_in_any_order_never_are_both_stored(
    home: Home, kind: str, tmp_path: Path
) -> None:
    stored = set()
    for number, rows in enumerate(itertools.permutations(PAIRS[kind])):
        for parts in ([rows], [[rows[0]], [rows[1]]]):
            fresh = Home(tmp_path)
            for part in parts:
                getattr(fresh, kind)(*part)
            stored.add((len(parts), counted(fresh)))
        assert number < 2
    assert stored == {(1, 0), (2, 1)}
