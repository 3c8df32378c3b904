"""What counts as an incident, from made-up facts: tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.monitoring.incidents import (
    CheckResult,
    FinishedRun,
    Limits,
    Pages,
    SlateState,
    failed_checks,
    failed_run,
    slate_incidents,
)
from prediction_assets.monitoring.slate_alerts import expected_rosters
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.jobs import JOB_OF_ASSET, JOBS
from prediction_assets.settings import load_settings
from prediction_assets.slate.dead_letter import DeadLetter, Failure
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.batch_state.test_contract import receipt
from prediction_assets_tests.conftest import NOW, SLATE, batch, progress_of

PAGES = Pages("http://ui:3000/")
LIMITS = Limits(timedelta(minutes=5), timedelta(minutes=10), dead_letters=2)
DEADLINE = NOW + timedelta(minutes=30)


def letters(count: int, *, alike: bool = False) -> list[DeadLetter]:
    return [
        DeadLetter(
            SLATE,
            f"player-{n}",
            (
                Failure(
                    SLATE, f"player-{n}", "run", "OSError", f"text {n}", "d" if alike else f"d{n}", 3, NOW, {}
                ),
            ),
        )
        for n in range(count)
    ]


def state(players: int = 3, *, consolidated: bool = False, announced: bool = False, **changes) -> SlateState:
    progress = progress_of(batch(players))
    if consolidated:
        progress = replace(progress, receipt=receipt())
    return replace(SlateState(progress, announced, []), **changes)


@pytest.mark.parametrize(
    ("seen", "minutes", "kinds"),
    [
        (state(), 34, []),
        (state(), 35, ["no_receipt"]),
        (state(players=0), 600, []),
        (state(consolidated=True, announced=True), 600, []),
        (state(consolidated=True), 9, []),
        (state(consolidated=True), 10, ["unpublished"]),
        (state(letters=letters(2)), 0, []),
        (state(letters=letters(3)), 0, ["dead_letters"]),
        (state(players=9, letters=letters(5, alike=True)), 600, ["no_receipt", "dead_letters"]),
    ],
    ids=[
        "before the deadline's grace", "after it", "a day without games", "announced", "just consolidated",
        "not announced", "few dead letters", "too many", "too many and late",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_slate(seen, minutes, kinds):
    found = slate_incidents(seen, NOW + timedelta(minutes=minutes), LIMITS, PAGES)
    assert [incident.kind for incident in found] == kinds
    for incident in found:
        assert incident.slate == SLATE
        assert incident.link.startswith("http://ui:3000/assets/")
        assert SLATE in incident.command


def test_dead_letters_with_one_cause_are_one_critical_incident_that_names_it():
    (found,) = slate_incidents(state(players=9, letters=letters(6, alike=True)), NOW, LIMITS, PAGES)
    assert (found.severity, found.key) == (Severity.CRITICAL, f"dead_letters:{SLATE}")
    assert "6 of 9 players failed, most with one cause: OSError: text 0" in found.fact
    (found,) = slate_incidents(state(players=9, letters=letters(6)), NOW, LIMITS, PAGES)
    assert found.severity is Severity.ERROR


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
def test_failed_checks_are_incidents_of_their_severity(checks, expected):
    found = failed_checks(checks, 7, PAGES)
    assert [(incident.key, incident.severity) for incident in found] == expected
    assert all(incident.position == 7 for incident in found)


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
    found = failed_run(FinishedRun("r-1", stage, slate, 9, "a_step", "OSError: full " + "x" * 5000), PAGES)
    assert (found.severity, found.command, found.link) == (severity, command, "http://ui:3000/runs/r-1")
    assert found.fact.startswith(f"Run of {stage} failed at step a_step: OSError: full xxx")
    assert len(found.fact) < 700


def test_every_job_s_assets_are_of_its_stage_so_that_a_click_counts_as_an_attempt():
    definitions = build_defs(load_settings())
    for job in JOBS:
        for key in definitions.resolve_job_def(job.name).asset_layer.executable_asset_keys:
            assert JOB_OF_ASSET[key.to_user_string()] == job.name


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
