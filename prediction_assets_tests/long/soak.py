"""A deployment whose processes are killed at random while slates are asked for, and what it left in the end.

``make soak SOAK="--minutes 10"`` starts PostgreSQL, code server, webserver and daemon, and requests one slate after
another through the UI's own interface. All the while it ends webserver, daemon, code server and run workers with
SIGKILL, one after another or a whole worker host at once, and starts again what was a service, as a supervisor would.
When the time is up, the killing ends, every requested slate has to become complete by itself, and the same slates in
one undisturbed process have to give the same rows.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from prediction_assets.logs import configure_logging
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_log_settings, load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import slate_key
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.stores.sql import queries
from prediction_assets_tests.acceptance.fault_matrix import ROWS
from prediction_assets_tests.deployment import Deployment, NoAnswer, deployment, start_all, until

AT_ONCE = 2
"""Unfinished slates that are asked for at the same time."""

_WORKER, _HOST = "run worker", "worker host"
_VICTIMS = {"daemon": 2, "code": 1, "webserver": 2, _WORKER: 6, _HOST: 1}
"""What is killed, and how often in comparison. The worker host is the code server and all runs at once."""

_PAUSE_SECONDS = (8.0, 32.0)
_PATIENCE_SECONDS = 2400.0


@dataclass(frozen=True)
class SoakResult:
    """What a soak did and left.

    Attributes:
        seed: gives the same sequence of victims and pauses.
        kills: how often each victim was killed.
        slates: the slates that were asked for.
        rows: rows in force, of all slates.
        runs: Dagster's runs by status, and how many of them were Dagster's own retries.
        problems: what is not as it must be; empty when all is well.
    """

    seed: int
    kills: Counter[str]
    slates: list[str]
    rows: int
    runs: Counter[str]
    problems: list[str]
    seconds: float


@dataclass
class _Soak:
    """A deployment, the slates that were asked of it, and what was killed."""

    made: Deployment
    run: SlateRun
    draws: random.Random
    calendar: list[str]
    asked: dict[str, str] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def disturb(self, seconds: float) -> None:
        """Kill and ask until the time is up."""
        clock, end, next_kill = threading.Event(), time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            self.look_after()
            if time.monotonic() >= next_kill:
                if next_kill and self.asked:
                    self.kill_one()
                next_kill = time.monotonic() + self.draws.uniform(*_PAUSE_SECONDS)
            clock.wait(0.5)

    def look_after(self) -> None:
        """Start what isn't running, and ask for slates: what a supervisor and a person do."""
        for part in ("code", "webserver", "daemon"):
            if not self.made.is_running(part):
                self.made.start(part)
        with suppress(NoAnswer):
            for slate, run_id in self.asked.items():
                # Dagster retries a run that was killed; who asked looks again when it failed for good.
                if self.run.stores.batch_state.progress(slate) is None and self.made.run_status(run_id) in (
                    "FAILURE",
                    "CANCELED",
                ):
                    self.ask_for(slate)
            if len(self.unfinished()) < AT_ONCE and len(self.asked) < len(self.calendar):
                self.ask_for(self.calendar[len(self.asked)])

    def ask_for(self, slate: str) -> None:
        """Launch a slate's roster as a person would."""
        self.asked[slate] = self.made.launch("roster", slate_roster={"slate": slate})

    def kill_one(self) -> None:
        """Draw a victim among what is there, and end it with SIGKILL."""
        workers = self.made.workers()
        there = {v: w for v, w in _VICTIMS.items() if v in (_WORKER, _HOST) or self.made.is_running(v)}
        if not workers:
            there.pop(_WORKER)
        (victim,) = self.draws.choices(list(there), weights=list(there.values()))
        doomed = {_WORKER: [self.draws.choice(workers)] if workers else [], _HOST: workers}.get(victim, [])
        if victim != _WORKER:
            part = "code" if victim == _HOST else victim
            if self.made.is_running(part):
                self.made.kill(part)
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills[victim] += 1

    def unfinished(self) -> list[str]:
        """Return the slates that were asked for and are not announced, merged and cleaned up yet."""
        return [slate for slate in self.asked if not is_finished(self.run, slate)]


def soak(folder: Path, seconds: float, *, seed: int, players: int, players_per_run: int = 40) -> SoakResult:
    """Run a deployment of the local profile, disturb it for so long, let it finish, and judge it.

    Args:
        folder: an empty folder.
        players: expected players of the simulated league's first slate; its other slates have more.

    Raises:
        TimeoutError: the slates didn't become complete within 40 minutes after the last kill.
    """
    began = time.monotonic()
    settings = {
        "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "3",
        "PREDICTION_ASSETS_PLAYERS_PER_RUN": str(players_per_run),
        "PREDICTION_ASSETS_DEADLINE_MINUTES": "240",
    }
    with deployment(folder, settings) as made, stores_of(made.home) as run:
        prepare(run, players)
        soaked = _Soak(made, run, random.Random(seed), calendar(run, players))
        start_all(made)
        soaked.disturb(seconds)

        def is_over() -> bool:
            soaked.look_after()
            return not soaked.unfinished() and not made.runs_in_flight()

        soaked.calendar = soaked.calendar[: len(soaked.asked)]  # nothing more is asked for
        until(is_over, f"slates {', '.join(soaked.asked)}, all complete", _PATIENCE_SECONDS, 1.0)
        with made.instance() as instance:
            runs = Counter(each.status.value for each in instance.get_runs())
            runs["of them retries by Dagster"] = sum(bool(r.parent_run_id) for r in instance.get_runs())
        slates = list(soaked.asked)
        found = {slate: run.stores.warehouse.query(ROWS, {"slate": slate}).to_pylist() for slate in slates}
        problems = [f"slate {slate}: {p}" for slate in slates for p in judge(run, slate, found[slate])]
        files = [p for p in (made.home / "staging").rglob("*") if p.is_file()]
        left = [p.name for p in files if not p.name.startswith("fence-")]
        problems += [f"staging holds {name}" for name in left]  # a slate's highest fence stays there
        problems += messages(made.home / "outbox", slates)
    same = undisturbed(folder / "undisturbed", slates, players)
    problems += [f"slate {s}: rows differ from an undisturbed one's" for s in slates if found[s] != same[s]]
    rows = sum(row["is_active"] for each in found.values() for row in each)
    return SoakResult(seed, soaked.kills, slates, rows, runs, problems, time.monotonic() - began)


