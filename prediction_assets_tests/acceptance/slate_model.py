"""What a slate should leave, worked out in memory, the slow and simple way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from prediction_assets.errors import AuditRefused, NoPartsStaged, PartMismatch
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome, fence_of
from prediction_assets.steps.stage import Staging

MINIMUM_SHARE = 0.5
MOST_POINTS = 120.0
Content = tuple[tuple[str, float], ...]
"""A part's lines, each with its predicted points."""


@dataclass(frozen=True)
class Part:
    """One write of a player's rows."""

    ref: PartRef
    content: Content

    @property
    def fence(self) -> int:
        return fence_of(self.ref.part_id)


@dataclass(frozen=True)
class Settled:
    """A player's outcome; what tells it from every other one; his part; and the staging run that settled him."""

    completion: PlayerOutcome
    staging: Staging | None
    part: Part | None = None

    @property
    def is_failed(self) -> bool:
        return self.completion.outcome is Outcome.FAILED

    def is_pending(self, covered: set[str]) -> bool:
        return self.part is not None and self.part.ref.part_id not in covered

    @property
    def identity(self) -> str:
        return self.part.ref.part_id if self.part else f"{self.completion.run_id} {self.completion.fence}"


@dataclass
class Merged:
    """A receipt."""

    identity: tuple[object, ...]
    content: tuple[object, ...]
    revision: int
    parts: frozenset[str]
    counts: tuple[int, ...]
    facts_version: int
    receipt_id: str = ""
    table: dict[tuple[str, str], float] = field(default_factory=dict)
    """The rows in force after it."""
    closed: Counter[tuple[tuple[str, str], float]] = field(default_factory=Counter)
    """The rows that were closed by it or before."""

    @property
    def kinds(self) -> dict[str, str]:
        return {slug: kind for slug, kind, _ in self.identity}  # type: ignore[misc]


