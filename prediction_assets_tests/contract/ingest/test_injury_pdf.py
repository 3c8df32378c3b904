"""The NBA's official injury report as a PDF: its layouts, and documents that were made to do harm."""

from __future__ import annotations

import csv
import gzip
import time
from datetime import UTC, date, datetime

import pytest

from prediction_assets.errors import BadInput
from prediction_assets.ingest import pdf_words
from prediction_assets.ingest.injury_pdf import HEADINGS, read_injury_pdf
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory
from prediction_assets_tests.made_up_pdf import injury_report, instructions, pdf, report_page

PLAYERS = PlayerDirectory.from_rows(
    [(901, "Zoran Brežina", "DEN", date(2025, 12, 30)), (902, "Tadeo Quill Jr.", "LAL", date(2025, 12, 30))]
)
FIRST = [
    ("01/02/2026", "09:00 (ET)", "LAL@DEN", "Denver Nuggets", "Brezina, Zoran", "Out", "Left Knee; Soreness"),
    ("", "", "", "", "Marlow, Ives", "Out", "Injury/Illness - Left Tibia;\nNon displaced\nFracture"),
    ("", "", "", "Los Angeles Lakers", "Quill Jr., Tadeo", "Questionable", "G League - Two-Way"),
]
SECOND = [
    ("", "", "", "", "Stone, Sam", "Available", "Not With Team -\nPersonal Reasons"),
    ("", "10:00 (ET)", "BOS@LAC", "Boston Celtics", "", "", "NOT YET SUBMITTED"),
    ("01/03/2026", "07:00 (ET)", "MIA@NYK", "Miami Heat", "Ash, Ivo", "Probable", ""),
]


NO_ROW = [("01/02/2026", "", "LAL@DEN", "", "", "", "")]


