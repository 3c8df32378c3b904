"""A slate under any order of steps, faults and repeats leaves what a simple model in memory says it leaves.

Hypothesis draws the steps: stage, stage with other rows, complete twice or late, skip, fail, reopen, consolidate,
clean up, publish, replay, prune, a clock that was ahead, and a crash behind or inside any of them. They run on
the real ports, through the steps that the assets call, without a Dagster run for each. Both warehouses
run the same machine; batch state and outbox are SQLite beside either (their contract suites cover Firestore).
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
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

from prediction_assets.errors import NoPartsStaged, PartMismatch, TooFewStaged
from prediction_assets.orchestration.partitions import SLATE_PLAYERS, ranges
from prediction_assets.slate.batch import Batch, ExpectedPlayer
from prediction_assets.slate.completion_message import message_id
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.part_states import PartState, part_states, players_with
from prediction_assets.slate.receipt import Receipt
from prediction_assets.steps.announce import announce
from prediction_assets.steps.cleanup import clean_up, finish_consolidation
from prediction_assets.steps.merge import merge, plan_merge, read_outcomes
from prediction_assets.steps.stage import Staging
from prediction_assets.stores.local.parts import ParquetParts, ParquetSnapshots
from prediction_assets.stores.sql.tables import RECEIPTS
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
from prediction_assets_tests.made_up import NOW, player, rows_of

SLATES = (date(2100, 1, 1) + timedelta(days=n) for n in itertools.count())  # one for each example

SLUGS = tuple(f"player-{n}" for n in range(1, 5))
PLAYERS = {slug: player(n) for n, slug in enumerate(SLUGS, start=1)}
contents = st.dictionaries(
    st.sampled_from(["24.5", "25.0", "25.5"]), st.sampled_from([20.0, 21.0]), min_size=1
).map(lambda lines: tuple(sorted(lines.items())))


@dataclass
class MachineClock(Clock):
    """A clock that is a second later each time that it is read."""

    moments: Iterator[int]

    def now(self) -> datetime:
        return NOW + timedelta(hours=1, seconds=next(self.moments))


class SlateMachine(RuleBasedStateMachine):
    """One slate, from its opening to rest."""

    ports: Ports

    @initialize(expected=st.sets(st.sampled_from(SLUGS), min_size=2))
    def open(self, expected: set[str]) -> None:
        self.slate = next(SLATES).isoformat()
        self.model = Model()
        self.late: list[Settled] = []
        self.moments = itertools.count(1)
        self.clock = MachineClock(self.moments)
        self.letters: set[str] = set()
        self.keys: list[str] = []
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

    def _settle(self, slug: str, content: Content | Outcome) -> Settled:
        """Settle a player with rows, or skipped or failed, by a staging run that hasn't recorded him yet."""
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
            fence=1,
            facts_version=1,
            staging_area=self.ports.warehouse.parts,
            state=self.ports.state,
            dead_letters=self.ports.dead_letters,
            settings=self.ports.settings,
            clock=self.clock,
        )
        (done,) = staging.outcomes()
        if isinstance(content, Outcome):
            assert (done.outcome, done.part) == (content, None)
            self.letters |= {slug} if content is Outcome.FAILED else set()
            return Settled(done, staging)
        assert done.part is not None
        part = Part(done.part, content, next(self.moments))
        shelf = self.model.shelf.setdefault(slug, [])
        if not self.ports.keeps_older:
            shelf.clear()
        shelf.append(part)
        return Settled(done, staging, part)

    def _record(self, settled: Settled, times: int = 1) -> None:
        """Record an outcome, once or as a redelivery does, and end its staging run."""
        settled.staging.record()
        for _ in range(times - 1):
            self.ports.state.record([settled.completion])
        slug = settled.completion.player_slug
        if slug in self.model.expected:
            self.model.outcomes[slug] = settled
        settled.staging.finish()
        self._compare_replaced(settled)

    def _compare_replaced(self, settled: Settled) -> None:
        """The part of an outcome that was replaced without a part is gone, and no newer one of the player."""
        slug = settled.completion.player_slug
        before = settled.staging.progress.outcomes.get(slug)
        if settled.part is not None or before is None or before.part is None:
            return
        now = self.model.outcomes.get(slug)
        if now is not None and now.part is not None:
            assert now.part.ref != before.part, "a part that an outcome names was replaced"
        shelf = self.model.shelf.get(slug, [])
        newer = list(itertools.dropwhile(lambda part: part.ref != before.part, shelf))
        if not newer:
            return
        # Parts that it had replaced go with it where the staging area knew of them.
        left = self._parts_of(slug)
        self.model.shelf[slug] = [p for p in shelf if p.ref.part_id in left and p.ref != before.part]
        assert before.part.part_id not in left
        assert {part.ref.part_id for part in newer[1:]} <= left

    def _parts_of(self, slug: str) -> set[str]:
        """Every part of a player in staging, those that were replaced, too."""
        parts = self.ports.warehouse.parts
        if not self.ports.keeps_older:
            return {dict(parts.staged(self.slate)).get(slug, "")}
        return {part.part_id for part in parts._listed() if (part.slate, part.slug) == (self.slate, slug)}

    @rule(slug=st.sampled_from(SLUGS), content=contents, times=st.sampled_from([1, 1, 2]))
    def stage(self, slug: str, content: Content, times: int) -> None:
        """Write a player's part and record it, once or as a redelivery does."""
        if slug in self.model.expected:
            self._record(self._settle(slug, content), times)

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
    )
    def settle_without_rows(self, slug: str, outcome: Outcome, times: int) -> None:
        if slug in self.model.expected:
            self._record(self._settle(slug, outcome), times)

    @rule(expected=st.sets(st.sampled_from(SLUGS)), again=st.booleans())
    def reopen(self, expected: set[str], again: bool) -> None:
        for _ in range(1 + again):
            self.ports.state.reopen(self._batch(expected))
        self.model.expected = set(expected)
        self.model.outcomes = {s: done for s, done in self.model.outcomes.items() if s in expected}
        self.late = [done for done in self.late if done.completion.player_slug in expected]
        self._register()

    @rule(slug=st.sampled_from(SLUGS))
    def reopen_to_and_fro(self, slug: str) -> None:
        """Drop a player, take him back, and drop him again, merged each time; by chance that is seldom drawn."""
        others = self.model.expected - {slug}
        for expected in (others, others | {slug}, others):
            self.reopen(expected, False)
            self._until_it_rests()

    # Merging

    @rule(crash=st.sampled_from([None, None, "inside", "behind"]))
    def consolidate(self, crash: str | None) -> None:
        expected = self.model.merge()
        warehouse, now = self.ports.warehouse, self.clock.now()
        receipt, refusal = None, None
        warehouse.crash_in_merge = crash == "inside"
        progress, receipts = read_outcomes(self.slate, warehouse, self.ports.state)
        try:
            work = plan_merge(progress, receipts, now=now, minimum_staged_share=MINIMUM_SHARE)
            self.letters |= set(progress.unsettled)  # they are overdue
            receipt = merge(work, progress, warehouse, self.ports.dead_letters, run_id="merge", now=now)
        except (NoPartsStaged, TooFewStaged, PartMismatch) as error:
            refusal = type(error)
        except Crash:
            pass
        finally:
            warehouse.crash_in_merge = False
        if receipt is None:
            assert refusal is (None if isinstance(expected, Merged) else expected)
            if refusal not in (
                NoPartsStaged,
                TooFewStaged,
            ):  # those are refused before the warehouse is asked
                self._compare_table()
            return
        assert isinstance(expected, Merged), "merged what should have been refused"
        if expected not in self.model.receipts:
            expected.receipt_id = receipt.receipt_id
            expected.at = next(self.moments)
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

    def _compare_table(self) -> None:
        """No row lost, none doubled, none deleted; each receipt in its place."""
        found = self.ports.warehouse.query(
            "SELECT player_slug, CAST(line AS VARCHAR) AS line, predicted_points, is_active, superseded_at "
            "FROM predictions.player_prop_predictions WHERE game_date = $slate",
            {"slate": date.fromisoformat(self.slate)},
        ).to_pylist()
        rows = {
            (r["player_slug"], str(float(r["line"]))): (r["predicted_points"], r["is_active"]) for r in found
        }
        assert len(rows) == len(found), "a business key is there twice"
        assert rows == self.model.table
        assert all((row["superseded_at"] is None) == row["is_active"] for row in found)
        receipts = self.ports.warehouse.receipts(self.slate)
        assert [r.receipt_id for r in receipts] == [r.receipt_id for r in self.model.receipts]
        assert [r.revision for r in receipts] == [r.revision for r in self.model.receipts]

    def _compare_with_batch(self) -> None:
        """In force is what the batch says now, however it came to that: nothing of whom it doesn't expect."""
        in_force: dict[str, dict[str, float]] = {slug: {} for slug in SLUGS}
        for (slug, line), (points, active) in self.model.table.items():
            if active:
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
    )
    def clean_up(self, crash: str | None, times: int) -> None:
        covered, warehouse = self.model.covered, self.ports.warehouse
        newest = {slug: parts[-1] for slug, parts in self.model.shelf.items() if parts}
        orphaned: dict[str, Part] = {}
        with crashing(crash, times):
            done = clean_up(self.slate, warehouse, self.ports.state, now=datetime.now(UTC))
            for slug in done.merged:
                self.model.shelf[slug] = []  # older parts of his go first
            orphaned = self.model.orphaned()
            assert set(done.orphaned) == orphaned.keys()
            assert set(done.merged) == {s for s, part in newest.items() if part.ref.part_id in covered}
            if done.receipts and crash != "before the mirror":
                finish_consolidation(self.slate, done.receipts, self.ports.state, self.ports.dead_letters)
                self._compare_letters()
        left = dict(warehouse.parts.staged(self.slate))
        for slug, part in newest.items():
            if slug not in left:
                is_done_with = part.ref.part_id in covered or orphaned.get(slug) is part
                assert is_done_with, "a part that nothing covers was dropped"
                self.model.shelf[slug] = []
        for slug, part in orphaned.items():
            self.model.shelf[slug] = [p for p in self.model.shelf[slug] if p.written > part.written]
        assert left == self.model.staged()

    def _compare_letters(self) -> None:
        """A letter is open for each player who failed, or was overdue, until he is merged, skipped or not expected."""
        covered = self.model.covered

        def is_settled(slug: str) -> bool:
            done = self.model.outcomes.get(slug)
            if slug not in self.model.expected:
                return True
            if done is None or done.completion.outcome is Outcome.FAILED:
                return False
            return done.part is None or done.part.ref.part_id in covered

        self.letters = {slug for slug in self.letters if not is_settled(slug)}
        assert {letter.player_slug for letter in self.ports.dead_letters.letters(self.slate)} == self.letters

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
        with crashing(crash):
            entry, before = announce(
                receipt, self.ports.outbox, self.ports.publisher,
                output_table=self.ports.warehouse.output_table, now=self.clock.now,
            )  # fmt: skip
            assert before == (self.model.events.get(receipt.revision) is not None)
            assert entry.message_id == message_id(receipt)
        self.model.events.setdefault(receipt.revision, None)
        if crash in (None, "publish_recorded"):
            self.model.events[receipt.revision] = message_id(receipt)
        self._compare_events()

    def _compare_events(self) -> None:
        """One event for each distinct content revision, and none of them twice."""
        entries = self.ports.outbox.entries(self.slate)
        by_revision = {entry.message["revision"]: entry for entry in entries}
        assert len(by_revision) == len(entries)
        assert {
            r: e.message_id if e.delivery_id else None for r, e in by_revision.items()
        } == self.model.events

    # The rest of the world

    @precondition(lambda self: self.model.receipts)
    @rule(hours=st.integers(1, 48))
    def find_that_the_clock_was_ahead(self, hours: int) -> None:
        """Date the newest receipt later, as a clock did that has been set back since."""
        by_hand_of(
            self.ports.warehouse,
            f"UPDATE {RECEIPTS.qualified_name} SET consolidated_at = consolidated_at + INTERVAL {hours} HOUR "
            f"WHERE game_date = DATE '{self.slate}' AND receipt_id = '{self.model.receipts[-1].receipt_id}'",
        )
        self.model.clock_was_ahead = (
            True  # until it has caught up every part is from before the newest receipt
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
            registered[registered.index(first) : registered.index(last) + 1]
            for first, last in ranges(registered, wanted, 2)
        ]
        assert sorted(key for keys in found for key in keys) == sorted(wanted)

    @rule()
    def replay(self) -> None:
        """Do what the sensors would have done until the slate rests."""
        self._until_it_rests()

    def _until_it_rests(self) -> None:
        for slug in sorted(self.model.expected - self.model.outcomes.keys()):
            self._record(self._settle(slug, (("24.5", 20.0),)))
        progress = self.ports.state.progress(self.slate)
        assert progress is not None
        warehouse = self.ports.warehouse
        states = part_states(
            progress, dict(warehouse.parts.staged(self.slate)), warehouse.receipts(self.slate)
        )
        for slug in players_with(states, PartState.LOST):
            part = self.model.outcomes[slug].part
            assert part is not None
            self._record(self._settle(slug, part.content))
        self.consolidate(None)
        self.clean_up(None, 1)
        if self.model.receipts:
            self._announce(warehouse.receipts(self.slate)[-1])
        progress = self.ports.state.progress(self.slate)
        assert progress is not None
        if not isinstance(self.model.merge(), type):
            assert next_step(progress, self.clock.now()) is Step.NOTHING

    def _durable(self) -> tuple[object, ...]:
        progress = self.ports.state.progress(self.slate)
        return (
            replace(progress) if progress else None,
            self.ports.warehouse.receipts(self.slate),
            dict(self.ports.warehouse.parts.staged(self.slate)),
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
        for slug, part_id in dict(self.ports.warehouse.parts.staged(self.slate)).items():
            self.ports.warehouse.parts.drop(self.slate, slug, part_id)


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
    parts, snapshots = ParquetParts(folder / "staging"), ParquetSnapshots(folder / "features")
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