@dataclass
class Model:
    """What should be durable, worked out the slow and simple way."""

    expected: set[str] = field(default_factory=set)
    outcomes: dict[str, Settled] = field(default_factory=dict)
    shelf: dict[str, list[Part]] = field(default_factory=dict)
    table: dict[tuple[str, str], float] = field(default_factory=dict)
    closed: Counter[tuple[tuple[str, str], float]] = field(default_factory=Counter)
    receipts: list[Merged] = field(default_factory=list)
    events: dict[int, str | None] = field(default_factory=dict)
    letters: dict[str, list[int]] = field(default_factory=dict)
    """The fences of each player's open failures."""
    owners: dict[str, str] = field(default_factory=dict)
    """The player of each merged part, by its id."""
    copy: Merged | None = None
    """What batch state has of the newest receipt."""
    messages: dict[int, tuple[object, ...]] = field(default_factory=dict)
    """The content of each message in the outbox, by revision."""
    files: dict[int, tuple[object, ...]] = field(default_factory=dict)
    """The content of each delivered message, by revision."""

    @property
    def covered(self) -> set[str]:
        return {part_id for receipt in self.receipts for part_id in receipt.parts}

    def staged(self) -> list[tuple[str, str]]:
        return sorted((slug, part.ref.part_id) for slug, parts in self.shelf.items() for part in parts)

    def record(self, settled: Settled) -> None:
        """Let an outcome count, unless his player isn't expected or has one of a higher fence."""
        slug, there = settled.completion.player_slug, self.outcomes.get(settled.completion.player_slug)
        if slug in self.expected and (there is None or settled.completion.fence >= there.completion.fence):
            self.outcomes[slug] = settled

    def finish(self, settled: Settled) -> None:
        """End a staging run: parts that can't be needed go, and so does a failure that a later run made up for."""
        done = settled.completion
        shelf = self.shelf.get(done.player_slug, [])
        self.shelf[done.player_slug] = [p for p in shelf if not self._is_orphaned(done.player_slug, p)]
        there = self.outcomes.get(done.player_slug)
        is_overtaken = there is not None and there.completion.fence > done.fence
        if done.outcome is Outcome.FAILED and is_overtaken and not there.is_failed:
            self.close(done.player_slug, done.fence)

    def close(self, slug: str, up_to: int) -> None:
        left = [fence for fence in self.letters.pop(slug, []) if fence > up_to]
        if left:
            self.letters[slug] = left

    def settle_letters(self) -> None:
        """Close what a finished consolidation settles."""
        for slug in [*self.letters]:
            done = self.outcomes.get(slug)
            if slug not in self.expected:
                self.close(slug, max(self.letters[slug]))
            elif done is not None and not done.is_failed and not done.is_pending(self.covered):
                self.close(slug, done.completion.fence)

    def droppable(self, *, is_day_after: bool) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """The merged parts, and the orphaned ones; of those that a run may still record, a day after the deadline."""
        merged, orphaned = set(), set()
        for slug, parts in self.shelf.items():
            done = self.outcomes.get(slug)
            for part in parts:
                is_named = done is not None and done.part == part
                if part.ref.part_id in self.covered:
                    merged.add((slug, part.ref.part_id))
                elif self._is_orphaned(slug, part) or (is_day_after and not is_named):
                    orphaned.add((slug, part.ref.part_id))
        return merged, orphaned

    def _is_orphaned(self, slug: str, part: Part) -> bool:
        done = self.outcomes.get(slug)
        if done is None:
            return slug not in self.expected
        return done.part != part and part.fence <= done.completion.fence

    def drop(self, gone: set[tuple[str, str]]) -> None:
        for slug, parts in self.shelf.items():
            self.shelf[slug] = [part for part in parts if (slug, part.ref.part_id) not in gone]

    def floor(self, content: tuple[object, ...]) -> int:
        """What a revision of this content must exceed: the highest number that was seen; its own may be kept."""
        copied = {} if self.copy is None else {self.copy.revision: self.copy.content}
        seen = [*copied.items(), *self.messages.items(), *self.files.items()]
        highest = max((revision for revision, _ in seen), default=0)
        return highest - 1 if {c for revision, c in seen if revision == highest} == {content} else highest

    def is_stale(self, slug: str, done: Settled) -> bool:
        """Whether an outcome is from before rows of his were merged, or a later MERGE took its own out of force."""
        if done.is_failed:
            return False
        in_force, highest, replaced = "", 0, set()
        for receipt in self.receipts:
            for part_id in receipt.parts:
                if self.owners[part_id] == slug:
                    replaced.add(in_force)
                    in_force, highest = part_id, max(highest, fence_of(part_id))
            if receipt.kinds.get(slug) == "skipped" or receipt.counts[-1] == 0:
                replaced.add(in_force)
        is_replaced = done.part is not None and done.part.ref.part_id in replaced
        return is_replaced or done.completion.fence < highest

    def merge(self, *, accepts: bool = False) -> Merged | type[Exception]:
        """Consolidate, or say how it is refused; changes nothing.

        Args:
            accepts: whether an operator accepts too few players and impossible values.
        """
        settled = {slug: self.outcomes.get(slug) for slug in sorted(self.expected)}
        if any(done and self.is_stale(slug, done) for slug, done in settled.items()):
            return PartMismatch
        staged = {slug: done.part for slug, done in settled.items() if done and done.part}
        skipped = {s for s, done in settled.items() if done and done.completion.outcome is Outcome.SKIPPED}
        if not staged and not (self.receipts and len(skipped) == len(settled)):
            return NoPartsStaged
        kinds = {
            slug: done.completion.outcome.value if done else "unsettled" for slug, done in settled.items()
        }
        identity = tuple((s, kinds[s], done.identity if done else "") for s, done in settled.items())
        content = tuple((s, kinds[s], staged[s].content if s in staged else None) for s in settled)
        floor, newest = self.floor(content), self.receipts[-1] if self.receipts else None
        if newest is not None and newest.identity == identity and newest.revision > floor:
            return newest
        if not accepts and len(staged) < MINIMUM_SHARE * (len(settled) - len(skipped)):
            return AuditRefused
        new = {slug: part for slug, part in staged.items() if part.ref.part_id not in self.covered}
        if any(part not in self.shelf.get(slug, ()) for slug, part in new.items()):
            return PartMismatch
        rows = {(slug, line): points for slug, part in new.items() for line, points in part.content}
        inserted = sum(key not in self.table for key in rows)
        unchanged = sum(self.table.get(key) == points for key, points in rows.items())
        gone = {
            key
            for key in self.table
            if key not in rows and (key[0] in new or key[0] in skipped or key[0] not in settled)
        }
        after = {key: points for key, points in {**self.table, **rows}.items() if key not in gone}
        if not accepts and any(points > MOST_POINTS for points in after.values()):
            return AuditRefused
        stays = newest is not None and newest.content == content and newest.revision > floor
        revision = newest.revision if newest and stays else max(newest.revision if newest else 0, floor) + 1
        changed = len(rows) - inserted - unchanged
        counts = (len(rows), inserted, changed, unchanged, len(gone), len(after))
        parts = frozenset(p.ref.part_id for p in new.values())
        return Merged(identity, content, revision, parts, counts, self._facts_version())

    def _facts_version(self) -> int:
        found = [done for done in self.outcomes.values() if done.completion.outcome is not Outcome.FAILED]
        of_rows = [done for done in found if done.part] or found
        versions = [done.completion.facts_version for done in of_rows]
        return min(versions) if versions else self.receipts[-1].facts_version

    def commit(self, merged: Merged) -> None:
        """Take a new receipt over into the table."""
        staged = {done.part.ref.part_id: done.part for done in self.outcomes.values() if done.part}
        new = [staged[part_id] for part_id in merged.parts]
        rows = {(part.ref.player_slug, line): points for part in new for line, points in part.content}
        merged_players = {part.ref.player_slug for part in new}
        keeps = {s for s in self.expected if not self._is_skipped(s)} - merged_players
        stays = {key: points for key, points in self.table.items() if key[0] in keeps}
        after = {**stays, **rows}
        self.closed.update((key, was) for key, was in self.table.items() if after.get(key) != was)
        self.table = after
        merged.table, merged.closed = dict(after), self.closed.copy()
        self.owners.update({part.ref.part_id: part.ref.player_slug for part in new})
        self.receipts.append(merged)

    def mark(self) -> None:
        """Copy the newest receipt to batch state, unless it is of an older revision."""
        if self.copy is None or self.receipts[-1].revision >= self.copy.revision:
            self.copy = self.receipts[-1]

    def restore_warehouse(self, receipts: int) -> None:
        """Go back to the first so many receipts."""
        del self.receipts[receipts:]
        self.table = dict(self.receipts[-1].table) if receipts else {}
        self.closed = self.receipts[-1].closed.copy() if receipts else Counter()

    def _is_skipped(self, slug: str) -> bool:
        done = self.outcomes.get(slug)
        return done is not None and done.completion.outcome is Outcome.SKIPPED
