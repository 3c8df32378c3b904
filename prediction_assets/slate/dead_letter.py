"""Dead letters: the records of the players who failed, and which of them a consolidation settles.

A failure is one run's failed work on one player. It is written once, before the player's outcome is recorded, and its
error never changes. A letter is all of a player's failures on a slate. It stays open until his rows are merged, it is
discarded, or it expires.
"""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from prediction_assets.slate.batch import ExpectedPlayer, Progress
from prediction_assets.slate.keys import player_key
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.receipt import Receipt, merged_part_ids

LEAST_ALIKE = 5
"""Fewer failures with the same digest have no common cause."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A player's failures on a slate, by their fence; at least one."""

    slate: str
    player_slug: str
    failures: tuple[Failure, ...]

    @property
    def newest(self) -> Failure:
        """The newest failure, which says what is wrong now."""
        return self.failures[-1]

    @property
    def attempts(self) -> int:
        return sum(failure.attempts for failure in self.failures)

    @property
    def first_seen(self) -> datetime:
        return min(failure.failed_at for failure in self.failures)

    @property
    def last_seen(self) -> datetime:
        return max(failure.failed_at for failure in self.failures)

    @property
    def closed(self) -> Closing | None:
        """How the letter was closed, None while a failure of it is open."""
        return None if any(failure.closed is None for failure in self.failures) else self.newest.closed


@dataclass(frozen=True, slots=True)
class Failure:
    """One run's failed work on one slate player."""

    slate: str
    player_slug: str
    run_id: str
    error_class: str  # name of the exception's class: `OSError`
    message: str  # the exception's text, one line
    # 12 hex digits, the same for the same error from the same lines of code; '' if nothing was raised: the
    # player had no outcome by the deadline
    traceback_digest: str
    attempts: int  # attempts of the run; 0 if it didn't try because most players failed with the same error
    # what the staging run claimed; 0 if no staging run failed: the player had no outcome by the deadline
    fence: int
    failed_at: datetime
    payload: Mapping[str, Any]  # what a replay needs: batch id, feature snapshot, partition key
    closed: Closing | None = None  # how it was closed, None while it is open


class Closing(StrEnum):
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    """It was still open when the sensors stopped looking at its slate."""


def letters_of(failures: Iterable[Failure]) -> list[DeadLetter]:
    """Return failures grouped into letters, sorted by slate and slug."""
    by_player: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        by_player.setdefault((failure.slate, failure.player_slug), []).append(failure)
    return [
        DeadLetter(slate, slug, tuple(sorted(found, key=lambda f: (f.fence, f.failed_at, f.run_id))))
        for (slate, slug), found in sorted(by_player.items())
    ]


def letters_settled_by(
    progress: Progress, receipts: Iterable[Receipt], letters: Iterable[DeadLetter]
) -> dict[str, int]:
    """Return the players whose dead letter is settled, each with the fence up to which his failures are.

    They are merged or skipped by an outcome of that fence, or not expected any more. A failure of a higher fence stays
    open: its run knew more than the one that settled him.
    """
    merged = merged_part_ids(receipts)
    expected = {player.slug for player in progress.batch.expected}

    def settled_up_to(letter: DeadLetter) -> int | None:
        done = progress.outcomes.get(letter.player_slug)
        if done is None:
            return None if letter.player_slug in expected else letter.newest.fence
        is_settled = done.part.part_id in merged if done.part is not None else done.outcome is Outcome.SKIPPED
        return done.fence if is_settled else None

    found = {letter.player_slug: settled_up_to(letter) for letter in letters}
    return {slug: fence for slug, fence in found.items() if fence is not None}


def common_cause(letters: Iterable[DeadLetter], players: int) -> DeadLetter | None:
    """Return a letter with the cause that most players of a slate failed from, None if there is no common cause."""
    listed = list(letters)
    counted = Counter(letter.newest.traceback_digest for letter in listed if letter.newest.traceback_digest)
    for digest, count in counted.most_common(1):
        if most_failed_alike(count, players):
            return next(letter for letter in listed if letter.newest.traceback_digest == digest)
    return None


def most_failed_alike(failed_alike: int, players: int) -> bool:
    """Return whether most players failed with the same digest, so that further attempts would fail, too."""
    return failed_alike >= LEAST_ALIKE and failed_alike > players / 2


def traceback_digest(error: BaseException) -> str:
    """Return 12 hex digits of SHA-256 over an error's class and the lines of code that it passed through.

    The message is left out, because it often names the player: players who fail for the same reason share the digest.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.name}:{frame.lineno}" for frame in frames]
    return hashlib.sha256("\n".join([type(error).__qualname__, *places]).encode()).hexdigest()[:12]


def replay_payload(progress: Progress, player: ExpectedPlayer) -> dict[str, Any]:
    """Return what a replay of the player needs to know."""
    return {
        "partition_key": player_key(progress.batch.slate, player.slug),
        "player_id": player.player_id,
        "batch_id": progress.batch.batch_id,
        "feature_snapshot": progress.feature_snapshot,
    }
