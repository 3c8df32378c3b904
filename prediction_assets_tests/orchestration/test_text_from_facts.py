"""A name in a file of facts is text everywhere: in the UI, on the terminal, in alerts, in errors."""

from __future__ import annotations

import ast
import csv
import io
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from rich.table import Table

from prediction_assets import orchestration
from prediction_assets.board.digest import digest
from prediction_assets.cli import console
from prediction_assets.cli.prediction_rows import csv_text
from prediction_assets.errors import BadInput, PredictionAssetsError, one_line, plain, without_markup
from prediction_assets.logs import JsonFormatter, TextFormatter
from prediction_assets.orchestration.assets.describing import table_of
from prediction_assets.steps.ledger import read_rows
from prediction_assets.stores.sql.tables import INJURY_REPORTS
from prediction_assets_tests.homes import SIMULATED

MARKDOWN = (
    "![x](/graphql?query=mutation{a})<img src=x onerror=a()>[y](//evil.example)"  # a name has at most 100
)
HOSTILE = (
    f"{MARKDOWN};=1+1\n\n![a][b] ![b]\n\n[b]: /graphql?query=mutation{{a}}\n@everyone <script>a()</script>"
)
TEXTS = (
    "game_logs.player_name",
    "game_logs.team_name",
    "prop_lines.player_name",
    "prop_lines.bookmaker",
    "schedule.game_id",
)
MARK_UP = re.compile(r"[<>]|\]\(|\]\[|\]:|@everyone")
SIDES = ("Over", "Under")
CONTROLS = "\x1b[2J\x1b]0;owned\x07\r\u202e\x9b31m"
NAME = f"Evil {MARKDOWN}{CONTROLS}"


def facts(folder: Path) -> dict[str, dict[str, str]]:
    """Return files of lines and injuries with the name in each column that holds any text."""
    cell, teams = NAME.replace("\r", "").replace('"', ""), "Boston Celtics,New York Knicks"
    offered = [
        f'e1,2090-10-23T00:10:00Z,{teams},"{cell}",player_points,"{cell}",{side},20.5,-110' for side in SIDES
    ]
    reported = f'2090-10-22,NYK@BOS,Boston Celtics,"{cell}",Out,"{cell}",2090-10-22T17:30:00-04:00'
    texts = {
        "prop_lines": [
            "event_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price",
            *offered,
        ],
        "injury_reports": ["Game Date,Matchup,Team,Player Name,Current Status,Reason,Reported At", reported],
    }
    for name, lines in texts.items():
        (folder / f"{name}.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return {name: {"path": str(folder / f"{name}.csv")} for name in texts}


def markdown_of(instance: dg.DagsterInstance) -> list[str]:
    """Return every text of every event of every asset and check that the UI takes for Markdown, descriptions too."""
    found = []
    for run in instance.get_runs():
        for entry in instance.all_logs(run.run_id):
            data = entry.dagster_event.event_specific_data if entry.dagster_event else None
            found += [data.description] if isinstance(data, AssetCheckEvaluation) and data.description else []
            for each in (
                data,
                *(getattr(data, name, None) for name in ("materialization", "asset_observation")),
            ):
                values = (getattr(each, "metadata", None) or {}).values()
                found += [value.md_str for value in values if isinstance(value, dg.MarkdownMetadataValue)]
    return found


def test_no_markdown_of_a_slate_holds_a_text_from_its_facts(ingested, tmp_path):
    ingested.ingest(facts(tmp_path))
    with duckdb.connect(ingested._settings.home / "warehouse.duckdb") as warehouse:
        for column in TEXTS:
            table, name = column.split(".")
            warehouse.execute(f"UPDATE facts.{table} SET {name} = {name} || ?", [HOSTILE])
    warehouse = ingested.stores.warehouse
    (hurt,) = warehouse.query(
        "SELECT league, game_date, player_id, player_name FROM facts.prop_lines WHERE game_date = CAST($day AS DATE) "
        "ORDER BY player_id LIMIT 1",
        {"day": SIMULATED},
    ).to_pylist()
    reported_at = datetime.fromisoformat(f"{SIMULATED}T12:00:00Z")
    hurt |= {"reported_at": reported_at, "team": HOSTILE, "status": "Out", "reason": HOSTILE}
    warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table([hurt]), ("league", "reported_at"))
    ingested.whole(SIMULATED)
    record = ingested._instance.get_latest_materialization_event(dg.AssetKey("predictions"))
    sample = record.asset_materialization.metadata["sample"].records
    assert all(MARKDOWN in row.data["player_name"] for row in sample)
    found = markdown_of(ingested._instance)
    pictures = [
        text for text in found if text.startswith("![the slate's picture](data:image/svg+xml;base64,")
    ]
    assert pictures
    assert [text for text in found if text not in pictures and MARK_UP.search(text)] == []

    receipt, rows = read_rows(warehouse, SIMULATED)
    assert [each for each in receipt.missing if HOSTILE in each["reason"]], "his reason is on the board, too"
    page = (ingested._settings.boards_folder / f"{SIMULATED}.html").read_text("utf-8")
    assert HOSTILE.split("\n")[0].replace("<", "&lt;").replace(">", "&gt;") in page
    assert set(re.findall(r"<(img|a href=\"[^#]|[a-z]+[^>]*\son[a-z]+=)", page)) == set()
    for row in csv.reader(io.StringIO(csv_text(rows))):
        assert [cell for cell in row if re.search(r"(?:^|;)\s*[=+@]", cell) or not cell.isprintable()] == []
    sent = digest(warehouse, SIMULATED, receipt.revision, 50, datetime.now(UTC)).line
    assert MARK_UP.search(without_markup(sent)) is None
    assert sent.count("\n") <= 50, "a line for each bet, and none from a name"


