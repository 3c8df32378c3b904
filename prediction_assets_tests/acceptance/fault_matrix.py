"""Stop a slate anywhere, in any way, on either profile, run it again, and compare with an undisturbed one.

``make faults`` prints the whole matrix; the test-suite runs the same cases. A reader polls the slate all the time.
The slate runs in a process of its own, which at a named point is killed with SIGKILL, gets an exception, or
hangs. A process that hangs is overtaken by the recovery, then goes on where it was, with all that it believed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.next_step import next_step
from prediction_assets.steps import failpoints
from prediction_assets_tests.acceptance.polling import Polled, polling

KILL, FAIL, HANG = FAULTS = ("SIGKILL", "exception", "hang")
PROFILES = ("local", "gcp")
PER_PLAYER = ("part_written", "part_dropped")
PLAYERS = {"local": 8, "gcp": 4}

ROWS = (
    "SELECT player_id, system, line, content_hash, is_active FROM predictions.player_prop_predictions "
    "WHERE game_date = CAST($slate AS DATE) ORDER BY player_id, system, line, content_hash, is_active"
)
"""What a slate's rows are compared by; the parameter is ``slate``."""

_PATIENCE_SECONDS = 300

DISTURBED = """
import os, signal, sys
from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.steps import failpoints

slate, point, fault, times = sys.argv[1:]
left = int(times)

def hook(name):
    global left
    if name == point:
        left -= 1
        if left == 0:
            if fault == "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "exception":
                raise OSError(5, f"injected behind {name}")
            print("hanging", flush=True)
            sys.stdin.readline()

failpoints.install(hook)
settings = load_settings()
with open_instance(settings, capture_output=False) as instance:
    run = SlateRun(settings, instance)
    if point == "dead_letter_written":
        parts = type(run.stores.warehouse.parts)
        healthy = parts.write
        def write(self, slate, player_slug, rows, fence):
            if player_slug == broken:
                raise ValueError("cannot be written")
            return healthy(self, slate, player_slug, rows, fence)
        broken = run.roster(slate).batch.expected[0].slug
        parts.write = write
    run.whole(slate)
"""
"""Runs a slate, and at the n-th time that a point is reached does what it is told."""


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    profile: str
    point: str
    fault: str

    @property
    def times(self) -> int:
        """How often the point is passed before the fault strikes."""
        return 3 if self.point in PER_PLAYER else 1


CASES = [Case(p, point, fault) for p in PROFILES for point in failpoints.POINTS for fault in FAULTS]


@dataclass(frozen=True)
class Left:
    """What a slate leaves: after any fault and a recovery the same as an undisturbed run."""

    rows: tuple[tuple[object, ...], ...]
    revisions: tuple[int, ...]
    events: tuple[str, ...]
    undelivered: tuple[str, ...]
    parts: tuple[str, ...]
    open_letters: tuple[str, ...]
    next_step: str


def left_behind(run: SlateRun, slate: str) -> Left:
    """Return what a slate has left so far."""
    progress, events = run.stores.batch_state.progress(slate), run.stores.outbox.entries(slate)
    rows = run.stores.warehouse.query(ROWS, {"slate": slate}).to_pylist()
    return Left(
        rows=tuple(tuple(row.values()) for row in rows),
        revisions=tuple(sorted({r.revision for r in run.stores.warehouse.receipts(slate)})),
        events=tuple(e.message_id for e in events),
        undelivered=tuple(e.message_id for e in events if e.delivery_id is None),
        parts=tuple(dict(run.stores.warehouse.parts.staged(slate))),
        open_letters=tuple(letter.player_slug for letter in run.stores.dead_letters.letters(slate)),
        next_step=next_step(progress, Clock().now()).value if progress is not None else "",
    )


def slate_of(profile: str) -> str:
    """Return the simulated slate that a profile's cases run."""
    return simulated_slate(PLAYERS[profile]).isoformat()


def prepare(run: SlateRun, profile: str) -> None:
    """Ingest a profile's league and train its model, so that no case spends its time on fitting systems."""
    run.ingest(simulated_facts(PLAYERS[profile]))
    run.train(league=f"simulated-{PLAYERS[profile]}", cutoff=slate_of(profile))


