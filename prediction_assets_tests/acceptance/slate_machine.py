"""A slate under any order of steps, faults and repeats leaves what a simple model in memory says it leaves.

Hypothesis draws the steps: ingest, stage, stage with other or impossible rows, pause before or after a part is written,
complete twice or late, skip, fail, reopen, consolidate, accept what an audit refuses, revert, clean up, publish,
replay, prune, lose or restore each store, clocks that are a day off, and a crash behind or inside any of them. They run
on the real ports, through the steps that the assets call, without a Dagster run for each. Both warehouses run the same
machine; batch state and outbox are SQLite beside either (their contract suites cover Firestore).
"""

from __future__ import annotations

import itertools
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from prediction_assets.errors import AuditRefused, BadInput, NoPartsStaged, OlderRevision, PartMismatch
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, ranges
from prediction_assets.slate.audits import ENOUGH_STAGED, IN_RANGE, AuditLimits
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.merge_plan import is_current_for
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.announce import announce, read_changes
from prediction_assets.steps.claim import claim_fence
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes, seen_revisions
from prediction_assets.steps.revert import stage_revision
from prediction_assets.steps.stage import Staging
from prediction_assets.stores.local.parts import ArrowParts, ArrowSnapshots
from prediction_assets.stores.sql.tables import SCHEDULE
from prediction_assets_tests.acceptance.slate_model import (
    MINIMUM_SHARE,
    Content,
    Merged,
    Model,
    Part,
    Settled,
)
from prediction_assets_tests.acceptance.slate_ports import (
    Crash,
    KeptOpen,
    Ports,
    StoppingBigQuery,
    by_hand_of,
    crashing,
)
from prediction_assets_tests.contract.warehouse.bigquery_emulator import emulator_client
from prediction_assets_tests.made_up import NOW, dated, player, rows_of

SLATES = (date(2100, 1, 1) + timedelta(days=n) for n in itertools.count())  # one for each example

REPLACED = "replaced"
"""A message that a newer one replaced before it was delivered."""

SLUGS = tuple(f"player-{n}" for n in range(1, 5))
PLAYERS = {slug: player(n) for n, slug in enumerate(SLUGS, start=1)}
GAMES = itertools.count(1)  # no two examples ingest the same one
BATCH_STATE = ("batches", "roster_sizes", "expected_players", "outcomes", "receipts")
ACCEPTED = {IN_RANGE: "because", ENOUGH_STAGED: "because"}
DAYS = st.sampled_from([0, 0, -1, 1])
"""By how much a process's clock is off."""
contents = st.dictionaries(
    st.sampled_from(["24.5", "25.0", "25.5"]), st.sampled_from([20.0] * 8 + [21.0] * 8 + [400.0]), min_size=1
).map(lambda lines: tuple(sorted(lines.items())))


@dataclass
class MachineClock(Clock):
    """A clock that is a second later each time that it is read, and some days off."""

    moments: Iterator[int]
    days: int = 0

    def now(self) -> datetime:
        return NOW + timedelta(days=self.days, hours=1, seconds=next(self.moments))


