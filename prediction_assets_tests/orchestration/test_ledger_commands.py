"""The commands over what was published: predictions, diff, verify and revert; and the accepting of an audit."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from dagster import RunsFilter

from prediction_assets import cli
from prediction_assets.cli.prediction_rows import json_text
from prediction_assets.orchestration.run_tags import FENCE_TAG
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps import failpoints
from prediction_assets_tests.homes import PLAYERS, SIMULATED

Command = Callable[..., tuple[int, str, str]]
ROWS = PLAYERS * 25


@pytest.fixture
def prediction_assets(
    published: SlateRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command in this process, on a home with three revisions; return exit code, output and errors."""
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home_of(published)))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prediction-assets", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
        return int(stopped.value.code or 0), captured.out, "\n".join(errors)

    return run


def home_of(run: SlateRun) -> Path:
    return run._settings.home


def receipts_of(run: SlateRun) -> tuple[Receipt, ...]:
    return run.stores.warehouse.receipts(SIMULATED)


def shown(command: Command, *options: str) -> list[dict[str, object]]:
    code, out, _ = command("predictions", "--slate", SIMULATED, "--format", "json", *options)
    assert code == 0
    return json.loads(out)


def hashes(rows: list[dict[str, object]]) -> list[object]:
    return sorted(row["content_hash"] for row in rows)


def test_predictions_are_those_in_force_or_of_any_moment_or_revision(published, prediction_assets):
    receipts = receipts_of(published)
    assert [receipt.revision for receipt in receipts] == [1, 2, 3]
    by_revision = {n: shown(prediction_assets, "--revision", str(n)) for n in (1, 2, 3)}
    assert len({tuple(hashes(rows)) for rows in by_revision.values()}) == 3
    assert shown(prediction_assets) == by_revision[3]
    for receipt in receipts:
        at = receipt.consolidated_at.isoformat()
        assert shown(prediction_assets, "--as-of", at) == by_revision[receipt.revision]
    before_second = (receipts[1].consolidated_at - timedelta(microseconds=1)).isoformat()
    assert shown(prediction_assets, "--as-of", before_second) == by_revision[1]
    current = published.stores.warehouse.query(
        f"SELECT content_hash FROM predictions.current_predictions WHERE game_date = DATE '{SIMULATED}'"
    )
    assert hashes(by_revision[3]) == sorted(current["content_hash"].to_pylist())


@pytest.mark.parametrize("chosen", [("--system", "ensemble"), ("--bets",)])
def test_every_format_has_the_same_rows_with_the_same_values_in_the_same_order(
    prediction_assets, tmp_path, chosen
):
    rows = shown(prediction_assets, *chosen)
    options = ("predictions", "--slate", SIMULATED, *chosen)
    _, text, _ = prediction_assets(*options, "--format", "csv")
    as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert rows
    assert [*csv.DictReader(io.StringIO(text))] == as_text
    file = tmp_path / "rows.parquet"
    code, out, _ = prediction_assets(*options, "--format", "parquet", "--output", str(file))
    assert (code, out) == (0, "")
    assert json.loads(json_text(pq.read_table(file))) == rows


def test_the_table_fits_100_columns(prediction_assets):
    options = ("predictions", "--slate", SIMULATED, "--system", "ensemble")
    _, out, _ = prediction_assets(*options)
    title, header, *lines = out.splitlines()
    assert f"slate {SIMULATED} (simulated league), revision 3 of " in title
    assert header.split() == ["player", "game", "line", "book", "points", "P(over)", "recommendation"]
    assert len(lines) == PLAYERS * 5
    assert max(map(len, out.splitlines())) <= 100


def test_bets_are_the_most_valuable_first_and_are_all_recommendations(published, prediction_assets):
    bets = shown(prediction_assets, "--bets")
    assert bets
    values = [row["expected_value"] for row in bets]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0.02
    (count,) = published.stores.warehouse.query(
        "SELECT COUNT(*) AS n FROM predictions.current_predictions "
        f"WHERE recommendation IN ('OVER', 'UNDER') AND game_date = DATE '{SIMULATED}'"
    )["n"].to_pylist()
    assert len(bets) == count


