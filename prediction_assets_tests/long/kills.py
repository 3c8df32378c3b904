"""`prediction-assets dev` whose processes are killed at random while slates are asked for, and what it left.

``make kills KILLS="--kills 200"`` asks for one slate after another as a click does. All the while it ends a worker of a
run, the warm process that workers are forked from, the code server, or the daemon with SIGKILL. It starts `dev` again
when that has ended, and reloads the code location when its server is gone: what a person at the UI does. After the last
kill every slate has to become complete, and the same slates in one undisturbed process have to give the same rows.

Slates are short, a model is trained before, and the instance looks at its runs each second: so a kill takes seconds.
The folder that it names stays when something went wrong.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from prediction_assets.logs import configure_logging
from prediction_assets.orchestration import warm_process
from prediction_assets.orchestration.instance import prepare_home
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.settings import load_log_settings, load_settings
from prediction_assets.slate.keys import slate_key
from prediction_assets_tests.acceptance.fault_matrix import ROWS
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, QueryFailed, graphql, processes_of
from prediction_assets_tests.deployment import LAUNCH
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.long.soak import (
    calendar,
    is_finished,
    judge,
    messages,
    prepare,
    stores_of,
    undisturbed,
)

KILLS, PLAYERS = 10, 10
AT_ONCE = 4
"""Unfinished slates that are asked for at the same time: as many as runs may be in progress."""

_WEIGHTS = {"run worker": 6, "warm process": 2, "code server": 1, "daemon": 1}
"""What is killed, and how often in comparison."""

_PAUSE_SECONDS = (0.3, 4.0)
_NOTICED_WITHIN = {"poll_interval_seconds": 1, "start_timeout_seconds": 75}
"""How soon the instance notices a killed worker, and one that was killed at its start: a new warm process may import
for 60 s before its first worker starts."""

_PATIENCE_SECONDS = 2400.0
_LOCATION = "prediction_assets.definitions"
_STATES = "[QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]"


@dataclass
class WarmDev:
    """One `prediction-assets dev`, started again and again on the same home."""

    home: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What all of it said."""
        return self.home.with_suffix(".log")

    def look_after(self) -> dict[str, list[int]]:
        """Start it if it has ended, reload the code location if its server is gone, and return its processes."""
        if self._process is None or self._process.poll() is not None:
            self.stop()
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    [*PREDICTION_ASSETS_DEV, str(self.port)],
                    env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True,
                )  # fmt: skip
        there = self.processes()
        if there["daemon"] and not there["code server"]:
            self.ask(
                f'mutation {{ reloadRepositoryLocation(repositoryLocationName: "{_LOCATION}") {{ __typename }} }}'
            )
        return there

    def processes(self) -> dict[str, list[int]]:
        """Return the processes of each kind that is killed."""
        found: dict[str, list[int]] = {kind: [] for kind in _WEIGHTS}
        commands = {pid: _command(pid) for pid in processes_of(self.home)}
        warm = {pid for pid, command in commands.items() if warm_process.__name__ in command}
        for pid, command in commands.items():
            if pid in warm:
                found["run worker" if _parent(pid) in warm else "warm process"].append(pid)
            elif "dagster._daemon" in command:
                found["daemon"].append(pid)
            elif "dagster api grpc" in command:
                found["code server"].append(pid)
        return found

    def ask(self, query: str, variables: Mapping[str, object] | None = None) -> dict[str, object] | None:
        """Return what the UI's interface answers, None while it doesn't."""
        with suppress(OSError, ValueError, QueryFailed):
            return graphql(f"http://127.0.0.1:{self.port}", query, variables)
        return None

    def launch_roster(self, slate: str) -> bool:
        """Click on `slate_roster`; return whether a run was created."""
        config = {"ops": {"slate_roster": {"config": {"slate": slate}}}}
        variables = {"job": "roster", "config": config, "tags": []}
        answer = self.ask(LAUNCH.replace('"prediction_assets"', f'"{_LOCATION}"'), variables)
        return answer is not None and answer["launchRun"]["__typename"] == "LaunchRunSuccess"  # type: ignore[index]

    def is_at_rest(self) -> bool:
        """Return whether no run is in progress, as far as Dagster knows."""
        query = f"{{ runsOrError(filter: {{statuses: {_STATES}}}) {{ ... on Runs {{ results {{ id }} }} }} }}"
        answer = self.ask(query)
        return answer is not None and not answer["runsOrError"]["results"]  # type: ignore[index]

    def stop(self) -> None:
        """End all of it."""
        while left := processes_of(self.home):  # again for what one of them started in its last moment
            for pid in left:
                _kill(pid)
        if self._process is not None:
            self._process.wait()


@dataclass(frozen=True)
class Killed:
    """What was killed, and what it left.

    Attributes:
        seed: gives the same sequence of victims and pauses.
        problems: what is not as it must be; empty when all is well.
    """

    seed: int
    kills: Counter[str]
    slates: list[str]
    problems: list[str]
    seconds: float


