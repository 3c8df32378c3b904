"""How an alert is written down: one JSON text, the same in every store."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from prediction_assets.alerts.port import Alert, Incident, Severity

_MOMENTS = ("opened_at", "told_at", "recovered_at", "settled_at", "claimed_until")


def to_text(alert: Alert) -> str:
    """Return an alert as JSON, its moments in UTC."""
    values = asdict(alert)
    for name in _MOMENTS:
        moment = values[name]
        values[name] = None if moment is None else moment.astimezone(UTC).isoformat()
    at = values["incident"].pop("at")
    if at is not None:
        values["incident"]["at"] = at.astimezone(UTC).isoformat()
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
    at = incident.pop("at", None)  # alerts from before it was kept lack it
    reached = tuple(values.pop("reached"))
    happened = None if at is None else datetime.fromisoformat(at)
    about = Incident(**{**incident, "severity": Severity(incident["severity"])}, at=happened)
    return Alert(about, **values, reached=reached)
