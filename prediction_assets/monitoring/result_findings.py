"""Does the result stand? No open failure, all rows in the table, nothing left over, one version of everything.

From the Dagster instance, the dead letters, the predictions table and staging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prediction_assets.errors import one_line
from prediction_assets.monitoring.alert_findings import dead_letters
from prediction_assets.monitoring.batch_findings import unreadable, waiting
from prediction_assets.monitoring.evidence import (
    HealthFacts,
    RecentFailure,
    SourceFetch,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.monitoring.findings import (
    SHOWN,
    START_THE_DAEMON,
    Finding,
    Pages,
    count,
    run_command,
    utc,
)
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.part_states import PartState, abandoned, part_states, players_with
from prediction_assets.stores.alert import Severity

SOURCES_SETTING = "set a second source, or ingest files: docs/runbook.md, Where facts come from"

_LONGEST = 120
"""Characters of an error in a line; the evidence has all of it."""

RESTORE_THE_STATE = (
    "stop everything, put back state.sqlite from a backup or move it away with its -wal and -shm, "
    "then `prediction-assets run`"
)
"""The next step when the state file is damaged; docs/runbook.md says what is lost without a backup."""


def no_errors(facts: HealthFacts) -> tuple[Finding, ...]:
    """Nothing failed lately, a daemon is there, no dead letter is open, no fact waits, and nothing is damaged."""
    instance, letters = facts.instance, facts.dead_letters
    if isinstance(instance, Unreadable):
        return (unreadable(facts, instance),)
    if isinstance(letters, Unreadable):
        return (unreadable(facts, letters),)
    if isinstance(facts.damage, Unreadable):
        return (unreadable(facts, facts.damage),)
    failures = instance.failures
    minutes = round(facts.window.total_seconds() / 60)
    lasting = [failure for failure in failures if not failure.recovered]
    evidence = {
        "window_minutes": minutes,
        "failed": len(failures),
        "recovered": len(failures) - len(lasting),
        "failures": [
            f"{utc(f.at)} {f.what}{f' (run {f.run_id})' if f.run_id else ''}"
            f"{', succeeded since' if f.recovered else ''}: {f.error}".rstrip(": ")
            for f in failures
        ][-SHOWN:],
        "daemon_silent_since": utc(instance.daemon_silent_since),
        "dead_letters": [
            f"{letter.player_slug}: {letter.newest.error_class}: {letter.newest.message}"
            for letter in letters[:SHOWN]
        ],
    }
    found = []
    if facts.damage:
        found.append(
            Finding("damaged_state", Severity.CRITICAL, f"damaged: {facts.damage}", command=RESTORE_THE_STATE)
        )
    if instance.daemon_silent_since is not None:
        line = f"the daemon has been down since {utc(instance.daemon_silent_since)}: nothing opens the next slate"
        found.append(
            Finding("daemon", Severity.WARNING, line, command=START_THE_DAEMON, link=facts.pages.daemons())
        )
    window = f"in the last {count(minutes, 'minute')}"
    if lasting:
        newest = lasting[-1]
        error = f": {one_line(newest.error, _LONGEST)}" if newest.error else ""
        line = f"{len(lasting)} failed {window}, newest {newest.what}{error}"
        found.append(Finding("failures", Severity.ERROR, line, command=_where_to_look(newest, facts.pages)))
    elif failures and not letters:
        line = f"{len(failures)} failed {window}, each succeeded since"
        found.append(Finding("failures", Severity.OK, line))
    progress = facts.progress if isinstance(facts.progress, Progress) else None
    if (unanswered := dead_letters(facts.slate, letters, progress, facts.pages)) is not None:
        found.append(replace(unanswered, cause=f"unsettled:{facts.slate}"))
    if not isinstance(facts.warehouse, Unreadable):
        found += source_failures(facts.warehouse.fetches)
        evidence["sources"] = [
            f"{utc(each.started_at)} {each.facts} from {each.source}: {each.outcome}, {count(each.requests, 'request')}"
            + ("" if each.remaining is None else f", {each.remaining} left")
            for each in facts.warehouse.fetches
        ]
    found += _in_quarantine(facts)
    if not found:
        found.append(Finding("failures", Severity.OK, f"no run and no tick failed {window}"))
    return (replace(found[0], evidence=evidence), *found[1:])


def source_failures(fetches: Sequence[SourceFetch]) -> list[Finding]:
    """Return a finding for each live source that failed last, with who answered in its place."""
    found = []
    for failed in fetches:
        if failed.outcome != "failed":
            continue
        since = [
            each.source
            for each in fetches
            if each.facts == failed.facts
            and each.outcome == "answered"
            and each.started_at >= failed.started_at
        ]
        instead = f"; {', '.join(since)} answered in its place" if since else ""
        line = f"{failed.facts}: the source {failed.source} failed: {one_line(failed.problem, _LONGEST)}{instead}"
        found.append(
            Finding(f"source:{failed.facts}:{failed.source}", Severity.WARNING, line, command=SOURCES_SETTING)
        )
    return found


def _in_quarantine(facts: HealthFacts) -> list[Finding]:
    """Facts that contradict others aren't used until an operator decides: slates may lack games, players or lines."""
    if isinstance(facts.warehouse, Unreadable) or not facts.warehouse.quarantine:
        return []
    waiting = facts.warehouse.quarantine
    kinds = ", ".join(f"{each.rows:,} of {each.facts}" for each in waiting)
    oldest = min(waiting, key=lambda each: each.since)
    line = f"facts in quarantine ({kinds}) since {utc(oldest.since)}: {one_line(oldest.example, _LONGEST)}"
    evidence = {
        each.facts: f"{each.rows} since {utc(each.since)}, such as {each.example}" for each in waiting
    }
    command = "prediction-assets quarantine list"
    return [Finding("quarantine", Severity.WARNING, line, command=command, evidence=evidence)]


