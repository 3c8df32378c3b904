"""Files and arguments, read once before anything is recorded: a typo is refused at the prompt, and is no failed run.

What doesn't belong here: comparing with what is stored (:mod:`.merging`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prediction_assets.ingest.game_logs import read_game_logs
from prediction_assets.ingest.injury_reports import read_injury_reports
from prediction_assets.ingest.names import PlayerDirectory, read_aliases
from prediction_assets.ingest.other_box_scores import Stored
from prediction_assets.ingest.prop_lines import read_prop_lines
from prediction_assets.ingest.schedule import read_schedule
from prediction_assets.ingest.seasons import first_year

_NOBODY = PlayerDirectory.from_rows([])
"""Names aren't resolved here; one that doesn't resolve is no reason to refuse a file."""

READERS: Mapping[str, Callable[[Path, Callable[[], Stored] | None], Any]] = {
    "game_logs": read_game_logs,
    "schedule": lambda path, _: read_schedule(path),
    "prop_lines": lambda path, stored: read_prop_lines(path, stored().players if stored else _NOBODY),
    "injury_reports": lambda path, stored: read_injury_reports(path, stored().players if stored else _NOBODY),
}
"""Reads a file or folder of each kind of facts; given what is stored, names are resolved."""


def refuse_bad_sources(
    files: Mapping[str, Path | None], season: str | None = None, aliases: Path | None = None
) -> None:
    """Read each file as its ingestion will, and keep nothing."""
    if season is not None:
        first_year(season)
    if aliases is not None:
        read_aliases(aliases)
    for name, path in files.items():
        if path is not None:
            READERS[name](path.expanduser().absolute(), None)
