"""``gcp``: set up the Google Cloud project of the gcp profile, and test it."""

from __future__ import annotations

import typer

from prediction_assets.cli.console import FAILED, Commands, say
from prediction_assets.errors import BadInput
from prediction_assets.settings import Settings, load_settings

app = Commands(help="Set up and check the Google Cloud project.", no_args_is_help=True)


@app.command("set-up")
def set_up() -> None:
    """Create the missing datasets, tables, topics and subscriptions.

    Safe to repeat.
    """
    settings = _gcp_settings()
    from prediction_assets.stores.gcp.stores import GcpStores

    stores = GcpStores(settings)
    stores.warehouse.set_up()
    say(f"BigQuery: datasets and tables of {stores.warehouse.output_table} are as declared")
    done = stores.set_up_messaging()
    changed = {
        **dict.fromkeys(done.created, "created"),
        **dict.fromkeys(done.corrected, "dead-letter policy corrected"),
    }
    for path in (
        done.topic, done.subscription, done.dead_letter_topic, done.dead_letter_subscription,
        done.acknowledgement_topic, done.acknowledgement_subscription,
    ):  # fmt: skip
        say(f"Pub/Sub: {path}: {changed.get(path, 'as it should be')}")


@app.command("smoke-test")
def check_project() -> None:
    """Test on the real project what no emulator can show.

    Works in datasets, topics and collections named smoke_*.
    """
    settings = _gcp_settings()
    from prediction_assets.orchestration.gcp_smoke_test import smoke_test

    problems = 0
    for expectation, problem in smoke_test(settings):
        problems += bool(problem)
        say(f"{'FAILED' if problem else 'ok':<7} {expectation}{': ' if problem else ''}{problem}")
    if problems:
        raise typer.Exit(FAILED)


def _gcp_settings() -> Settings:
    settings = load_settings()
    if settings.profile != "gcp":
        raise BadInput(
            "PREDICTION_ASSETS_PROFILE", f"{settings.profile!r} uses no project", hint="set it to gcp"
        )
    return settings
