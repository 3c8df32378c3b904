"""An alert as every store keeps it: one JSON text, and the severities."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

DIGEST = "digest"
"""The kind of an alert that is a slate's digest: over from the start, and delivered once."""

_MOMENTS = ("opened_at", "delivered_at", "recovered_at", "settled_at", "claimed_until")


class Severity(StrEnum):
    """How bad a finding is, mildest first; info is under way, and a warning is worth a look today.

    Findings are delivered from warning on, and a digest is info; destinations are chosen by it.
    """

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding that is, or was, open, or a :data:`DIGEST`; and what was delivered about it."""

    key: str  # the finding's: `check:predictions:values_in_range:2026-01-02`
    severity: Severity
    line: str  # the finding as it was seen last, one line; of a digest several
    link: str  # the page of the UI that shows it
    command: str  # what to do next
    slate: str | None  # None for a finding about the installation
    opened_at: datetime
    # when every destination had a message about it last, None before that
    delivered_at: datetime | None = None
    deliveries: int = 0  # how often that was, not counting the recovery
    recovered_at: datetime | None = None  # when it was seen to be over
    settled_at: datetime | None = None  # when nothing was left to deliver
    claimed_until: datetime | None = None  # a process is delivering it and has until then
    reached: tuple[str, ...] = ()  # destinations that have the message that is due, when others haven't
    board: str = ""  # where people open the slate's board, '' where there is none

    @property
    def kind(self) -> str:
        """The key's first word."""
        return self.key.partition(":")[0]

    @property
    def is_open(self) -> bool:
        """Whether the finding still lasts, as far as is known."""
        return self.recovered_at is None and self.settled_at is None


Change = Callable[[Alert | None], Alert | None]
"""Returns what an alert becomes; the same object, or None, changes nothing."""


def to_text(alert: Alert) -> str:
    """Return an alert as JSON, its moments in UTC."""
    values = asdict(alert)
    for name in _MOMENTS:
        moment = values[name]
        values[name] = None if moment is None else moment.astimezone(UTC).isoformat()
    return json.dumps(values, sort_keys=True)


def from_text(text: str) -> Alert:
    """Return the alert that a text was made from.

    Raises:
        KeyError, TypeError, ValueError: it wasn't made by :func:`to_text`.
    """
    values = json.loads(text)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    values |= {"severity": Severity(values["severity"]), "reached": tuple(values["reached"])}
    return Alert(**values)