def predictions_in_table(facts: HealthFacts) -> Finding:
    """The table holds the rows that the receipt says, of enough of the expected players, and books have lines."""
    warehouse, progress, slate = facts.warehouse, facts.progress, facts.slate
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    table = warehouse.table
    wanted = len(progress.batch.expected) - progress.count(Outcome.SKIPPED) if progress is not None else None
    share = round(table.players / wanted, 4) if wanted else None
    receipt = warehouse.receipts[-1] if warehouse.receipts else None
    evidence = {
        "rows": table.rows, "players": table.players, "newest": utc(table.newest),
        "players_with_a_line": table.players_with_a_line,
        "players_not_skipped": wanted, "share_of_expected": share,
        "rows_in_receipt": receipt.rows if receipt else None,
    }  # fmt: skip

    def found(kind: str, severity: Severity, line: str, command: str = "", cause: str = "") -> Finding:
        return Finding(f"{kind}:{slate}", severity, line, slate, command, evidence, cause=cause)

    if not table.rows and receipt is not None and receipt.is_retraction:
        return found("rows", Severity.OK, "no rows: there is nothing to predict any more")
    if not table.rows:
        return waiting(facts, "rows", "no rows")
    line = f"{table.rows:,} rows of {count(table.players, 'player')}, newest at {utc(table.newest)}"
    if share is not None:
        line += f", {share:.0%} of those expected"
    if receipt is None or receipt.rows != table.rows:
        said = "no receipt" if receipt is None else f"the receipt says {receipt.rows:,} rows"
        return found("rows_differ", Severity.CRITICAL, f"{line}; {said}", run_command(slate))
    if share is None:
        said = f"{line}; batch state expects no player"
        return found("rows_differ", Severity.ERROR, said, run_command(slate), f"unknown_receipt:{slate}")
    if share < facts.rules.minimum_staged_share:
        return found("few_rows", Severity.ERROR, line, run_command(slate), f"unsettled:{slate}")
    if warehouse.newest_lines is not None:
        return _without_lines(facts, warehouse, found("no_lines", Severity.WARNING, line))
    if share < 1:
        return found("few_rows", Severity.WARNING, line, run_command(slate), f"unsettled:{slate}")
    return found("rows", Severity.OK, line)


def _without_lines(facts: HealthFacts, warehouse: WarehouseFacts, rows: Finding) -> Finding:
    """Return the finding about rows whose players have no line."""
    newest, command = str(warehouse.newest_lines), run_command(facts.slate)
    said = "the slate's prop lines came after the rows, or name other players"
    if newest != facts.slate:
        said = f"no prop line of the slate was ingested, the newest is of {newest}"
        command = f"prediction-assets ingest --prop-lines FILE && {command}"
    return replace(
        rows,
        line=f"{rows.line}; no player has a line: {said}",
        command=command,
        evidence={**rows.evidence, "newest_lines": newest},
    )


