"""Predictions and their facts: a finding for each kind of change that isn't followed yet, and for each refresh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prediction_assets.monitoring.finding_kinds import DIFF, INFO, REFRESH
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.health_facts import Causes, HealthFacts, StaleFacts, Unreadable
from prediction_assets.monitoring.thresholds import NOT_FOLLOWED_AFTER, REFRESHED_WITHIN
from prediction_assets.slate.basis import OTHER_LINE, RULED_OUT


def stale_predictions(facts: HealthFacts) -> tuple[Finding, ...]:
    """Return a finding for each kind of change since the players were staged; none of a slate that was just made.

    A sensor stages the players again by itself: until it had the time, a finding is under way.
    """
    stale = facts.stale
    if not isinstance(stale, StaleFacts):
        return ()
    changed: dict[str, dict[str, tuple[str, ...]]] = {"out_in_force": {}, "line_gone": {}, "older_facts": {}}
    for slug, why in stale.due.items():
        has_other_line = any(each.startswith(OTHER_LINE) for each in why)
        kind = "out_in_force" if RULED_OUT in why else "line_gone" if has_other_line else "older_facts"
        changed[kind][slug] = why
    changed["older_facts"] |= dict.fromkeys(stale.added, ("newly expected",))
    lasts = stale.since is not None and facts.now - stale.since >= NOT_FOLLOWED_AFTER
    findings = []
    for kind, players in changed.items():
        if not players:
            continue
        said = {
            "out_in_force": f"in force {'is' if len(players) == 1 else 'are'} Out by the newest report",
            "line_gone": "in force at a line that isn't the main line any more",
            "older_facts": f"staged from facts older than version {stale.version}",
        }[kind]
        evidence = {
            "players": [f"{slug}: {', '.join(why)}" for slug, why in players.items()][:SHOWN],
            "facts_version": stale.version,
            "staged_from": stale.staged_from,
            "changed_at": utc(stale.since),
        }
        line = f"{count(len(players), 'player')} {said}: {_listed(players)}"
        findings.append(facts.found(kind, line, evidence, severity=None if lasts else INFO, command=REFRESH))
    if stale.late:
        said = f"changed after the tip-off of {count(len(stale.late), 'player')}, whose rows stay"
        findings.append(facts.fine("late_facts", f"{said}: {_listed(stale.late)}"))
    return tuple(findings)


def refreshes(facts: HealthFacts) -> Iterator[Finding]:
    """Yield a finding for each revision that was delivered lately because facts changed: the players and the causes."""
    severity = facts.rules.refresh_alert
    if severity is None or isinstance(facts.messages, Unreadable):
        return
    for entry in facts.messages:
        message: dict[str, Any] = dict(entry.message)
        players = {each["player_slug"]: each["causes"] for each in message.get("changes", ())}
        if not players or entry.delivered_at is None or facts.now - entry.delivered_at > REFRESHED_WITHIN:
            continue
        said = f"revision {entry.revision} follows {count(len(players), 'player')} whose facts changed"
        yield facts.found(
            "refreshed",
            f"{said}: {_listed(players, SHOWN)}",
            {"players": [f"{slug}: {', '.join(why)}" for slug, why in players.items()]},
            severity=severity,
            about=str(entry.revision),
            command=f"{DIFF} --to {entry.revision}",
        )


def _listed(players: Causes, most: int = 3) -> str:
    shown = [f"{slug} ({', '.join(why)})" for slug, why in players.items()][:most]
    return ", ".join(shown) + (", ..." if len(players) > len(shown) else "")
