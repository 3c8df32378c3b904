"""What a power failure leaves: nothing refers to a file before the file and its name are on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from prediction_assets.errors import PredictionAssetsError
from prediction_assets.orchestration.instance_config import renew
from prediction_assets.settings import Settings, load_settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.steps.pin import pin_features
from prediction_assets.steps.stage import Staging
from prediction_assets.stores.local import state_file
from prediction_assets.stores.local.files import make_folder
from prediction_assets.stores.local.stores import LocalStores
from prediction_assets_tests.made_up import NOW, SLATE, batch, rows_of

Step = tuple[str, str]
PLAYERS = 4


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """What is synchronized and renamed from now on, and what tests add, in order."""
    found: list[Step] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        found.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def recorded_replace(source: os.PathLike[str], target: os.PathLike[str]) -> None:
        found.append(("rename", f"{os.fspath(source)} {os.fspath(target)}"))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return found


@pytest.fixture
def stores(settings: Settings) -> LocalStores:
    opened = LocalStores(settings)
    opened.batch_state.open(batch(PLAYERS))
    return opened


def referring(steps: list[Step], monkeypatch: pytest.MonkeyPatch, owner: object, method: str) -> None:
    """Add a step each time that this method, which makes something refer to the files, is called."""
    call = getattr(owner, method)

    def recorded(*arguments: object, **options: object) -> object:
        steps.append(("refer", method))
        return call(*arguments, **options)

    monkeypatch.setattr(owner, method, recorded)


class FixedClock(Clock):
    """A clock that stands at the slate's opening."""

    def now(self) -> datetime:
        return NOW


def stage(stores: LocalStores, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> int:
    referring(steps, monkeypatch, stores.batch_state, "record")
    opened = batch(PLAYERS)
    parts = {who.slug: rows_of(who, {"20.5": 21.0}) for who in opened.expected}
    work = Staging(
        Progress(opened, {}, "snapshot1"), opened.expected, parts, {}, {}, "run", 1, 1, stores.warehouse.parts,
        stores.batch_state, stores.dead_letters, load_settings(staging_threads=2), FixedClock(),
    )  # fmt: skip
    list(work.outcomes())
    work.record()
    return PLAYERS


def pin(stores: LocalStores, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> int:
    referring(steps, monkeypatch, stores.batch_state, "pin_features")
    stores.batch_state.open(batch(PLAYERS))
    pin_features(SLATE, stores.warehouse, stores.batch_state)
    return 3  # the claimed fence, and the snapshot's two files


def deliver(stores: LocalStores, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> int:
    delivery = stores.publisher.publish({"slate": SLATE, "revision": 1, "message_id": "m"})
    steps.append(("refer", delivery))
    return 1


def configure(stores: LocalStores, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> int:
    renew(stores.publisher._directory.parent / "dagster.yaml", "run_monitoring: {}\n")
    steps.append(("refer", "dagster.yaml"))
    return 1


@pytest.mark.parametrize("operation", [stage, pin, deliver, configure])
def test_a_file_is_synchronized_before_its_rename_and_its_folder_before_anything_refers_to_it(
    stores: LocalStores,
    steps: list[Step],
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[LocalStores, list[Step], pytest.MonkeyPatch], int],
) -> None:
    renames = operation(stores, steps, monkeypatch)
    synchronized: set[str] = set()
    unsafe: set[str] = set()
    renamed = references = 0
    for kind, what in steps:
        if kind == "fsync":
            synchronized.add(what)
            unsafe.discard(what)
        elif kind == "rename":
            source, target = what.split(" ")
            assert source in synchronized, f"{target} was renamed before its content was on the disk"
            unsafe.add(str(Path(target).parent))
            renamed += 1
        else:
            assert not unsafe, f"{what} refers to files whose names aren't on the disk: {unsafe}"
            references += 1
    assert (renamed, references) == (renames, 1)


def test_each_new_folder_s_entry_is_synchronized(tmp_path: Path, steps: list[Step]) -> None:
    make_folder(tmp_path / "a" / "b")
    assert steps == [("fsync", str(tmp_path)), ("fsync", str(tmp_path / "a"))]
    make_folder(tmp_path / "a" / "b")
    assert len(steps) == 2


def test_a_run_s_parts_cost_one_synchronization_each_and_one_of_their_folder(
    stores: LocalStores, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(stores, steps, monkeypatch)
    folder = str(stores.warehouse.parts.path(SLATE, "player-1", "0" * 32).parent)
    synchronized = [what for kind, what in steps if kind == "fsync" and what.startswith(folder)]
    assert len(synchronized) == PLAYERS + 1
    assert synchronized.count(folder) == 1


def test_a_commit_of_the_state_file_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(state_file.connect(tmp_path / "state.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_failed_synchronization_leaves_the_earlier_file_and_no_other(
    stores: LocalStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = batch(1).expected[0]
    parts = stores.warehouse.parts
    before = parts.write(SLATE, who.slug, rows_of(who, {"20.5": 21.0}), 1)

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        parts.write(SLATE, who.slug, rows_of(who, {"20.5": 99.0}), 1)
    assert parts.staged(SLATE) == [(who.slug, before.part_id)]
    path = parts.path(SLATE, who.slug, before.part_id)
    assert list(path.parent.iterdir()) == [path]


def test_a_snapshot_whose_rows_changed_is_refused(stores: LocalStores) -> None:
    snapshots = stores.warehouse.snapshots
    players, history = pa.table({"player_id": [1, 2], "points": [1.0, None]}), pa.table({"player_id": [1]})
    snapshot_id = snapshots.write(SLATE, players, history)
    other = snapshots.write(SLATE, players.slice(1), history)
    assert snapshots.is_whole(SLATE, snapshot_id)
    folder = snapshots._folder(SLATE, snapshot_id)
    (folder / "players.arrow").write_bytes((snapshots._folder(SLATE, other) / "players.arrow").read_bytes())
    assert not snapshots.is_whole(SLATE, snapshot_id)
    with pytest.raises(
        PredictionAssetsError,
        match=r"the rows of players\.arrow have another content.*materialize player_features",
    ):
        snapshots.players(SLATE, snapshot_id)
    assert snapshots.history(SLATE, snapshot_id).equals(history)
    snapshots.write(SLATE, players, history)
    assert snapshots.players(SLATE, snapshot_id).equals(players)
