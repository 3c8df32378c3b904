"""What is SQLite's own: a damaged file, and a process that is killed while it records."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from prediction_assets.errors import StateUnreadable
from prediction_assets.stores.local import state_file
from prediction_assets.stores.local.batch_state import SqliteBatchState
from prediction_assets_tests.contract.batch_state.test_contract import receipt, staged
from prediction_assets_tests.damage import damage_alerts
from prediction_assets_tests.made_up import NOW, SLATE, batch

OPERATIONS: dict[str, Callable[[SqliteBatchState], object]] = {
    "open": lambda state: state.open(batch(2)),
    "reopen": lambda state: state.reopen(batch(2)),
    "pin_features": lambda state: state.pin_features(SLATE, "snapshot1", fence=1, facts_version=1),
    "claim_fence": lambda state: state.claim_fence(SLATE),
    "record": lambda state: state.record([staged("player-1")]),
    "progress": lambda state: state.progress(SLATE),
    "recent_slates": lambda state: state.recent_slates(NOW - timedelta(days=1)),
    "mark_consolidated": lambda state: state.mark_consolidated(receipt()),
}


def foreign(file: Path) -> None:
    file.write_text("this was never a database, " * 200)


def garbled(file: Path) -> None:
    """A database whose first page, the one with the tables' names, is whole and whose others aren't."""
    state = SqliteBatchState(file)
    state.open(batch(400))
    state.record([staged(p.slug) for p in batch(400).expected])
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [foreign, damage_alerts])
def test_a_quick_check_names_the_file_and_the_fault(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    file = tmp_path / "state.sqlite"
    state = SqliteBatchState(file)
    assert state.damage() == ""  # there is no file yet, and looking made none
    assert not file.exists()
    state.open(batch(2))
    assert state.damage() == ""
    damage(file)
    assert state.damage().startswith(f"{file}: ")


def test_a_quick_check_that_takes_too_long_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.sqlite"
    garbled(file)
    monkeypatch.setattr(state_file, "_CHECK_SECONDS", -1.0)
    monkeypatch.setattr(state_file, "_STEPS_BETWEEN_LOOKS", 1)
    assert SqliteBatchState(file).damage() == ""


@pytest.mark.parametrize("damage", [foreign, garbled])
def test_a_damaged_file_is_named_by_every_operation_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    file = tmp_path / "state.sqlite"
    damage(file)
    before = file.read_bytes()
    for name, operation in OPERATIONS.items():
        with pytest.raises(StateUnreadable) as raised:
            operation(SqliteBatchState(file))
        assert str(raised.value).startswith(f"{file}: "), name
        assert "\n" not in str(raised.value), name
        assert file.read_bytes() == before, name


def test_a_folder_in_the_files_place_is_named_by_every_operation(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    file.mkdir()
    for operation in OPERATIONS.values():
        with pytest.raises(StateUnreadable, match="unable to open database file"):
            operation(SqliteBatchState(file))


def test_a_row_that_was_edited_by_hand_is_reported_as_unreadable(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    state = SqliteBatchState(file)
    state.open(batch(1))
    state.mark_consolidated(receipt())
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE receipts SET receipt = '{}'")
    connection.close()
    with pytest.raises(StateUnreadable, match=f"slate {SLATE}: .*Restore the file from a backup"):
        state.progress(SLATE)


def test_a_state_file_restored_from_a_backup_claims_above_what_its_caller_has_seen(tmp_path: Path) -> None:
    file, backup = tmp_path / "state.sqlite", tmp_path / "backup.sqlite"
    state = SqliteBatchState(file)
    state.open(batch(1))
    with closing(sqlite3.connect(file)) as connection, closing(sqlite3.connect(backup)) as copy:
        connection.backup(copy)
    claimed = [state.claim_fence(SLATE) for _ in range(3)]
    for left in tmp_path.glob("state.sqlite*"):
        left.unlink()
    backup.rename(file)
    assert state.claim_fence(SLATE, above=max(claimed)) == 4


KILLED = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.local.batch_state import SqliteBatchState
slate, file, *slugs = sys.argv[1:]
state = SqliteBatchState(Path(file))
for slug in slugs:
    state.record([PlayerOutcome(slate, f"{slate}@test", slug, Outcome.SKIPPED, "run", datetime.now(UTC), 1, 1)])
    print(slug, flush=True)
"""


def test_a_process_killed_while_recording_loses_nothing_it_committed(tmp_path: Path) -> None:
    after = 7
    file = tmp_path / "state.sqlite"
    state = SqliteBatchState(file)
    state.open(batch(3000))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, SLATE, str(file), *(p.slug for p in batch(3000).expected)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        committed = [process.stdout.readline().strip() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        committed += process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    progress = state.progress(SLATE)
    assert progress is not None
    assert set(committed) <= set(progress.outcomes)
    assert len(progress.outcomes) - len(committed) in {0, 1}  # at most the one it was about to report
    state.record([staged(slug) for slug in progress.unsettled])
    again = state.progress(SLATE)
    assert again is not None
    assert again.unsettled == ()