def test_each_description_of_a_check_s_result_is_without_mark_up():
    """The UI takes it for Markdown."""
    bare = []
    for path in Path(orchestration.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AssetCheckResult"):
                given = [each.value for each in node.keywords if each.arg == "description"]
                bare += [path.name for each in given if "without_markup(" not in ast.unparse(each)]
    assert bare == []


def test_a_name_that_is_markdown_is_a_cell_of_a_table(slate_run, tmp_path):
    shown = slate_run.ingest(facts(tmp_path))
    assert set(shown) == {"prop_lines", "injury_reports"}
    for metadata in shown.values():
        assert metadata["unresolved_names"] == 1
        (record,) = metadata["unresolved"].records
        assert "![x](/graphql?query=mutation" in record.data["name"]
        assert record.data["name"].isprintable()
    found = markdown_of(slate_run._instance)
    assert any("Evil" in text for text in found), "the quarantine's check quotes the name"
    assert [text for text in found if MARK_UP.search(text)] == []


def test_a_table_keeps_numbers_and_shows_everything_else_as_plain_text():
    (record,) = table_of([{"name": NAME, "n": 3, "share": 0.12345, "nothing": None}]).records
    assert record.data == {"name": plain(NAME), "n": 3, "share": 0.123, "nothing": ""}
    assert table_of([]).value == "none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Luka Dončić", "Luka Dončić"),
        ("two\nlines", "two\nlines"),
        ("tab\there\r\nthere", "tab here \nthere"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x07\x00\x9b\x7f", r"\x07\x00\x9b\x7f"),
        ("left\u202eright\u2066", r"left\u202eright\u2066"),
        ("a\u00a0b\u2028c", "a b c"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_control_character_is_shown_as_its_code(text, shown):
    assert plain(text) == shown
    assert one_line(text) == " ".join(shown.split())
    assert str(PredictionAssetsError(text)) == shown.replace("\n", " ")


def test_an_error_that_quotes_a_cell_is_one_plain_line():
    error = BadInput(f"{NAME}.csv", f"{NAME} is no player", row=3, column=f"a\n{NAME}")
    assert str(error).isprintable()


def test_the_terminal_shows_a_name_by_its_letters(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    rich = console.standard_output()
    rich.file = io.StringIO()
    table = Table("player")
    table.add_row(f"[red]{NAME}[/nothing] :smile:")
    rich.print(table)
    rich.print(f"[bold]{NAME}")
    shown = rich.file.getvalue()
    assert "[red]Evil" in shown
    assert ":smile:" in shown
    for harm in ("\x1b[2J", "\x1b]0;", "\x07", "\r", "\u202e", "\x9b"):
        assert harm not in shown
    console.say(f"{NAME}\nnext", err=True)
    console.say(NAME)
    out, err = capsys.readouterr()
    assert err == f"{plain(NAME)}\nnext\n"
    assert out == f"{plain(NAME)}\n"


def test_a_line_of_the_log_on_a_terminal_is_plain():
    record = logging.LogRecord("prediction_assets", logging.INFO, "here", 1, "name %s", (NAME,), None)
    assert TextFormatter().format(record).isprintable()
    assert JsonFormatter(lambda tags: {}).format(record).isprintable()


def test_an_alert_and_a_check_s_description_have_no_mark_up_and_no_mention_from_facts():
    sent = without_markup(f"{NAME}{HOSTILE} <!channel> `code` 2026-01-02@20260102T070000Z")
    assert not set("<>\x1b\x07\u202e") & set(sent)
    assert MARK_UP.search(sent) is None
    assert "@everyone" not in sent
    assert "2026-01-02@20260102T070000Z" in sent
