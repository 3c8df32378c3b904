"""What a person may read until it is old, named by its day: recorded answers of live sources, and boards.

An answer may be ingested again, a board written again as long as its rows are there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from prediction_assets.retention.kinds import History, Pruned
from prediction_assets.retention.slates import is_before, oldest_kept

FOLDERS_PER_SLICE = 100
"""Days of a source that one slice prunes; one has some hundred files."""


def prune_answers(folder: Path, history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of the answers that are older than they are kept; other files in the folder stay."""
    oldest = oldest_kept(history, keep_days)
    found = sorted(day for day in folder.glob("*/*") if day.is_dir() and is_before(day.name, oldest))
    now = found[:FOLDERS_PER_SLICE]
    if not dry_run:
        for day in now:
            shutil.rmtree(day)
    return Pruned(len(now), left=len(found) - len(now))


BOARDS_PER_SLICE = 400
"""Boards that one slice prunes: two seasons'."""


def prune_boards(folder: Path, history: History, keep_days: int, dry_run: bool) -> Pruned:
    """Prune one slice of the boards of slates that are older than they are kept; other files in the folder stay."""
    oldest = oldest_kept(history, keep_days)
    found = sorted(file for file in folder.glob("*.html") if is_before(file.stem, oldest))
    now = found[:BOARDS_PER_SLICE]
    if not dry_run:
        for file in now:
            file.unlink(missing_ok=True)
    return Pruned(len(now), slates=tuple(file.stem for file in now), left=len(found) - len(now))
