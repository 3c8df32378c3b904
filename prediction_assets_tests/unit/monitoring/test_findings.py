"""Every kind of finding, from made-up facts: its key, its severity, its one next command, and its cause."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import typer

from prediction_assets.cli import commands
from prediction_assets.monitoring.evaluate import NAMES, evaluate, open_findings
from prediction_assets.monitoring.finding_kinds import (
    CRITICAL,
    ERROR,
    EVENTS,
    INFO,
    KINDS,
    OF_CHECK,
    OF_JOB,
    OF_TICK,
    RESTORE_THE_STATE,
    WARNING,
)
from prediction_assets.monitoring.findings import COLORS, Color, Finding
from prediction_assets.monitoring.health_facts import (
    CheckResult,
    EarlierMerge,
    GamesWithoutLogs,
    InQuarantine,
    ScheduleFacts,
    SourceFetch,
    StaleFacts,
    Unreadable,
)
from prediction_assets.monitoring.health_report import report_on
from prediction_assets.monitoring.open_alerts import expected_rosters
from prediction_assets.nba.tonight import Tonight
from prediction_assets.settings import load_settings
from prediction_assets.slate.dead_letter import DeadLetter, Failure
from prediction_assets.stores.alert import Severity
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_facts import (
    MINUTE,
    RULES,
    SCHEDULE,
    TABLE,
    delivered,
    facts,
    failed_tick,
    failure,
    in_warehouse,
    instance,
    merged,
    settled,
    unmerged,
    whole_receipt,
)

DAMAGED = Unreadable("a store", "damaged")
USUAL = (EarlierMerge(12.0, 75, 3),) * 20
PARTIAL = whole_receipt(
    settled(staged=2, failed=1), status="partial", staged_players=2, failed_players=1, rows=50, rows_staged=50,
    rows_inserted=50,
    missing=({"player_slug": "player-3", "outcome": "failed", "reason": "no"},),
)  # fmt: skip
OTHER, S = "2026-01-01", SLATE


def letters(count: int, *, alike: bool = False) -> tuple[DeadLetter, ...]:
    made = [
        Failure(SLATE, f"player-{n}", "run", "OSError", f"text {n}", "d" if alike else f"d{n}", 3, 1, NOW, {})
        for n in range(count)
    ]
    return tuple(DeadLetter(SLATE, each.player_slug, (each,)) for each in made)


def refused(*names: str) -> Any:
    return instance(failure("consolidation", refused=tuple((name, "10 rows") for name in names)))


ONE_PARTIAL = merged(PARTIAL, settled(staged=2, failed=1), table=replace(TABLE, rows=50, players=2))
WAITING = unmerged(settled(staged=3))
NOT_OPENED = unmerged(None)
TOO_FEW = {"instance": refused("predictions_not_empty", "enough_players_staged"), **WAITING}
RUN, REPLAY = (
    f"prediction-assets run --slate {SLATE}",
    f"prediction-assets dead-letters replay --slate {SLATE}",
)
REFRESH = f"prediction-assets refresh --slate {S}"
REPUBLISH = f"prediction-assets republish --slate {SLATE}"
STATUS = f"prediction-assets status --slate {SLATE}"
FED = frozenset({"prop_lines"})
ALL_LOGS = "prediction-assets ingest --game-logs FILE --schedule FILE --prop-lines FILE"

# facts: minutes after the roster's hour and what is changed; then key, severity, a part of the line, command, cause
CASES: list[tuple[float, dict[str, Any], str, Severity, str, str, str]] = [
    (60, {**NOT_OPENED, "schedule": ScheduleFacts(0, "", None, covered=False)},
     "no_schedule", ERROR, "no schedule was ingested", ALL_LOGS, ""),
    (60, {"schedule": replace(SCHEDULE, last_slate=date(2025, 12, 30)), "slate": "2025-12-30"},
     "schedule_ended", WARNING, "the schedule ends on 2025-12-30", "prediction-assets ingest --schedule FILE", ""),
    (2000, NOT_OPENED, f"never_opened:{S}", INFO, "the slate was never opened", RUN, ""),
    (-1, NOT_OPENED, f"no_roster:{S}", INFO, "due at 2026-01-02 07:00 PST", STATUS, ""),
    (0, NOT_OPENED, f"no_roster:{S}", ERROR, "1 game and no roster", RUN, ""),
    (59, NOT_OPENED, f"no_roster:{S}", ERROR, "1 game and no roster", RUN, ""),
    (60, NOT_OPENED, f"no_roster:{S}", CRITICAL, "1 game and no roster", RUN, ""),
    (60, {**NOT_OPENED, "schedule": DAMAGED, "warehouse": DAMAGED},
     f"no_roster:{S}", ERROR, "the schedule can't be read: damaged", RUN, "unreadable:damaged"),
    (60, {"schedule": replace(SCHEDULE, games=2)},
     f"games_changed:{S}", WARNING, "the schedule now has 2", f"{RUN} --reopen", ""),
    (60, {"warehouse": in_warehouse(whole_receipt(), without_schedule=(date(2025, 11, 2), date(2025, 12, 30)))},
     f"schedule_hole:{S}", WARNING, "no game is known from 2025-11-02 to 2025-12-30",
     "prediction-assets ingest --schedule FILE --game-logs FILE", ""),
    (180, {"tonight": Tonight(date(2026, 1, 2), 3, newest_line=NOW), "rules": replace(RULES, sources=FED)},
     f"stale:prop_lines:{S}", WARNING, "the newest line is 3.0 h old", "prediction-assets ingest", ""),
    (60, {"warehouse": in_warehouse(whole_receipt(), without_logs=GamesWithoutLogs(2, date(2025, 12, 30)))},
     f"no_game_logs:{S}", WARNING, "2 games since 2025-12-30 have no game logs",
     f"{RUN} --reopen --game-logs FILE", ""),
    (5, unmerged(settled(4, staged=2)), f"unsettled:{S}", INFO, "0.4 players a minute, 5 minutes to", STATUS, ""),
    (29, unmerged(settled(4, staged=2)), f"unsettled:{S}", WARNING, "none since 2026-01-02 07:02 PST", RUN, ""),
    (29, unmerged(settled(4)), f"unsettled:{S}", WARNING, "0 of 4 settled", RUN, ""),
    (60, unmerged(settled(4, staged=3)), f"unsettled:{S}", WARNING, "3 of 4 settled", RUN, f"no_receipt:{S}"),
    (60, unmerged(settled(4, staged=1)), f"unsettled:{S}", ERROR, "less than the minimum share of 50%", RUN,
     f"no_receipt:{S}"),
    (60, ONE_PARTIAL, f"failed_players:{S}", WARNING, "1 failed", REPLAY, ""),
    (60, unmerged(settled(4, staged=1, failed=3)), f"failed_players:{S}", ERROR, "the minimum share", REPLAY, ""),
    (5, unmerged(settled(4, staged=2)), f"no_receipt:{S}", INFO, "the next step is stage", STATUS, ""),
    (36, unmerged(settled(4)), f"no_receipt:{S}", CRITICAL, "at the deadline 2026-01-02 07:30 PST", RUN, ""),
    (34, unmerged(settled(4)), f"no_receipt:{S}", INFO, "it isn't late yet", STATUS, ""),
    (60, unmerged(settled(4, failed=4)), f"no_receipt:{S}", CRITICAL, "4 of 4 players settled", RUN,
     f"failed_players:{S}"),
    (60, {"progress": replace(settled(staged=3), receipt=PARTIAL), "warehouse": in_warehouse(PARTIAL)},
     f"outdated_receipt:{S}", ERROR, "players settled after the newest consolidation", RUN, ""),
    (5, unmerged(settled(4, staged=2)), f"nothing_yet:merge:{S}", INFO, "nothing was merged; due at", STATUS,
     f"no_receipt:{S}"),
    (60, WAITING, f"nothing_yet:merge:{S}", ERROR, "nothing was merged", RUN, f"no_receipt:{S}"),
    (60, {"warehouse": in_warehouse()}, f"behind_warehouse:{S}", ERROR, "revision 1 was merged or announced", RUN, ""),
    (60, {"progress": None}, f"unknown_receipt:{S}", ERROR, "batch state doesn't know of it", RUN, ""),
    (60, {"progress": DAMAGED}, f"unknown_receipt:{S}", ERROR, "batch state doesn't know", RUN, "unreadable:damaged"),
    (60, {"progress": settled(staged=3)}, f"unchecked_receipt:{S}", ERROR, "the cleanup didn't end", RUN, ""),
    (6, {"progress": settled(staged=3)}, f"unchecked_receipt:{S}", INFO, "the cleanup didn't end", STATUS, ""),
    (60, ONE_PARTIAL, f"partial_receipt:{S}", WARNING, "without 1 failed", REPLAY, f"failed_players:{S}"),
    (60, merged(whole_receipt(rows_inserted=74)), f"rows_lost:{S}", CRITICAL, "rows are unaccounted for", RUN, ""),
    (60, merged(whole_receipt(rows_inserted=76)), f"rows_lost:{S}", CRITICAL, "rows are unaccounted for", RUN, ""),
    (60, merged(whole_receipt(rows=0)), f"empty_merge:{S}", CRITICAL, "a MERGE of 0 rows", RUN, ""),
    (60, merged(whole_receipt(rows_staged=0, rows_inserted=0)),
     f"empty_merge:{S}", CRITICAL, "a MERGE of 0 rows", RUN, ""),
    (60, merged(whole_receipt(rows_staged=45, rows_inserted=45), earlier_merges=USUAL),
     f"unusual_rows:{S}", WARNING, "15 rows a player, usually 25", RUN, ""),
    (60, merged(whole_receipt(merge_ms=60_000.0), earlier_merges=USUAL),
     f"slow_merge:{S}", WARNING, "slow: usually 12 ms", f"prediction-assets health --slate {S} --verbose", ""),
    (9, {"messages": ()}, f"unpublished:{S}", INFO, "the completion message wasn't published", STATUS, ""),
    (10, {"messages": ()}, f"unpublished:{S}", ERROR, "phase 6 waits", REPUBLISH, ""),
    (14, {"messages": (replace(delivered(whole_receipt()), delivery_id=None),)},
     f"unpublished:{S}", CRITICAL, "the completion message wasn't delivered", REPUBLISH, ""),
    (60, {"messages": (), "progress": settled(staged=3)},
     f"unpublished:{S}", CRITICAL, "not announced", REPUBLISH, f"unchecked_receipt:{S}"),
    (60, {"rules": replace(RULES, acknowledged_within=15 * MINUTE), "first_tip_off": NOW + 9 * 60 * MINUTE},
     f"unacknowledged:{S}", CRITICAL, "phase 6 may be down", REPUBLISH, ""),
    (60, {"rules": replace(RULES, acknowledged_within=15 * MINUTE), "first_tip_off": NOW + 9 * 60 * MINUTE,
          "messages": (replace(delivered(whole_receipt()), delivered_at=NOW + timedelta(days=2)),),
          "now": NOW + timedelta(days=3)},
     f"unacknowledged:{S}", WARNING, "not acknowledged", REPUBLISH, ""),
    (60, {"delivered": {}}, f"missing_delivery:{S}", ERROR, "which isn't there any more", REPUBLISH, ""),
    (60, merged(whole_receipt(), table=replace(TABLE, rows=50)),
     f"rows_differ:{S}", CRITICAL, "the receipt says 75 rows", RUN, ""),
    (60, merged(whole_receipt(), table=replace(TABLE, rows=0, players=0)),
     f"rows_differ:{S}", CRITICAL, "the receipt says 75 rows", RUN, ""),
    (60, {"progress": None}, f"rows_differ:{S}", ERROR, "batch state expects no player", RUN,
     f"unknown_receipt:{S}"),
    (60, ONE_PARTIAL, f"few_rows:{S}", WARNING, "67% of those expected", RUN, f"failed_players:{S}"),
    (60, merged(whole_receipt(rows=25, rows_staged=25, rows_inserted=25), table=replace(TABLE, rows=25, players=1)),
     f"few_rows:{S}", ERROR, "33% of those expected", RUN, ""),
    (60, merged(whole_receipt(), newest_lines=date(2025, 12, 31)),
     f"no_lines:{S}", WARNING, "the newest is of 2025-12-31", f"{RUN} --prop-lines FILE", ""),
    (60, merged(whole_receipt(), newest_lines=date(2026, 1, 2)),
     f"late_lines:{S}", WARNING, "came after the rows", RUN, ""),
    (60, {"stale": StaleFacts({"a": ("ruled out",)}, since=NOW)},
     f"out_in_force:{S}", ERROR, "1 player in force is Out by the newest report: a (ruled out)", REFRESH, ""),
    (60, {"stale": StaleFacts({"a": ("line moved 24.5 -> 25.5",)}, since=NOW)},
     f"line_gone:{S}", WARNING, "at a line that isn't the main line any more", REFRESH, ""),
    (60, {"stale": StaleFacts({"a": ("game log corrected",)}, since=NOW, version=9)},
     f"older_facts:{S}", WARNING, "staged from facts older than version 9", REFRESH, ""),
    (60, WAITING, f"lost_parts:{S}", ERROR, "3 parts lost, first player-1", RUN, ""),
    (60, merged(whole_receipt(), staged=(("player-1", f"{1:032}"),)),
     f"leftovers:{S}", WARNING, "1 part merged and not dropped", f"prediction-assets clean-up --slate {S}", ""),
    (60, merged(whole_receipt(), staged=(("player-1", f"{99:08x}" + "0" * 24),)),
     f"pending_parts:{S}", WARNING, "1 part not merged yet", RUN, ""),
    (60, merged(whole_receipt(), staged=(("player-1", ""),), strays=("a player",)),
     f"strays:{S}", WARNING, "1 thing in staging that is no part", "rm -r '/home/staging/a player'", ""),
    (60, merged(whole_receipt(), other_slates_staged=(OTHER,)),
     f"pending_parts:{OTHER}", WARNING, "parts of other slates", f"prediction-assets run --slate {OTHER}", ""),
    (60, merged(whole_receipt(), table=replace(TABLE, systems={"ensemble": ("0", "1")})),
     f"mixed_versions:{S}", ERROR, "mixed versions across the slate: ensemble 0, 1", RUN, ""),
    (60, {"instance": instance(code_versions=("0.9",))},
     f"other_versions:{S}", WARNING, "staged by version 0.9, 1.0 is running", RUN, ""),
    (60, {"dead_letters": letters(1)}, f"dead_letters:{S}", WARNING, "open of 3 players, newest", REPLAY, ""),
    (60, {"dead_letters": letters(5)}, f"dead_letters:{S}", WARNING, "5 dead letters open", REPLAY, ""),
    (60, {"dead_letters": letters(6)}, f"dead_letters:{S}", ERROR, "6 dead letters open", REPLAY, ""),
    (60, {"dead_letters": letters(6, alike=True)},
     f"dead_letters:{S}", CRITICAL, "most with one cause: OSError: text 0", REPLAY, ""),
    (60, {**ONE_PARTIAL, "dead_letters": letters(1)},
     f"dead_letters:{S}", WARNING, "1 dead letter", REPLAY, f"failed_players:{S}"),
    (60, {"instance": instance(failure("staging"))},
     f"run:staging:{S}", WARNING, "the run of staging failed at step a_step: OSError: full", RUN, ""),
    (60, {"instance": instance(failure("staging")), "unfinished": frozenset({S})},
     f"run:staging:{S}", ERROR, "the run of staging failed", RUN, ""),
    (60, {"instance": instance(failure("completion")), "unfinished": frozenset({S})},
     f"run:completion:{S}", CRITICAL, "the run of completion failed", REPUBLISH, ""),
    (60, {"instance": instance(failure("staging", OTHER))},
     f"run:staging:{OTHER}", WARNING, f"the run of staging of {OTHER} failed", RUN.replace(SLATE, OTHER), ""),
    (60, {"instance": instance(failure("ingest", ""))},
     "run:ingest", WARNING, "the run of ingest failed", "prediction-assets ingest", ""),
    (60, {"instance": instance(failed_tick("staging_sensor")), **WAITING},
     "tick:staging_sensor", ERROR, "a tick of staging_sensor failed: OSError: full", "prediction-assets run", ""),
    (60, {"instance": instance(failed_tick("tonights_facts"))},
     "tick:tonights_facts", WARNING, "a tick of tonights_facts failed", "prediction-assets ingest", ""),
    (60, {"instance": refused("values_in_range"), **WAITING},
     f"check:predictions:values_in_range:{S}", ERROR, "the audit values_in_range refused the slate: 10 rows", RUN, ""),
    (60, {"instance": refused("values_in_range"), **WAITING},
     f"no_receipt:{S}", CRITICAL, "no checked consolidation", RUN, f"check:predictions:values_in_range:{S}"),
    (60, TOO_FEW, f"empty_merge:{S}", CRITICAL, "0-row MERGE: 10 rows", RUN, ""),
    (60, {"instance": instance(checks=(CheckResult("schedule", "nothing_in_quarantine", False, True, "2 rows"),))},
     "check:schedule:nothing_in_quarantine", WARNING, "failed: 2 rows", "prediction-assets quarantine list", ""),
    (60, {"instance": instance(checks=(CheckResult("points_model", "challenger_is_promoted", False, True, "worse"),))},
     "check:points_model:challenger_is_promoted", WARNING, "failed: worse", "prediction-assets models", ""),
    (60, {"instance": instance(daemon_silent_since=NOW)},
     "daemon", WARNING, "the daemon has been down since 2026-01-02 07:00 PST", "prediction-assets dev", ""),
    (60, {"warehouse": in_warehouse(whole_receipt(), fetches=(
        SourceFetch("schedule", "stats_nba", NOW, "failed", "status 403", 4, None),
        SourceFetch("schedule", "cdn_nba", NOW, "answered", "", 1, None)))},
     "source:schedule:stats_nba", WARNING, "cdn_nba answered in its place", "prediction-assets ingest", ""),
    (60, {"warehouse": in_warehouse(whole_receipt(), quarantine=(InQuarantine("schedule", 2, NOW, "a game"),))},
     "quarantine", WARNING, "facts in quarantine (2 of schedule) since 2026-01-02 07:00 PST: a game",
     "prediction-assets quarantine list", ""),
    (60, {"damage": "page 4"}, "damaged_state", CRITICAL, "damaged: page 4", RESTORE_THE_STATE, ""),
    (60, {"warehouse": DAMAGED, "schedule": DAMAGED},
     "unreadable:damaged", ERROR, "can't be read: damaged", f"prediction-assets health --slate {S}", ""),
]  # fmt: skip


def found_in(minutes: float, changes: dict[str, Any]) -> dict[str, Finding]:
    lines = evaluate(facts(minutes * MINUTE, **changes))
    return {finding.key: finding for line in lines.values() for finding in line.findings}


@pytest.mark.parametrize(
    ("minutes", "changes", "key", "severity", "line", "command", "cause"),
    CASES,
    ids=[
        f"{key.partition(':')[0]}-{severity.value}-{n}" for n, (_, _, key, severity, *_) in enumerate(CASES)
    ],
)
def test_each_finding_has_its_severity_one_command_and_its_cause(
    minutes, changes, key, severity, line, command, cause
):
    found = found_in(minutes, changes)
    assert key in found, sorted(key for key, each in found.items() if each.severity is not Severity.OK)
    finding = found[key]
    assert (finding.severity, finding.command, finding.cause) == (severity, command, cause)
    assert line in finding.line
    row = KINDS[finding.kind]
    assert finding.alerts is (row.alerts_from is not None and severity.rank >= row.alerts_from.rank)
    if finding.alerts and finding.kind != "daemon":
        assert finding.link.startswith("http://ui:3000/")


def test_the_table_has_every_kind_in_every_severity_that_it_can_have():
    seen = {(key.partition(":")[0], severity) for _, _, key, severity, *_ in CASES}
    wanted = {(kind, severity) for kind, row in KINDS.items() for severity in row.severities}
    wanted = {(kind, severity) for kind, severity in wanted if kind not in EVENTS}  # they are alerts only
    assert wanted - seen == set()


def test_a_complete_slate_has_ten_green_lines_and_no_command():
    report = report_on(facts())
    assert list(report.lines) == list(NAMES)
    assert {line.color for line in report.lines.values()} == {Color.GREEN}
    assert report.commands == []


ROOTS: list[tuple[float, dict[str, Any], list[str], list[str]]] = [
    (60, NOT_OPENED, ["batch_opened"], [RUN]),
    (60, unmerged(settled()), ["batch_complete"], [RUN]),
    (60, unmerged(settled(4, failed=4)), ["players_settled"], [REPLAY]),
    (60, ONE_PARTIAL, ["players_settled"], [REPLAY]),
    (60, {**ONE_PARTIAL, "dead_letters": letters(1)}, ["players_settled"], [REPLAY]),
    (60, {"progress": settled(staged=3), "messages": ()}, ["consolidation_receipt"], [RUN]),
    (60, {"messages": ()}, ["completion_published"], [REPUBLISH]),
    (60, {"messages": (), "instance": instance(failure("completion")), "unfinished": frozenset({S})},
     ["no_errors"], [REPUBLISH]),
    (60, {"warehouse": DAMAGED, "schedule": DAMAGED}, ["consolidation_receipt"],
     [f"prediction-assets health --slate {SLATE}"]),
    (60, {"instance": instance(failure("ingest", ""), daemon_silent_since=NOW), "messages": ()},
     ["completion_published", "no_errors"], [REPUBLISH, "prediction-assets dev", "prediction-assets ingest"]),
    (5, unmerged(settled(4, skipped=2)), ["players_settled", "batch_complete"], [STATUS]),
]  # fmt: skip


@pytest.mark.parametrize(("minutes", "changes", "roots", "commands"), ROOTS)
def test_one_cause_is_one_line_with_one_command_and_what_it_causes_is_shown_under_it(
    minutes, changes, roots, commands
):
    report = report_on(facts(minutes * MINUTE, **changes))
    grouped = list(report.grouped())
    assert sorted(line.name for line, _ in grouped) == sorted(NAMES)
    not_green = [line for line, is_caused in grouped if not is_caused and line.color is not Color.GREEN]
    assert [line.name for line in not_green] == roots
    assert report.commands == commands


def test_every_command_is_one_that_the_command_line_has():
    templates = [row.command for row in KINDS.values()]
    templates += [*OF_JOB.values(), *OF_CHECK.values(), *OF_TICK.values()]
    files = {name: f" --{name.replace('_', '-')} FILE" for name in ("game_logs", "schedule", "prop_lines")}
    root = typer.main.get_command(commands.app)
    for template in {*templates} - {RESTORE_THE_STATE}:
        name, *arguments = shlex.split(template.format(slate=SLATE, **files))
        assert name == "prediction-assets"
        command: Any = root
        while arguments and arguments[0] in getattr(command, "commands", {}):
            command = command.commands[arguments.pop(0)]
        assert not hasattr(command, "commands"), template
        command.make_context(name, arguments)  # refuses an option that there isn't


def test_a_source_in_the_settings_is_asked_and_no_file_is_named():
    rules = replace(RULES, sources=frozenset({"game_logs", "schedule", "prop_lines"}))
    found = found_in(
        60, {**NOT_OPENED, "schedule": ScheduleFacts(0, "", None, covered=False), "rules": rules}
    )
    assert found["no_schedule"].command == "prediction-assets ingest"


# What raises an alert: with what it causes left out


@pytest.mark.parametrize(
    ("minutes", "changes", "keys"),
    [
        (34, unmerged(settled()), []),
        (35, unmerged(settled()), [f"no_receipt:{SLATE}"]),
        (600, unmerged(settled(0), schedule=replace(SCHEDULE, games=0)), []),
        (600, {}, []),
        (13, {"messages": ()}, []),
        (14, {"messages": ()}, [f"unpublished:{SLATE}"]),
        (600, {**unmerged(settled(9)), "dead_letters": letters(6, alike=True)},
         [f"no_receipt:{SLATE}", f"dead_letters:{SLATE}"]),
        (34, {**WAITING, "instance": refused("values_in_range")}, [f"check:predictions:values_in_range:{SLATE}"]),
        (60, {**WAITING, "instance": refused("values_in_range")},
         [f"no_receipt:{SLATE}", f"check:predictions:values_in_range:{SLATE}"]),
        (60, {"messages": (), "instance": instance(failure("completion")), "unfinished": frozenset({SLATE})},
         [f"run:completion:{SLATE}"]),
        (60, ONE_PARTIAL, [f"partial_receipt:{SLATE}"]),
    ],
    ids=[
        "before the deadline's grace", "after it", "a day without games", "announced", "just consolidated",
        "not announced", "late, and many failed alike", "refused", "refused and late", "announcing failed", "partial",
    ],
)  # fmt: skip
def test_what_raises_an_alert_is_the_same_without_the_warehouse(minutes, changes, keys):
    made = facts(minutes * MINUTE, **changes)
    assert [finding.key for finding in open_findings(made)] == keys
    unasked = replace(made, warehouse=None, schedule=None)
    assert [finding.key for finding in open_findings(unasked)] == keys


def test_an_open_alert_does_not_end_because_its_cause_is_found_later():
    failed = instance(failure("completion"))
    made = facts(messages=(), instance=failed, unfinished=frozenset({SLATE}))
    already = {f"unpublished:{SLATE}"}
    assert {finding.key for finding in open_findings(made, already)} == {f"run:completion:{SLATE}", *already}


# The morning check of a complete slate: never red


@pytest.mark.parametrize(
    ("changes", "color", "said"),
    [
        ({"instance": instance(failure("roster", "2026-99-99"))}, Color.YELLOW, "roster of 2026-99-99 failed"),
        ({"instance": instance(failure("roster", "1999-01-01"))}, Color.YELLOW, "roster of 1999-01-01 failed"),
        ({"instance": instance(failure("consolidation", recovered=True))}, Color.GREEN, "each succeeded since"),
        ({"instance": instance(failure("ingest", "", error="BadInput: lines.csv"))}, Color.YELLOW, "BadInput"),
        ({"instance": instance(daemon_silent_since=NOW)}, Color.YELLOW, "the daemon has been down"),
        ({"slate": "2025-06-12", "schedule": ScheduleFacts(1, "NBA", date(2025, 6, 12), True, off_season=True)},
         Color.GREEN, "out of season: the last game was on 2025-06-12"),
        ({"schedule": replace(SCHEDULE, off_season=True, following=date(2026, 10, 20), last_slate=date(2025, 12, 30))},
         Color.GREEN, "out of season: no game until 2026-10-20"),
        ({"schedule": replace(SCHEDULE, last_slate=date(2025, 12, 30))}, Color.YELLOW, "the schedule ends"),
        (unmerged(None, schedule=ScheduleFacts(0, "NBA", date(2025, 6, 12), False, off_season=True)),
         Color.GREEN, "out of season"),
        (unmerged(None, schedule=ScheduleFacts(0, "NBA", date(2025, 12, 30), False)), Color.YELLOW, "schedule ends on"),
        (unmerged(None, schedule=replace(SCHEDULE, games=0)), Color.GREEN, "no games on 2026-01-02: nothing to do"),
        ({**unmerged(None), "roster_due": NOW - timedelta(days=580), "named": True}, Color.YELLOW, "never opened"),
    ],
    ids=[
        "a typo of a date", "a typo of a slate", "a repaired failure", "a facts file refused", "no daemon",
        "off-season", "off-season, next season known", "a schedule that ended", "off-season, weeks later",
        "a schedule that ended, weeks later", "no games today", "never opened, long ago",
    ],
)  # fmt: skip
def test_the_morning_check_is_not_red_where_nothing_of_tonight_is_missing(changes, color, said):
    report = report_on(facts(**changes))
    assert report.color is color, [(line.name, line.text) for line in report.lines.values()]
    assert any(said in line.text for line in report.lines.values())


def test_every_severity_has_its_color():
    assert [(severity.value, COLORS[severity].value) for severity in Severity] == [
        ("ok", "green"), ("info", "yellow"), ("warning", "yellow"), ("error", "red"), ("critical", "red"),
    ]  # fmt: skip


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
    assert set(expected_rosters(load_settings(), now)) == expected


@pytest.mark.parametrize("unread", ["messages", "warehouse"])
def test_stores_that_can_t_be_read_are_not_said_to_be_behind(unread):
    assert facts(**{"warehouse": in_warehouse(), unread: DAMAGED}).behind == ()


def test_a_line_shows_its_worst_findings_and_counts_the_rest():
    many = instance(*(failure(f"job{n}", "") for n in range(5)), daemon_silent_since=NOW)
    text = report_on(facts(instance=many, dead_letters=letters(6))).lines["no_errors"].text
    assert text.startswith("6 dead letters open")
    assert text.endswith("; and 4 more")
