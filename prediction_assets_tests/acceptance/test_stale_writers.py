"""A staging run that was paused, anywhere and for any time, wins nothing from a run that read newer facts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from prediction_assets.errors import StateUnreadable
from prediction_assets.settings import load_settings
from prediction_assets.steps import failpoints
from prediction_assets.stores.profiles import Stores, open_stores
from prediction_assets_tests.acceptance.stale_writers import (
    begin,
    consolidate,
    deliver,
    go_on,
    opened,
    overtake,
    require_newer_facts_in_force,
    require_newer_revision_in_force_and_announced,
)
from prediction_assets_tests.in_memory import InMemoryStores
from prediction_assets_tests.stopped import running

POINTS = ("fence_claimed", "part_written", "dead_letter_written", "events_stored", "outcome_recorded")
"""Every failpoint that a staging run passes."""


@pytest.fixture
def stores() -> Stores:
    made = InMemoryStores()
    opened(made)
    return made


@dataclass
class Pause:
    """Does something when a failpoint is reached for the first time."""

    point: str
    meanwhile: Callable[[], None]
    seen: list[str] = field(default_factory=list)

    def __call__(self, reached: str) -> None:
        if reached == self.point and self.point not in self.seen:
            self.seen.append(reached)
            self.meanwhile()


@pytest.fixture
def pause() -> Iterator[Callable[[str, Callable[[], None]], Pause]]:
    """Pauses this process' first run at a failpoint, while something else is done."""

    def install(point: str, meanwhile: Callable[[], None]) -> Pause:
        made = Pause(point, meanwhile)
        failpoints.install(made)
        return made

    yield install
    failpoints.install(failpoints._go_on)


@pytest.mark.parametrize("days", [(1, -1), (-1, 1)], ids=["paused ahead", "paused behind"])
@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_was_paused_at_a_failpoint_changes_nothing_of_what_a_newer_run_left(
    stores, pause, point, days
):
    paused, newer = days
    made = pause(point, lambda: overtake(stores, newer))
    go_on(begin(stores, "paused", paused))
    assert made.seen == [point]
    require_newer_facts_in_force(stores, fence=2)


@pytest.mark.parametrize("days", [(1, -1), (-1, 1)], ids=["paused ahead", "paused behind"])
def test_a_run_that_was_paused_after_it_read_its_facts_changes_nothing_of_what_a_newer_run_left(stores, days):
    paused, newer = days
    work = begin(stores, "paused", paused)
    overtake(stores, newer)
    go_on(work)
    require_newer_facts_in_force(stores, fence=2)


def test_a_run_that_is_killed_after_a_newer_run_was_merged_leaves_nothing(stores):
    work = begin(stores, "paused")
    list(work.outcomes())
    overtake(stores)
    require_newer_facts_in_force(stores, fence=2)


def test_when_the_slate_is_merged_while_both_runs_are_under_way_the_newer_one_is_in_force_in_the_end(stores):
    older = begin(stores, "paused")
    list(older.outcomes())
    older.record()
    assert consolidate(stores).facts_version == 1
    overtake(stores)
    older.finish()
    receipt = consolidate(stores)
    assert (receipt.revision, receipt.facts_version) == (2, 2)


STOPPING = """
import os, signal
from pathlib import Path
from prediction_assets.errors import OlderRevision
from prediction_assets.settings import load_settings
from prediction_assets.steps import failpoints
from prediction_assets.stores.profiles import open_stores
from prediction_assets_tests.acceptance.stale_writers import begin, consolidate, deliver, go_on

def stop_once(point):
    if point == sys.argv[2]:
        failpoints.install(failpoints._go_on)
        say("stopping")
        os.kill(os.getpid(), signal.SIGSTOP)

stores = open_stores(load_settings(home=Path(sys.argv[1])))
failpoints.install(stop_once)
"""

STAGING = f"""{STOPPING}
go_on(begin(stores, "paused"))
"""

PUBLISHING = f"""{STOPPING}
try:
    deliver(stores, consolidate(stores))
except OlderRevision as error:
    say(error)
"""

PUBLISHING_POINTS = (
    "merge_committed",
    "checks_evaluated",
    "part_dropped",
    "dead_letters_closed",
    "consolidation_marked",
    "outbox_written",
    "published",
    "publish_recorded",
)
"""Every failpoint that a consolidation and its completion pass."""

SHORT_OF_STAGING = ("part_written",)
SHORT_OF_PUBLISHING = ("merge_committed", "outbox_written")
"""Where a process is stopped here; ``long/`` stops it at the others, too, and with a clock that is off."""


def test_every_failpoint_of_a_slate_is_one_at_which_its_process_is_stopped() -> None:
    before_staging = {"keys_registered", "batch_opened", "features_written", "features_pinned"}
    assert {*POINTS, *PUBLISHING_POINTS} == {*failpoints.POINTS} - before_staging


@contextmanager
def stopped_at(point: str, code: str, home: Path) -> Iterator[None]:
    """Run a process until it stops itself at a failpoint; it goes on to its end after the block."""
    with running(code, home, point) as paused:
        assert paused.said() == "stopping"
        _, status = os.waitpid(paused.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield
        os.kill(paused.pid, signal.SIGCONT)
        paused.ended()


def stop_a_staging_process(tmp_path: Path, point: str) -> None:
    """Require that it changes nothing of what another process left meanwhile."""
    stores = open_stores(load_settings(home=tmp_path))
    opened(stores)
    refused = ""
    with stopped_at(point, STAGING, tmp_path):
        try:
            overtake(stores)
        except StateUnreadable as error:
            refused = str(error)
    if refused:  # another thread of the process was stopped amid a write, which nobody can pass
        assert "database is locked; this step was rolled back, run it again" in refused
        overtake(stores)
    require_newer_facts_in_force(stores, fence=2)


def stop_a_publishing_process(tmp_path: Path, point: str) -> None:
    """Require that it changes nothing of what a newer consolidation and completion left meanwhile."""
    stores = open_stores(load_settings(home=tmp_path))
    opened(stores)
    go_on(begin(stores, "older"))
    with stopped_at(point, PUBLISHING, tmp_path):
        newer = overtake(stores)
        deliver(stores, newer)
    require_newer_revision_in_force_and_announced(stores, newer)


@pytest.mark.parametrize("point", SHORT_OF_STAGING)
def test_a_process_that_was_stopped_changes_nothing_of_what_another_process_left(tmp_path: Path, point: str):
    stop_a_staging_process(tmp_path, point)


@pytest.mark.parametrize("point", SHORT_OF_PUBLISHING)
def test_a_consolidation_or_completion_that_was_stopped_changes_nothing_of_a_newer_one(
    tmp_path: Path, point: str
):
    stop_a_publishing_process(tmp_path, point)
