"""The Dagster instance of the embedded profile: a folder in the home, with the packaged ``dagster.yaml``."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import dagster as dg

from prediction_assets.errors import BadInput
from prediction_assets.settings import Settings


def prepare_home(settings: Settings) -> Path:
    """Create the home and the Dagster instance's folder; an edited ``dagster.yaml`` is left alone.

    Returns:
        the Dagster home.

    Raises:
        BadInput: the home can't be written.
    """
    home = settings.dagster_home
    try:
        home.mkdir(parents=True, exist_ok=True)
        config = home / "dagster.yaml"
        if not config.exists():
            with resources.as_file(resources.files(__package__).joinpath("dagster.yaml")) as packaged:
                aside = home / f".dagster.yaml.{os.getpid()}"
                shutil.copyfile(packaged, aside)
                aside.replace(config)
    except OSError as error:
        raise BadInput(
            error.filename or home,
            str(error.strerror),
            hint="set PREDICTION_ASSETS_HOME to a folder that this user can write",
        ) from error
    if not os.access(settings.home, os.W_OK):
        raise BadInput(
            settings.home,
            "not writable",
            hint="set PREDICTION_ASSETS_HOME to a folder that this user can write",
        )
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the home's Dagster instance, whatever ``DAGSTER_HOME`` says."""
    with dg.DagsterInstance.from_config(str(prepare_home(settings))) as instance:
        yield instance
