"""``dev``: the Dagster UI with its daemon, on this home."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated, Any

import typer

from prediction_assets.cli.console import has_facts, open_slate_run
from prediction_assets.cli.process_group import exec_server
from prediction_assets.errors import BadInput
from prediction_assets.settings import load_settings


def dev(
    port: Annotated[int, typer.Option(metavar="N", help="port of the UI")] = 3000,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="the UI has no login: keep it on this machine, or set PREDICTION_ASSETS_UI_URL to its address",
        ),
    ] = "127.0.0.1",
    simulated_sources: Annotated[
        bool,
        typer.Option(
            "--simulated-sources",
            help="take today's facts from made-up live sources on this machine, in a home of their own",
        ),
    ] = False,
) -> None:
    """Start the Dagster UI and its daemon.

    The sensors carry a slate from slate_roster to its completion message. A home without any facts gets the
    simulated league first, or asks simulated sources by itself. Ctrl-C and SIGTERM stop all of it within seconds.
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
    settings, own = load_settings(), dict[str, Any]()
    if simulated_sources:
        from prediction_assets.cli.simulated_sources import MOST_PLAYERS, simulated_settings

        if settings.profile != "local":
            raise BadInput("--simulated-sources", "made-up facts stay on this machine", hint="leave it out")
        if settings.simulated_players > MOST_PLAYERS:
            raise BadInput(
                "PREDICTION_ASSETS_SIMULATED_PLAYERS",
                f"{settings.simulated_players} players are more than the NBA's teams have on a slate",
                hint=f"set {MOST_PLAYERS} or fewer",
            )
        own = simulated_settings(settings.home)
        settings = load_settings(**own)
    with open_slate_run(settings) as (settings, runner):
        from prediction_assets.nba.tonight import holds_real_facts

        warehouse = runner.stores.warehouse
        if not simulated_sources and not has_facts(warehouse) and not holds_real_facts(warehouse):
            from prediction_assets.simulation.slates import simulated_facts

            runner.ingest(simulated_facts(settings.simulated_players))
    environment = {
        **os.environ,
        **{
            f"PREDICTION_ASSETS_{name.upper()}": str(value)
            for name, value in own.items()
            if value is not None
        },
        "DAGSTER_HOME": str(settings.instance_folder),
        "PREDICTION_ASSETS_HOME": str(settings.home),
    }
    if "ui_url" not in settings.model_fields_set:
        shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  nothing is bound here
        environment["PREDICTION_ASSETS_UI_URL"] = f"http://{shown}:{port}"
        settings.ui_url_file.write_text(environment["PREDICTION_ASSETS_UI_URL"], "utf-8")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "prediction_assets.definitions"]
    command += ["-h", host, "-p", str(port)]
    if simulated_sources:
        from prediction_assets.cli.simulated_sources import command_with_sources

        command = command_with_sources(settings, command)
    exec_server(command, environment)
