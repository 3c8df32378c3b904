"""What a slate should leave, worked out in memory, the slow and simple way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from prediction_assets.errors import AuditRefused, NoPartsStaged, PartMismatch
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.steps.stage import Staging

MINIMUM_SHARE = 0.5
Content = tuple[tuple[str, float], ...]
"""A part's lines, each with its predicted points."""


@dataclass(frozen=True)
class Part:
    """One write of a player's rows."""

    ref: PartRef
    content: Content
    written: int


@dataclass(frozen=True)
class Settled:
    """A player's outcome; what tells it from every other one; his part; and the staging run that settled him."""

    completion: PlayerOutcome
    staging: Staging
    part: Part | None = None

    @property
    def identity(self) -> str:
        return self.part.ref.part_id if self.part else str(self.completion.recorded_at)


@dataclass
class Merged:
    """A receipt."""

    identity: tuple[object, ...]
    content: tuple[object, ...]
    revision: int
    parts: frozenset[str]
    counts: tuple[int, ...]
    receipt_id: str = ""
    at: int = 0


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
    clock_was_ahead: bool = False

    @property
    def covered(self) -> set[str]:
        return {part_id for receipt in self.receipts for part_id in receipt.parts}

    def staged(self) -> dict[str, str]:
        return {slug: parts[-1].ref.part_id for slug, parts in self.shelf.items() if parts}

    def orphaned(self) -> dict[str, Part]:
        """The newest part of each player from before the newest receipt, if his outcome needs no part."""
        found = {}
        for slug, parts in self.shelf.items():
            is_old = [
                p
                for p in parts
                if self.receipts and (self.clock_was_ahead or p.written < self.receipts[-1].at)
            ]
            done = self.outcomes.get(slug)
            if done is None:
                needs_none = slug not in self.expected
            else:
                needs_none = done.part is None or done.part.ref.part_id in self.covered
            if is_old and is_old[-1].ref.part_id not in self.covered and needs_none:
                found[slug] = is_old[-1]
        return found

    def merge(self) -> Merged | type[Exception]:
        """Consolidate, or say how it is refused; changes nothing."""
        settled = {slug: self.outcomes.get(slug) for slug in sorted(self.expected)}
        staged = {slug: done.part for slug, done in settled.items() if done and done.part}
        skipped = {s for s, done in settled.items() if done and done.completion.outcome is Outcome.SKIPPED}
        if not staged and not (self.receipts and len(skipped) == len(settled)):
            return NoPartsStaged
        if len(staged) < MINIMUM_SHARE * (len(settled) - len(skipped)):
            return AuditRefused
        kinds = {
            slug: done.completion.outcome.value if done else "unsettled" for slug, done in settled.items()
        }
        identity = tuple((s, kinds[s], done.identity if done else "") for s, done in settled.items())
        if self.receipts and self.receipts[-1].identity == identity:
            return self.receipts[-1]
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
        content = tuple((s, kinds[s], staged[s].content if s in staged else None) for s in settled)
        newest = self.receipts[-1] if self.receipts else None
        revision = (newest.revision if newest else 0) + (newest is None or newest.content != content)
        active = len({**self.table, **rows}.keys() - gone)
        changed = len(rows) - inserted - unchanged
        counts = (len(rows), inserted, changed, unchanged, len(gone), active)
        return Merged(identity, content, revision, frozenset(p.ref.part_id for p in new.values()), counts)

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
        self.receipts.append(merged)

    def _is_skipped(self, slug: str) -> bool:
        done = self.outcomes.get(slug)
        return done is not None and done.completion.outcome is Outcome.SKIPPED
