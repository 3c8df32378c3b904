"""Named places behind each durable step, where a test may stop the process.

``reached`` does nothing. A test installs a hook that kills, delays or fails at one name, in a process of its
own; no code asks whether it is under test.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "keys_registered",
    "batch_opened",
    "features_written",
    "features_pinned",
    "part_written",
    "dead_letter_written",
    "events_stored",
    "outcome_recorded",
    "merge_committed",
    "checks_evaluated",
    "part_dropped",
    "dead_letters_closed",
    "receipt_mirrored",
    "outbox_written",
    "published",
    "publish_recorded",
)
"""Every durable step of a slate, in flow order; a step that happens per player, or per few dozen, has one name.

``dead_letter_written`` is reached for a player whose part can't be written, in place of ``part_written``.
"""


def _go_on(point: str) -> None:
    """Do nothing."""


_hook: Callable[[str], None] = _go_on


def reached(point: str) -> None:
    """Say that a durable step is done."""
    _hook(point)


def install(hook: Callable[[str], None]) -> None:
    """Call this at every point from now on, in this process."""
    global _hook
    _hook = hook
