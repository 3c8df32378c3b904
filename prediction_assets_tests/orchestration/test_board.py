"""The board of a slate that was published three times, and why one of its players is what he is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from decimal import Decimal

import dagster as dg
import pytest

from prediction_assets import cli
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets_tests.board_reader import ReadBoard
from prediction_assets_tests.homes import PLAYERS, SIMULATED


@pytest.fixture
def prediction_assets(published, capsys, monkeypatch):
    """Run a command in this process, on a home with three revisions; return exit code, output and errors."""
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(published._settings.home))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["prediction-assets", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


def table(run, where):
    return run.stores.warehouse.query(
        "SELECT * FROM predictions.current_predictions "
        f"WHERE game_date = DATE '{SIMULATED}' AND system = 'ensemble' AND {where}"
    ).to_pylist()


def exact(value):
    return "" if value is None else str(float(value) if isinstance(value, Decimal) else value)


def test_the_board_equals_the_table_and_each_materialization_writes_it(
    published, prediction_assets, tmp_path
):
    file = tmp_path / "board.html"
    assert prediction_assets("board", "--slate", SIMULATED, "--output", str(file)) == (0, "", "")
    assert published._settings.board_file(SIMULATED).read_bytes() == file.read_bytes()
    page = ReadBoard(file.read_text("utf-8"))

    shown = {"Line": "line", "Forecast": "predicted_points", "P(over)": "probability_over", "Edge": "edge"}
    shown |= {"Fair odds": "fair_odds", "Value": "expected_value"}
    (players,) = page.tables["players"]
    rows = {row["player_name"]: row for row in table(published, "line_offset = 0")}
    assert len(players.rows) == len(rows) == PLAYERS
    for cells in players.by_name():
        row = rows[cells["Player"].text]
        assert {head: cells[head].value for head in shown} == {
            head: exact(row[name]) for head, name in shown.items()
        }
        assert cells["Forecast"].text == f"{row['predicted_points']:.1f}"
        assert cells["P(over)"].text == f"{100 * row['probability_over']:.1f} %"
        assert cells["Says"].text == row["recommendation"].replace("_", " ")
        assert cells["Offered"].value == exact(row["bet_odds"])
    quantiles = [
        ", ".join(f"{percent} %: {points:.1f}" for percent, points in json.loads(row["quantiles"]).items())
        for row in rows.values()
    ]
    drawn = [svg["aria-label"] or "" for svg in page.all("svg")]
    assert sorted(label.partition(";")[0] for label in drawn if label.startswith("5 %")) == sorted(quantiles)
    logs = (
        "SELECT points FROM facts.game_logs WHERE player_id = $player AND game_date < $slate "
        "ORDER BY game_date, game_id"
    )
    for row in rows.values():
        last = published.stores.warehouse.query(logs, {"player": row["player_id"], "slate": row["game_date"]})
        points = ", ".join(map(str, last["points"].to_pylist()[-10:]))
        assert any(f"newest last: {points} points" in label for label in drawn)

    bets = table(published, "recommendation IN ('OVER', 'UNDER')")
    found = [cells["Value"].value for each in page.tables.get("bets", ()) for cells in each.by_name()]
    assert found == [exact(v) for v in sorted((bet["expected_value"] for bet in bets), reverse=True)]


def test_the_board_names_the_receipt_and_what_its_revision_changed_and_why(
    published, prediction_assets, tmp_path
):
    receipt = published.stores.warehouse.receipts(SIMULATED)[-1]
    text = published._settings.board_file(SIMULATED).read_text("utf-8")
    for said in (
        receipt.receipt_hash,
        receipt.receipt_id,
        f"{receipt.consolidated_at:%Y-%m-%d %H:%M:%S} UTC",
    ):
        assert said in text
    (changes,) = ReadBoard(text).tables["changes"]
    (changed,) = changes.by_name()
    assert "line moved" in changed["Why"].text
    _, out, _ = prediction_assets("diff", "--slate", SIMULATED, "--json")
    (diff,) = json.loads(out)["players"]
    assert changed["Why"].text == "; ".join(diff["causes"])
    (done,) = published._instance.fetch_materializations(dg.AssetKey("slate_board"), limit=1).records
    metadata = done.asset_materialization.metadata
    assert metadata["board"].value.endswith(f"/boards/{SIMULATED}.html")
    assert (metadata["changed_players"].value, metadata["players"].value) == (1, PLAYERS)


def test_a_copy_of_the_board_is_linked_from_ui_and_message(staged, tmp_path):
    shared, address = f"{tmp_path.as_uri()}/shared", "https://boards.example.com"
    settings = load_settings(home=staged._settings.home, boards_copy=shared, boards_url=address)
    result = SlateRun(settings, staged._instance)._finish(SIMULATED, lambda stage, progress: None)
    link = f"{address}/{SIMULATED}.html"
    assert result.entry.message["board"] == link
    copy = tmp_path / "shared" / f"{SIMULATED}.html"
    assert copy.read_bytes() == settings.board_file(SIMULATED).read_bytes()
    for asset in ("slate_board", "predictions"):
        done = staged._instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert done.asset_materialization.metadata["board"] == dg.MetadataValue.url(link)


@pytest.mark.parametrize("lacks", ["the home's folder", "the bucket"])
def test_a_board_that_cannot_be_written_costs_no_message(staged, caplog, lacks):
    settings = staged._settings
    if lacks == "the bucket":
        settings = load_settings(home=settings.home, boards_copy="nowhere://bucket")
    else:
        settings.boards_folder.write_text("no folder", "utf-8")
    with caplog.at_level(logging.WARNING):
        result = SlateRun(settings, staged._instance)._finish(SIMULATED, lambda stage, progress: None)
    assert result.published
    assert result.entry.delivery_id is not None
    assert "its message is delivered, but its board can't be written" in caplog.text
    assert staged._instance.get_latest_materialization_event(dg.AssetKey("slate_board")) is None


def test_a_cleanup_that_fails_behind_the_message_is_no_board_s_fault_and_the_next_run_ends_it(
    staged, monkeypatch, caplog
):
    def no_disk(*stores, now):
        raise OSError(5, "no disk")

    run = SlateRun(staged._settings, staged._instance)
    with monkeypatch.context() as broken:
        broken.setattr("prediction_assets.orchestration.assets.staging_cleanup.clean_up", no_disk)
        with pytest.raises(OSError, match="no disk"):
            run._finish(SIMULATED, lambda stage, progress: None)
    assert "its board can't be written" not in caplog.text
    (entry,) = run.stores.outbox.entries(SIMULATED)
    assert entry.delivery_id is not None
    assert run.stores.batch_state.consolidated(SIMULATED) is None
    result = run._finish(SIMULATED, lambda stage, progress: None)
    assert not result.published
    assert result.entry == entry
    assert run.stores.batch_state.consolidated(SIMULATED) == result.receipt
    assert run.stores.warehouse.parts.staged(SIMULATED) == []


def test_a_run_announces_its_own_receipt_while_another_process_has_written_a_newer_one(staged, monkeypatch):
    run = SlateRun(staged._settings, staged._instance)
    execute = run._execute

    def overtaken(*job, **options):
        result = execute(*job, **options)
        expected = run.stores.batch_state.progress(SIMULATED).batch.expected
        staged.stage(SIMULATED, [expected[0].slug])
        staged.consolidate(SIMULATED)
        return result

    monkeypatch.setattr(run, "_execute", overtaken)
    result = run._finish(SIMULATED, lambda stage, progress: None)
    first, newer = run.stores.warehouse.receipts(SIMULATED)
    assert result.receipt == first
    assert result.entry.receipt_id == first.receipt_id != newer.receipt_id
    assert result.published


def test_why_goes_from_the_facts_to_the_message_each_with_its_id(published, prediction_assets):
    (moved,) = [
        part
        for part in published.stores.warehouse.receipts(SIMULATED)[-1].parts
        if any("line moved" in cause for cause in part["causes"])
    ]
    slug = moved["player_slug"]
    code, out, _ = prediction_assets("why", "--slate", SIMULATED, "--player", slug, "--json")
    assert code == 0
    steps = {step["name"]: step for step in json.loads(out)["steps"]}
    assert [*steps] == ["facts", "outcome", "part", "receipt", "revision", "rows", "message"]
    receipt = published.stores.warehouse.receipts(SIMULATED)[-1]
    outcome = published.stores.batch_state.progress(SIMULATED).outcomes[slug]
    row = next(row for row in table(published, "line_offset = 0") if row["player_slug"] == slug)
    entry = published.stores.outbox.entries(SIMULATED)[-1]
    assert [step["id"] for step in steps.values()] == [
        f"version {outcome.facts_version}",
        f"fence {outcome.fence}",
        moved["part_id"],
        receipt.receipt_id,
        "3",
        row["content_hash"],
        entry.message_id,
    ]
    assert f"line {outcome.basis.line} of {outcome.basis.bookmaker}" in steps["facts"]["says"][0]
    assert any("why: line moved" in line for line in steps["receipt"]["says"])
    code, out, _ = prediction_assets("why", "--slate", SIMULATED, "--player", slug)
    assert code == 0
    assert all(step["id"] in out for step in steps.values())
    code, _, errors = prediction_assets("why", "--slate", SIMULATED, "--player", f"{slug}x")
    assert code == 2
    assert slug in errors


def test_a_players_partition_shows_what_is_predicted_and_why_before_any_hash(published):
    moved = {
        part["player_slug"]: part["causes"]
        for part in published.stores.warehouse.receipts(SIMULATED)[-1].parts
        if part["causes"]
    }
    rows = {row["player_slug"]: row for row in table(published, "line_offset = 0")}
    for slug, row in rows.items():
        key = f"{SIMULATED}:{slug}"
        records = dg.AssetRecordsFilter(asset_key=dg.AssetKey("staged_predictions"), asset_partitions=[key])
        (done,) = published._instance.fetch_materializations(records, limit=1).records
        shown = {name: value.value for name, value in done.asset_materialization.metadata.items()}
        for name in ("predicted_points", "probability_over", "recommendation", "expected_value", "bookmaker"):
            assert shown.get(name) == row[name]
        assert shown["line"] == float(row["line"])
        assert [*shown].index("why") < min(
            map([*shown].index, ("part_id", "content_hash", "feature_snapshot"))
        )
        # Every run of the home stages everybody, so that the newest one says the causes of the newest receipt.
        assert shown["why"] == ("; ".join(moved.get(slug, ())) or "nothing that he is made from changed")


def test_the_board_is_read_without_dagster():
    code = "import sys, prediction_assets.board.page, prediction_assets.board.why; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