def prepare(run: SlateRun, players: int) -> None:
    """Ingest a simulated league and train its model, so that no run of a slate spends its time on fitting systems."""
    run.ingest(simulated_facts(players))
    run.train(league=f"simulated-{players}", cutoff=slate_key(simulated_slate(players)))


def is_finished(run: SlateRun, slate: str) -> bool:
    """Return whether a slate is announced, merged and cleaned up."""
    progress = run.stores.batch_state.progress(slate)
    return (
        progress is not None
        and next_step(progress, Clock().now()) is Step.NOTHING
        and any(event.delivery_id is not None for event in run.stores.outbox.entries(slate))
        and not dict(run.stores.warehouse.parts.staged(slate))
    )


def judge(run: SlateRun, slate: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what isn't as it must be with a slate that is over."""
    progress, receipts, events = (
        run.stores.batch_state.progress(slate),
        run.stores.warehouse.receipts(slate),
        run.stores.outbox.entries(slate),
    )
    if progress is None or not receipts:
        yield "has no batch or no receipt"
        return
    expected = len(progress.batch.expected)
    staged = sum(c.outcome.value == "staged" for c in progress.outcomes.values())
    if staged != expected:
        yield f"{staged} of {expected} players are staged"
    active = [row for row in rows if row["is_active"]]
    keys = {(row["player_id"], row["system"], row["line"]) for row in active}
    if not len(active) == len(keys) == staged * 25:
        yield f"{len(active)} rows in force, {len(keys)} keys, of {staged} players x 25"
    if {receipt.status for receipt in receipts} != {"success"}:
        yield f"receipts {[receipt.status for receipt in receipts]}"
    if [(e.message["revision"], e.message["rows"], e.delivery_id is not None) for e in events] != [
        (1, len(active), True)
    ]:
        yield f"events {[(e.message['revision'], e.message['rows'], e.delivery_id) for e in events]}"
    if dict(run.stores.warehouse.parts.staged(slate)):
        yield "parts are left in staging"


def messages(outbox: Path, slates: list[str]) -> Iterator[str]:
    """Yield what isn't as it must be in an outbox: there is one message of each slate."""
    delivered = Counter(file.name.partition(".")[0] for file in outbox.glob("*.json"))
    if delivered != Counter(slates):
        yield f"messages delivered: {dict(delivered)}"
    for file in outbox.glob("*"):
        if file.suffix != ".json":
            yield f"the outbox holds {file.name}"


def calendar(run: SlateRun, players: int) -> list[str]:
    """Return the slates of a simulated league, oldest first."""
    first = simulated_slate(players)
    days = run.stores.warehouse.query(queries.SLATES_FROM, {"slate": first, "league": f"simulated-{players}"})
    return [slate_key(day) for day in days["game_date"].to_pylist()]


@contextmanager
def stores_of(home: Path) -> Iterator[SlateRun]:
    """Open a home's stores, on an instance that stays in memory: its own belongs to its processes."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield SlateRun(load_settings(home=home), instance)


def undisturbed(home: Path, slates: list[str], players: int) -> dict[str, list[dict[str, Any]]]:
    """Return the same slates' rows from one process that nobody disturbs."""
    settings = load_settings(home=home)
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        prepare(run, players)
        for slate in slates:
            run.whole(slate)
        return {slate: run.stores.warehouse.query(ROWS, {"slate": slate}).to_pylist() for slate in slates}


def report(result: SoakResult) -> Iterator[str]:
    """Yield the lines that say what a soak did and left."""
    yield f"seed {result.seed}, {result.seconds / 60:.0f} minutes in all"
    yield "killed: " + ", ".join(f"{count} x {victim}" for victim, count in result.kills.most_common())
    yield "runs: " + ", ".join(f"{count} {status}" for status, count in result.runs.most_common())
    yield f"slates asked for: {len(result.slates)}, rows in force: {result.rows:,}"
    yield from (f"WRONG {problem}" for problem in result.problems)
    if not result.problems:
        yield "every slate complete: all players staged, one event each, nothing left in staging, rows as undisturbed"


def main() -> None:
    """Soak, print the report, and exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long processes are killed")
    parser.add_argument("--players", type=int, default=60, help="expected players of the first slate")
    parser.add_argument("--seed", type=int, default=None, help="repeats the victims and pauses of a report")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    os.environ.setdefault("PREDICTION_ASSETS_LOG_LEVEL", "WARNING")
    configure_logging(load_log_settings(), labels_of)
    for each in (signal.SIGINT, signal.SIGTERM):  # so that nothing outlives it, started in the background too
        signal.signal(each, signal.default_int_handler)
    print(f"seed {seed}", flush=True)  # noqa: T201
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        result = soak(folder / "soak", options.minutes * 60, seed=seed, players=options.players)
    for line in report(result):
        print(line)  # noqa: T201
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