class SlateMachine(RuleBasedStateMachine):
    """One slate, from its opening to rest."""

    ports: Ports

    @initialize(expected=st.sets(st.sampled_from(SLUGS), min_size=2))
    def open(self, expected: set[str]) -> None:
        self.slate = next(SLATES).isoformat()
        self.model = Model()
        self.paused: list[Callable[[], Settled]] = []
        self.late: list[Settled] = []
        self.moments = itertools.count(1)
        self.fences: list[int] = []
        self.facts_version = self.ports.warehouse.facts_version()
        self.clock = MachineClock(self.moments)
        self.keys: list[str] = []
        self.backups: list[tuple[dict[str, list[tuple[object, ...]]], Model]] = []
        for _ in range(2):  # the second opening finds the first
            self.ports.state.open(self._batch(expected))
        self.model.expected = set(expected)
        self._register()

    def _batch(self, expected: set[str]) -> Batch:
        players: list[ExpectedPlayer] = [PLAYERS[slug] for slug in sorted(expected)]
        return Batch(
            self.slate,
            f"{self.slate}@test",
            "simulated-3",
            1,
            NOW,
            NOW + timedelta(minutes=30),
            tuple(players),
        )

    # Staging

    def _begin(self, slug: str, content: Content | Outcome, days: int = 0) -> Callable[[], Settled]:
        """Begin a staging run, which claims its fence, and return what it does next: settle its player."""
        fence = claim_fence(self.slate, self.ports.warehouse, self.ports.state)
        known = [f for f in self.fences if f >= fence]
        assert not known, "a fence was claimed twice, or after a higher one"
        self.fences.append(fence)
        version = self.ports.warehouse.facts_version()
        assert version == self.facts_version
        progress = self.ports.state.progress(self.slate)
        assert progress is not None
        rows = None if isinstance(content, Outcome) else rows_of(PLAYERS[slug], dict(content), self.slate)
        staging = Staging(
            progress=progress,
            players=progress.batch.players([slug]),
            parts={slug: rows} if rows is not None else {},
            errors={slug: ValueError("because")} if content is Outcome.FAILED else {},
            skipped={slug: "because"} if content is Outcome.SKIPPED else {},
            run_id=f"run {next(self.moments)}",
            fence=fence,
            facts_version=version,
            staging_area=self.ports.warehouse.parts,
            state=self.ports.state,
            dead_letters=self.ports.dead_letters,
            settings=self.ports.settings,
            clock=MachineClock(self.moments, days),
        )
        return partial(self._go_on, staging, slug, content)

    def _go_on(self, staging: Staging, slug: str, content: Content | Outcome) -> Settled:
        """Settle the player with rows, or skipped or failed; nothing is recorded yet."""
        (done,) = staging.outcomes()
        assert (done.fence, done.facts_version) == (staging.fence, staging.facts_version)
        if isinstance(content, Outcome):
            assert (done.outcome, done.part) == (content, None)
            if content is Outcome.FAILED:
                self.model.letters.setdefault(slug, []).append(done.fence)
            return Settled(done, staging)
        assert done.part is not None
        part = Part(done.part, content)
        assert part.fence == staging.fence
        self.model.shelf.setdefault(slug, []).append(part)
        return Settled(done, staging, part)

    def _settle(self, slug: str, content: Content | Outcome, days: int = 0) -> Settled:
        return self._begin(slug, content, days)()

    def _record(self, settled: Settled, times: int = 1) -> None:
        """Record an outcome, once or as a redelivery does, and end its staging run."""
        settled.staging.record()
        for _ in range(times - 1):
            self.ports.state.record([settled.completion])
        self.model.record(settled)
        settled.staging.finish()
        self.model.finish(settled)
        self._compare_outcomes()
        assert self.ports.warehouse.parts.staged(self.slate) == self.model.staged()

    def _compare_outcomes(self) -> None:
        """Of each player the outcome with the highest fence counts."""
        progress = self.ports.state.progress(self.slate)
        assert progress is not None
        found = {slug: (done.fence, done.run_id, done.part) for slug, done in progress.outcomes.items()}
        assert found == {
            slug: (done.completion.fence, done.completion.run_id, done.completion.part)
            for slug, done in self.model.outcomes.items()
        }

    @rule()
    def ingest(self) -> None:
        """Ingest a fact that is new, and again, which changes nothing."""
        game = {
            "league": "simulated-3", "game_id": f"{next(GAMES):010}", "game_date": date(2099, 1, 1),
            "team_a": "S01", "team_b": "S02",
        }  # fmt: skip
        rows = SCHEDULE.arrow_table([dict.fromkeys(SCHEDULE.column_names) | game])
        for _ in range(2):
            self.ports.warehouse.upsert(SCHEDULE, rows)
        self.facts_version += 1
        assert self.ports.warehouse.facts_version() == self.facts_version

    @rule(slug=st.sampled_from(SLUGS), content=contents, times=st.sampled_from([1, 1, 2]), days=DAYS)
    def stage(self, slug: str, content: Content, times: int, days: int) -> None:
        """Write a player's part and record it, once or as a redelivery does."""
        if slug in self.model.expected:
            self._record(self._settle(slug, content, days), times)

    @rule(slug=st.sampled_from(SLUGS), content=contents | st.sampled_from([Outcome.SKIPPED, Outcome.FAILED]))
    def begin_and_be_paused(self, slug: str, content: Content | Outcome) -> None:
        """Claim a fence, read everything, and write nothing for now."""
        if slug in self.model.expected:
            self.paused.append(self._begin(slug, content))

    @precondition(lambda self: self.paused)
    @rule(ever=st.booleans())
    def go_on(self, ever: bool) -> None:
        """Let a paused run write, and record at once or later."""
        settled = self.paused.pop(0)()
        if ever:
            self._record(settled)
        else:
            self.late.append(settled)

    @rule(slug=st.sampled_from(SLUGS), content=contents, ever=st.booleans())
    def stage_and_crash_or_be_slow(self, slug: str, content: Content, ever: bool) -> None:
        """Write a part whose completion comes late, or never."""
        if slug in self.model.expected:
            settled = self._settle(slug, content)
            if ever:
                self.late.append(settled)

    @precondition(lambda self: self.late)
    @rule()
    def complete_late(self) -> None:
        self._record(self.late.pop(0))

    @rule(
        slug=st.sampled_from(SLUGS),
        outcome=st.sampled_from([Outcome.SKIPPED, Outcome.FAILED]),
        times=st.sampled_from([1, 2]),
        days=DAYS,
    )
    def settle_without_rows(self, slug: str, outcome: Outcome, times: int, days: int) -> None:
        if slug in self.model.expected:
            self._record(self._settle(slug, outcome, days), times)

    @rule(expected=st.sets(st.sampled_from(SLUGS)), again=st.booleans())
    def reopen(self, expected: set[str], again: bool) -> None:
        for _ in range(1 + again):
            self.ports.state.reopen(self._batch(expected))
        self.model.expected = set(expected)
        self.model.outcomes = {s: done for s, done in self.model.outcomes.items() if s in expected}
        self._register()

    @rule(slug=st.sampled_from(SLUGS))
    def reopen_to_and_fro(self, slug: str) -> None:
        """Drop a player, take him back, and drop him again, merged each time; by chance that is seldom drawn."""
        others = self.model.expected - {slug}
        for expected in (others, others | {slug}, others):
            self.reopen(expected, False)
            self._until_it_rests()

    # Merging

    @rule(
        crash=st.sampled_from([None, None, "inside", "behind"]), accepts=st.sampled_from([False, False, True])
    )
    def consolidate(self, crash: str | None, accepts: bool) -> None:
        expected = self.model.merge(accepts=accepts)
        warehouse, now = self.ports.warehouse, self.clock.now()
        receipt, refusal = None, None
        warehouse.crash_in_merge = crash == "inside"
        progress, receipts = read_outcomes(self.slate, warehouse, self.ports.state)
        try:
            seen = seen_revisions(progress, self.ports.outbox, self.ports.publisher)
            limits = AuditLimits(minimum_staged_share=MINIMUM_SHARE)
            accepted = ACCEPTED if accepts else {}
            work = plan_merge(progress, receipts, now=now, limits=limits, accepted=accepted, seen=seen)
            for slug in progress.unsettled:  # they are overdue
                self.model.letters.setdefault(slug, []).append(0)
            run_id = f"merge {next(self.moments)}"
            receipt = merge(work, progress, warehouse, self.ports.dead_letters, run_id=run_id, now=now)
        except (NoPartsStaged, AuditRefused, PartMismatch) as error:
            refusal = type(error)
        except Crash:
            pass
        finally:
            warehouse.crash_in_merge = False
        if receipt is None:
            assert refusal is (None if isinstance(expected, Merged) else expected)
            if refusal is not NoPartsStaged:  # that is refused before the warehouse is asked
                self._compare_table()
            return
        assert isinstance(expected, Merged), "merged what should have been refused"
        if expected not in self.model.receipts:
            expected.receipt_id = receipt.receipt_id
            assert receipt.receipt_id not in {r.receipt_id for r in self.model.receipts}
            self.model.commit(expected)
        if crash != "behind":
            self._compare_receipt(receipt, expected)
        self._compare_table()
        self._compare_with_batch()

    def _compare_receipt(self, receipt: Receipt, expected: Merged) -> None:
        counts = (
            receipt.rows_staged, receipt.rows_inserted, receipt.rows_updated, receipt.rows_unchanged,
            receipt.rows_superseded, receipt.rows,
        )  # fmt: skip
        assert (receipt.receipt_id, receipt.revision, counts) == (
            expected.receipt_id, expected.revision, expected.counts,
        )  # fmt: skip
        assert receipt.rows_staged == receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged
        assert {part["part_id"] for part in receipt.parts} == expected.parts
        assert receipt.facts_version == expected.facts_version
        refused = {
            each["name"] for each in receipt.audits if each["severity"] == "ERROR" and not each["passed"]
        }
        assert refused <= {each["name"] for each in receipt.accepted} <= {*ACCEPTED}

    def _compare_table(self) -> None:
        """No row lost, none doubled, none deleted; each receipt in its place."""
        found = self.ports.warehouse.query(
            "SELECT player_slug, CAST(line AS VARCHAR) AS line, predicted_points, is_active, superseded_at, "
            "superseded_by "
            "FROM predictions.player_prop_predictions WHERE game_date = $slate",
            {"slate": date.fromisoformat(self.slate)},
        ).to_pylist()
        rows = [
            ((r["player_slug"], str(float(r["line"]))), r["predicted_points"], r["is_active"]) for r in found
        ]
        in_force = {key: points for key, points, is_active in rows if is_active}
        assert len(in_force) == sum(is_active for *_, is_active in rows), "a business key is in force twice"
        assert in_force == self.model.table
        assert Counter((key, points) for key, points, is_active in rows if not is_active) == self.model.closed
        assert all((row["superseded_at"] is None) == row["is_active"] for row in found)
        assert all((row["superseded_by"] is None) == row["is_active"] for row in found)
        receipts = self.ports.warehouse.receipts(self.slate)
        assert [r.receipt_id for r in receipts] == [r.receipt_id for r in self.model.receipts]
        assert [r.revision for r in receipts] == [r.revision for r in self.model.receipts]

    def _compare_with_batch(self) -> None:
        """In force is what the batch says now, however it came to that: nothing of whom it doesn't expect."""
        in_force: dict[str, dict[str, float]] = {slug: {} for slug in SLUGS}
        for (slug, line), points in self.model.table.items():
            in_force[slug][line] = points
        for slug in SLUGS:
            done = self.model.outcomes.get(slug)
            if slug not in self.model.expected or self.model._is_skipped(slug):
                assert in_force[slug] == {}, f"{slug} isn't predicted any more"
            elif done is not None and done.part is not None:
                assert in_force[slug] == dict(done.part.content)

    @rule(
        crash=st.sampled_from([None, None, "part_dropped", "before the mirror"]),
        times=st.sampled_from([1, 2]),
        days=DAYS,
    )
    def clean_up(self, crash: str | None, times: int, days: int) -> None:
        warehouse, state = self.ports.warehouse, self.ports.state
        merged, orphaned = self.model.droppable(is_day_after=days > 0)
        with crashing(crash, times):
            done = clean_up(self.slate, warehouse, state, now=MachineClock(self.moments, days).now())
            assert sorted(done.merged) == sorted(slug for slug, _ in merged)
            assert sorted(done.orphaned) == sorted(slug for slug, _ in orphaned)
            if done.receipts and crash != "before the mirror":
                finish_consolidation(self.slate, done.receipts, state, self.ports.dead_letters)
                self.model.settle_letters()
                self.model.mark()
                self._compare_letters()
        left = warehouse.parts.staged(self.slate)
        assert {*self.model.staged()} - {*left} <= merged | orphaned, "a part that is needed was dropped"
        self.model.drop({*self.model.staged()} - {*left})
        assert left == self.model.staged()
        assert crash == "part_dropped" or not (merged | orphaned) & {*left}

    def _compare_letters(self) -> None:
        """A letter is open for each player who failed, or was overdue, until a run with his fence or a higher one is
        merged or skips him, or he isn't expected."""
        found = {
            letter.player_slug: sorted(failure.fence for failure in letter.failures if failure.closed is None)
            for letter in self.ports.dead_letters.letters(self.slate)
        }
        assert found == {slug: sorted(fences) for slug, fences in self.model.letters.items()}

    # Publishing

    @precondition(lambda self: self.model.receipts)
    @rule(
        crash=st.sampled_from([None, None, "outbox_written", "published", "publish_recorded"]),
        which=st.integers(0, 20),
    )
    def publish(self, crash: str | None, which: int) -> None:
        """Announce the newest receipt, mostly, or an earlier one that was late."""
        receipts = self.ports.warehouse.receipts(self.slate)
        chosen = receipts[-1] if which < 15 else receipts[which % len(receipts)]
        self._announce(chosen, crash)

    def _announce(self, receipt: Receipt, crash: str | None = None) -> None:
        if receipt.revision < max(self.model.events, default=0):
            with pytest.raises(OlderRevision):
                self._announced(receipt)
            self._compare_events()
            return
        with crashing(crash):
            entry, before = self._announced(receipt)
            assert before == (self.model.events.get(receipt.revision) is not None)
            assert entry.message_id == message_id(receipt)
        content = next(each for each in self.model.receipts if each.receipt_id == receipt.receipt_id).content
        self.model.messages[receipt.revision] = content
        if crash != "outbox_written":
            self.model.files[receipt.revision] = content
        for revision, state in self.model.events.items():
            if revision < receipt.revision and state is None:
                self.model.events[revision] = REPLACED
        self.model.events.setdefault(receipt.revision, None)
        if crash in (None, "publish_recorded"):
            self.model.events[receipt.revision] = message_id(receipt)
        self._compare_events()

    def _announced(self, receipt: Receipt) -> tuple[OutboxEntry, bool]:
        changes = read_changes(receipt, self.ports.warehouse)
        return announce(
            receipt, changes, self.ports.outbox, self.ports.publisher,
            output_table=self.ports.warehouse.output_table, now=self.clock.now,
        )  # fmt: skip

    def _compare_events(self) -> None:
        """One event for each distinct content revision, and none of them twice."""
        entries = self.ports.outbox.entries(self.slate)
        by_revision = {entry.message["revision"]: entry for entry in entries}
        assert len(by_revision) == len(entries)
        states = {
            r: e.message_id if e.delivery_id else e.replaced_by and REPLACED for r, e in by_revision.items()
        }
        assert states == self.model.events

    # Reverting

    @precondition(lambda self: self.model.receipts)
    @rule(which=st.integers(0, 20))
    def revert(self, which: int) -> None:
        """Stage an earlier revision again, or what is in force, as after batch state was lost."""
        receipts = self.model.receipts
        self._stage_again(receipts[which % len(receipts)].revision)

    def _stage_again(self, revision: int) -> None:
        warehouse, state = self.ports.warehouse, self.ports.state
        receipt = [each for each in self.model.receipts if each.revision == revision][-1]
        fence = claim_fence(self.slate, warehouse, state)
        self.fences.append(fence)
        given = (self.slate, revision, warehouse, state, self.ports.settings, self.clock)
        run_id = f"revert {next(self.moments)}"
        if {slug for slug, _ in receipt.table} - self.model.expected:
            with pytest.raises(BadInput, match="not expected any more"):
                stage_revision(*given, run_id=run_id, fence=fence)
            return
        stage_revision(*given, run_id=run_id, fence=fence)
        progress = state.progress(self.slate)
        assert progress is not None
        is_newest = receipt is self.model.receipts[-1]
        for slug in self.model.expected:
            rows = {line: points for (of, line), points in receipt.table.items() if of == slug}
            kind = Outcome.STAGED if rows else Outcome.SKIPPED
            if is_newest and receipt.kinds.get(slug) == "failed":
                kind = Outcome.FAILED
            done = progress.outcomes[slug]
            version = receipt.facts_version if is_newest else self.facts_version
            assert (done.outcome, done.fence, done.facts_version) == (kind, fence, version)
            part = None
            if kind is Outcome.STAGED:
                assert done.part is not None
                part = Part(done.part, tuple(sorted(rows.items())))
                self.model.shelf.setdefault(slug, []).append(part)
            self.model.record(Settled(done, None, part))
        self._compare_outcomes()

    # Stores that are lost, or restored from before

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self.ports.settings.home / "state.sqlite")

    @rule()
    def back_up_batch_state(self) -> None:
        kept = {}
        with closing(self._connection()) as connection:
            for table in BATCH_STATE:
                names = ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
                rows = connection.execute(f"SELECT {names} FROM {table} WHERE slate = ?", (self.slate,))
                kept[f"{table} ({names})"] = rows.fetchall()
        model = Model(set(self.model.expected), dict(self.model.outcomes), copy=self.model.copy)
        self.backups.append((kept, model))

    @rule(which=st.integers(0, 5))
    def restore_batch_state(self, which: int) -> None:
        """Restore batch state from a backup; without one, lose it and open the batch again, as the roster does."""
        kept, model = self.backups[which % len(self.backups)] if self.backups else ({}, Model())
        with closing(self._connection()) as connection:
            for table in reversed(BATCH_STATE):
                connection.execute(f"DELETE FROM {table} WHERE slate = ?", (self.slate,))
            for table, rows in kept.items():
                marks = ", ".join("?" for _ in range(table.count(",") + 1))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.commit()
        if kept:
            self.model.expected = set(model.expected)
        else:
            self.ports.state.open(self._batch(self.model.expected))
        self.model.outcomes, self.model.copy = dict(model.outcomes), model.copy
        self._register()
        self._compare_outcomes()
        receipts = self.model.receipts
        if not kept and receipts and not {slug for slug, _ in receipts[-1].table} - self.model.expected:
            self._stage_again(receipts[-1].revision)

    @rule()
    def lose_the_outbox(self) -> None:
        with closing(self._connection()) as connection:
            connection.execute("DELETE FROM outbox WHERE slate = ?", (self.slate,))
            connection.commit()
        self.model.events, self.model.messages = {}, {}

    @rule()
    def lose_the_delivered_files(self) -> None:
        for path in (self.ports.settings.home / "outbox").glob(f"{self.slate}.*"):
            path.unlink()
        self.model.files = {}

    @precondition(lambda self: self.model.receipts)
    @rule(back=st.integers(1, 3))
    def restore_the_warehouse(self, back: int) -> None:
        """Go back to the slate's rows and receipts before its newest ones."""
        kept = max(0, len(self.model.receipts) - back)
        gone = ", ".join(f"'{receipt.receipt_id}'" for receipt in self.model.receipts[kept:])
        rows, of_slate = "predictions.player_prop_predictions", f"game_date = DATE '{self.slate}'"
        for statement in (
            f"DELETE FROM {rows} WHERE {of_slate} AND receipt_id IN ({gone})",
            f"UPDATE {rows} SET is_active = TRUE, superseded_at = NULL, superseded_by = NULL "
            f"WHERE {of_slate} AND superseded_by IN ({gone})",
            f"DELETE FROM predictions.consolidation_receipts WHERE {of_slate} AND receipt_id IN ({gone})",
        ):
            by_hand_of(self.ports.warehouse, statement)
        self.model.restore_warehouse(kept)
        self._compare_table()

    # The rest of the world

    @precondition(lambda self: self.model.receipts)
    @rule(hours=st.integers(1, 48))
    def find_that_the_clock_was_ahead(self, hours: int) -> None:
        """Date the newest receipt later, as a clock did that has been set back since."""
        newest = self.ports.warehouse.receipts(self.slate)[-1]
        _, statement = dated(newest, newest.consolidated_at + timedelta(hours=hours))
        by_hand_of(
            self.ports.warehouse,
            statement,
        )

    def _register(self) -> None:
        wanted = [player_key(self.slate, slug) for slug in sorted(self.model.expected)]
        self.ports.instance.add_dynamic_partitions(SLATE_PLAYERS.name or "", wanted)
        self.keys += [key for key in wanted if key not in self.keys]

    @rule()
    def prune(self) -> None:
        """Delete the slate's partition keys; opening registers them again, and nothing else changes."""
        for key in self.keys:
            self.ports.instance.delete_dynamic_partition(SLATE_PLAYERS.name or "", key)
        self.keys = []
        self._register()
        registered = self.ports.instance.get_dynamic_partitions(SLATE_PLAYERS.name or "")
        wanted = [player_key(self.slate, slug) for slug in self.model.expected]
        found = [
            each.players or registered[registered.index(each.first) : registered.index(each.last) + 1]
            for each in ranges(registered, wanted, 2)
        ]
        assert sorted(key for keys in found for key in keys) == sorted(wanted)

    @rule()
    def replay(self) -> None:
        """Do what the sensors would have done until the slate rests."""
        self._until_it_rests()

    def _until_it_rests(self) -> None:
        warehouse, state = self.ports.warehouse, self.ports.state
        progress, receipts = state.progress(self.slate), warehouse.receipts(self.slate)
        assert progress is not None
        is_older = receipts and (
            progress.receipt is None or progress.receipt.receipt_id != receipts[-1].receipt_id
        )
        if (
            is_older
            and next_step(progress, self.clock.now()) is Step.NOTHING
            and not is_current_for(receipts[-1], progress)
        ):
            in_force = {slug for slug, _ in self.model.receipts[-1].table}
            if in_force - self.model.expected:
                self.reopen(self.model.expected | in_force, False)
            self._stage_again(receipts[-1].revision)
        for slug in sorted(self.model.expected - self.model.outcomes.keys()):
            self._record(self._settle(slug, (("24.5", 20.0),)))
        progress = state.progress(self.slate)
        assert progress is not None
        states = part_states(progress, warehouse.parts.staged(self.slate), warehouse.receipts(self.slate))
        for slug in players_with(states, PartState.LOST):
            part = self.model.outcomes[slug].part
            self._record(self._settle(slug, part.content if part is not None else (("24.5", 20.0),)))
        self.consolidate(None, self.model.merge() is AuditRefused)
        self.clean_up(None, 1, 0)
        if self.model.receipts:
            self._announce(warehouse.receipts(self.slate)[-1])
        progress = state.progress(self.slate)
        assert progress is not None
        if not isinstance(self.model.merge(), type):
            assert next_step(progress, self.clock.now()) is Step.NOTHING

    def _durable(self) -> tuple[object, ...]:
        progress = self.ports.state.progress(self.slate)
        return (
            replace(progress) if progress else None,
            self.ports.warehouse.receipts(self.slate),
            self.ports.warehouse.parts.staged(self.slate),
            self.ports.outbox.entries(self.slate),
            self.ports.dead_letters.letters(self.slate),
            dict(self.model.table),
        )

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        self._until_it_rests()
        before = self._durable()
        self._until_it_rests()
        assert self._durable() == before, "a replayed step did something"
        parts = self.ports.warehouse.parts
        list(parts.drop(self.slate, parts.staged(self.slate)))