def disturb(case: Case, environment: Mapping[str, str], recover: Callable[[], None]) -> None:
    """Run a slate in a process of its own into the fault; a hanging one is overtaken by ``recover`` and goes on.

    Raises:
        AssertionError: the fault didn't strike.
    """
    command = [sys.executable, "-c", DISTURBED, slate_of(case.profile), case.point, case.fault]
    process = subprocess.Popen(
        [*command, str(case.times)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if case.fault == HANG:
            assert process.stdout is not None
            said = process.stdout.readline()
            if said.strip() == "hanging":
                recover()
        _, err = process.communicate("\n" if case.fault == HANG else None, timeout=_PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    if case.fault == HANG:
        assert said.strip() == "hanging", err
    elif case.fault == KILL:
        assert process.returncode == -signal.SIGKILL, err
    else:
        assert "injected behind" in err, err


def survive(case: Case, environment: Mapping[str, str], run: SlateRun, polled: Polled | None = None) -> Left:
    """Disturb a slate, run it again, and return what it left.

    Args:
        environment: the variables that give another process the settings of a home with the league's facts.
        run: the same home in this process, which runs the recovery.
        polled: is added what a reader saw that polled the slate all the time.

    Raises:
        AssertionError: the fault didn't strike, or a reader saw what it never should.
    """
    slate = slate_of(case.profile)
    with polling(environment, slate) as seen:
        disturb(case, environment, recover=lambda: run.whole(slate))
        run.whole(slate)
    if polled is not None:
        polled.add(seen)
    assert seen.reads > 0, "the reader never read"
    assert (seen.refused, seen.halves) == (0, 0), str(seen)
    return left_behind(run, slate)


def main() -> None:
    """Print the matrix for the profiles named on the command line, by default both."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("profiles", nargs="*", metavar="PROFILE", help=" or ".join(PROFILES))
    wanted = parser.parse_args().profiles or PROFILES
    if unknown := {*wanted} - {*PROFILES}:
        parser.error(f"no such profile: {', '.join(sorted(unknown))}")
    console, beside = Console(width=110), Console(stderr=True, soft_wrap=True)
    survived, polled = 0, Polled()
    failures: list[str] = []
    for profile in wanted:
        table = Table("stopped behind", *FAULTS, title=f"{profile} profile")
        with ExitStack() as stack:
            open_case = stack.enter_context(homes(profile))
            _, run = open_case()
            run.whole(slate_of(profile))
            undisturbed = left_behind(run, slate_of(profile))
            for point in failpoints.POINTS:
                cells = []
                for fault in FAULTS:
                    case = Case(profile, point, fault)
                    environment, run = open_case()
                    try:
                        found = survive(case, environment, run, polled)
                        problem = "" if found == undisturbed else f"left {found}"
                    except Exception as error:  # noqa: BLE001  a cell says what went wrong
                        problem = f"{type(error).__name__}: {error}"
                    survived += not problem
                    failures += [f"{case}: {problem}"] if problem else []
                    cells.append("survived" if not problem else "LOST")
                table.add_row(point, *cells)
                beside.print(f"{profile}: {point}: {', '.join(cells)}")
        console.print(table)
    for failure in failures:
        console.print(failure)
    console.print(f"{survived} of {survived + len(failures)} faults survived")
    console.print(str(polled))
    sys.exit(1 if failures else 0)


OpenCase = Callable[[], tuple[dict[str, str], SlateRun]]


@contextmanager
def homes(profile: str) -> Iterator[OpenCase]:
    """Open fresh homes with the league's facts in them, one for each call, which closes the one before."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if profile == "gcp":
            yield _gcp_homes(stack, folder)
        else:
            settings = load_settings(home=folder / "template")
            with open_instance(settings) as instance:
                prepare(SlateRun(settings, instance), "local")
            yield local_opener(stack, folder, settings.home)


def local_opener(stack: ExitStack, folder: Path, template: Path) -> OpenCase:
    """Return what opens a case in a copy of a home with the league's facts."""
    opened = stack.enter_context(ExitStack())

    def open_case() -> tuple[dict[str, str], SlateRun]:
        opened.close()
        home = folder / uuid.uuid4().hex
        shutil.copytree(template, home)
        settings = load_settings(home=home)
        instance = opened.enter_context(open_instance(settings, capture_output=False))
        return {"PREDICTION_ASSETS_HOME": str(home)}, SlateRun(settings, instance)

    return open_case


def _gcp_homes(stack: ExitStack, folder: Path) -> OpenCase:
    from prediction_assets_tests.contract.warehouse.bigquery_emulator import running_emulator
    from prediction_assets_tests.emulators import FIRESTORE, PUBSUB, running

    addresses = {
        FIRESTORE.variable: stack.enter_context(running(FIRESTORE)),
        PUBSUB.variable: stack.enter_context(running(PUBSUB)),
        "PREDICTION_ASSETS_BIGQUERY_ENDPOINT": stack.enter_context(running_emulator(folder / "bigquery.log")),
    }
    return gcp_opener(stack, folder, addresses)


def gcp_opener(stack: ExitStack, folder: Path, addresses: Mapping[str, str]) -> OpenCase:
    """Return what opens a case on running emulators, all in one project, whose facts are ingested once.

    A case finds no predictions and no parts, and has a Firestore database and a home of its own.
    """
    project = f"test-{uuid.uuid4().hex[:16]}"
    is_prepared = False
    opened = stack.enter_context(ExitStack())

    def open_case() -> tuple[dict[str, str], SlateRun]:
        nonlocal is_prepared
        opened.close()
        case = f"case-{uuid.uuid4().hex[:8]}"
        environment = {
            **addresses,
            "PREDICTION_ASSETS_PROFILE": "gcp",
            "PREDICTION_ASSETS_GCP_PROJECT": project,
            "PREDICTION_ASSETS_HOME": str(folder / case),
            "PREDICTION_ASSETS_FIRESTORE_DATABASE": case,
        }
        os.environ.update(environment)  # the clients look for their emulators there
        settings = load_settings()
        from prediction_assets.stores.gcp.bigquery_tables import STAGING_DATASET
        from prediction_assets.stores.gcp.clients import bigquery_client
        from prediction_assets.stores.gcp.stores import GcpStores
        from prediction_assets.stores.sql.tables import POINTS_MODELS, PREDICTIONS

        stores = GcpStores(settings)
        stores.set_up_messaging()
        endpoint = settings.bigquery_endpoint
        with bigquery_client(project, settings.gcp_location, endpoint) as client:
            client.delete_dataset(f"{project}.{STAGING_DATASET}", delete_contents=True, not_found_ok=True)
            for table in client.list_tables(f"{project}.{PREDICTIONS.dataset}") if is_prepared else ():
                if table.table_id != POINTS_MODELS.name:
                    client.delete_table(table)
        run = SlateRun(settings, opened.enter_context(open_instance(settings)))
        if not is_prepared:
            prepare(run, "gcp")
            is_prepared = True
        return environment, run

    return open_case


if __name__ == "__main__":
    main()
