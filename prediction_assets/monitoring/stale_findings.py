"""Were the predictions in force made from the facts as they are now? One finding for each kind of change."""

from __future__ import annotations

from prediction_assets.monitoring.evidence import Causes, HealthFacts, StaleFacts
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.kinds import INFO
from prediction_assets.monitoring.thresholds import NOT_FOLLOWED_AFTER
from prediction_assets.slate.basis import OTHER_LINE, RULED_OUT


def stale_predictions(facts: HealthFacts) -> tuple[Finding, ...]:
    """Return a finding for each kind of change since the players were staged; none of a slate that was just made.

    A sensor stages the players again by itself: until it had the time, a finding is under way.
    """
    stale = facts.stale
    if not isinstance(stale, StaleFacts):
        return ()
    out = {slug: why for slug, why in stale.due.items() if RULED_OUT in why}
    line = {
        slug: why
        for slug, why in stale.due.items()
        if slug not in out and any(each.startswith(OTHER_LINE) for each in why)
    }
    other = {slug: why for slug, why in stale.due.items() if slug not in out and slug not in line}
    other |= dict.fromkeys(stale.added, ("newly expected",))
    lasts = stale.since is not None and facts.now - stale.since >= NOT_FOLLOWED_AFTER

    def found(kind: str, said: str, players: Causes) -> Finding:
        evidence = {
            "players": [f"{slug}: {', '.join(why)}" for slug, why in players.items()][:SHOWN],
            "facts_version": stale.version,
            "staged_from": stale.staged_from,
            "changed_at": utc(stale.since),
        }
        command = f"prediction-assets refresh --slate {facts.slate}"
        severity = None if lasts else INFO
        return facts.found(kind, f"{said}: {_listed(players)}", evidence, severity=severity, command=command)

    findings = []
    if out:
        said = f"{count(len(out), 'player')} in force {'is' if len(out) == 1 else 'are'} Out by the newest report"
        findings.append(found("out_in_force", said, out))
    if line:
        said = f"{count(len(line), 'player')} in force at a line that isn't the main line any more"
        findings.append(found("line_gone", said, line))
    if other:
        said = f"{count(len(other), 'player')} staged from facts older than version {stale.version}"
        findings.append(found("older_facts", said, other))
    if stale.late:
        said = f"changed after the tip-off of {count(len(stale.late), 'player')}, whose rows stay"
        findings.append(facts.fine("late_facts", f"{said}: {_listed(stale.late)}"))
    return tuple(findings)


def _listed(players: Causes) -> str:
    shown = [f"{slug} ({', '.join(why)})" for slug, why in players.items()][:3]
    return ", ".join(shown) + (", ..." if len(players) > len(shown) else "")