def test_an_output_file_is_replaced_as_a_whole_and_stays_if_the_command_is_refused(
    prediction_assets, tmp_path
):
    file = tmp_path / "bets.csv"
    file.write_text("earlier", "utf-8")
    options = ("predictions", "--slate", SIMULATED, "--format", "csv", "--output", str(file))
    assert prediction_assets(*options, "--revision", "7")[0] == 2
    assert file.read_text("utf-8") == "earlier"
    assert prediction_assets(*options)[0] == 0
    assert len(file.read_text("utf-8").splitlines()) == ROWS + 1
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    (tmp_path / "folder").mkdir()
    for where in ("missing/bets.csv", "folder"):
        code, _, error = prediction_assets(*options[:-1], str(tmp_path / where))
        assert (code, "error: --output: " in error) == (2, True)


REFUSED = [
    ("predictions --slate 2026-01-02", f"nothing of 2026-01-02 was merged; there are predictions of {SIMULATED}"),
    ("predictions --slate {slate} --revision 4", "has no revision 4; it has 1, 2, 3"),
    ("predictions --slate {slate} --as-of 2020-01-01T00:00Z", "no predictions at 2020-01-01T00:00:00+00:00; its"),
    ("predictions --slate {slate} --as-of 2020-01-01T00:00", "has no offset from UTC; for example"),
    ("predictions --slate {slate} --as-of 2999-01-01T00:00Z", "is in the future"),
    ("predictions --slate {slate} --as-of noon", "'noon' is no time; for example"),
    ("predictions --slate {slate} --system tarot", "no row is of 'tarot'; there are ensemble, gradient_boosting"),
    ("predictions --slate {slate} --format parquet", "name a file with --output"),
    ("predictions --slate {slate} --revision 1 --as-of 2999-01-01T00:00Z", "can't be combined"),
    ("diff --slate {slate} --from 4", "no revision 4; it has 1, 2, 3"),
    ("diff --slate {slate} --to 1", "no revision before 1; it has 1, 2, 3"),
    ("diff --slate 2026-01-02", "nothing of 2026-01-02 was merged"),
    ("revert --slate {slate} --revision 4", "no revision 4; it has 1, 2, 3"),
    ("verify --from 2026-01-01 --to 2026-01-02", f"there are predictions of {SIMULATED} to {SIMULATED}"),
    ("verify --from noon", "--from: 'noon' is not a date"),
    ("consolidate --slate {slate} --accept values --because x", "'values' is no blocking audit; one of"),
    ("consolidate --slate {slate} --accept values_in_range", "no reason is given"),
    ("consolidate --slate {slate} --because x", "name the audit with --accept"),
]  # fmt: skip


def test_what_is_not_there_is_refused_with_what_is(published, prediction_assets):
    before = receipts_of(published)
    for arguments, message in REFUSED:
        code, out, error = prediction_assets(*arguments.format(slate=SIMULATED).split())
        assert (code, out, len(error.splitlines())) == (2, "", 1), arguments
        assert message in error
    assert receipts_of(published) == before


