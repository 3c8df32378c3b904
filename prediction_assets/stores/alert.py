"""An alert, and its JSON text: the same in every store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

_MOMENTS = ("opened_at", "told_at", "recovered_at", "settled_at", "claimed_until")


def to_text(alert: Alert) -> str:
    """Return an alert as JSON, its moments in UTC."""
    values = asdict(alert)
    for name in _MOMENTS:
        moment = values[name]
        values[name] = None if moment is None else moment.astimezone(UTC).isoformat()
    at = values["incident"]["at"]
    values["incident"]["at"] = None if at is None else at.astimezone(UTC).isoformat()
    return json.dumps(values, sort_keys=True)


def from_text(text: str) -> Alert:
    """Return the alert that a text was made from.

    Raises:
        KeyError, TypeError, ValueError: it wasn't made by :func:`to_text`.
    """
    values = json.loads(text)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    incident = values.pop("incident")
    at = incident.pop("at")
    reached = tuple(values.pop("reached"))
    happened = None if at is None else datetime.fromisoformat(at)
    about = Incident(**{**incident, "severity": Severity(incident["severity"])}, at=happened)
    return Alert(about, **values, reached=reached)


class Severity(StrEnum):
    """How bad an incident is, mildest first; destinations are chosen by it."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong.

    Attributes:
        key: the same for the same trouble: ``check:predictions:values_in_range:2026-01-02``.
        fact: what is wrong, one line.
        link: the page of the UI that shows it.
        command: what to run next.
        position: storage id of the event that reported it, None where it was read from a state.
        at: when that event happened, because storage ids can repeat; None where it was read from a state.
    """

    key: str
    severity: Severity
    fact: str
    link: str
    command: str
    slate: str | None = None
    position: int | None = None
    at: datetime | None = None

    @property
    def kind(self) -> str:
        """The key's first word: what was looked at."""
        return self.key.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Alert:
    """An incident and the delivery of its notices.

    Attributes:
        told_at: when a notice last reached every destination, None before that.
        times_told: how often that happened, without the notice of the recovery.
        recovered_at: when the incident was over.
        settled_at: when no notice was left to deliver.
        claimed_until: until then a process has claimed the delivery, and no other one delivers.
        reached: destinations that have the notice which is due, while others don't.
    """

    incident: Incident
    opened_at: datetime
    told_at: datetime | None = None
    times_told: int = 0
    recovered_at: datetime | None = None
    settled_at: datetime | None = None
    claimed_until: datetime | None = None
    reached: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the incident still lasts."""
        return self.recovered_at is None and self.settled_at is None


Change = Callable[[Alert | None], Alert | None]
"""Returns what an alert becomes; returning the same object, or None, changes nothing."""
