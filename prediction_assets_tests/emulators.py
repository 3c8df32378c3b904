"""The Firestore and Pub/Sub emulators of the Google Cloud CLI: found, started, shared, and stopped.

``FIRESTORE_EMULATOR_HOST`` / ``PUBSUB_EMULATOR_HOST`` name running ones; else the installed jars are started on
free ports, one JVM of each kind for all of a test session's workers. A keeper process owns the JVM: every
worker holds a shared file lock for as long as it lives, the keeper waits for the exclusive one, so the last
worker to leave (or to be killed) ends it. ``python -m prediction_assets_tests.emulators`` starts both for use
by hand and prints the exports.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_START_SECONDS = 60.0
_ATTEMPTS = 5
_keepers: list[subprocess.Popen[bytes]] = []  # they may outlive this process, so nobody waits for them
_JVM = ["-Duser.language=en", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class EmulatorMissing(Exception):
    """An emulator is neither running nor installed."""


class EmulatorFailed(Exception):
    """An installed emulator didn't come up."""


@dataclass(frozen=True)
class Emulator:
    """One kind of emulator.

    Attributes:
        variable: the environment variable in which Google's clients look for its address.
        jar: where its jar is below the Cloud CLI's folder, as a glob.
        main_class: for a jar without a main manifest.
    """

    name: str
    variable: str
    jar: str
    component: str
    main_class: str | None = None

    def command(self, port: int, host: str = "127.0.0.1") -> list[str]:
        """Return the command line that runs it in the foreground; the CLI's wrappers orphan the JVM."""
        java = shutil.which("java")
        if java is None:
            raise EmulatorMissing(
                f"{self.name} emulator: no `java` on the PATH; install Java 17, or set {self.variable}"
            )
        jar = self._installed()
        start = ["-cp", str(jar), self.main_class, "start"] if self.main_class else ["-jar", str(jar)]
        return [java, *_JVM, *start, f"--host={host}", f"--port={port}"]

    def _installed(self) -> Path:
        for sdk in _sdk_folders():
            found = sorted(sdk.glob(self.jar))
            if found:
                return found[-1]
        raise EmulatorMissing(
            f"{self.name} emulator: not installed (`gcloud components install {self.component}`, or the "
            f"package google-cloud-cli-{self.component}), and {self.variable} isn't set"
        )


FIRESTORE = Emulator(
    name="Firestore",
    variable="FIRESTORE_EMULATOR_HOST",
    jar="platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
    component="firestore-emulator",
    main_class="com.google.cloud.datastore.emulator.firestore.CloudFirestore",
)
PUBSUB = Emulator(
    name="Pub/Sub",
    variable="PUBSUB_EMULATOR_HOST",
    jar="platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    component="pubsub-emulator",
)
EMULATORS = {e.variable: e for e in (FIRESTORE, PUBSUB)}


def _sdk_folders() -> Iterator[Path]:
    gcloud = shutil.which("gcloud")
    named = [os.environ.get("GOOGLE_CLOUD_SDK"), os.environ.get("CLOUDSDK_ROOT_DIR")]
    usual = ["/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "~/google-cloud-sdk"]
    beside = [str(Path(gcloud).resolve().parents[1])] if gcloud else []
    for folder in [*named, *beside, *usual]:
        if folder:
            yield Path(folder).expanduser()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    emulator: Emulator, log: IO[bytes] | int = subprocess.DEVNULL, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Run an emulator as a child of this process and yield its address; it dies with this process.

    Raises:
        EmulatorMissing: it isn't installed.
        EmulatorFailed: it didn't come up, several times.
    """
    for _ in range(_ATTEMPTS):
        port = free_port()
        process = subprocess.Popen(
            emulator.command(port, host),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        try:
            if _answers(process, f"{host}:{port}"):
                yield f"{host}:{port}"
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # It exits with 1 when somebody took the port in between: try another one.
    raise EmulatorFailed(
        f"{emulator.name} emulator: didn't come up in {_ATTEMPTS} attempts: {emulator.command(0)}"
    )


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
                if answer.read().strip() == b"Ok":
                    return True
        except OSError:
            time.sleep(0.05)
    return False


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


@contextmanager
def shared(emulator: Emulator, session: Path) -> Iterator[str]:
    """Yield the address of the emulator that all processes of a session share; the first one starts it.

    Args:
        session: a folder that only this session's processes use.

    Raises:
        EmulatorMissing: it is neither running nor installed.
        EmulatorFailed: it didn't come up.
    """
    if address := os.environ.get(emulator.variable):
        yield address
        return
    emulator.command(0)  # missing is known before a keeper is started
    folder = session / emulator.variable.lower()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users.lock").open("w") as users:
        with _locked(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is stopping
            found = folder / "keeper.json"
            if not found.exists():
                _start_keeper(emulator, folder)
        answer = json.loads(found.read_text())
        if error := answer.get("error"):
            raise EmulatorFailed(error)
        yield answer["address"]


def _start_keeper(emulator: Emulator, folder: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), "keep", emulator.variable, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the tests, which then let go of their lock
    )
    _keepers.append(keeper)
    deadline = time.monotonic() + _ATTEMPTS * _START_SECONDS
    while True:
        ended = keeper.poll()
        if (folder / "keeper.json").exists():
            return
        if ended is not None or time.monotonic() > deadline:
            raise EmulatorFailed(
                f"{emulator.name} emulator: no answer from its keeper ({ended}); see {folder}/log"
            )
        time.sleep(0.02)


def _keep(emulator: Emulator, folder: Path) -> None:
    """Run an emulator until nobody holds the users' lock."""
    answer = folder / "keeper.json"
    try:
        with (folder / "log").open("wb") as log, running(emulator, log) as address:
            _write_whole(answer, {"address": address})
            with (folder / "users.lock").open("w") as users:
                fcntl.flock(users, fcntl.LOCK_EX)
                answer.unlink()  # while nobody can be reading it: who comes now starts another keeper
    except Exception as error:
        _write_whole(answer, {"error": f"{type(error).__name__}: {error}"})
        raise


def _write_whole(file: Path, answer: dict[str, str]) -> None:
    aside = file.with_suffix(".aside")
    aside.write_text(json.dumps(answer))
    aside.replace(file)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_for_hand_use() -> None:
    """Start the three emulators, print what to export, and keep them until Ctrl-C or SIGTERM."""
    from prediction_assets_tests.contract.warehouse.bigquery_emulator import NoEmulator, running_emulator

    for each in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(each, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            for emulator in EMULATORS.values():
                address = stack.enter_context(running(emulator))
                print(f"export {emulator.variable}={address}", flush=True)  # noqa: T201
            log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bigquery.log"
            endpoint = stack.enter_context(running_emulator(log))
            print(f"export PREDICTION_ASSETS_BIGQUERY_ENDPOINT={endpoint}")  # noqa: T201
            print("export PREDICTION_ASSETS_PROFILE=gcp PREDICTION_ASSETS_GCP_PROJECT=demo")  # noqa: T201
            print("# running until Ctrl-C; then: prediction-assets gcp set-up", flush=True)  # noqa: T201
            signal.pause()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C wouldn't end them any sooner
        except (EmulatorMissing, EmulatorFailed, NoEmulator) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    if sys.argv[1:2] == ["keep"]:
        _keep(EMULATORS[sys.argv[2]], Path(sys.argv[3]))
    else:
        start_for_hand_use()
