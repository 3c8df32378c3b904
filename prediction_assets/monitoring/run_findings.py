"""What failed? Runs, ticks, asset checks and dead letters, silent daemons, sources, facts in quarantine, damage.

From the Dagster instance, the dead letters and the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from prediction_assets.errors import one_line
from prediction_assets.monitoring.batch_findings import is_done
from prediction_assets.monitoring.finding_kinds import (
    CRITICAL,
    ERROR,
    OF_JOB,
    OF_TICK,
    WARNING,
    command_of_check,
)
from prediction_assets.monitoring.findings import SHOWN, Finding, count, utc
from prediction_assets.monitoring.freshness import ages
from prediction_assets.monitoring.health_facts import (
    CheckResult,
    HealthFacts,
    InQuarantine,
    InstanceFacts,
    RecentFailure,
    SourceFetch,
    Unreadable,
    WarehouseFacts,
)
from prediction_assets.monitoring.thresholds import DEAD_LETTERS, LONGEST_ERROR
from prediction_assets.nba.tonight import Tonight
from prediction_assets.slate.audits import ENOUGH_STAGED, NOT_EMPTY, RUN
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.dead_letter import common_cause


def no_errors(facts: HealthFacts) -> tuple[Finding, ...]:
    """Nothing failed lately, a daemon is there, no dead letter is open, no fact waits, and nothing is damaged."""
    letters, instance = facts.dead_letters, facts.instance
    if isinstance(letters, Unreadable):
        letters = ()
    found = list(_installation(facts))
    evidence: dict[str, object] = {
        "dead_letters": [
            f"{letter.player_slug}: {letter.newest.error_class}: {letter.newest.message}"
            for letter in letters[:SHOWN]
        ]
    }
    if isinstance(instance, InstanceFacts):
        minutes = round(facts.window.total_seconds() / 60)
        window = f"in the last {count(minutes, 'minute')}"
        failures = instance.failures
        evidence |= {
            "window_minutes": minutes,
            "failed": len(failures),
            "recovered": sum(failure.recovered for failure in failures),
            "failures": [_with_its_time(failure) for failure in failures][-SHOWN:],
            "daemon_silent_since": utc(instance.daemon_silent_since),
        }
        found += failed_work(facts, failures)
        found += dead_letters(facts)
        if not found:
            said = f"{len(failures)} failed {window}, each succeeded since" if failures else ""
            found.append(facts.fine("failures", said or f"no run and no tick failed {window}"))
    else:
        found += dead_letters(facts)
    if isinstance(facts.warehouse, WarehouseFacts):
        evidence["sources"] = [_of_a_source(each) for each in facts.warehouse.fetches]
        evidence["requests"] = {
            source: f"{day:,} today, {month:,} this month"
            for source, (day, month) in facts.warehouse.requests.items()
        }
    if not found:
        found.append(facts.fine("failures", "nothing failed"))
    found += _ages(facts)
    return (replace(found[0], evidence={**evidence, **found[0].evidence}), *found[1:])


def _installation(facts: HealthFacts) -> Iterator[Finding]:
    if facts.damage and not isinstance(facts.damage, Unreadable):
        yield facts.found("damaged_state", f"damaged: {facts.damage}", slate=None)
    if isinstance(facts.instance, InstanceFacts):
        if (since := facts.instance.daemon_silent_since) is not None:
            line = (
                f"the daemon has been down since {facts.at(since)}: no schedule and no sensor runs. "
                "Restart its service, or start it by hand"
            )
            yield facts.found("daemon", line, slate=None)
        yield from (failed_check(facts, check) for check in facts.instance.checks if not check.passed)
    if isinstance(facts.warehouse, WarehouseFacts):
        yield from source_failures(facts, facts.warehouse.fetches)
        yield from _in_quarantine(facts, facts.warehouse.quarantine)


def failed_work(facts: HealthFacts, failures: Iterable[RecentFailure]) -> Iterator[Finding]:
    """Yield a finding for the newest failure of each work that did not succeed since."""
    # Of the kinds of facts, which are one work, those that didn't succeed since come last, and stand.
    in_order = sorted(failures, key=lambda failure: not failure.recovered)
    newest = {(failure.work, failure.slate): failure for failure in in_order}
    for failure in newest.values():
        if not failure.recovered:
            yield from ([_failed_tick(facts, failure)] if failure.is_tick else _failed_run(facts, failure))


def key_of(failure: RecentFailure) -> str:
    kind = "tick" if failure.is_tick else "run"
    return ":".join(word for word in (kind, failure.work, failure.slate) if word)


def _failed_run(facts: HealthFacts, failure: RecentFailure) -> Iterator[Finding]:
    """Yield the audits that refused a run's slate, or else the run.

    A run whose slate is done, or that has none, leaves what is in force as it is: that is worth a look.
    """
    if failure.refused:
        yield from _refused(facts, failure)
        return
    slate, unfinished = failure.slate, failure.slate in facts.unfinished
    where = f" at step {failure.step}" if failure.step else ""
    of = f" of {slate}" if slate and slate != facts.slate else ""
    error = one_line(failure.error, LONGEST_ERROR) or "no error was recorded"
    yield facts.found(
        "run",
        f"the run of {failure.work}{of} failed{where}: {error}",
        {"at": utc(failure.at), "error": failure.error, "run_id": failure.run_id},
        severity=WARNING if not unfinished else CRITICAL if failure.work == "completion" else ERROR,
        about=failure.work,
        slate=slate or None,
        command=OF_JOB.get(failure.work, RUN),
        link=facts.link("run", failure.run_id),
    )


def _refused(facts: HealthFacts, failure: RecentFailure) -> Iterator[Finding]:
    """Yield the audits that refused a slate. Too few players is left out beside no player: it says nothing new."""
    names = {name for name, _ in failure.refused}
    for name, text in failure.refused:
        link = facts.link("check", "predictions", name)
        said = one_line(text, 2 * LONGEST_ERROR) or "see its page"
        if name == NOT_EMPTY:
            yield facts.found(
                "empty_merge",
                f"0-row MERGE: {said}",
                causes=(f"failed_players:{failure.slate}",),
                slate=failure.slate,
                link=link,
            )
        elif not (name == ENOUGH_STAGED and NOT_EMPTY in names):
            yield facts.found(
                "check",
                f"the audit {name} refused the slate: {said}",
                severity=ERROR,
                causes=(f"failed_players:{failure.slate}",) if name == ENOUGH_STAGED else (),
                about=f"predictions:{name}",
                slate=failure.slate,
                link=link,
            )


def _failed_tick(facts: HealthFacts, failure: RecentFailure) -> Finding:
    """Return the finding about a tick: worth a look where the slate is done, which needs no sensor any more."""
    error = one_line(failure.error, LONGEST_ERROR) or "no error was recorded"
    name = failure.page[2]
    return replace(
        facts.found(
            "tick",
            f"a tick of {name} failed: {error}",
            {"at": utc(failure.at), "error": failure.error},
            severity=WARNING if is_done(facts) else ERROR,
            command=OF_TICK.get(name, ""),
            link=facts.link("automation", *failure.page),
        ),
        key=key_of(failure),
        slate=None,
    )


def failed_check(facts: HealthFacts, check: CheckResult) -> Finding:
    """Return the finding about an asset check that is no audit of a slate."""
    text = one_line(check.text, 2 * LONGEST_ERROR) or "see its page"
    return facts.found(
        "check",
        f"the asset check {check.name} of {check.asset} failed: {text}",
        severity=WARNING if check.warns else ERROR,
        about=f"{check.asset}:{check.name}",
        slate=None,
        command=command_of_check(check.name, facts.slate),
        link=facts.link("check", check.asset, check.name),
    )


def dead_letters(facts: HealthFacts) -> Iterator[Finding]:
    letters = facts.dead_letters
    if isinstance(letters, Unreadable) or not letters:
        return
    expected = len(facts.progress.batch.expected) if isinstance(facts.progress, Progress) else None
    alike = None if expected is None else common_cause(letters, expected)
    shown = alike or max(letters, key=lambda letter: letter.last_seen)
    players = "" if expected is None else f" of {count(expected, 'player')}"
    why = "most with one cause" if alike else f"newest {shown.player_slug}"
    error = one_line(f"{shown.newest.error_class}: {shown.newest.message}", 2 * LONGEST_ERROR)
    yield facts.found(
        "dead_letters",
        f"{count(len(letters), 'dead letter')} open{players}, {why}: {error}",
        severity=CRITICAL if alike else ERROR if len(letters) > DEAD_LETTERS else WARNING,
        causes=facts.causes("failed_players"),
    )


def source_failures(facts: HealthFacts, fetches: Sequence[SourceFetch]) -> Iterator[Finding]:
    """Yield a finding for each live source that failed last, or in part, with who answered in its place."""
    for failed in fetches:
        if failed.outcome not in {"failed", "partial"}:
            continue
        since = [
            each.source
            for each in fetches
            if each.facts == failed.facts
            and each.outcome == "answered"
            and each.started_at >= failed.started_at
        ]
        instead = f"; {', '.join(since)} answered in its place" if since else ""
        problem = one_line(failed.problem, LONGEST_ERROR)
        how = "failed" if failed.outcome == "failed" else "answered in part"
        yield facts.found(
            "source",
            f"{failed.facts}: the source {failed.source} {how}: {problem}{instead}",
            about=f"{failed.facts}:{failed.source}",
            slate=None,
        )


def _ages(facts: HealthFacts) -> Iterator[Finding]:
    """How old tonight's newest line and report are, while they are to be fresh."""
    if not isinstance(facts.tonight, Tonight) or facts.roster_due is None:
        return
    rules = facts.rules
    for age in ages(facts.tonight, rules.sources, facts.roster_due, rules.fetch_every, facts.now):
        if age.is_stale:
            link = facts.link("asset", age.facts)
            causes = facts.causes("no_roster")
            yield facts.found("stale", age.line, age.evidence, causes=causes, about=age.facts, link=link)
        else:
            yield facts.fine(f"fresh:{age.facts}", age.line, age.evidence)


