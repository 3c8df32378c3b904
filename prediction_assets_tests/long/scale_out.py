"""One large slate staged by several run workers, on request on a worker host of their own.

``make scale-out SCALE="--players 5000"`` starts a deployment, has the simulated league's slate carried to its
completion message, and prints what the run workers did at the same time. ``--namespace`` puts the code server and its
run workers into a network namespace: PostgreSQL, the emulators, webserver and daemon are then on another host as far as
the network is concerned. ``--profile gcp`` takes the three emulators instead of the embedded stores.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from prediction_assets.logs import configure_logging
from prediction_assets.orchestration.run_tags import labels_of
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_log_settings, load_settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets_tests.deployment import Deployment, deployment, start_all, until

HOST, WORKERS = "10.203.0.1", "10.203.0.2"
_NAMESPACE = f"workers-{os.getpid()}"
_HOURS = 3


class NoNamespaces(Exception):
    """This machine doesn't let this user make network namespaces."""


@contextmanager
def worker_host() -> Iterator[list[str]]:
    """Make a network namespace that reaches this machine at ``HOST`` and has the address ``WORKERS``.

    Yields:
        what to put before a command that is to run there.

    Raises:
        NoNamespaces: it can't be made here.
    """
    inside = ["ip", "netns", "exec", _NAMESPACE]
    _do("ip", "netns", "add", _NAMESPACE)
    steps = [
        ["ip", "link", "add", "pa-host", "type", "veth", "peer", "name", "pa-workers", "netns", _NAMESPACE],
        ["ip", "address", "add", f"{HOST}/30", "dev", "pa-host"],
        ["ip", "link", "set", "pa-host", "up"],
        [*inside, "ip", "address", "add", f"{WORKERS}/30", "dev", "pa-workers"],
        [*inside, "ip", "link", "set", "pa-workers", "up"],
        [*inside, "ip", "link", "set", "lo", "up"],
    ]
    try:
        for step in steps:
            _do(*step)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", _NAMESPACE], check=False, capture_output=True)


def _do(*step: str) -> None:
    try:
        subprocess.run(step, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoNamespaces(f"{' '.join(step)}: {getattr(error, 'stderr', '') or error}") from error


@contextmanager
def emulated(folder: Path, host: str) -> Iterator[dict[str, str]]:
    """Run the three emulators and yield what the gcp profile needs to use them; this process uses them, too."""
    from prediction_assets.stores.gcp.stores import GcpStores
    from prediction_assets_tests.contract.warehouse.bigquery_emulator import running_emulator
    from prediction_assets_tests.emulators import FIRESTORE, PUBSUB, running

    with ExitStack() as stack:
        variables = {
            FIRESTORE.variable: stack.enter_context(running(FIRESTORE, host=host)),
            PUBSUB.variable: stack.enter_context(running(PUBSUB, host=host)),
            "PREDICTION_ASSETS_BIGQUERY_ENDPOINT": stack.enter_context(
                running_emulator(folder / "bigquery.log", host)
            ),
            "PREDICTION_ASSETS_PROFILE": "gcp",
            "PREDICTION_ASSETS_GCP_PROJECT": "demo",
        }
        os.environ.update(variables)
        GcpStores(load_settings()).set_up_messaging()
        yield variables


def scale_out(folder: Path, players: int, workers: int, *, profile: str, namespace: bool) -> Iterator[str]:
    """Carry a slate and yield the lines that say how.

    Raises:
        TimeoutError: the slate wasn't completed within three hours.
    """
    slate = simulated_slate(players).isoformat()
    with ExitStack() as stack:
        prefix = stack.enter_context(worker_host()) if namespace else []
        host, code_host = (HOST, WORKERS) if namespace else ("127.0.0.1", "127.0.0.1")
        stores = stack.enter_context(emulated(folder, host)) if profile == "gcp" else {}
        settings = {
            **stores,
            "PREDICTION_ASSETS_SENSOR_INTERVAL_SECONDS": "5",
            "PREDICTION_ASSETS_PLAYERS_PER_RUN": str(-(-players // workers)),
            "PREDICTION_ASSETS_DEADLINE_MINUTES": str(60 * _HOURS),
            "PREDICTION_ASSETS_CALL_TIMEOUT": "300",
        }
        made = stack.enter_context(
            deployment(folder / "it", settings, code_host=code_host, instance_host=host, code_prefix=prefix)
        )
        own = stack.enter_context(dg.DagsterInstance.ephemeral())
        run = SlateRun(load_settings(home=made.home), own)
        run.ingest(simulated_facts(players))
        start_all(made)
        began = time.monotonic()
        made.launch("roster", slate_roster={"slate": slate})
        most = _watch(made, run, slate)
        seconds = time.monotonic() - began
        yield f"slate {slate}, {players:,} players, profile {profile}: {seconds:.0f} s from click to completion"
        yield f"code server and run workers on {code_host}, PostgreSQL and the rest on {host}"
        yield from _runs(made)
        yield f"most run workers at the same time: {most}"
        (receipt,) = run.stores.warehouse.receipts(slate)
        (event,) = run.stores.outbox.entries(slate)
        yield f"{receipt.status}: {receipt.rows:,} rows of {players:,} players, one event, message {event.delivery_id}"


def _watch(made: Deployment, run: SlateRun, slate: str) -> int:
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, len(made.workers()))
        events = run.stores.outbox.entries(slate)
        return any(event.delivery_id for event in events) and not dict(
            run.stores.warehouse.parts.staged(slate)
        )

    until(is_over, f"slate {slate}; see {made.folder}", _HOURS * 3600, 2.0)
    return most


def _runs(made: Deployment) -> Iterator[str]:
    query = "{ runsOrError { ... on Runs { results { jobName status startTime endTime } } } }"
    results = made.ask(query)["runsOrError"]["results"]
    staging = [run for run in results if run["jobName"] == "staging"]
    yield f"staging runs: {len(staging)}, {' '.join(sorted(run['status'] for run in staging))}"
    seconds = sorted(run["endTime"] - run["startTime"] for run in staging)
    whole = max(run["endTime"] for run in staging) - min(run["startTime"] for run in staging)
    yield f"seconds of each: {_listed(seconds)}; from the first's start to the last's end: {whole:.0f}"


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{each:.0f}" for each in seconds)


def main() -> None:
    """Carry one slate and print how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--players", type=int, default=5000, help="expected players of the slate")
    parser.add_argument("--workers", type=int, default=4, help="run workers that share its staging")
    parser.add_argument("--profile", choices=["local", "gcp"], default="local")
    parser.add_argument(
        "--namespace", action="store_true", help="put code server and run workers on a host of their own"
    )
    options = parser.parse_args()
    os.environ.setdefault("PREDICTION_ASSETS_LOG_LEVEL", "WARNING")
    configure_logging(load_log_settings(), labels_of)
    for each in (signal.SIGINT, signal.SIGTERM):  # so that nothing outlives it, started in the background too
        signal.signal(each, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="scale-out-") as folder:
        for line in scale_out(
            Path(folder),
            options.players,
            options.workers,
            profile=options.profile,
            namespace=options.namespace,
        ):
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
