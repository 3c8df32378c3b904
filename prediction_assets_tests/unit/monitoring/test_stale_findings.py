"""Predictions that don't follow their facts: which findings they are, and when they raise an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from prediction_assets.monitoring.health_facts import StaleFacts
from prediction_assets.monitoring.stale_findings import refreshes, stale_predictions
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_facts import RULES, delivered, facts, whole_receipt

MINUTE = timedelta(minutes=1)
MOVED, OUT, LOG = ("line moved 24.5 -> 25.5",), ("ruled out",), ("game log corrected",)
ERROR, WARNING, OK = Severity.ERROR, Severity.WARNING, Severity.OK


def found(minutes: int = 60, **changes):
    stale = StaleFacts(**{"since": NOW, "version": 9, "staged_from": 7, **changes})
    return stale_predictions(replace(facts(), stale=stale, now=NOW + minutes * MINUTE))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"due": {"a": OUT}}, [("out_in_force", ERROR)]),
        ({"due": {"a": MOVED}}, [("line_gone", WARNING)]),
        ({"due": {"a": ("line withdrawn 24.5",)}}, [("line_gone", WARNING)]),
        ({"due": {"a": ("book changed A -> B",)}}, [("line_gone", WARNING)]),
        ({"due": {"a": ("line added 24.5",)}}, [("older_facts", WARNING)]),
        ({"due": {"a": LOG}}, [("older_facts", WARNING)]),
        ({"due": {"a": ("back in",)}}, [("older_facts", WARNING)]),
        ({"added": ("a",)}, [("older_facts", WARNING)]),
        # One player is in one finding: the worst of his causes.
        ({"due": {"a": (*MOVED, *LOG)}}, [("line_gone", WARNING)]),
        (
            {"due": {"a": OUT, "b": MOVED, "c": LOG}, "added": ("d",)},
            [("out_in_force", ERROR), ("line_gone", WARNING), ("older_facts", WARNING)],
        ),
        # After the tip-off the rows are final: reported, and nothing to do.
        ({"late": {"a": OUT, "b": MOVED}}, [("late_facts", OK)]),
    ],
)
def test_each_kind_of_change_is_one_finding_with_one_command(changes, kinds):
    made = found(**changes)
    assert [(each.kind, each.severity) for each in made] == kinds
    commands = {each.command for each in made if each.severity is not OK}
    assert commands <= {f"prediction-assets refresh --slate {SLATE}"}
    assert all(each.command for each in made if each.severity is not OK)
    assert len({each.key for each in made}) == len(made)


@pytest.mark.parametrize(
    ("minutes", "changes", "severity", "alerts"),
    [
        (4, {"due": {"a": OUT}}, Severity.INFO, False),
        (5, {"due": {"a": OUT}}, ERROR, True),
        (5, {"due": {"a": MOVED}}, WARNING, True),
        (60, {"due": {"a": OUT}, "since": None}, Severity.INFO, False),
        (60, {"late": {"a": OUT}}, OK, False),
    ],
)
def test_what_outlasts_the_newest_change_of_the_facts_raises_an_alert(minutes, changes, severity, alerts):
    assert [(each.severity, each.alerts) for each in found(minutes, **changes)] == [(severity, alerts)]


def test_a_finding_names_the_players_and_why():
    (made,) = found(due={f"p{n}": MOVED for n in range(5)})
    assert made.line == (
        "5 players in force at a line that isn't the main line any more: p0 (line moved 24.5 -> 25.5), "
        "p1 (line moved 24.5 -> 25.5), p2 (line moved 24.5 -> 25.5), ..."
    )
    assert made.evidence["players"][-1] == "p4: line moved 24.5 -> 25.5"
    assert (made.evidence["facts_version"], made.evidence["staged_from"]) == (9, 7)


@pytest.mark.parametrize(
    ("chosen", "minutes", "delivered_at", "changes", "found"),
    [
        (None, 1, NOW, {"a": OUT}, []),
        (Severity.INFO, 1, NOW, {"a": OUT}, [Severity.INFO]),
        (WARNING, 1, NOW, {"a": OUT}, [WARNING]),
        (Severity.CRITICAL, 1, NOW, {"a": OUT}, [Severity.CRITICAL]),
        (ERROR, 15, NOW, {"a": OUT}, [ERROR]),
        (ERROR, 16, NOW, {"a": OUT}, []),
        (ERROR, 1, None, {"a": OUT}, []),
        (ERROR, 1, NOW, {}, []),  # a first revision, or a retry of a player who failed
    ],
)
def test_a_refresh_is_an_alert_of_the_chosen_severity_for_a_while(
    chosen, minutes, delivered_at, changes, found
):
    entry = delivered(whole_receipt())
    message = {"changes": [{"player_slug": slug, "causes": list(why)} for slug, why in changes.items()]}
    entry = replace(entry, revision=2, message=message, delivered_at=delivered_at)
    rules = replace(RULES, refresh_alert=chosen)
    made = [*refreshes(replace(facts(), messages=(entry,), rules=rules, now=NOW + minutes * MINUTE))]
    assert [(each.severity, each.alerts) for each in made] == [(severity, True) for severity in found]
    for each in made:
        assert each.line == "revision 2 follows 1 player whose facts changed: a (ruled out)"
        assert each.command == f"prediction-assets diff --slate {SLATE} --to 2"
