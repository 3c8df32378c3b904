"""What alerting asks of a store and of a destination, and the values they exchange.

An incident is something that is wrong now, known by its key. An alert is an incident as it is kept: since when
it lasts, who was told what. A store replaces an alert by what a pure function makes of it, atomically, so that
sensors and the command line can look at the same time. Nothing of Dagster's belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from prediction_assets.errors import PredictionAssetsError


class NotDelivered(PredictionAssetsError):
    """A message didn't reach its destination; it stays due. The text never contains the destination's URL."""


class Severity(StrEnum):
    """How bad an incident is, mildest first; destinations are chosen by it."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


class Notice(StrEnum):
    """What a message says of an incident."""

    OPENED = "opened"
    STILL_OPEN = "still open"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that is wrong.

    Attributes:
        key: the same for the same trouble: ``check:predictions:values_in_range:2026-01-02``.
        kind: the key's first word, which says what was looked at.
        fact: what is wrong, one line.
        link: the page of the UI that shows it.
        command: what to run next.
        position: storage id of the event that tells of it, None where it was read from a state.
        at: when that event happened; storage ids may be given out again.
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
        """What was looked at."""
        return self.key.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Alert:
    """An incident as it is kept.

    Attributes:
        told_at: when everybody who should know was told last, None before that.
        times_told: how often, not counting the recovery.
        recovered_at: when it was seen to be over.
        settled_at: when nothing was left to say.
        claimed_until: somebody is delivering it and has until then.
        reached: destinations that got the message that is due, when others didn't.
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
        """Whether the incident still lasts, as far as is known."""
        return self.recovered_at is None and self.settled_at is None


Change = Callable[[Alert | None], Alert | None]
"""Returns what an alert becomes; the same object, or None, changes nothing."""


class AlertStore(Protocol):
    """Remembers alerts by their incident's key."""

    def change(self, key: str, change: Change) -> Alert | None:
        """Replace an alert by what ``change`` makes of it, atomically, and return what is there then.

        ``change`` is called again when somebody else was first.
        """

    def unsettled(self) -> Sequence[Alert]:
        """Return the alerts that last or have something left to say, longest first."""

    def since(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were opened since then, settled ones too, oldest first."""

    def settled_before(self, moment: datetime) -> Sequence[Alert]:
        """Return the alerts that were settled before then, oldest first."""

    def drop_settled(self, keys: Sequence[str]) -> int:
        """Delete these alerts and return how many there were; one that isn't settled, or not any more, stays."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a person reads."""

    notice: Notice
    severity: Severity
    title: str
    body: str


class Destination(Protocol):
    """Somewhere alerts go."""

    @property
    def name(self) -> str:
        """What to call it: a setting and a kind, never its URL."""

    @property
    def identity(self) -> str:
        """Tells it from other destinations, without giving its URL away."""

    @property
    def least(self) -> Severity:
        """The mildest incidents that it wants to know of."""

    def send(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            NotDelivered: it didn't arrive.
        """
