"""Each failure of the runbook, caused once: the first command that ``health`` prints ends it, followed literally."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prediction_assets.errors import BatchConflict, PartMismatch, PredictionAssetsError
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.homes import SIMULATED
from prediction_assets_tests.orchestration.health.conftest import part_rows
from prediction_assets_tests.orchestration.test_cli import command

Command = Callable[..., tuple[int, str, str]]


def sql(home: Path, statement: str) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(statement)


def forget(home: Path, table: str) -> None:
    with closing(sqlite3.connect(home / "state.sqlite")) as connection, connection:
        connection.execute(f"DELETE FROM {table}")


def lose_a_delivered_message(run: SlateRun, home: Path) -> None:
    for file in (home / "outbox").glob("*.json"):
        file.unlink()


def cut_a_delivered_message_short(run: SlateRun, home: Path) -> None:
    for file in (home / "outbox").glob("*.json"):
        file.write_bytes(file.read_bytes()[:100])


def forget_the_outbox(run: SlateRun, home: Path) -> None:
    forget(home, "outbox")


def lose_the_state_file(run: SlateRun, home: Path) -> None:
    for file in home.glob("state.sqlite*"):
        file.unlink()


def restore_a_warehouse_of_before_the_slate(run: SlateRun, home: Path) -> None:
    sql(
        home,
        "DELETE FROM predictions.player_prop_predictions; DELETE FROM predictions.consolidation_receipts",
    )


def delete_rows_by_hand(run: SlateRun, home: Path) -> None:
    sql(home, "DELETE FROM predictions.player_prop_predictions WHERE player_slug = "
        "(SELECT min(player_slug) FROM predictions.player_prop_predictions)")  # fmt: skip


def leave_a_part_behind(run: SlateRun, home: Path) -> None:
    progress = run.stores.batch_state.progress(SIMULATED)
    assert progress is not None
    who = progress.batch.expected[0]
    run.stores.warehouse.parts.write(SIMULATED, who.slug, part_rows(who, SIMULATED), 1)


def put_a_folder_in_a_part_s_place(run: SlateRun, home: Path) -> None:
    (home / "staging" / SIMULATED / f"a-player.{1:032}.arrow").mkdir(parents=True)


def forget_the_receipt_in_batch_state(run: SlateRun, home: Path) -> None:
    forget(home, "receipts")


def forget_batch_state(run: SlateRun, home: Path) -> None:
    for table in ("outcomes", "expected_players", "receipts", "batches"):
        forget(home, table)


def stage_a_player_by_an_older_version(run: SlateRun, home: Path) -> None:
    progress = run.stores.batch_state.progress(SIMULATED)
    assert progress is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prediction_assets.orchestration.assets.staged_predictions.__version__", "0.0.9")
        run.stage(SIMULATED, [progress.batch.expected[0].slug])
    run.announce(run.consolidate(SIMULATED))


def fail_a_player(run: SlateRun, home: Path) -> None:
    progress = run.stores.batch_state.progress(SIMULATED)
    assert progress is not None
    slug, parts = progress.batch.expected[0].slug, run.stores.warehouse.parts.__class__
    healthy = parts.write

    def write(self: Any, slate: str, player: str, rows: Any, fence: int) -> Any:
        if player == slug:
            raise OSError(28, "No space left on device")
        return healthy(self, slate, player, rows, fence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prediction_assets.steps.stage.PART_ATTEMPTS", 1)
        patch.setattr(parts, "write", write)
        run.stage(SIMULATED, [slug])
    run.announce(run.consolidate(SIMULATED))


def stop_before_the_merge(run: SlateRun, home: Path) -> None:
    sql(home, "UPDATE facts.prop_lines SET line = line + 1")
    run.stage(SIMULATED)


def lose_a_part_before_the_merge(run: SlateRun, home: Path) -> None:
    run.stage(SIMULATED)
    next((home / "staging" / SIMULATED).glob("*.arrow")).unlink()


def damage_a_part_before_the_merge(run: SlateRun, home: Path) -> None:
    stop_before_the_merge(run, home)
    part = next((home / "staging" / SIMULATED).glob("*.arrow"))
    content = part.read_bytes()
    third = len(content) // 3
    part.write_bytes(content[:third] + bytes(third) + content[2 * third :])
    with pytest.raises(PartMismatch):
        run.consolidate(SIMULATED)


def open_a_slate_of_no_date_in_the_ui(run: SlateRun, home: Path) -> None:
    with pytest.raises(PredictionAssetsError, match="2090-13-45"):
        run._execute("roster", ops={"slate_roster": {"slate": "2090-13-45"}})


def stage_a_player_whom_nobody_expects_in_the_ui(run: SlateRun, home: Path) -> None:
    tags = {"dagster/partition": f"{SIMULATED}:nobody"}
    run._instance.add_dynamic_partitions("slate_players", [tags["dagster/partition"]])
    with pytest.raises(BatchConflict):
        run._execute("staging", tags=tags)


CASES: list[tuple[Callable[[SlateRun, Path], None], str, str]] = [
    (lose_a_delivered_message, "missing_delivery", "prediction-assets republish"),
    (cut_a_delivered_message_short, "missing_delivery", "prediction-assets republish"),
    (forget_the_outbox, "unpublished", "prediction-assets republish"),
    (lose_the_state_file, "unknown_receipt", "prediction-assets run"),
    (restore_a_warehouse_of_before_the_slate, "behind_warehouse", "prediction-assets run"),
    (delete_rows_by_hand, "rows_differ", "prediction-assets run"),
    (leave_a_part_behind, "leftovers", "prediction-assets clean-up"),
    (put_a_folder_in_a_part_s_place, "strays", "rm -r"),
    (forget_the_receipt_in_batch_state, "unchecked_receipt", "prediction-assets run"),
    (forget_batch_state, "unknown_receipt", "prediction-assets run"),
    (stage_a_player_by_an_older_version, "other_versions", "prediction-assets run"),
    (fail_a_player, "failed_players", "prediction-assets dead-letters replay"),
    (stop_before_the_merge, "outdated_receipt", "prediction-assets run"),
    (lose_a_part_before_the_merge, "lost_parts", "prediction-assets run"),
    (damage_a_part_before_the_merge, "outdated_receipt", "prediction-assets run"),
    (open_a_slate_of_no_date_in_the_ui, "run", "prediction-assets run"),
    (stage_a_player_whom_nobody_expects_in_the_ui, "run", "prediction-assets run"),
]


SHORT = [
    case
    for case in CASES
    if case[0] in {lose_a_delivered_message, leave_a_part_behind, stop_before_the_merge}
]
"""What is caused here; ``long/`` causes the others."""


def follow_the_first_command(
    run: SlateRun,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cause: Callable[[SlateRun, Path], None],
    kind: str,
    starts: str,
) -> None:
    home = run._settings.home
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home))

    def report() -> dict[str, Any]:
        _, out, _ = command(capsys, monkeypatch, "health", "--json", "--slate", SIMULATED)
        made: dict[str, Any] = json.loads(out)
        return made

    cause(run, home)
    # What was under way a moment ago is late by now.
    monkeypatch.setattr(Clock, "now", lambda _: datetime.now(UTC) + timedelta(minutes=50))
    before = report()
    keys = {f["key"] for line in before["lines"] for f in line["findings"] if f["severity"] != "ok"}
    assert any(key.startswith(f"{kind}:") for key in keys), keys
    first = before["commands"][0]
    assert first.startswith(starts)
    assert len(before["commands"]) == 1, before["commands"]
    name, *arguments = shlex.split(first)
    if name == "prediction-assets":
        code, _, err = command(capsys, monkeypatch, *arguments)
        assert code == 0, err
    else:
        assert shutil.which(name)
        subprocess.run([name, *arguments], check=True)
    after = report()
    left = [f for line in after["lines"] for f in line["findings"] if f["severity"] != "ok"]
    assert after["color"] == "green", left


@pytest.mark.parametrize(("cause", "kind", "starts"), SHORT, ids=[case[0].__name__ for case in SHORT])
def test_the_first_command_followed_literally_ends_it(
    finished: SlateRun, capsys, monkeypatch, cause, kind, starts
):
    follow_the_first_command(finished, capsys, monkeypatch, cause, kind, starts)