def check_slates(ports: Ports, *, examples: int, steps: int, number: int) -> None:
    """Run the machine on so many slates, of so many steps each; each number draws other ones, always the same."""
    machine: Callable[[], SlateMachine] = type("Machine", (SlateMachine,), {"ports": ports})
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=False,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


def check_slates_on_duckdb(folder: Path, *, examples: int, number: int = 0) -> None:
    """Run the machine on an embedded warehouse in a folder."""
    parts, snapshots = ArrowParts(folder / "staging"), ArrowSnapshots(folder / "features")
    warehouse = KeptOpen(folder / "warehouse.duckdb", parts, snapshots)
    warehouse.receipts("2100-01-01")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr("prediction_assets.stores.local.warehouse.lack", lambda *_: None)  # all is there
        ports = Ports.of(warehouse, folder, instance)
        check_slates(ports, examples=examples, steps=15, number=number)


def check_slates_on_bigquery(endpoint: str, folder: Path, *, examples: int, number: int = 0) -> None:
    """Run the machine on BigQuery's emulator, in a project of its own."""
    with (
        closing(emulator_client(endpoint, f"test-{uuid.uuid4().hex[:12]}")) as client,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        warehouse = StoppingBigQuery(client, dataset_prefix="t_", call_timeout=10.0)
        ports = Ports.of(warehouse, folder, instance)
        check_slates(ports, examples=examples, steps=6, number=number)
