"""What else can be in the staging area: half of a killed write, somebody's notes, a file in a part's place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prediction_assets.errors import PartMismatch, WarehouseUnreadable
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.slate.part_states import PartState, part_states, parts_in
from prediction_assets.steps.cleanup import clean_up
from prediction_assets.stores.gcp.parts import part_table
from prediction_assets.stores.gcp.warehouse import BigQueryWarehouse
from prediction_assets.stores.local.parts import ArrowParts
from prediction_assets.stores.protocols import Warehouse
from prediction_assets_tests.contract.warehouse.conftest import SHARED_TOO
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, progress_of, rows_of, staged
from prediction_assets_tests.stopped import running

WRITING = """
import os
from pathlib import Path
from prediction_assets.stores.local.parts import ArrowParts
from prediction_assets_tests.made_up import SLATE, player, rows_of

fsync = os.fsync

def and_stop(descriptor):
    fsync(descriptor)
    stop("written aside")

os.fsync = and_stop
ArrowParts(Path(sys.argv[1])).write(SLATE, "player-1", rows_of(player(1), {"24.5": 21.0}), 1)
"""


def write(warehouse: Warehouse, number: int, points: float = 20.0, fence: int = 1):
    who = player(number)
    return warehouse.parts.write(SLATE, who.slug, rows_of(who, {"24.5": points}), fence)


@SHARED_TOO
def test_the_highest_fence_is_kept_beside_the_parts_and_is_none_of_them(warehouse: Warehouse):
    parts = warehouse.parts
    assert parts.highest_fence(SLATE) == 0
    for fence, highest in ((3, 3), (2, 3), (4, 4)):
        parts.keep_fence(SLATE, fence)
        assert parts.highest_fence(SLATE) == highest
    assert (list(parts.staged(SLATE)), list(parts.strays(SLATE)), list(parts.slates())) == ([], [], [])
    assert parts.highest_fence("2026-01-03") == 0
    write(warehouse, 1, fence=6)
    assert parts.highest_fence(SLATE) == 6
    list(parts.drop(SLATE, parts.staged(SLATE)))
    assert parts.highest_fence(SLATE) == 4


@pytest.mark.parametrize("in_the_way", [f"staging/{SLATE}", "staging"])
def test_a_file_in_the_place_of_a_staging_folder_is_named_with_the_remedy(tmp_path: Path, in_the_way: str):
    file = tmp_path / in_the_way
    file.parent.mkdir(exist_ok=True)
    file.write_text("not a folder", "utf-8")
    with pytest.raises(WarehouseUnreadable, match=f"Move it away, then run .*--slate {SLATE}"):
        ArrowParts(tmp_path / "staging").keep_fence(SLATE, 1)
    assert file.read_text("utf-8") == "not a folder"
    file.unlink()
    ArrowParts(tmp_path / "staging").keep_fence(SLATE, 1)


def test_what_a_killed_write_left_is_swept_and_what_is_being_written_is_not(open_duckdb):
    warehouse = open_duckdb()
    parts = warehouse.parts
    before = write(warehouse, 1)
    folder = parts.path(SLATE, "player-1", before.part_id).parent
    with running(WRITING, folder.parent) as lives, running(WRITING, folder.parent) as dies:
        lives.until("written aside")
        dies.until("written aside")
        assert parts.sweep(SLATE) == 0
        assert parts.strays(SLATE) == []
        dies.kill()
        assert parts.sweep(SLATE) == 1
        assert dict(parts.staged(SLATE)) == {"player-1": before.part_id}
        lives.go_on()
        lives.ended()
    assert parts.sweep(SLATE) == 0
    (_, first), (_, second) = parts.staged(SLATE)
    assert before.part_id in (first, second)
    assert "" not in (first, second)
    names = [f"player-1.{part_id}.arrow" for part_id in (first, second)]
    assert sorted(p.name for p in folder.iterdir()) == names


def leave_foreign_things(warehouse: Warehouse) -> list[str]:
    """Put into the staging area what isn't ours; return the names that should be reported."""
    if isinstance(warehouse, BigQueryWarehouse):
        names = ["_staging_2026_01_02_player_1__notes", "notes"]
        client = warehouse.jobs.client
        for name in names:
            client.create_table(f"{client.project}.{warehouse.jobs.dataset_prefix}staging.{name}")
        return names
    folder = warehouse.parts.path(SLATE, "player-1", "0" * 32).parent  # type: ignore[attr-defined]
    (folder.parent / "backup").mkdir()
    pq.write_table(pa.table({"x": [1]}), folder.parent / "backup" / "player-1.parquet")
    pq.write_table(pa.table({"x": [1]}), folder / "Stephen Curry.arrow")
    pq.write_table(pa.table({"x": [1]}), folder / "somebody-else.arrow")
    (folder / f"half-written.{'0' * 32}.arrow").write_bytes(b"ARROW1 and no more")
    (folder / "notes.txt").write_text("don't touch")
    (folder / ".notes").write_text("don't touch")
    return [
        "2026-01-02/.notes",
        "2026-01-02/Stephen Curry.arrow",
        f"2026-01-02/half-written.{'0' * 32}.arrow",
        "2026-01-02/notes.txt",
        "2026-01-02/somebody-else.arrow",
        "backup",
    ]


