"""Revisions: the number of a slate's content. It only grows, also past a store that was lost or restored older.

The receipts count the revisions. Batch state's copy of a receipt, the outbox and the delivered messages have seen
numbers too: a consumer may hold any of them. So new content gets a number above all of these. Pure functions.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeenRevision:
    """A revision that a store other than the warehouse has seen."""

    revision: int
    content_id: str  # `revision_id` of its content, which is the id of its completion message


def revision_id(slate: str, revision: int, content_digest: str) -> str:
    """Return the UUID of one revision and its content; another content of the same number has another one."""
    return str(uuid.uuid5(_MESSAGES, f"{slate}|{revision}|{content_digest}"))


def revision_floor(slate: str, content_digest: str, seen: Iterable[SeenRevision]) -> int:
    """Return the number that the revision of a content must exceed; 0 for none.

    The highest number that was seen may be this content's own: then it keeps that number, and its message its id.
    """
    listed = list(seen)
    highest = max((each.revision for each in listed), default=0)
    contents = {each.content_id for each in listed if each.revision == highest}
    return highest - 1 if contents == {revision_id(slate, highest, content_digest)} else highest


_MESSAGES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:prediction-assets:phase5-completion")
