"""At tip-off a player's rows are final, also where a consolidation is killed with SIGKILL around it.

Two players: the first one's game begins while a consolidation is under way, the second one's hours later. New rows of
both wait to be merged. A few points on the local profile; ``long/`` has the others, and the gcp profile.
"""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta

import pytest

from prediction_assets.settings import load_settings
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.stores.profiles import Stores, open_stores
from prediction_assets_tests.acceptance.killed_at_tip_off import publish
from prediction_assets_tests.contract.steps.test_final_rows import Slate
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.stopped import running

HOUR = timedelta(hours=1)

POINTS = (
    "final_rows_kept",
    "in_the_transaction",
    "merge_committed",
    "part_dropped",
    "dead_letters_closed",
    "consolidation_marked",
    "outbox_written",
    "published",
    "publish_recorded",
)
"""Where a consolidation and its completion are killed, in their order."""

COMMITTED = POINTS[2:]
SHORT_OF_BEFORE = ("in_the_transaction",)
SHORT_OF_AFTER = ("merge_committed",)
SHORT_OF_PAUSED = ("final_rows_kept",)

SIGNALLED = """
from prediction_assets_tests.acceptance.killed_at_tip_off import signalled
signalled(*sys.argv[1:])
"""


@pytest.fixture
def local(tmp_path, monkeypatch) -> Stores:
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    return open_stores(load_settings())


def waiting(stores: Stores) -> tuple[Slate, datetime]:
    """Publish both players, and stage both again; return the first one's tip-off."""
    slate = Slate(stores)
    tip_off = datetime.now(NOW.tzinfo) + HOUR  # a warehouse goes by its own clock
    for points in (20.0, 21.0):
        slate.stage(1, points, tip_off)
        slate.stage(2, points, tip_off + 4 * HOUR)
        if points == 20.0:
            publish(stores, tip_off - HOUR)
    assert slate.points() == {1: 20.0, 2: 20.0}
    return slate, tip_off


def kill(point: str, now: datetime) -> None:
    with running(SIGNALLED, "SIGKILL", point, now.isoformat()) as child:
        child.ended(-signal.SIGKILL)


def pause_until_tip_off(stores: Stores, point: str) -> tuple[Slate, datetime]:
    """Stop a consolidation at a point until the first player's game begins; it was moved to a moment from now."""
    slate, tip_off = waiting(stores)
    soon = datetime.now(NOW.tzinfo) + timedelta(seconds=1)
    slate.stage(1, 21.0, soon)
    with running(SIGNALLED, "SIGSTOP", point, (soon - HOUR).isoformat()) as child:
        assert child.said() == "stopping"
        os.waitpid(child.pid, os.WUNTRACED)
        while datetime.now(NOW.tzinfo) < soon:
            time.sleep(0.1)
        os.kill(child.pid, signal.SIGCONT)
        child.ended()
    return slate, tip_off


def require_final(stores: Stores, slate: Slate, tip_off: datetime, points: dict[int, float]) -> None:
    """Publish after the tip-off, with ever newer rows: the first player keeps his, and each message is delivered."""
    publish(stores, tip_off)
    assert slate.points() == points
    receipts = slate.receipts()
    publish(stores, tip_off + HOUR)
    assert slate.receipts() == receipts, "nothing is left to merge"
    slate.stage(1, 22.0, tip_off)
    slate.stage(2, 22.0, tip_off + 4 * HOUR)
    publish(stores, tip_off + HOUR)
    assert slate.points() == {**points, 2: 22.0}
    slate.stage(2, 23.0, tip_off + 4 * HOUR)
    publish(stores, tip_off + 5 * HOUR)
    assert slate.points() == {**points, 2: 22.0}
    progress = stores.batch_state.progress(SLATE)
    assert progress is not None
    assert next_step(progress, tip_off + 5 * HOUR) is Step.NOTHING
    entries = stores.outbox.entries(SLATE)
    newest = [entry.revision for entry in entries if entry.delivery_id]
    assert newest == sorted({receipt.revision for receipt in slate.receipts()})
    assert not any(entry.is_pending for entry in entries)


def keep_what_was_committed_before(stores: Stores, point: str) -> None:
    slate, tip_off = waiting(stores)
    kill(point, tip_off - timedelta(minutes=2))
    require_final(stores, slate, tip_off, {1: 21.0 if point in COMMITTED else 20.0, 2: 21.0})


def change_no_final_row_after(stores: Stores, point: str) -> None:
    slate, tip_off = waiting(stores)
    kill(point, tip_off)
    require_final(stores, slate, tip_off, {1: 20.0, 2: 21.0})


def merge_the_players_of_the_others(stores: Stores, point: str) -> None:
    slate, tip_off = pause_until_tip_off(stores, point)
    assert slate.points() == {1: 20.0, 2: 21.0}
    require_final(stores, slate, tip_off, {1: 20.0, 2: 21.0})


@pytest.mark.parametrize("point", SHORT_OF_BEFORE)
def test_what_a_killed_consolidation_committed_before_the_tip_off_stays_and_the_rest_is_never_merged(
    local, point
):
    keep_what_was_committed_before(local, point)


@pytest.mark.parametrize("point", SHORT_OF_AFTER)
def test_a_consolidation_that_is_killed_after_the_tip_off_changes_no_final_row(local, point):
    change_no_final_row_after(local, point)


@pytest.mark.parametrize("point", SHORT_OF_PAUSED)
def test_a_consolidation_that_is_paused_until_a_game_begins_merges_the_players_of_the_others(local, point):
    merge_the_players_of_the_others(local, point)