@pytest.mark.parametrize(("first", "second"), [("1", "3"), ("3", "2")])
def test_a_diff_says_who_moved_in_either_order(prediction_assets, first, second):
    options = ("diff", "--slate", SIMULATED, "--from", first, "--to", second)
    code, out, _ = prediction_assets(*options, "--json")
    report = json.loads(out)
    assert (code, report["from"], report["to"]) == (0, int(first), int(second))
    rows = {n: {(r["player_slug"], r["content_hash"]) for r in shown(prediction_assets, "--revision", n)}
            for n in (first, second)}  # fmt: skip
    differing = {slug for slug, _ in rows[first] ^ rows[second]}
    assert {each["player_slug"] for each in report["players"]} == differing
    back = json.loads(prediction_assets(*options[:3], "--from", second, "--to", first, "--json")[1])[
        "players"
    ]
    for each, other in zip(report["players"], back, strict=True):
        assert (each["rows"], each["flipped"]) == (other["rows"], other["flipped"])
        assert (each["lines"] or {}).get("before") == (other["lines"] or {}).get("after")
    assert sum(each["rows"] for each in report["players"]) == len(rows[first] ^ rows[second])
    _, table, _ = prediction_assets(*options)
    assert f"{len(differing)} players changed" in table


def test_without_revisions_a_diff_compares_the_newest_with_the_one_before(prediction_assets):
    report = json.loads(prediction_assets("diff", "--slate", SIMULATED, "--json")[1])
    assert (report["from"], report["to"]) == (2, 3)
    moved = [each for each in report["players"] if each["lines"]]
    assert [each["lines"]["after"]["line"] - each["lines"]["before"]["line"] for each in moved] == [1.0]


def test_a_revert_publishes_that_content_as_a_new_revision_and_changes_nothing_else(
    published, prediction_assets
):
    were = {n: shown(prediction_assets, "--revision", n) for n in ("1", "2", "3")}
    for made, revision in enumerate(("2", "1"), start=4):
        code, out, _ = prediction_assets("revert", "--slate", SIMULATED, "--revision", revision)
        assert code == 0
        assert f"revision {revision} is in force again, as revision {made}" in out
        assert hashes(shown(prediction_assets)) == hashes(were[revision])
        entry = published.stores.outbox.entries(SIMULATED)[-1]
        assert (entry.message["revision"], entry.delivery_id is not None) == (made, True)
        assert all(verdict["passed"] for verdict in receipts_of(published)[-1].audits)
    assert {n: shown(prediction_assets, "--revision", n) for n in were} == were
    assert len(published.stores.warehouse.parts.staged(SIMULATED)) == 0
    assert prediction_assets("verify")[0] == 0


def test_a_dry_run_of_a_revert_says_what_it_would_do_and_does_nothing(published, prediction_assets):
    before = receipts_of(published)
    code, out, _ = prediction_assets("revert", "--slate", SIMULATED, "--revision", "1", "--dry-run")
    assert (code, f"would publish revision 1 again: {ROWS} rows of {PLAYERS} players; 0 expected" in out) == (
        0,
        True,
    )
    assert receipts_of(published) == before
    assert len(published.stores.warehouse.parts.staged(SIMULATED)) == 0


@pytest.mark.parametrize("point", ["part_written", "merge_committed", "outbox_written"])
def test_a_revert_that_is_stopped_at_any_write_is_run_again_and_makes_one_revision(
    published, prediction_assets, point
):
    wanted = hashes(shown(prediction_assets, "--revision", "1"))

    def stop(name: str) -> None:
        if name == point:
            raise RuntimeError("stopped")

    failpoints.install(stop)
    try:
        assert prediction_assets("revert", "--slate", SIMULATED, "--revision", "1")[0] == 2
    finally:
        failpoints.install(failpoints._go_on)
    assert prediction_assets("revert", "--slate", SIMULATED, "--revision", "1")[0] == 0
    assert hashes(shown(prediction_assets)) == wanted
    assert {receipt.revision for receipt in receipts_of(published)} == {1, 2, 3, 4}
    entries = published.stores.outbox.entries(SIMULATED)
    assert [entry.message["revision"] for entry in entries][-2:] == [3, 4]
    assert entries[-1].delivery_id is not None