def kill_at_random(
    folder: Path,
    kills: int,
    *,
    seed: int,
    players: int = PLAYERS,
    on_kill: Callable[[str], object] = lambda said: None,
) -> Killed:
    """Disturb `dev` with so many kills, let it finish, and judge what it left.

    Args:
        folder: an empty folder.
        players: expected players of the simulated league's first slate; its other slates, with the fewest games first,
            have more.
        on_kill: called with the number and the kind of each kill.

    Raises:
        TimeoutError: the slates didn't become complete within 40 minutes after the last kill.
    """
    began, draws, pause = time.monotonic(), random.Random(seed), threading.Event()
    home, killed, asked = folder / "home", Counter[str](), list[str]()
    # At a deadline a slate would be merged without the players whose run was killed.
    settings = {"PREDICTION_ASSETS_HOME": str(home), "PREDICTION_ASSETS_DEADLINE_MINUTES": "240"}
    dev = WarmDev(home, os.environ | settings)
    with stores_of(home) as run:
        prepare(run, players)
        _notice_soon(home)
        games = run.stores.warehouse.query("SELECT game_date, COUNT(*) AS n FROM facts.schedule GROUP BY ALL")
        of_slate = dict(
            zip(map(slate_key, games["game_date"].to_pylist()), games["n"].to_pylist(), strict=True)
        )
        short = sorted(
            calendar(run, players), key=of_slate.__getitem__
        )  # short ones first: many kills for each
        coming = itertools.cycle(short)  # a slate is clicked again when the season is through
        clicked = next(coming)
        next_kill = last_kill = began
        try:
            left: list[str] = []
            while killed.total() < kills or left or not dev.is_at_rest():
                there = dev.look_after()
                left = [slate for slate in asked if not is_finished(run, slate)]
                # Who clicked looks again when the run ended before it opened the batch.
                unopened = [slate for slate in left if run.stores.batch_state.progress(slate) is None]
                if unopened and dev.is_at_rest():
                    dev.launch_roster(unopened[0])
                elif killed.total() < kills and len(left) < AT_ONCE and dev.launch_roster(clicked):
                    asked += [clicked] if clicked not in asked else []
                    clicked = next(coming)
                now = time.monotonic()
                if killed.total() < kills and now >= next_kill and (victim := _kill_one(there, draws)):
                    killed[victim] += 1
                    on_kill(f"{killed.total()}: {victim}")
                    next_kill, last_kill = now + draws.uniform(*_PAUSE_SECONDS), now
                if now - last_kill > _PATIENCE_SECONDS:
                    raise TimeoutError(f"{', '.join(left)}: not complete; see {dev.log}")
                pause.wait(0.5)
        finally:
            dev.stop()
        found = {slate: run.stores.warehouse.query(ROWS, {"slate": slate}).to_pylist() for slate in asked}
        problems = [f"slate {slate}: {p}" for slate in asked for p in judge(run, slate, found[slate])]
        problems += messages(home / "outbox", asked)
    same = undisturbed(folder / "undisturbed", asked, players)
    problems += [f"slate {s}: rows differ from an undisturbed one's" for s in asked if found[s] != same[s]]
    return Killed(seed, killed, asked, problems, time.monotonic() - began)


def _notice_soon(home: Path) -> None:
    """Let the home's instance notice within seconds that a worker was killed."""
    file = prepare_home(load_settings(home=home)) / "dagster.yaml"
    config = yaml.safe_load(file.read_text("utf-8"))
    config["run_monitoring"] |= _NOTICED_WITHIN
    file.write_text(yaml.safe_dump(config), "utf-8")


def _kill_one(there: Mapping[str, list[int]], draws: random.Random) -> str:
    """While a run is in progress, draw a victim, end it with SIGKILL and return its kind; ``""`` otherwise."""
    if not there["run worker"]:
        return ""
    kinds = [kind for kind, pids in there.items() if pids]
    (kind,) = draws.choices(kinds, weights=[_WEIGHTS[kind] for kind in kinds])
    _kill(draws.choice(there[kind]))
    return kind


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    return 0


def report(result: Killed) -> str:
    """Return the lines that say what was killed, and what it left."""
    kills = ", ".join(f"{count} x {kind}" for kind, count in result.kills.most_common())
    said = [f"WRONG {problem}" for problem in result.problems] or [
        "every slate complete, rows as undisturbed"
    ]
    return "\n".join(
        [
            f"seed {result.seed}, {result.seconds / 60:.0f} minutes",
            f"killed: {kills}",
            f"slates: {len(result.slates)}",
            *said,
        ]
    )


def main() -> None:
    """Kill, print the report, and exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=None, help="repeats the victims and pauses of a report")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    os.environ.setdefault("PREDICTION_ASSETS_LOG_LEVEL", "WARNING")
    configure_logging(load_log_settings(), labels_of)
    for each in (signal.SIGINT, signal.SIGTERM):  # so that nothing outlives it, started in the background too
        signal.signal(each, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    print(f"seed {seed}, in {folder}", flush=True)  # noqa: T201
    result = kill_at_random(folder, options.kills, seed=seed, on_kill=partial(print, flush=True))
    print(report(result))  # noqa: T201
    if result.problems:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
