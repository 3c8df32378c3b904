"""Does the result stand? No open failure, all rows in the table, nothing left over, one version of everything.

By the Dagster instance, the dead letters, the predictions table and staging.
"""

from __future__ import annotations

from prediction_assets.errors import one_line
from prediction_assets.monitoring.evidence import HealthFacts, RecentFailure, Unreadable
from prediction_assets.monitoring.findings import (
    SHOWN,
    Color,
    Finding,
    count,
    run_command,
    unreadable,
    utc,
    waiting,
)
from prediction_assets.monitoring.incidents import START_THE_DAEMON
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.part_states import PartState, part_states, players_with

_LONGEST = 120
"""Characters of an error in a line; the details have all of it."""


def no_errors(facts: HealthFacts) -> Finding:
    """No run and no tick failed in the window without a later success, no dead letter is open, a daemon is there."""
    instance, letters = facts.instance, facts.dead_letters
    if isinstance(instance, Unreadable):
        return unreadable(facts, instance)
    if isinstance(letters, Unreadable):
        return unreadable(facts, letters)
    failures = instance.failures
    minutes = round(facts.window.total_seconds() / 60)
    open_ones = [f for f in failures if not f.recovered]
    details = {
        "window_minutes": minutes,
        "failed": len(failures),
        "recovered": len(failures) - len(open_ones),
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
    said: list[str] = []
    commands: list[str] = []
    if instance.daemon_silent_since is not None:
        said.append(
            f"the daemon is down since {utc(instance.daemon_silent_since)}: nobody asks for the next slate"
        )
        commands.append(START_THE_DAEMON)
    if letters:
        commands.append(f"prediction-assets dead-letters list --slate {facts.slate}")
    window = f"in the last {count(minutes, 'minute')}"
    if open_ones:
        newest = open_ones[-1]
        error = f": {one_line(newest.error, _LONGEST)}" if newest.error else ""
        said.append(f"{len(open_ones)} failed {window}, newest {newest.what}{error}")
        commands.append(_where_to_look(newest, facts.rules.ui_url))
    elif letters:
        last = max(letters, key=lambda letter: letter.last_seen)
        said.append(
            f"{count(len(letters), 'dead letter')} open, newest {last.player_slug}: {last.newest.error_class}"
        )
    elif failures:
        said.append(f"{len(failures)} failed {window}, each succeeded since")
    if not said:
        return Finding(Color.GREEN, f"no run and no tick failed {window}", details)
    return Finding(Color.RED if open_ones else Color.YELLOW, "; ".join(said), details, tuple(commands))


def predictions_in_table(facts: HealthFacts) -> Finding:
    """The table holds the rows that the receipt says, of enough of the expected players, and books have lines."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    table = warehouse.table
    wanted = len(progress.batch.expected) - progress.count(Outcome.SKIPPED) if progress is not None else None
    share = round(table.players / wanted, 4) if wanted else None
    receipt = warehouse.receipts[-1] if warehouse.receipts else None
    details = {
        "rows": table.rows, "players": table.players, "newest": utc(table.newest),
        "players_with_a_line": table.players_with_a_line,
        "players_not_skipped": wanted, "share_of_expected": share,
        "rows_in_receipt": receipt.rows if receipt else None,
    }  # fmt: skip
    again: tuple[str, ...] = (run_command(facts),)
    if not table.rows and receipt is not None and receipt.is_retraction:
        return Finding(Color.GREEN, "no rows: nothing is to be predicted any more", details)
    if not table.rows:
        return waiting(facts, "no rows")
    line = f"{table.rows:,} rows of {count(table.players, 'player')}, newest at {utc(table.newest)}"
    if share is not None:
        line += f", {share:.0%} of those expected"
    if receipt is None or receipt.rows != table.rows:
        said = "no receipt" if receipt is None else f"the receipt says {receipt.rows:,} rows"
        return Finding(Color.RED, f"{line}; {said}", details, again)
    if share is None:
        return Finding(Color.RED, f"{line}; batch state expects nobody", details, again)
    if share < facts.rules.minimum_staged_share:
        return Finding(Color.RED, line, details, again)
    if warehouse.newest_lines is not None:
        newest = str(warehouse.newest_lines)
        said = "the slate's prop lines came after the rows, or name other players"
        if newest != facts.slate:
            said = f"no prop line of the slate was ingested, the newest is of {newest}"
            again = ("prediction-assets ingest --prop-lines FILE", *again)
        details |= {"newest_lines": newest}
        return Finding(Color.YELLOW, f"{line}; no player has a line: {said}", details, again)
    return Finding(Color.GREEN if share >= 1 else Color.YELLOW, line, details, again if share < 1 else ())


def no_staging_leftovers(facts: HealthFacts) -> Finding:
    """No part is left in staging once its slate is merged, and none is lost."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return unreadable(facts, progress)
    states = part_states(progress, warehouse.staged, warehouse.receipts)
    lost, merged, orphaned, pending = (
        list(players_with(states, state))
        for state in (PartState.LOST, PartState.MERGED, PartState.ORPHANED, PartState.PENDING)
    )
    details = {
        "parts": len(warehouse.staged),
        "merged_parts": merged[:SHOWN],
        "lost_parts": lost[:SHOWN],
        "other_slates": list(warehouse.other_slates_staged[-SHOWN:]),
    }
    again = (run_command(facts),)
    if lost:
        return Finding(
            Color.RED, f"{count(len(lost), 'part')} lost, first {lost[0]}: staged again on the next run",
            details, again,
        )  # fmt: skip
    said = []
    if merged:
        said.append(f"{count(len(merged), 'part')} merged and not dropped")
    if orphaned:
        said.append(f"{count(len(orphaned), 'part')} that no outcome needs")
    if pending:
        said.append(f"{count(len(pending), 'part')} not merged yet")
    if warehouse.other_slates_staged:
        said.append(f"parts of other slates: {', '.join(warehouse.other_slates_staged[-3:])}")
    if not said:
        return Finding(Color.GREEN, "staging is empty", details)
    commands = [f"prediction-assets clean-up --slate {facts.slate}"] if merged or orphaned else []
    commands += [again[0]] if pending else []
    commands += [f"prediction-assets run --slate {other}" for other in warehouse.other_slates_staged[-1:]]
    return Finding(Color.YELLOW, "; ".join(said), details, tuple(commands))


def versions_consistent(facts: HealthFacts) -> Finding:
    """One schema, one version of each system and one code made all of the slate's rows: the running ones."""
    warehouse, instance, rules = facts.warehouse, facts.instance, facts.rules
    if isinstance(warehouse, Unreadable):
        return unreadable(facts, warehouse)
    if isinstance(instance, Unreadable):
        return unreadable(facts, instance)
    if isinstance(facts.progress, Unreadable):  # it says which runs staged the players
        return unreadable(facts, facts.progress)
    table = warehouse.table
    if not table.rows and warehouse.receipts and warehouse.receipts[-1].is_retraction:
        return Finding(Color.GREEN, "no rows: nothing is to be predicted any more", {})
    if not table.rows:
        return waiting(facts, "no rows")
    details = {
        "code_versions": list(instance.code_versions), "running_code": rules.code_version,
        "schema_versions": list(table.schema_versions), "running_schema": rules.schema_version,
        "systems": {name: list(versions) for name, versions in table.systems.items()},
        "running_systems": dict(rules.systems),
        "feature_snapshots": list(table.feature_snapshots),
    }  # fmt: skip
    again = (run_command(facts),)
    mixed = [f"{name} {', '.join(v)}" for name, v in sorted(table.systems.items()) if len(v) > 1]
    if len(table.schema_versions) > 1:
        mixed.append(f"schema {', '.join(map(str, table.schema_versions))}")
    if mixed:
        return Finding(
            Color.RED, f"mixed versions across the slate: {'; '.join(mixed)}", details, again
        )  # fmt: skip
    made = {name: versions[0] for name, versions in table.systems.items()}
    notes = []
    if made != dict(rules.systems):
        differing = sorted(
            name for name in made.keys() | rules.systems.keys() if made.get(name) != rules.systems.get(name)
        )
        notes.append(f"{', '.join(differing)} not of the running versions")
    if table.schema_versions != (rules.schema_version,):
        notes.append(f"schema {table.schema_versions[0]}, the running one is {rules.schema_version}")
    if len(instance.code_versions) > 1:
        notes.append(f"players staged by versions {', '.join(instance.code_versions)}")
    elif instance.code_versions and instance.code_versions != (rules.code_version,):
        notes.append(f"staged by version {instance.code_versions[0]}, {rules.code_version} is running")
    if len(table.feature_snapshots) > 1:
        notes.append(f"{len(table.feature_snapshots)} feature snapshots")
    if notes:
        return Finding(Color.YELLOW, "; ".join(notes), details, again)
    code = f"code {instance.code_versions[0]}, " if instance.code_versions else ""
    return Finding(
        Color.GREEN,
        f"{code}schema {rules.schema_version}, {count(len(made), 'system')}, one feature snapshot",
        details,
    )


def _where_to_look(incident: RecentFailure, ui_url: str) -> str:
    """Return where a failure is seen: its run's page, or the ticks."""
    if not ui_url:
        return "look under Runs and Automation in the UI; `prediction-assets dev` opens one"
    if incident.run_id:
        return f"look at the failed run: {ui_url}/runs/{incident.run_id}"
    return f"look at the failed tick: {ui_url}/automation"
