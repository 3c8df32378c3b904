"""``dev``: the Dagster UI with its daemon, on this home."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated

import typer

from prediction_assets.cli.console import has_facts, open_slate_run
from prediction_assets.cli.process_group import exec_server
from prediction_assets.errors import BadInput


def dev(
    port: Annotated[int, typer.Option(metavar="N", help="port of the UI")] = 3000,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="the UI has no login: keep it on this machine, or set PREDICTION_ASSETS_UI_URL to its address",
        ),
    ] = "127.0.0.1",
) -> None:
    """Start the Dagster UI and its daemon.

    The sensors carry a slate from slate_roster to its completion message. A home without any facts gets the
    simulated league first. Ctrl-C and SIGTERM stop all of it within seconds.
    """
    # A shell's background job ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                "--port", f"{host}:{port}: {error.strerror}", hint="name another with --port"
            ) from error
    with open_slate_run() as (settings, runner):
        from prediction_assets.nba.tonight import holds_real_facts

        warehouse = runner.stores.warehouse
        if not has_facts(warehouse) and not holds_real_facts(warehouse):
            from prediction_assets.simulation.league import simulated_facts

            runner.ingest(simulated_facts(settings.simulated_players))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(settings.instance_folder),
        "PREDICTION_ASSETS_HOME": str(settings.home),
    }
    if "ui_url" not in settings.model_fields_set:
        environment["PREDICTION_ASSETS_UI_URL"] = f"http://{host}:{port}"
    command = [sys.executable, "-m", "dagster", "dev", "-m", "prediction_assets.definitions"]
    exec_server([*command, "-h", host, "-p", str(port)], environment)
