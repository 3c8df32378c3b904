"""Does the result stand? All rows in the table, nothing left over, one version of everything.

From the predictions table, staging and the Dagster instance.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from prediction_assets.monitoring.batch_findings import waiting
from prediction_assets.monitoring.finding_kinds import CRITICAL, ERROR
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.health_facts import HealthFacts, InstanceFacts, WarehouseFacts
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.outcome import Outcome
from prediction_assets.slate.part_states import PartState, abandoned, part_states, players_with


def rows_in_table(facts: HealthFacts) -> Finding:
    """The table holds the rows that the receipt says, of enough of the expected players, and books have lines."""
    warehouse, progress, receipt = facts.warehouse, facts.progress, facts.receipt
    if not isinstance(warehouse, WarehouseFacts):
        return waiting(facts, "rows", "no rows")
    table = warehouse.table
    wanted = (
        len(progress.batch.expected) - progress.count(Outcome.SKIPPED)
        if isinstance(progress, Progress)
        else None
    )
    share = round(table.players / wanted, 4) if wanted else None
    evidence = {
        "rows": table.rows, "players": table.players, "newest": utc(table.newest),
        "players_with_a_line": table.players_with_a_line,
        "players_not_skipped": wanted, "share_of_expected": share,
        "rows_in_receipt": receipt.rows if receipt else None,
    }  # fmt: skip
    if not table.rows and receipt is not None and receipt.is_retraction:
        return facts.fine("rows", "no rows: there is nothing to predict any more", evidence)
    if not table.rows and receipt is None:
        return waiting(facts, "rows", "no rows")
    line = f"{table.rows:,} rows of {count(table.players, 'player')}, newest at {facts.at(table.newest)}"
    if share is not None:
        line += f", {share:.0%} of those expected"
    if receipt is None or receipt.rows != table.rows:
        said = "no receipt" if receipt is None else f"the receipt says {receipt.rows:,} rows"
        return facts.found("rows_differ", f"{line}; {said}", evidence, severity=CRITICAL)
    if share is None:
        said = f"{line}; batch state expects no player"
        return facts.found(
            "rows_differ", said, evidence, severity=ERROR, causes=facts.causes("unknown_receipt")
        )
    missing = facts.causes("failed_players", "unsettled")
    if share < facts.rules.minimum_staged_share:
        return facts.found("few_rows", line, evidence, severity=ERROR, causes=missing)
    if warehouse.newest_lines is not None:
        return _without_lines(facts, str(warehouse.newest_lines), line, evidence)
    if share < 1:
        return facts.found("few_rows", line, evidence, causes=missing)
    return facts.fine("rows", line, evidence)


def _without_lines(facts: HealthFacts, newest: str, line: str, evidence: Mapping[str, object]) -> Finding:
    evidence = {**evidence, "newest_lines": newest}
    line = f"{line}; no player has a line: "
    if newest == facts.slate:
        said = f"{line}the slate's prop lines came after the rows, or name other players"
        return facts.found("late_lines", said, evidence)
    said = f"{line}no prop line of the slate was ingested, the newest is of {newest}"
    return facts.found("no_lines", said, evidence)


def no_staging_leftovers(facts: HealthFacts) -> Finding:
    """No part is left in staging once its slate is merged, and none is lost."""
    warehouse, progress = facts.warehouse, facts.progress
    if not isinstance(warehouse, WarehouseFacts):
        return waiting(facts, "leftovers", "no parts")
    batch = progress if isinstance(progress, Progress) else None
    states = part_states(batch, warehouse.staged, warehouse.receipts)
    states.update(dict.fromkeys(abandoned(states, batch, facts.now), PartState.ORPHANED))
    lost, merged, orphaned, pending = (
        players_with(states, state)
        for state in (PartState.LOST, PartState.MERGED, PartState.ORPHANED, PartState.PENDING)
    )
    # What can't be read under a part's name is no part: cleanup leaves it alone, and no MERGE takes it.
    unreadable = {slug for slug, part_id in states if not part_id}
    pending = tuple(slug for slug in pending if slug not in unreadable)
    others = warehouse.other_slates_staged
    evidence = {
        "parts": len(warehouse.staged),
        "merged_parts": list(merged[:SHOWN]),
        "lost_parts": list(lost[:SHOWN]),
        "strays": list(warehouse.strays[:SHOWN]),
        "other_slates": list(others[-SHOWN:]),
    }
    if lost:
        line = f"{count(len(lost), 'part')} lost, first {lost[0]}: staged again on the next run"
        return facts.found("lost_parts", line, evidence)
    said = []
    if merged:
        said.append(f"{count(len(merged), 'part')} merged and not dropped")
    if orphaned:
        said.append(f"{count(len(orphaned), 'part')} that no outcome needs")
    if pending:
        said.append(f"{count(len(pending), 'part')} not merged yet")
    if warehouse.strays:
        first, verb = warehouse.strays[0], "is" if len(warehouse.strays) == 1 else "are"
        said.append(f"{count(len(warehouse.strays), 'thing')} in staging that {verb} no part, first {first}")
    if others:
        said.append(f"parts of other slates: {', '.join(others[-3:])}")
    line = "; ".join(said)
    if merged or orphaned:
        return facts.found("leftovers", line, evidence, causes=facts.causes("unchecked_receipt"))
    if pending:
        causes = facts.causes("outdated_receipt", "no_receipt")
        return facts.found("pending_parts", line, evidence, causes=causes)
    if warehouse.strays:
        folder, first = facts.rules.staging, warehouse.strays[0]
        command = f"rm -r {shlex.quote(f'{folder}/{first}')}" if folder else ""
        return facts.found("strays", line, evidence, command=command.replace("{", "{{").replace("}", "}}"))
    if others:
        return facts.found("pending_parts", line, evidence, slate=others[-1])
    return facts.fine("leftovers", "staging is empty", evidence)


def versions_consistent(facts: HealthFacts) -> Finding:
    """One schema, one version of each system and one code made all of the slate's rows: the running ones."""
    warehouse, instance, rules = facts.warehouse, facts.instance, facts.rules
    if not isinstance(warehouse, WarehouseFacts) or not isinstance(instance, InstanceFacts):
        return waiting(facts, "versions", "no rows")
    table = warehouse.table
    if not table.rows and facts.receipt is not None and facts.receipt.is_retraction:
        return facts.fine("versions", "no rows: there is nothing to predict any more")
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
        return facts.found("mixed_versions", line, evidence)
    if notes := _differing_versions(facts, warehouse, instance.code_versions):
        return facts.found("other_versions", "; ".join(notes), evidence)
    code = f"code {instance.code_versions[0]}, " if instance.code_versions else ""
    line = f"{code}schema {rules.schema_version}, {count(len(table.systems), 'system')}, one feature snapshot"
    return facts.fine("versions", line, evidence)


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
