"""A deployment's processes on this machine: the commands of ``deploy/compose.yaml``, started, killed, started again.

PostgreSQL, code server, webserver and daemon are processes of their own, runs are processes of the code server's.
The files of ``deploy/`` are used as they are; only host names and ports are this machine's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from prediction_assets_tests.dagster_dev import QueryFailed, graphql
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.postgres import postgres_server

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = REPOSITORY / "Dockerfile"
PARTS = ("code", "webserver", "daemon")
PATIENCE_SECONDS = 900.0

LAUNCH = """
mutation Launch($job: String!, $config: RunConfigData, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "prediction_assets", repositoryName: "__repository__", jobName: $job}
    runConfigData: $config
    executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


class NoAnswer(Exception):
    """The webserver is down, or can't reach the code server at the moment."""


def compose() -> dict[str, Any]:
    """Return ``deploy/compose.yaml``."""
    return yaml.safe_load(COMPOSE.read_text("utf-8"))  # type: ignore[no-any-return]


def image_command() -> list[str]:
    """Return the image's own command, which a service without one runs."""
    (found,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    return json.loads(found)  # type: ignore[no-any-return]


def image_variable(name: str) -> str:
    """Return the value of one of the image's environment variables."""
    (found,) = re.findall(rf"\b{name}=(\S+)", DOCKERFILE.read_text("utf-8"))
    return str(found)


def command(part: str) -> list[str]:
    """Return the command of a service in ``deploy/compose.yaml``."""
    return list(compose()["services"][part].get("command") or image_command())


def health_command(part: str) -> list[str]:
    """Return the health check of a service in ``deploy/compose.yaml``."""
    kind, *words = compose()["services"][part]["healthcheck"]["test"]
    assert kind == "CMD"
    return words


def until(
    condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.5
) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it didn't come true in time.
    """
    deadline, clock = time.monotonic() + seconds, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        clock.wait(pause)


@dataclass
class Deployment:
    """The processes of one deployment.

    Attributes:
        folder: holds the project's home, the Dagster home and each part's output.
        environment: what every part gets: PostgreSQL's address and password, and the code server's address.
        settings: what the code server alone gets, as from compose's ``env_file``.
        code_prefix: put before the code server's command, such as ``ip netns exec workers``.
    """

    folder: Path
    environment: dict[str, str]
    settings: dict[str, str]
    ui_port: int
    code_prefix: list[str] = field(default_factory=list)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The project's home, the volume of the code server."""
        return self.folder / "home"

    @property
    def dagster_home(self) -> Path:
        """The Dagster home that every part opens."""
        return self.folder / "dagster"

    @property
    def address(self) -> str:
        """The UI's address."""
        return f"http://127.0.0.1:{self.ui_port}"

    def local(self, words: list[str]) -> list[str]:
        """Return a command of the image as this machine runs it: its ports, this environment's programs."""
        ports = {"4000": self.environment["CODE_SERVER_PORT"], "3000": str(self.ui_port)}
        program, *rest = words
        beside = Path(sys.executable).with_name(program)
        host = {"0.0.0.0": self.environment["CODE_SERVER_HOST"] if "grpc" in words else "127.0.0.1"}
        replaced = [{**ports, **host}.get(word, word) for word in rest]
        replaced = [re.sub(r"127\.0\.0\.1:3000", f"127.0.0.1:{self.ui_port}", word) for word in replaced]
        return [str(beside if beside.exists() else program), *replaced]

    def variables(self, part: str) -> dict[str, str]:
        """Return a part's environment: the code server alone has the project's settings."""
        own = {
            name: image_variable(name)
            for name in ("DAGSTER_EVENT_BATCH_SIZE", "PREDICTION_ASSETS_LOG_FORMAT")
        }
        own["DAGSTER_HOME"] = str(self.dagster_home)
        own["PYTHONPATH"] = str(REPOSITORY)
        if part == "code":
            own |= {"PREDICTION_ASSETS_HOME": str(self.home), **self.settings}
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PREDICTION_ASSETS_", "DAGSTER_"))
        }
        return {**inherited, **self.environment, **own}

    def log(self, part: str) -> Path:
        """Return the file of what a part said."""
        return self.folder / f"{part}.log"

    def start(self, part: str) -> None:
        """Start a part that isn't running."""
        prefix = self.code_prefix if part == "code" else []
        with self.log(part).open("ab") as output:
            self._running[part] = subprocess.Popen(
                [*prefix, *self.local(command(part))],
                cwd=self.dagster_home,
                env=self.variables(part),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """End a part's own process with SIGKILL; what it started lives on."""
        process = self._running.pop(part)
        process.kill()
        process.wait()

    def is_running(self, part: str) -> bool:
        """Return whether a part's process is there."""
        return part in self._running and self._running[part].poll() is None

    def workers(self) -> list[int]:
        """Return the processes that execute runs, also those of a code server that was killed."""
        wanted = f"PREDICTION_ASSETS_HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                is_ours = wanted in (entry.parent / "environ").read_bytes().split(b"\0")
                if is_ours and b"multiprocessing.spawn" in entry.read_bytes():
                    found.append(int(entry.parent.name))
        return sorted(found)

    def await_ui(self) -> None:
        """Wait until the webserver answers and has loaded the code server's jobs."""
        until(self._has_jobs, f"jobs at {self.address}; see {self.folder}")

    def _has_jobs(self) -> bool:
        entry = "locationEntries { locationOrLoadError { __typename } }"
        query = f"{{ workspaceOrError {{ ... on Workspace {{ {entry} }} }} }}"
        try:
            entries = self.ask(query)["workspaceOrError"]["locationEntries"]
        except NoAnswer:
            return False
        return [
            each["locationOrLoadError"]["__typename"] for each in entries if each["locationOrLoadError"]
        ] == ["RepositoryLocation"]

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the answer of the webserver's GraphQL.

        Raises:
            NoAnswer: it is down.
        """
        try:
            return graphql(self.address, query, variables)
        except (OSError, ValueError, QueryFailed) as error:
            raise NoAnswer(str(error)) from error

    def launch(self, job: str, **ops: Mapping[str, object]) -> str:
        """Launch a job as the UI's button does, and return the run's id.

        Raises:
            NoAnswer: the webserver or the code server is down.
        """
        config = {"ops": {name: {"config": dict(values)} for name, values in ops.items()}}
        result = self.ask(LAUNCH, job=job, config=config, tags=[])["launchRun"]
        if result["__typename"] != "LaunchRunSuccess":
            raise NoAnswer(json.dumps(result)[:2000])
        return str(result["run"]["runId"])

    def run_status(self, run_id: str) -> str:
        """Return a run's status.

        Raises:
            NoAnswer: the webserver is down.
        """
        query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return str(self.ask(query, id=run_id)["runOrError"]["status"])

    def runs_in_flight(self) -> bool:
        """Return whether a run isn't finished, as far as Dagster knows; True when the webserver is down."""
        states = "[QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]"
        query = f"{{ runsOrError(filter: {{statuses: {states}}}) {{ ... on Runs {{ results {{ id }} }} }} }}"
        try:
            return bool(self.ask(query)["runsOrError"]["results"])
        except NoAnswer:
            return True

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open the deployment's Dagster instance in this process."""
        kept = dict(os.environ)
        os.environ.update(self.environment)
        try:
            with dg.DagsterInstance.from_config(str(self.dagster_home)) as opened:
                yield opened
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def stop(self) -> None:
        """End every process of the deployment but PostgreSQL."""
        for part in list(self._running):
            self.kill(part)
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def deployment(
    folder: Path,
    settings: Mapping[str, str],
    *,
    code_host: str = "127.0.0.1",
    instance_host: str = "127.0.0.1",
    code_prefix: list[str] | None = None,
) -> Iterator[Deployment]:
    """Yield a deployment whose PostgreSQL runs and whose parts are yet to be started; end all of it afterwards.

    Args:
        folder: an empty folder.
        settings: the code server's settings, ``PREDICTION_ASSETS_*`` and the emulators' variables.
        code_host: where the code server listens.
        instance_host: where PostgreSQL listens.
        code_prefix: put before the code server's command.
    """
    dagster_home = folder / "dagster"
    dagster_home.mkdir(parents=True)
    (folder / "home").mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(DEPLOY / name, dagster_home / name)
    with postgres_server(instance_host) as variables:
        address = {"CODE_SERVER_HOST": code_host, "CODE_SERVER_PORT": str(free_port())}
        made = Deployment(folder, {**variables, **address}, dict(settings), free_port(), code_prefix or [])
        try:
            yield made
        finally:
            made.stop()


def start_all(made: Deployment) -> None:
    """Start the parts in the order that compose's ``depends_on`` gives them."""
    made.start("code")
    made.start("webserver")
    made.await_ui()
    made.start("daemon")
