"""Batch state in the state file: one row per batch, per expected player, and per player's outcome."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from prediction_assets.errors import BatchNotOpen, StateUnreadable
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.batch import Batch, ExpectedPlayer, Progress
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import LISTS, Receipt, unaltered
from prediction_assets.slate.records import as_row
from prediction_assets.slate.roster_freeze import require_same_work, unchanged
from prediction_assets.stores.local.state_file import (
    connect,
    moment_text,
    quick_check,
    refuse_damage,
    transaction,
)


class SqliteBatchState:
    """A :class:`~prediction_assets.stores.protocols.BatchState` in a state file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, batch: Batch) -> Batch:
        with transaction(self._path) as connection:
            earlier = _batch(connection, batch.slate)
            if earlier is None:
                _insert(connection, batch)
                return batch
        return require_same_work(earlier, batch)

    def reopen(self, batch: Batch) -> Batch:
        with transaction(self._path) as connection:
            earlier = _batch(connection, batch.slate)
            stay = unchanged(earlier, batch)
            kept = connection.execute("SELECT * FROM batches WHERE slate = ?", (batch.slate,)).fetchone()
            settled = connection.execute(
                "SELECT player_slug, batch_id FROM outcomes WHERE slate = ?", (batch.slate,)
            ).fetchall()
            connection.execute("DELETE FROM expected_players WHERE slate = ?", (batch.slate,))
            connection.execute("DELETE FROM batches WHERE slate = ?", (batch.slate,))
            _insert(connection, batch)
            if kept is not None:
                _carry_over(connection, kept, keeps_features=len(stay) == len(batch.expected))
            connection.executemany(
                "DELETE FROM outcomes WHERE slate = ? AND player_slug = ?",
                [
                    (batch.slate, row["player_slug"])
                    for row in settled
                    if row["player_slug"] not in stay or row["batch_id"] != (earlier or batch).batch_id
                ],
            )
            connection.execute(
                "UPDATE outcomes SET batch_id = ? WHERE slate = ?", (batch.batch_id, batch.slate)
            )
        return batch

    def claim_fence(self, slate: str, above: int = 0) -> int:
        with transaction(self._path) as connection:
            claimed = connection.execute(
                "UPDATE batches SET fence = MAX(fence, ?) + 1 WHERE slate = ? RETURNING fence", (above, slate)
            ).fetchone()
        if claimed is None:
            raise BatchNotOpen.on(slate)
        return int(claimed["fence"])

    def pin_features(
        self, slate: str, snapshot_id: str, *, fence: int, facts_version: int, made_from: str = ""
    ) -> bool:
        with transaction(self._path) as connection:
            if _batch(connection, slate) is None:
                raise BatchNotOpen.on(slate)
            done = connection.execute(
                "UPDATE batches SET feature_snapshot = ?, features_fence = ?, features_version = ?, "
                "features_made_from = ? WHERE slate = ? AND features_fence <= ?",
                (snapshot_id, fence, facts_version, made_from, slate, fence),
            )
        return bool(done.rowcount)

    def record(self, outcomes: Sequence[PlayerOutcome]) -> None:
        with transaction(self._path) as connection:
            connection.executemany(
                # An outcome of another batch than the slate's isn't stored: it would hide the one that counts. The last
                # condition keeps out a run that hung while another one, with newer facts, staged the player.
                "INSERT INTO outcomes SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 "
                "WHERE NOT EXISTS (SELECT 1 FROM batches WHERE slate = ?1 AND batch_id <> ?2) "
                "ON CONFLICT (slate, player_slug) DO UPDATE SET batch_id = excluded.batch_id, "
                "outcome = excluded.outcome, reason = excluded.reason, part = excluded.part, "
                "run_id = excluded.run_id, recorded_at = excluded.recorded_at, fence = excluded.fence, "
                "facts_version = excluded.facts_version, basis = excluded.basis "
                "WHERE excluded.fence >= outcomes.fence OR excluded.batch_id <> outcomes.batch_id",
                [
                    (
                        done.slate,
                        done.batch_id,
                        done.player_slug,
                        done.outcome.value,
                        done.reason,
                        None if done.part is None else json.dumps(as_row(done.part)),
                        done.run_id,
                        moment_text(done.recorded_at),
                        done.fence,
                        done.facts_version,
                        None if done.basis is None else json.dumps(as_row(done.basis)),
                    )
                    for done in outcomes
                ],
            )

    def progress(self, slate: str, only: Collection[str] | None = None) -> Progress | None:
        with self._reading(f"slate {slate}") as connection:
            connection.execute("BEGIN")  # one consistent view of all the tables
            refuse_damage(connection, ("batches", "expected_players", "outcomes"), slate)
            batch = _batch(connection, slate)
            if batch is None:
                return None
            if _roster_size(connection, slate) != len(batch.expected):
                raise sqlite3.DatabaseError("expected_players is damaged")
            expected = {p.slug for p in batch.expected}
            rows = connection.execute("SELECT * FROM outcomes WHERE slate = ?", (slate,)).fetchall()
            pinned = connection.execute("SELECT * FROM batches WHERE slate = ?", (slate,)).fetchone()
            return Progress(
                batch=batch,
                outcomes={
                    r["player_slug"]: _player_outcome(r)
                    for r in rows
                    if r["player_slug"] in expected and r["batch_id"] == batch.batch_id
                },
                feature_snapshot=pinned["feature_snapshot"],
                features_version=pinned["features_version"],
                features_made_from=pinned["features_made_from"],
                receipt=self._copy(connection, slate),
            )

    def recent_slates(self, since: datetime) -> Sequence[str]:
        with self._reading("recent slates") as connection:
            rows = connection.execute(
                "SELECT slate FROM batches WHERE opened_at >= ? ORDER BY opened_at, slate",
                (moment_text(since),),
            ).fetchall()
        return [row["slate"] for row in rows]

    def damage(self) -> str:
        found = quick_check(self._path)
        return f"{self._path}: {found}" if found else ""

    def prune_outcomes(self, slate: str) -> int:
        return 0  # a player has one row

    def mark_consolidated(self, receipt: Receipt) -> None:
        with transaction(self._path) as connection:
            connection.execute(
                "INSERT INTO receipts VALUES (:slate, :receipt_id, :revision, :receipt) ON CONFLICT (slate) "
                "DO UPDATE SET receipt_id = excluded.receipt_id, revision = excluded.revision, "
                "receipt = excluded.receipt WHERE excluded.revision >= receipts.revision",
                {
                    "slate": receipt.slate,
                    "receipt_id": receipt.receipt_id,
                    "revision": receipt.revision,
                    "receipt": json.dumps(
                        {**as_row(receipt), "consolidated_at": moment_text(receipt.consolidated_at)}
                    ),
                },
            )

    def consolidated(self, slate: str) -> Receipt | None:
        with self._reading(f"receipt of slate {slate}") as connection:
            return self._copy(connection, slate)

    def _copy(self, connection: sqlite3.Connection, slate: str) -> Receipt | None:
        row = connection.execute("SELECT receipt FROM receipts WHERE slate = ?", (slate,)).fetchone()
        return None if row is None else unaltered(_receipt(row["receipt"]), str(self._path))

    @contextmanager
    def _reading(self, what: str) -> Iterator[sqlite3.Connection]:
        connection = connect(self._path)
        try:
            yield connection
        except (sqlite3.DatabaseError, KeyError, ValueError, TypeError) as error:
            raise StateUnreadable(
                f"{self._path}: {what}: {error}; nothing was changed. Restore the file from a backup"
            ) from error
        finally:
            connection.close()


