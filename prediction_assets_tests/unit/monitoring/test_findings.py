"""Which findings raise an alert, from made-up facts: tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.monitoring.alert_findings import no_roster, unpublished
from prediction_assets.monitoring.findings import COLORS, Finding, Pages
from prediction_assets.monitoring.run_findings import CheckResult, FinishedRun, failed_checks, failed_run
from prediction_assets.monitoring.slate_alerts import expected_rosters, slate_findings
from prediction_assets.settings import load_settings
from prediction_assets.slate.completion_message import OutboxEntry, message_id
from prediction_assets.slate.dead_letter import DeadLetter, Failure
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of, receipt

PAGES = Pages("http://ui:3000/")


def letters(count: int, *, alike: bool = False) -> list[DeadLetter]:
    return [
        DeadLetter(
            SLATE,
            f"player-{n}",
            (
                Failure(
                    SLATE,
                    f"player-{n}",
                    "run",
                    "OSError",
                    f"text {n}",
                    "d" if alike else f"d{n}",
                    3,
                    1,
                    NOW,
                    {},
                ),
            ),
        )
        for n in range(count)
    ]


def found_in(
    minutes: int,
    *,
    players: int = 3,
    consolidated: bool = False,
    announced: bool = False,
    letters: Sequence[DeadLetter] = (),
) -> list[Finding]:
    """Return the alerting findings of a slate, so many minutes after it was opened; its deadline is at 30."""
    progress, entries = progress_of(batch(players)), []
    if consolidated:
        progress = replace(progress, receipt=receipt())
    if announced:
        entries = [OutboxEntry(message_id(receipt()), SLATE, "r1", 1, {}, delivery_id="m", delivered_at=NOW)]
    return slate_findings(progress, entries, letters, NOW + timedelta(minutes=minutes), PAGES)


@pytest.mark.parametrize(
    ("minutes", "state", "kinds"),
    [
        (34, {}, []),
        (35, {}, ["no_receipt"]),
        (600, {"players": 0}, []),
        (600, {"consolidated": True, "announced": True}, []),
        (9, {"consolidated": True}, []),
        (10, {"consolidated": True}, ["unpublished"]),
        (0, {"letters": letters(5)}, []),
        (0, {"letters": letters(6)}, ["dead_letters"]),
        (600, {"players": 9, "letters": letters(5, alike=True)}, ["no_receipt", "dead_letters"]),
    ],
    ids=[
        "before the deadline's grace", "after it", "a day without games", "announced", "just consolidated",
        "not announced", "few dead letters", "too many", "too many and late",
    ],
)  # fmt: skip
def test_what_raises_an_alert_on_a_slate(minutes, state, kinds):
    found = found_in(minutes, **state)
    assert [finding.kind for finding in found] == kinds
    for finding in found:
        assert finding.slate == SLATE
        assert finding.link.startswith("http://ui:3000/assets/")
        assert SLATE in finding.command


def test_dead_letters_with_one_cause_are_one_critical_finding_that_names_it():
    (found,) = found_in(0, players=9, letters=letters(6, alike=True))
    assert (found.severity, found.key) == (Severity.CRITICAL, f"dead_letters:{SLATE}")
    assert found.line == "6 dead letters open of 9 players, most with one cause: OSError: text 0"
    (found,) = found_in(0, players=9, letters=letters(6))
    assert found.severity is Severity.ERROR
    assert found_in(0, players=3, letters=letters(3)) == []


@pytest.mark.parametrize(
    ("minutes", "severity", "alerts"),
    [
        (-1, Severity.INFO, False),
        (0, Severity.ERROR, False),
        (59, Severity.ERROR, False),
        (60, Severity.CRITICAL, True),
    ],
)
def test_a_missing_roster_gets_worse_with_time_and_raises_an_alert_after_an_hour(minutes, severity, alerts):
    found = no_roster(SLATE, 2, NOW, NOW + timedelta(minutes=minutes), PAGES)
    assert (found.severity, found.alerts) == (severity, alerts)
    assert found.command == ("" if severity is Severity.INFO else f"prediction-assets run --slate {SLATE}")


@pytest.mark.parametrize(
    ("minutes", "severity", "alerts"),
    [(5, Severity.INFO, False), (6, Severity.ERROR, False), (10, Severity.CRITICAL, True)],
)
def test_a_missing_completion_gets_worse_with_time(minutes, severity, alerts):
    found = unpublished(receipt(), None, NOW + timedelta(minutes=minutes), PAGES)
    assert (found.severity, found.alerts) == (severity, alerts)


def test_every_severity_has_its_color():
    assert [(severity.value, COLORS[severity].value) for severity in Severity] == [
        ("ok", "green"), ("info", "yellow"), ("warning", "yellow"), ("error", "red"), ("critical", "red"),
    ]  # fmt: skip


def check(name: str, *, passed: bool = False, warns: bool = False, slate: str | None = SLATE) -> CheckResult:
    return CheckResult("predictions", name, slate, passed, warns, "numbers")


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([check("values_in_range", passed=True)], []),
        ([check("values_in_range")], [(f"check:predictions:values_in_range:{SLATE}", Severity.ERROR)]),
        ([check("values_in_range", warns=True)], [(f"check:predictions:values_in_range:{SLATE}", Severity.WARNING)]),
        ([check("daily", slate=None)], [("check:predictions:daily", Severity.ERROR)]),
        (
            [check("predictions_not_empty"), check("enough_players_staged")],
            [(f"empty_merge:{SLATE}", Severity.CRITICAL)],
        ),
        (
            [check("predictions_not_empty", passed=True), check("enough_players_staged")],
            [(f"check:predictions:enough_players_staged:{SLATE}", Severity.ERROR)],
        ),
    ],
)  # fmt: skip
def test_failed_checks_are_findings_of_their_severity(checks, expected):
    found = failed_checks(checks, PAGES)
    assert [(finding.key, finding.severity) for finding in found] == expected
    assert all(finding.alerts for finding in found)


@pytest.mark.parametrize(
    ("stage", "slate", "severity", "command"),
    [
        ("staging", SLATE, Severity.ERROR, f"prediction-assets run --slate {SLATE}"),
        ("completion", SLATE, Severity.CRITICAL, f"prediction-assets republish --slate {SLATE}"),
        ("ingest", None, Severity.ERROR, "prediction-assets ingest --help"),
        ("list_dead_letters", None, Severity.ERROR, "prediction-assets alerts list"),
    ],
)
def test_a_failed_run_says_what_to_run_next(stage, slate, severity, command):
    found = failed_run(FinishedRun("r-1", stage, slate, "a_step", "OSError: full " + "x" * 5000), PAGES)
    assert (found.severity, found.command, found.link) == (severity, command, "http://ui:3000/runs/r-1")
    assert found.line.startswith(f"Run of {stage} failed at step a_step: OSError: full xxx")
    assert len(found.line) < 700


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-02T14:59:00+00:00", {"2026-01-01"}),
        ("2026-01-02T15:59:00+00:00", set()),
        ("2026-01-02T16:00:00+00:00", {"2026-01-02"}),
        ("2026-01-03T07:59:00+00:00", {"2026-01-02"}),
    ],
    ids=["yesterday's, before its day is over", "before today's hour", "at it", "late in the evening there"],
)
def test_a_roster_is_expected_an_hour_after_its_schedule(at, expected):
    now = datetime.fromisoformat(at).astimezone(UTC)
    found = expected_rosters(load_settings(), now)
    assert set(found) == expected
