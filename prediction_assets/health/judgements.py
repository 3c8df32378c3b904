"""Ten judgements over the facts: pure functions, each a colour, one line, details and what to do.

Green: as it should be. Yellow: under way, or worth a look today. Red: the slate isn't there or isn't right, or
a fact couldn't be read. The order is the order in which a slate passes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Any

from prediction_assets.batch_state.port import Outcome, Progress
from prediction_assets.consolidation import Step, lost_parts, next_step, receipt_id
from prediction_assets.health.facts import (
    HealthFacts,
    ScheduleFacts,
    Unreadable,
)
from prediction_assets.messaging.message import event_id

LEAST_HISTORY = 3
"""MERGEs before this one's rows and duration are compared with theirs."""

SLOW_FACTOR, SLOW_MS = 5.0, 2_000.0
"""A MERGE is slow when it took this many times its median, and this much longer: small ones vary by chance."""

ROWS_TOLERANCE = 0.2
"""A player has 5 systems x 5 lines = 25 rows; this share above or below the median is worth a look."""

GRACE = timedelta(minutes=5)
"""What follows an outcome, a deadline or a MERGE is given this long: sensors look every 10 to 60 seconds."""

_SHOWN = 20
_LONGEST = 120
"""Characters of an error in a line; the details have all of it."""


