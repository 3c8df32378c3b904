"""The audits of a slate: their names, what they compare with, and how a refusal reads.

A blocking audit runs in the MERGE's transaction over the slate as the MERGE would leave it
(:mod:`prediction_assets.stores.sql.audit_sql`): what it refuses is rolled back, so that no reader ever sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prediction_assets.errors import AuditRefused, BadInput

NOT_EMPTY, ENOUGH_STAGED = "predictions_not_empty", "enough_players_staged"
ACCOUNTED_FOR, UNIQUE_KEY = "staged_rows_are_accounted_for", "business_key_is_unique"
IN_RANGE, AGREES = "values_in_range", "recommendation_agrees_with_its_line"
BOTH_DIRECTIONS, SETTLED = "recommendations_in_both_directions", "every_expected_player_settled"

ERROR, WARN = "ERROR", "WARN"
RUN = "prediction-assets run --slate {slate}"
"""The next command after a refusal: it makes every row of the slate again, and merges, audits and announces them."""

SHOWN = 5
"""Offending rows that a verdict shows."""


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """What the audits compare with."""

    minimum_staged_share: float = 0.0  # share of the players not skipped that must have rows, 0 to 1
    least_value: float = 0.02  # expected profit of a stake of 1 that an OVER or UNDER needs, 0 to 1
    # the largest share of OVER or of UNDER among a slate's recommendations, 0.5 to 1
    one_direction_share: float = 1.0
    one_direction_minimum: int = 1  # recommendations below which that share isn't compared
    # The most points of a player in an NBA game are 100 (Chamberlain, 1962-03-02).
    most_points: float = 120.0  # the most points that a forecast may have


NO_LIMITS = AuditLimits()
"""Limits that refuse impossible values only."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit."""

    name: str
    description: str  # when it fails, for the asset check's page
    is_blocking: bool = True  # whether it refuses the MERGE; otherwise it warns
    not_acceptable: str = ""  # why an operator can't accept its refusal, '' if he can


AUDITS = (
    Audit(
        NOT_EMPTY,
        "Fails if no row is staged, or if no row of the slate would be in force. If there is nothing to predict any "
        "more (no game is on, or every expected player was skipped) it fails if a row would be in force.",
        not_acceptable="a slate without rows is either retracted, which needs no acceptance, or has nothing to publish",
    ),
    Audit(
        ENOUGH_STAGED,
        "Fails if fewer players have rows than the minimum share in the settings; skipped players don't count.",
    ),
    Audit(
        ACCOUNTED_FOR,
        "Fails if staged isn't inserted + updated + unchanged, or if the table doesn't hold what was counted before.",
        not_acceptable="rows would be lost or doubled, and nobody could say which: keep the run's log and report it",
    ),
    Audit(
        UNIQUE_KEY,
        "Fails if two rows in force share game_date, game_id, player_id, market, system and line.",
        not_acceptable="every later MERGE and every reader counts on one row for each key; if rows were changed by "
        "hand, restore the warehouse from a backup",
    ),
    Audit(
        IN_RANGE,
        "Fails if points aren't 0-120 (other stats: 0 to a fifth more than the most ever), a probability isn't 0-1, a "
        "confidence isn't 0.5-1, odds pay back less than the stake, or a value is NaN.",
    ),
    Audit(
        AGREES,
        "Fails if a recommendation doesn't follow from the row's own line and expected value, or if the value doesn't "
        "follow from the row's own price and probabilities.",
    ),
    Audit(
        BOTH_DIRECTIONS,
        "Fails if nearly all recommendations at the main lines are OVER, or nearly all are UNDER; the limits are in "
        "the settings.",
    ),
    Audit(
        SETTLED,
        "Warns if an expected player failed or has no outcome; the message then says partial.",
        is_blocking=False,
    ),
)
"""Every audit, in the order in which a receipt lists its verdicts."""

_BY_NAME = {audit.name: audit for audit in AUDITS}


def require_acceptable(accepted: Mapping[str, str]) -> Mapping[str, str]:
    """Return the accepted refusals, by audit.

    Raises:
        BadInput: a name is no audit's, or of an audit that can't be accepted, or has no reason.
    """
    can_be = ", ".join(a.name for a in AUDITS if a.is_blocking and not a.not_acceptable)
    for name, because in accepted.items():
        audit = _BY_NAME.get(name)
        if audit is None or not audit.is_blocking:
            raise BadInput("accept", f"{name!r} is no blocking audit", hint=f"one of {can_be}")
        if audit.not_acceptable:
            raise BadInput(
                "accept", f"{name} can't be accepted: {audit.not_acceptable}", hint=f"one of {can_be}"
            )
        if not because.strip():
            raise BadInput(
                "because", f"no reason is given for accepting {name}", hint="say why in a sentence"
            )
    return dict(accepted)


def verdict(name: str, *, passed: bool, detail: str = "") -> dict[str, Any]:
    """Return one audit's verdict, as receipts and errors hold it."""
    severity = ERROR if _BY_NAME[name].is_blocking else WARN
    return {"name": name, "passed": passed, "severity": severity, "detail": detail}


def refused(slate: str, name: str, detail: str) -> AuditRefused:
    """Return the error for a plan of staged rows that an audit refuses before the MERGE."""
    return refusal(
        slate, [verdict(NOT_EMPTY, passed=True), verdict(name, passed=False, detail=detail)], [name]
    )


def refusal(slate: str, verdicts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> AuditRefused:
    """Return the error for a MERGE that was rolled back.

    Args:
        verdicts: of all audits that ran.
        names: the audits that refused it, without the accepted ones.
    """
    first = _BY_NAME[names[0]]
    found = "; ".join(f"{v['name']}: {v['detail']}" for v in verdicts if v["name"] in names)
    accept = (
        f"it can't be accepted, because {first.not_acceptable}"
        if first.not_acceptable
        else f"or accept it for this slate: prediction-assets consolidate --slate {slate} --accept {first.name} "
        "--because TEXT"
    )
    return AuditRefused(
        f"slate {slate}: refused by {found}. What was in force still is, and every part was kept. "
        f"When its cause is gone: {RUN.format(slate=slate)}; {accept}",
        verdicts,
    )