def no_staging_leftovers(facts: HealthFacts) -> Finding:
    """No part is left in staging once its slate is merged, and none is lost."""
    warehouse, progress, slate = facts.warehouse, facts.progress, facts.slate
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    states = part_states(progress, warehouse.staged, warehouse.receipts)
    states.update(dict.fromkeys(abandoned(states, progress, facts.now), PartState.ORPHANED))
    lost, merged, orphaned, pending = (
        players_with(states, state)
        for state in (PartState.LOST, PartState.MERGED, PartState.ORPHANED, PartState.PENDING)
    )
    others = warehouse.other_slates_staged
    evidence = {
        "parts": len(warehouse.staged),
        "merged_parts": list(merged[:SHOWN]),
        "lost_parts": list(lost[:SHOWN]),
        "other_slates": list(others[-SHOWN:]),
    }
    if lost:
        line = f"{count(len(lost), 'part')} lost, first {lost[0]}: staged again on the next run"
        return Finding(f"lost_parts:{slate}", Severity.ERROR, line, slate, run_command(slate), evidence)
    said = []
    if merged:
        said.append(f"{count(len(merged), 'part')} merged and not dropped")
    if orphaned:
        said.append(f"{count(len(orphaned), 'part')} that no outcome needs")
    if pending:
        said.append(f"{count(len(pending), 'part')} not merged yet")
    if others:
        said.append(f"parts of other slates: {', '.join(others[-3:])}")
    key = f"leftovers:{slate}"
    if not said:
        return Finding(key, Severity.OK, "staging is empty", slate, evidence=evidence)
    cause = ""
    if merged or orphaned:
        command, cause = f"prediction-assets clean-up --slate {slate}", f"unchecked_receipt:{slate}"
    elif pending:
        kind = "outdated_receipt" if progress is not None and progress.receipt is not None else "no_receipt"
        command, cause = run_command(slate), f"{kind}:{slate}"
    else:
        command = run_command(others[-1])
    return Finding(key, Severity.WARNING, "; ".join(said), slate, command, evidence, cause=cause)


def versions_consistent(facts: HealthFacts) -> Finding:
    """One schema, one version of each system and one code made all of the slate's rows: the running ones."""
    warehouse, instance, rules, slate = facts.warehouse, facts.instance, facts.rules, facts.slate
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(instance, Unreadable):
        return unreadable(facts, instance)
    if isinstance(facts.progress, Unreadable):  # it names the runs that staged the players
        return unreadable(facts, facts.progress)
    table, key = warehouse.table, f"versions:{slate}"
    if not table.rows and warehouse.receipts and warehouse.receipts[-1].is_retraction:
        return Finding(key, Severity.OK, "no rows: there is nothing to predict any more", slate)
    if not table.rows:
        return waiting(facts, "versions", "no rows")
    evidence = {
        "code_versions": list(instance.code_versions), "running_code": rules.code_version,
        "schema_versions": list(table.schema_versions), "running_schema": rules.schema_version,
        "systems": {name: list(versions) for name, versions in table.systems.items()},
        "running_systems": dict(rules.systems),
        "feature_snapshots": list(table.feature_snapshots),
    }  # fmt: skip
    mixed = [f"{name} {', '.join(v)}" for name, v in sorted(table.systems.items()) if len(v) > 1]
    if len(table.schema_versions) > 1:
        mixed.append(f"schema {', '.join(map(str, table.schema_versions))}")
    if mixed:
        line = f"mixed versions across the slate: {'; '.join(mixed)}"
        return Finding(key, Severity.ERROR, line, slate, run_command(slate), evidence)
    if notes := _differing_versions(facts, warehouse, instance.code_versions):
        return Finding(key, Severity.WARNING, "; ".join(notes), slate, run_command(slate), evidence)
    code = f"code {instance.code_versions[0]}, " if instance.code_versions else ""
    line = f"{code}schema {rules.schema_version}, {count(len(table.systems), 'system')}, one feature snapshot"
    return Finding(key, Severity.OK, line, slate, evidence=evidence)


def _differing_versions(
    facts: HealthFacts, warehouse: WarehouseFacts, code_versions: tuple[str, ...]
) -> list[str]:
    """Return what made the slate's rows and isn't running now."""
    table, rules, notes = warehouse.table, facts.rules, []
    made = {name: versions[0] for name, versions in table.systems.items()}
    differing = sorted(
        name for name in made.keys() | rules.systems.keys() if made.get(name) != rules.systems.get(name)
    )
    if differing:
        notes.append(f"{', '.join(differing)} made by another version than the running one")
    if table.schema_versions != (rules.schema_version,):
        notes.append(f"schema {table.schema_versions[0]}, the running one is {rules.schema_version}")
    if len(code_versions) > 1:
        notes.append(f"players staged by versions {', '.join(code_versions)}")
    elif code_versions and code_versions != (rules.code_version,):
        notes.append(f"staged by version {code_versions[0]}, {rules.code_version} is running")
    if len(table.feature_snapshots) > 1:
        notes.append(f"{len(table.feature_snapshots)} feature snapshots")
    return notes


def _where_to_look(failure: RecentFailure, pages: Pages) -> str:
    """Return where a failure is seen: its run's page, or the ticks."""
    if not pages.base:
        return "look under Runs and Automation in the UI; `prediction-assets dev` opens one"
    if failure.run_id:
        return f"look at the failed run: {pages.run(failure.run_id)}"
    return f"look at the failed tick: {pages.ticks()}"