def _insert(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, 0, NULL, 0, 0, '')",
        (
            batch.slate,
            batch.batch_id,
            batch.league,
            batch.games,
            moment_text(batch.opened_at),
            moment_text(batch.deadline),
        ),
    )
    connection.execute(
        "INSERT OR REPLACE INTO roster_sizes VALUES (?, ?)", (batch.slate, len(batch.expected))
    )
    connection.executemany(
        "INSERT INTO expected_players VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (batch.slate, p.slug, p.player_id, p.name, p.team, p.opponent, p.is_home, p.game_id)
            for p in batch.expected
        ],
    )


def _carry_over(connection: sqlite3.Connection, earlier: sqlite3.Row, *, keeps_features: bool) -> None:
    """Give a reopened batch the fence of the earlier one, and its features if they are of all who are expected."""
    features = ("feature_snapshot", "features_fence", "features_version", "features_made_from")
    # A reopening that drops the features takes a fence itself: runs that claimed theirs before can't pin any more.
    fence = earlier["fence"] if keeps_features else earlier["fence"] + 1
    pinned = tuple(earlier[name] for name in features) if keeps_features else (None, fence, 0, "")
    connection.execute(
        "UPDATE batches SET fence = ?, feature_snapshot = ?, features_fence = ?, features_version = ?, "
        "features_made_from = ? WHERE slate = ?",
        (fence, *pinned, earlier["slate"]),
    )


def _batch(connection: sqlite3.Connection, slate: str) -> Batch | None:
    row = connection.execute("SELECT * FROM batches WHERE slate = ?", (slate,)).fetchone()
    if row is None:
        return None
    players = connection.execute("SELECT * FROM expected_players WHERE slate = ? ORDER BY slug", (slate,))
    return Batch(
        slate=row["slate"],
        batch_id=row["batch_id"],
        league=row["league"],
        games=row["games"],
        opened_at=datetime.fromisoformat(row["opened_at"]),
        deadline=datetime.fromisoformat(row["deadline"]),
        expected=tuple(
            ExpectedPlayer(
                player_id=p["player_id"],
                slug=p["slug"],
                name=p["name"],
                team=p["team"],
                opponent=p["opponent"],
                is_home=None if p["is_home"] is None else bool(p["is_home"]),
                game_id=p["game_id"],
            )
            for p in players
        ),
    )


def _roster_size(connection: sqlite3.Connection, slate: str) -> int:
    """Return the number of expected players that was stored with the batch; -1 if it is lost."""
    row = connection.execute("SELECT players FROM roster_sizes WHERE slate = ?", (slate,)).fetchone()
    return -1 if row is None else int(row["players"])


def _player_outcome(row: sqlite3.Row) -> PlayerOutcome:
    return PlayerOutcome(
        slate=row["slate"],
        batch_id=row["batch_id"],
        player_slug=row["player_slug"],
        outcome=Outcome(row["outcome"]),
        run_id=row["run_id"],
        recorded_at=datetime.fromisoformat(row["recorded_at"]),
        fence=row["fence"],
        facts_version=row["facts_version"],
        reason=row["reason"],
        part=None if row["part"] is None else PartRef(**json.loads(row["part"])),
        basis=None if row["basis"] is None else Basis(**json.loads(row["basis"])),
    )


def _receipt(text: str) -> Receipt:
    values: dict[str, Any] = json.loads(text)
    return Receipt(
        **{
            **values,
            "consolidated_at": datetime.fromisoformat(values["consolidated_at"]),
            **{name: tuple(values[name]) for name in LISTS},
        }
    )