def test_a_retry_of_a_revert_has_the_fence_of_its_first_attempt_so_that_newer_rows_stay(published):
    reverted = published.consolidate(SIMULATED, revert_to=1)
    (first, *_) = published._instance.get_runs(RunsFilter(job_name="consolidation"))
    published.stage(SIMULATED)
    newer = published.consolidate(SIMULATED)
    assert newer.rows_digest != reverted.rows_digest
    tags = {FENCE_TAG: first.tags[FENCE_TAG]}
    published._execute("consolidation", partition=SIMULATED, ops={"predictions": {"revert_to": 1}}, tags=tags)
    assert receipts_of(published)[-1].rows_digest == newer.rows_digest


def test_a_revert_that_an_audit_refuses_leaves_what_is_in_force_and_is_accepted_by_name(
    published, prediction_assets, monkeypatch
):
    in_force, wanted = shown(prediction_assets), hashes(shown(prediction_assets, "--revision", "1"))
    limits = lambda _: AuditLimits(most_points=1.0)  # noqa: E731
    monkeypatch.setattr("prediction_assets.orchestration.assets.predictions.audit_limits", limits)
    code, _, error = prediction_assets("revert", "--slate", SIMULATED, "--revision", "1")
    assert (code, "refused by values_in_range" in error) == (2, True)
    assert shown(prediction_assets) == in_force
    accept = (
        "consolidate",
        "--slate",
        SIMULATED,
        "--accept",
        "values_in_range",
        "--because",
        "an exhibition\ngame",
    )
    code, out, _ = prediction_assets(*accept)
    assert (code, "accepted: values_in_range, because an exhibition game" in out) == (0, True)
    assert receipts_of(published)[-1].accepted == (
        {"name": "values_in_range", "because": "an exhibition game"},
    )
    assert hashes(shown(prediction_assets)) == wanted


def test_a_record_that_nobody_touched_holds_and_names_the_newest_hash(published, prediction_assets):
    receipts = receipts_of(published)
    code, out, _ = prediction_assets("verify")
    assert (code, receipts[-1].receipt_hash in out, "holds" in out) == (0, True, True)
    code, out, _ = prediction_assets("verify", "--from", SIMULATED, "--to", SIMULATED, "--json")
    (report,) = json.loads(out)
    assert (code, report["head"], report["broken"]) == (0, receipts[-1].receipt_hash, None)
    assert report["receipt_hashes"] == [receipt.receipt_hash for receipt in receipts]
    code, out, _ = prediction_assets("verify", "--published", receipts[1].receipt_hash)
    assert (code, f"is receipt 2 of 3 of slate {SIMULATED}" in out) == (0, True)
    code, _, error = prediction_assets("verify", "--published", "0" * 64)
    assert (code, f"no receipt of {SIMULATED} has the hash 0000" in error) == (2, True)


@pytest.mark.parametrize(
    ("statement", "link"),
    [
        (
            "UPDATE predictions.player_prop_predictions SET predicted_points = predicted_points + 7 WHERE is_active",
            "1",
        ),
        ("DELETE FROM predictions.player_prop_predictions WHERE NOT is_active", "1"),
        ("UPDATE predictions.consolidation_receipts SET skipped_players = 1 WHERE revision = 2", "2"),
        ("DELETE FROM predictions.consolidation_receipts WHERE revision = 2", "which isn't there"),
        ("UPDATE predictions.consolidation_receipts SET parts = '{' WHERE revision = 3", "can't be read"),
        ("DELETE FROM predictions.consolidation_receipts", "no receipt"),
    ],
    ids=["points", "closed rows", "a count", "a receipt", "a receipt that can't be read", "all receipts"],
)
def test_a_record_that_was_changed_is_refused_and_the_first_broken_link_is_named(
    published, prediction_assets, statement, link
):
    with duckdb.connect(str(home_of(published) / "warehouse.duckdb")) as connection:
        connection.execute(statement)
    code, out, error = prediction_assets("verify", "--json")
    assert code == 2
    assert error.startswith(f"error: slate {SIMULATED}: the chain is broken at ")
    assert f"receipt {link} (" in error if link.isdigit() else link in error
    assert json.loads(out)[0]["broken"] is not None