def _in_quarantine(facts: HealthFacts, waiting: Sequence[InQuarantine]) -> Iterator[Finding]:
    """Facts that contradict others aren't used until an operator decides: slates may lack games, players or lines."""
    if not waiting:
        return
    kinds = ", ".join(f"{each.rows:,} of {each.facts}" for each in waiting)
    oldest = min(waiting, key=lambda each: each.since)
    yield facts.found(
        "quarantine",
        f"facts in quarantine ({kinds}) since {facts.at(oldest.since)}: {one_line(oldest.example, LONGEST_ERROR)}",
        {each.facts: f"{each.rows} since {utc(each.since)}, such as {each.example}" for each in waiting},
        slate=None,
    )


def _with_its_time(failure: RecentFailure) -> str:
    what = f"{failure.work} of {failure.slate}" if failure.slate else failure.work
    run = f" (run {failure.run_id})" if failure.run_id else ""
    since = ", succeeded since" if failure.recovered else ""
    return f"{utc(failure.at)} {what}{run}{since}: {failure.error}".rstrip(": ")


def _of_a_source(fetch: SourceFetch) -> str:
    left = "" if fetch.remaining is None else f", {fetch.remaining} left"
    cost = count(fetch.requests, "request")
    return f"{utc(fetch.started_at)} {fetch.facts} from {fetch.source}: {fetch.outcome}, {cost}{left}"