class Color(StrEnum):
    """A traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one check says.

    Attributes:
        line: the finding, one line.
        details: numbers and lists behind it, JSON values.
        commands: what to type next; empty when green.
    """

    color: Color
    line: str
    details: Mapping[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


def batch_opened(facts: HealthFacts) -> Judgement:
    """The slate's batch is open, with the games that the schedule has."""
    roster, schedule = _run(facts), _schedule(facts)
    progress = facts.progress
    if isinstance(progress, Unreadable):
        return _unreadable(facts, progress)
    if progress is None:
        if isinstance(schedule, Unreadable):
            return Judgement(
                Color.RED, f"no batch, and the schedule can't be read: {schedule.error}", {}, (roster,)
            )
        if schedule.last_slate is None:
            return Judgement(
                Color.RED,
                "no batch, and no schedule was ingested",
                {},
                ("prediction-assets ingest --game-logs FILE --schedule FILE --prop-lines FILE", roster),
            )
        details = {"games": schedule.games, "roster_due": _text(facts.roster_due)}
        if facts.roster_due is not None and facts.now < facts.roster_due:
            return Judgement(
                Color.YELLOW, f"not open yet; the roster is due at {_text(facts.roster_due)}", details
            )
        return Judgement(
            Color.RED, f"{_count(schedule.games, 'game')} and no batch: slate_roster wasn't materialized",
            details, (roster,),
        )  # fmt: skip
    batch = progress.batch
    details = {
        "batch_id": batch.batch_id,
        "games": batch.games,
        "expected_players": len(batch.expected),
        "opened_at": _text(batch.opened_at),
        "deadline": _text(batch.deadline),
    }
    line = (
        f"{_count(batch.games, 'game')}, {_count(len(batch.expected), 'expected player')}, "
        f"opened at {_text(batch.opened_at)}"
    )
    if not isinstance(schedule, Unreadable) and schedule.games != batch.games:
        return Judgement(
            Color.YELLOW,
            f"opened with {_count(batch.games, 'game')}, the schedule now has {schedule.games}",
            {**details, "games_in_schedule": schedule.games},
            (f"prediction-assets run --slate {facts.slate} --reopen",),
        )
    if _outdated(facts, schedule):
        last = str(schedule.last_slate) if isinstance(schedule, ScheduleFacts) else ""
        return Judgement(
            Color.YELLOW,
            f"{line}; but the schedule ends on {last}, so tonight has none",
            {**details, "schedule_ends": last},
            ("prediction-assets ingest --schedule FILE",),
        )
    return Judgement(Color.GREEN, line, details)


def players_settled(facts: HealthFacts) -> Judgement:
    """Every expected player has an outcome, and enough of them are staged."""
    progress = facts.progress
    if not isinstance(progress, Progress):
        return _waiting(facts, "nobody is expected yet")
    expected, settled = len(progress.batch.expected), len(progress.completions)
    staged, skipped = progress.count(Outcome.STAGED), progress.count(Outcome.SKIPPED)
    failed = progress.count(Outcome.FAILED)
    moments = sorted(c.recorded_at for c in progress.completions.values())
    minutes = (moments[-1] - moments[0]).total_seconds() / 60 if moments else 0.0
    rate = round((settled - 1) / minutes, 1) if minutes > 0 and settled > 1 else None
    late = facts.now >= progress.batch.deadline
    without = failed + (len(progress.unsettled) if late else 0)
    share = staged / (staged + without) if staged + without else 1.0
    details = {
        "expected": expected, "settled": settled, "staged": staged, "skipped": skipped, "failed": failed,
        "unsettled": list(progress.unsettled[:_SHOWN]), "players_per_minute": rate,
        "newest_outcome": _text(moments[-1]) if moments else None,
        "failures": [
            f"{slug}: {c.reason}"
            for slug, c in sorted(progress.completions.items())
            if c.outcome is Outcome.FAILED
        ][:_SHOWN],
        "skips": [slug for slug, c in sorted(progress.completions.items()) if c.outcome is Outcome.SKIPPED][:_SHOWN],
    }  # fmt: skip
    line = f"{settled} of {expected} settled: {staged} staged, {skipped} skipped, {failed} failed"
    if rate is not None:
        line += f"; {rate:g} players a minute"
    look, again = f"prediction-assets status --slate {facts.slate}", (() if failed else (_run(facts),))
    if progress.unsettled and not late:
        newest = moments[-1] if moments else progress.batch.opened_at
        if facts.now - newest > facts.window:
            line += f"; none since {_text(newest)}"
        return Judgement(
            Color.YELLOW, f"{line}; deadline at {_text(progress.batch.deadline)}", details, (look,)
        )
    if not expected or not without:
        return Judgement(Color.GREEN, line, details)
    enough = staged > 0 and share >= facts.rules.minimum_staged_share
    if not enough:
        line += f"; less than the minimum share of {facts.rules.minimum_staged_share:.0%} is staged"
    mend = (f"prediction-assets dead-letters replay --slate {facts.slate}",) if failed else ()
    return Judgement(Color.YELLOW if enough else Color.RED, line, details, (look, *mend, *again))


def batch_complete(facts: HealthFacts) -> Judgement:
    """Nothing is left to do: the newest outcomes are the ones that were consolidated."""
    progress = facts.progress
    if not isinstance(progress, Progress):
        return _waiting(facts, "no batch yet")
    step = next_step(progress, facts.now)
    details = {"next_step": step.value, "deadline": _text(progress.batch.deadline)}
    if step is Step.REST:
        return Judgement(Color.GREEN, "complete: nothing is left to do", details)
    line = f"not complete: the next step is {step.value}"
    if _under_way(facts, progress):
        return Judgement(Color.YELLOW, f"{line}, and it isn't late yet", details)
    return Judgement(Color.RED, line, details, (_run(facts),))


def consolidation_receipt(facts: HealthFacts) -> Judgement:
    """The warehouse holds a receipt of the batch's newest outcomes, and batch state knows it."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if not warehouse.receipts:
        return _waiting(facts, "no receipt: the slate wasn't consolidated")
    receipt = warehouse.receipts[-1]
    details = {
        "receipt_id": receipt.receipt_id, "status": receipt.status, "revision": receipt.revision,
        "consolidated_at": _text(receipt.consolidated_at), "receipts": len(warehouse.receipts),
        "missing": [f"{m['player_slug']}: {m['outcome']}: {m['reason']}" for m in receipt.missing][:_SHOWN],
    }  # fmt: skip
    line = f"{receipt.status}, revision {receipt.revision}, at {_text(receipt.consolidated_at)}"
    if isinstance(progress, Unreadable) or progress is None:
        return Judgement(Color.RED, f"{line}; batch state doesn't know of it", details, (_run(facts),))
    if receipt.receipt_id != receipt_id(progress):
        color = Color.YELLOW if _under_way(facts, progress) else Color.RED
        return Judgement(
            color,
            f"{line}; players settled anew since, not merged yet",
            details,
            (f"prediction-assets consolidate --slate {facts.slate}",),
        )
    if progress.receipt is None or progress.receipt.receipt_id != receipt.receipt_id:
        color = Color.YELLOW if _recent(facts, receipt.consolidated_at) else Color.RED
        return Judgement(
            color, f"{line}; merged, but the checks didn't pass or the cleanup didn't end", details,
            (f"prediction-assets status --slate {facts.slate}", _run(facts)),
        )  # fmt: skip
    if receipt.status != "success":
        without = Counter(m["outcome"] for m in receipt.missing)
        said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(without.items()))
        return Judgement(
            Color.YELLOW,
            f"{line}; without {said or 'some players'}",
            details,
            (f"prediction-assets status --slate {facts.slate}",),
        )
    return Judgement(Color.GREEN, line, details)


def merge(facts: HealthFacts) -> Judgement:
    """The MERGE accounts for every staged row, and is like the ones before it."""
    warehouse = facts.warehouse
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if not warehouse.receipts:
        return _waiting(facts, "nothing was merged")
    receipt = warehouse.receipts[-1]
    history = [m for m in warehouse.earlier_merges if m.parts]
    usual_ms = median(m.merge_ms for m in history) if history else None
    usual_rows = median(m.rows_staged / m.parts for m in history) if history else None
    details = {
        "rows_staged": receipt.rows_staged, "rows_inserted": receipt.rows_inserted,
        "rows_updated": receipt.rows_updated, "rows_unchanged": receipt.rows_unchanged,
        "rows_superseded": receipt.rows_superseded, "rows_in_force": receipt.rows,
        "parts": len(receipt.parts), "merge_ms": receipt.merge_ms,
        "earlier_merges": len(history), "median_ms": usual_ms, "median_rows_a_player": usual_rows,
    }  # fmt: skip
    line = (
        f"{receipt.rows_staged:,} staged = {receipt.rows_inserted:,} inserted + {receipt.rows_updated:,} updated "
        f"+ {receipt.rows_unchanged:,} unchanged, {receipt.merge_ms:.0f} ms"
    )
    again = (_run(facts),)
    if receipt.rows_staged != receipt.rows_inserted + receipt.rows_updated + receipt.rows_unchanged:
        return Judgement(Color.RED, f"{line}: rows are unaccounted for", details, again)
    if receipt.rows == 0 or (receipt.parts and receipt.rows_staged == 0):
        return Judgement(Color.RED, f"{line}: a MERGE of 0 rows", details, again)
    if usual_ms is None or usual_rows is None or len(history) < LEAST_HISTORY:
        return Judgement(
            Color.GREEN, f"{line}; too few to compare with: {_count(len(history), 'earlier one')}", details
        )
    if receipt.parts:
        a_player = receipt.rows_staged / len(receipt.parts)
        if abs(a_player - usual_rows) > ROWS_TOLERANCE * usual_rows:
            return Judgement(
                Color.YELLOW, f"{line}; {a_player:.0f} rows a player, usually {usual_rows:.0f}", details, again
            )  # fmt: skip
    if receipt.merge_ms > max(SLOW_FACTOR * usual_ms, usual_ms + SLOW_MS):
        return Judgement(
            Color.YELLOW, f"{line}; slow: usually {usual_ms:.0f} ms", details,
            (f"prediction-assets status --slate {facts.slate}",),
        )  # fmt: skip
    return Judgement(Color.GREEN, f"{line}; usually {usual_ms:.0f} ms", details)


def completion_published(facts: HealthFacts) -> Judgement:
    """The completion of the newest receipt's content was published, and its delivery acknowledged."""
    warehouse, events = facts.warehouse, facts.events
    if isinstance(events, Unreadable):
        return _unreadable(facts, events)
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if not warehouse.receipts:
        return _waiting(facts, "nothing to announce yet")
    receipt = warehouse.receipts[-1]
    wanted = event_id(receipt)
    found = next((e for e in events if e.event_id == wanted), None)
    details = {
        "event_id": wanted,
        "message_id": found.message_id if found else None,
        "published_at": _text(found.published_at) if found else None,
        "events": len(events),
        "events_pending": sum(e.message_id is None for e in events),
    }
    if found is not None and found.message_id is not None:
        status = found.message.get("status")
        return Judgement(
            Color.GREEN, f"{status}, revision {receipt.revision}, delivered at {_text(found.published_at)}",
            details,
        )  # fmt: skip
    line = "the completion was stored, but not delivered" if found else "the completion wasn't published"
    color = Color.YELLOW if _recent(facts, receipt.consolidated_at) else Color.RED
    commands = (
        ()
        if color is Color.YELLOW
        else (
            f"prediction-assets consolidate --slate {facts.slate}",
            f"prediction-assets republish --slate {facts.slate}",
        )
    )
    return Judgement(color, line, details, commands)


def no_errors(facts: HealthFacts) -> Judgement:
    """No run and no tick failed in the window without a later success, no dead letter is open, a daemon is there."""
    instance, letters = facts.instance, facts.dead_letters
    if isinstance(instance, Unreadable):
        return _unreadable(facts, instance)
    if isinstance(letters, Unreadable):
        return _unreadable(facts, letters)
    failures = instance.failures
    minutes = round(facts.window.total_seconds() / 60)
    open_ones = [f for f in failures if not f.recovered]
    details = {
        "window_minutes": minutes,
        "failed": len(failures),
        "recovered": len(failures) - len(open_ones),
        "failures": [
            f"{_text(f.at)} {f.what}{f' (run {f.run_id})' if f.run_id else ''}"
            f"{', succeeded since' if f.recovered else ''}: {f.error}".rstrip(": ")
            for f in failures
        ][-_SHOWN:],
        "daemon_silent_since": _text(instance.daemon_silent_since),
        "dead_letters": [
            f"{letter.player_slug}: {letter.newest.error_class}: {letter.newest.message}"
            for letter in letters[:_SHOWN]
        ],
    }
    look = (f"prediction-assets dead-letters list --slate {facts.slate}",) if letters else ()
    if open_ones:
        newest = open_ones[-1]
        said = f": {_short(newest.error)}" if newest.error else ""
        return Judgement(
            Color.RED,
            f"{len(open_ones)} failed in the last {_count(minutes, 'minute')}, newest {newest.what}{said}",
            details,
            (*look, "prediction-assets dev"),
        )
    if letters:
        last = max(letters, key=lambda letter: letter.last_seen)
        return Judgement(
            Color.YELLOW,
            f"{_count(len(letters), 'dead letter')} open, newest {last.player_slug}: {last.newest.error_class}",
            details,
            look,
        )
    if instance.daemon_silent_since is not None:
        return Judgement(
            Color.YELLOW,
            f"the daemon is down since {_text(instance.daemon_silent_since)}: nobody asks for the next slate",
            details,
            ("prediction-assets dev",),
        )
    if failures:
        return Judgement(
            Color.YELLOW,
            f"{len(failures)} failed in the last {_count(minutes, 'minute')}, each succeeded since",
            details,
        )
    return Judgement(
        Color.GREEN, f"no run and no tick failed in the last {_count(minutes, 'minute')}", details
    )


def predictions_in_table(facts: HealthFacts) -> Judgement:
    """The table holds the rows that the receipt says, of enough of the expected players."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return _unreadable(facts, progress)
    table = warehouse.table
    wanted = len(progress.batch.expected) - progress.count(Outcome.SKIPPED) if progress is not None else None
    share = round(table.players / wanted, 4) if wanted else None
    receipt = warehouse.receipts[-1] if warehouse.receipts else None
    details = {
        "rows": table.rows, "players": table.players, "newest": _text(table.newest),
        "players_not_skipped": wanted, "share_of_expected": share,
        "rows_in_receipt": receipt.rows if receipt else None,
    }  # fmt: skip
    again = (_run(facts),)
    if not table.rows:
        return _waiting(facts, "no rows")
    line = f"{table.rows:,} rows of {_count(table.players, 'player')}, newest at {_text(table.newest)}"
    if share is not None:
        line += f", {share:.0%} of those expected"
    if receipt is None or receipt.rows != table.rows:
        said = "no receipt" if receipt is None else f"the receipt says {receipt.rows:,} rows"
        return Judgement(Color.RED, f"{line}; {said}", details, again)
    if share is None:
        return Judgement(Color.RED, f"{line}; batch state expects nobody", details, again)
    if share < facts.rules.minimum_staged_share:
        return Judgement(Color.RED, line, details, again)
    return Judgement(Color.GREEN if share >= 1 else Color.YELLOW, line, details, again if share < 1 else ())


def no_staging_leftovers(facts: HealthFacts) -> Judgement:
    """No part is left in staging once its slate is merged, and none is lost."""
    warehouse, progress = facts.warehouse, facts.progress
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if isinstance(progress, Unreadable):
        return _unreadable(facts, progress)
    lost = lost_parts(progress, warehouse.staged, warehouse.receipts) if progress is not None else ()
    covered = {part["part_id"] for receipt in warehouse.receipts for part in receipt.parts}
    merged = sorted(slug for slug, part in warehouse.staged.items() if part in covered)
    details = {
        "parts": len(warehouse.staged),
        "merged_parts": merged[:_SHOWN],
        "lost_parts": list(lost[:_SHOWN]),
        "other_slates": list(warehouse.other_slates_staged[-_SHOWN:]),
    }
    again = (_run(facts),)
    if lost:
        return Judgement(
            Color.RED, f"{_count(len(lost), 'part')} lost, first {lost[0]}: staged again on the next run",
            details, again,
        )  # fmt: skip
    said = []
    if merged:
        said.append(f"{_count(len(merged), 'part')} merged and not dropped")
    waiting = len(warehouse.staged) - len(merged)
    if waiting:
        said.append(f"{_count(waiting, 'part')} not merged yet")
    if warehouse.other_slates_staged:
        said.append(f"parts of other slates: {', '.join(warehouse.other_slates_staged[-3:])}")
    if not said:
        return Judgement(Color.GREEN, "staging is empty", details)
    commands = [f"prediction-assets release --slate {facts.slate}"] if merged else []
    commands += [again[0]] if waiting else []
    commands += [f"prediction-assets run --slate {other}" for other in warehouse.other_slates_staged[-1:]]
    return Judgement(Color.YELLOW, "; ".join(said), details, tuple(commands))


def versions_consistent(facts: HealthFacts) -> Judgement:
    """One schema, one version of each system and one code made all of the slate's rows: the running ones."""
    warehouse, instance, rules = facts.warehouse, facts.instance, facts.rules
    if isinstance(warehouse, Unreadable):
        return _unreadable(facts, warehouse)
    if isinstance(instance, Unreadable):
        return _unreadable(facts, instance)
    if isinstance(facts.progress, Unreadable):  # it says which runs staged the players
        return _unreadable(facts, facts.progress)
    table = warehouse.table
    if not table.rows:
        return _waiting(facts, "no rows")
    details = {
        "code_versions": list(instance.code_versions), "running_code": rules.code_version,
        "schema_versions": list(table.schema_versions), "running_schema": rules.schema_version,
        "systems": {name: list(versions) for name, versions in table.systems.items()},
        "running_systems": dict(rules.systems),
        "feature_snapshots": list(table.feature_snapshots),
    }  # fmt: skip
    again = (_run(facts),)
    mixed = [f"{name} {', '.join(v)}" for name, v in sorted(table.systems.items()) if len(v) > 1]
    if len(table.schema_versions) > 1:
        mixed.append(f"schema {', '.join(map(str, table.schema_versions))}")
    if mixed:
        return Judgement(
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
        return Judgement(Color.YELLOW, "; ".join(notes), details, again)
    code = f"code {instance.code_versions[0]}, " if instance.code_versions else ""
    return Judgement(
        Color.GREEN,
        f"{code}schema {rules.schema_version}, {_count(len(made), 'system')}, one feature snapshot",
        details,
    )


CHECKS: dict[str, Callable[[HealthFacts], Judgement]] = {
    judge.__name__: judge
    for judge in (
        batch_opened,
        players_settled,
        batch_complete,
        consolidation_receipt,
        merge,
        completion_published,
        no_errors,
        predictions_in_table,
        no_staging_leftovers,
        versions_consistent,
    )
}
"""The ten checks by name, in the order in which a slate passes them."""

_WITHOUT_GAMES = frozenset({no_errors.__name__, no_staging_leftovers.__name__})
"""What is judged on a day without games too."""


def judge(facts: HealthFacts) -> dict[str, Judgement]:
    """Return each check's judgement; without games, everything that needs them is green and says so."""
    rest = without_games(facts)
    return {
        name: Judgement(Color.GREEN, f"no games on {facts.slate}: nothing to do")
        if rest and name not in _WITHOUT_GAMES
        else check(facts)
        for name, check in CHECKS.items()
    }


def without_games(facts: HealthFacts) -> bool:
    """Return whether the schedule, or the batch that it led to, is known to have no games on the slate."""
    if isinstance(facts.warehouse, Unreadable) or isinstance(facts.progress, Unreadable):
        return False
    schedule = facts.warehouse.schedule
    no_batch = facts.progress is None or not facts.progress.batch.expected
    return schedule.covered and schedule.games == 0 and no_batch


def _schedule(facts: HealthFacts) -> ScheduleFacts | Unreadable:
    return facts.warehouse if isinstance(facts.warehouse, Unreadable) else facts.warehouse.schedule


def _outdated(facts: HealthFacts, schedule: ScheduleFacts | Unreadable) -> bool:
    """Return whether the slate stands in for tonight because the schedule ended before it."""
    return (
        not facts.named
        and facts.roster_due is not None
        and isinstance(schedule, ScheduleFacts)
        and schedule.last_slate is not None
        and (facts.now.date() - schedule.last_slate).days > 1
    )


def _unreadable(facts: HealthFacts, what: Unreadable) -> Judgement:
    return Judgement(
        Color.RED, f"can't be read: {what.error}", {"source": what.source, "error": what.error},
        (f"prediction-assets health --slate {facts.slate}",),
    )  # fmt: skip


def _waiting(facts: HealthFacts, line: str) -> Judgement:
    """Return what a check says whose facts aren't there yet: yellow while they aren't due, then red."""
    progress = facts.progress
    if isinstance(progress, Unreadable):
        return _unreadable(facts, progress)
    if progress is not None:
        due, at = not _under_way(facts, progress), progress.batch.deadline
    elif facts.roster_due is not None:
        due, at = facts.now >= facts.roster_due, facts.roster_due
    else:
        return Judgement(Color.RED, line, {}, (_run(facts),))
    if due:
        return Judgement(Color.RED, line, {"due": _text(at)}, (_run(facts),))
    return Judgement(Color.YELLOW, f"{line}; due at {_text(at)}", {"due": _text(at)})


def _under_way(facts: HealthFacts, progress: Progress) -> bool:
    """Return whether the batch still has time: its deadline is to come, or something happened a moment ago."""
    moments = [progress.batch.deadline, *(c.recorded_at for c in progress.completions.values())]
    return facts.now < progress.batch.deadline or _recent(facts, max(moments))


def _recent(facts: HealthFacts, moment: datetime) -> bool:
    """Return whether the work that follows a moment is still within its time: sensors, checks, cleanup."""
    return facts.now - moment <= GRACE


def _run(facts: HealthFacts) -> str:
    return f"prediction-assets run --slate {facts.slate}"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