@pytest.mark.parametrize("word_by_word", [False, True], ids=["cells", "words"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_each_layout_gives_every_row_its_own_date_matchup_team_and_time(tmp_path, rotation, word_by_word):
    path = tmp_path / "report.pdf"
    path.write_bytes(injury_report(FIRST, SECOND, rotation=rotation, word_by_word=word_by_word))
    rows = [tuple(row.values()) for row in read_injury_pdf(path).table.to_pylist()]
    late = "2026-01-02T17:30:00-05:00"
    denver = ("01/02/2026", "09:00 (ET)", "LAL@DEN")
    assert rows == [
        (*denver, "Denver Nuggets", "Brezina, Zoran", "Out", "Left Knee; Soreness", late),
        (*denver, "Denver Nuggets", "Marlow, Ives", "Out",
         "Injury/Illness - Left Tibia; Non displaced Fracture", late),
        (*denver, "Los Angeles Lakers", "Quill Jr., Tadeo", "Questionable", "G League - Two-Way", late),
        (*denver, "Los Angeles Lakers", "Stone, Sam", "Available", "Not With Team - Personal Reasons", late),
        ("01/02/2026", "10:00 (ET)", "BOS@LAC", "Boston Celtics", "", "", "NOT YET SUBMITTED", late),
        ("01/03/2026", "07:00 (ET)", "MIA@NYK", "Miami Heat", "Ash, Ivo", "Probable", "", late),
    ]  # fmt: skip


def test_a_pdf_is_a_report_like_any_other(tmp_path):
    path = tmp_path / "Injury-Report_2026-01-02_05_30PM.pdf"
    path.write_bytes(injury_report(FIRST, SECOND))
    read = read_injury_reports(tmp_path, PLAYERS)
    assert (read.rows_read, read.players_out, read.not_yet_submitted) == (6, 2, 1)
    assert set(read.table["reported_at"].to_pylist()) == {datetime(2026, 1, 2, 22, 30, tzinfo=UTC)}
    out = {row["player_name"]: row["player_id"] for row in read.table.to_pylist() if row["status"] == "Out"}
    assert out == {"Zoran Brezina": 901, "Ives Marlow": None}


def test_a_report_of_a_day_without_games_holds_up_no_other_one(tmp_path):
    (tmp_path / "one.pdf").write_bytes(injury_report([]))
    (tmp_path / "two.pdf").write_bytes(injury_report(FIRST))
    read = read_injury_reports(tmp_path, PLAYERS)
    assert (read.rows_read, read.empty_files) == (3, (str(tmp_path / "one.pdf"),))


def test_official_reports_of_three_layouts_have_the_players_of_the_archive(real_data):
    """Of some reports the archive has one date only, and the last of them not at all."""
    archived: dict[str, set[tuple[str, ...]]] = {}
    for hour in ("0930", "1730"):
        with gzip.open(real_data / f"injury_reports_{hour}ET_2022_25.csv.gz", "rt", encoding="utf-8") as text:
            for row in csv.DictReader(text):
                cells = tuple(row[name] for name in HEADINGS[:-1])
                archived.setdefault(row["Reported At"], set()).add(cells)
    compared = 0
    for path in sorted((real_data / "injury_report_pdfs").glob("*.pdf")):
        rows = read_injury_pdf(path).table.to_pylist()
        assert len(rows) > 80
        found = {tuple(row[name] for name in HEADINGS[:-1]) for row in rows}
        theirs = archived.get(rows[0]["Reported At"], set())
        dates = {cells[0] for cells in theirs}
        # The archive drops the teams that had not submitted of some reports.
        assert theirs <= found
        assert {cells for cells in found - theirs if cells[0] in dates and cells[4]} == set()
        compared += len(theirs)
    assert compared > 150


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"Game Date,Matchup\n", "not a complete PDF"),
        (injury_report(FIRST)[:600], "not a complete PDF|has no line 'Injury Report"),
        (injury_report(FIRST, title="Weather Report"), "has no line 'Injury Report: .*; take Injury-Report_DATE"),
        (pdf([instructions(report_page(FIRST, heading=False))]), "has no heading Game Date, Game Time, Matchup"),
        (injury_report(NO_ROW), "the report lists no player and no team"),
        (injury_report(FIRST, title="Injury Report: 13/45/26 05:30 PM"), "published at 13/45/26 05:30 PM, which is no"),
        (pdf([instructions(report_page(FIRST))] * 61), "the PDF has 61 pages, more than 60"),
        (pdf([b"BT ET\n" * 500_000], compressed=True), "page 1 is larger than 2 MB"),
        (b"%PDF-1.4\n" + b" " * 6_000_000, "the PDF is larger than 5 MB"),
    ],
    ids=["empty", "csv", "cut", "title", "heading", "rows", "time", "pages", "bomb", "large"],
)  # fmt: skip
def test_what_is_no_report_is_refused(tmp_path, content, problem):
    path = tmp_path / "report.pdf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=problem):
        read_injury_pdf(path)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("while True: pass", "took more than 1 s of CPU"),
        ("b'x' * 3 * 1024**3", "took more than 1024 MB of memory"),
    ],
    ids=["endless", "greedy"],
)
def test_a_document_that_hangs_its_reader_or_eats_its_memory_is_refused(tmp_path, monkeypatch, harm, problem):
    """The reader's limits hold whatever pypdf does with a document: here, what a harmful one would make it do."""
    (tmp_path / "pypdf.py").write_text(f"class PdfReader:\n    def __init__(self, _):\n        {harm}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(pdf_words, "_CPU_SECONDS", 1)
    path = tmp_path / "report.pdf"
    path.write_bytes(injury_report(FIRST))
    begun = time.monotonic()
    with pytest.raises(BadInput, match=problem):
        read_injury_pdf(path)
    assert time.monotonic() - begun < 15


def test_a_reader_that_is_not_installed_is_not_blamed_on_the_document(tmp_path, monkeypatch):
    (tmp_path / "pypdf.py").write_text("raise ImportError('no such module')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    path = tmp_path / "report.pdf"
    path.write_bytes(injury_report(FIRST))
    with pytest.raises(BadInput, match="the PDF's reader failed: ImportError: no such module"):
        read_injury_pdf(path)