def everything_in_staging(warehouse: Warehouse) -> set[str]:
    if isinstance(warehouse, BigQueryWarehouse):
        return {item.table_id for item in warehouse.jobs.tables("staging")}
    root = warehouse.parts.path(SLATE, "player-1", "0" * 32).parent.parent  # type: ignore[attr-defined]
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


# where others can put things
@pytest.mark.parametrize("warehouse", ["duckdb", "bigquery", "shared_bigquery"], indirect=True)
def test_what_is_no_part_is_named_left_alone_and_in_nobody_s_way(warehouse):
    parts = [write(warehouse, 1), write(warehouse, 2)]
    strays = leave_foreign_things(warehouse)
    assert {"player-1", "player-2"} <= dict(warehouse.parts.staged(SLATE)).keys()
    foreign = everything_in_staging(warehouse)
    assert warehouse.parts.slates() == [SLATE]
    progress = progress_of(batch(2), *map(staged, parts))
    receipt = warehouse.merge(plan(progress, ()))
    done = clean_up(SLATE, warehouse, Outcomes(progress), now=NOW)
    assert (receipt.rows, done.merged, list(done.strays)) == (2, ("player-1", "player-2"), strays)
    gone = sorted(foreign - everything_in_staging(warehouse))
    theirs = [part_table(SLATE, part.player_slug, part.part_id) for part in parts]
    files = [f"{SLATE}/{part.player_slug}.{part.part_id}.arrow" for part in parts]
    assert gone == sorted({*theirs} if isinstance(warehouse, BigQueryWarehouse) else files)


@dataclass
class Outcomes:
    """Batch state, as far as a cleanup asks it."""

    progress_now: Progress

    def progress(self, slate: str, only: object = None) -> Progress:
        return self.progress_now


def settled(number: int, outcome: Outcome, fence: int = 2) -> PlayerOutcome:
    return PlayerOutcome(
        SLATE, f"{SLATE}@test", f"player-{number}", outcome, "run", NOW, fence, 1, reason="because"
    )


@SHARED_TOO
def test_parts_that_no_outcome_can_need_are_dropped_and_no_others(warehouse):
    """1 is merged, and was staged by an earlier run, too; 2 was skipped and 3 failed after their parts were written;
    5 isn't expected. 4 has no outcome, a later run has written a part of 2, and 6's part waits for the next MERGE."""
    before, first = write(warehouse, 1, fence=1), staged(write(warehouse, 1, fence=2))
    old = [write(warehouse, number) for number in (2, 3, 4, 5)]
    later = write(warehouse, 2, fence=3)
    outcomes = [first, settled(2, Outcome.SKIPPED), settled(3, Outcome.FAILED)]
    warehouse.merge(plan(progress_of(batch(4), *outcomes), ()))
    sixth = staged(write(warehouse, 6))
    now = replace(batch(4), expected=(*batch(4).expected, player(6)))
    state = Outcomes(progress_of(now, *outcomes, sixth))
    done = clean_up(SLATE, warehouse, state, now=NOW)
    assert (done.merged, done.orphaned) == (("player-1",), ("player-1", "player-2", "player-3", "player-5"))
    assert done.kept == ("player-2", "player-4", "player-6")
    left = {("player-2", later.part_id), ("player-4", old[2].part_id), ("player-6", sixth.part.part_id)}
    assert set(warehouse.parts.staged(SLATE)) == left
    assert ("player-1", before.part_id) not in left
    assert clean_up(SLATE, warehouse, state, now=NOW).orphaned == ()


def test_a_part_whose_column_has_another_type_is_refused_and_named(open_duckdb):
    warehouse = open_duckdb()
    parts = [write(warehouse, 1), write(warehouse, 2)]
    path = warehouse.parts.path(SLATE, "player-1", parts[0].part_id)
    rows = pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all()
    at = rows.column_names.index("player_id")
    changed = rows.set_column(at, "player_id", rows["player_id"].cast(pa.uint64()))
    with pa.ipc.new_file(str(path), changed.schema) as writer:
        writer.write_table(changed)
    with pytest.raises(PartMismatch, match=r"player-1.*player_id"):
        warehouse.merge(plan(progress_of(batch(2), *map(staged, parts)), ()))


@pytest.mark.parametrize("content", [b"", b"ARROW1 and no more", b"notes"])
def test_a_file_in_a_part_s_place_is_refused_named_and_has_the_player_staged_again(open_duckdb, content):
    warehouse = open_duckdb()
    parts = [write(warehouse, 1), write(warehouse, 2)]
    path = warehouse.parts.path(SLATE, "player-1", parts[0].part_id)
    path.write_bytes(content)
    progress = progress_of(batch(2), *map(staged, parts))
    with pytest.raises(PartMismatch, match="player-1"):
        warehouse.merge(plan(progress, ()))
    assert clean_up(SLATE, warehouse, Outcomes(progress), now=NOW).kept == (
        "player-1",
        "player-2",
    )
    assert path.read_bytes() == content
    states = part_states(progress, warehouse.parts.staged(SLATE), ())
    assert parts_in(states, PartState.LOST) == [("player-1", parts[0].part_id)]
    again = progress_of(batch(2), staged(write(warehouse, 1)), staged(parts[1]))
    assert warehouse.merge(plan(again, ())).rows == 2
