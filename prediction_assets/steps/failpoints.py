"""Failpoints: named places behind each durable write, where a test may stop the process.

:func:`reached` does nothing until a test installs a hook, which kills, delays or fails at one name. No code asks
whether it is under test.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "keys_registered",
    "batch_opened",
    "fence_claimed",
    "features_written",
    "features_pinned",
    "part_written",
    "dead_letter_written",
    "events_stored",
    "outcome_recorded",
    "merge_committed",
    "checks_evaluated",
    "outbox_written",
    "published",
    "publish_recorded",
    "part_dropped",
    "dead_letters_closed",
    "consolidation_marked",
)
"""Every durable write of a slate, in flow order. A write that is done per player, or per batch of events, has one name.

``dead_letter_written`` is reached, instead of ``part_written``, for a player whose part can't be written.
"""


def _go_on(point: str) -> None:
    pass


_hook: Callable[[str], None] = _go_on


def reached(point: str) -> None:
    """Call the installed hook: the durable write of this name is done."""
    _hook(point)


def install(hook: Callable[[str], None]) -> None:
    """Let every failpoint of this process call a hook from now on."""
    global _hook
    _hook = hook
