"""Where the real seasons are that some tests and a benchmark read; they can't ship with the package."""

from __future__ import annotations

import os
from pathlib import Path

SETTING = "REAL_DATA_FOLDER"


def _folder() -> Path:
    """Return the folder that the environment names, or else ``shared/data`` beside the checkout."""
    named = os.environ.get(SETTING)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


REAL_DATA = _folder()
WITHOUT_REAL_DATA = f"needs real seasons of the NBA: name their folder with {SETTING}"
"""Why a test is skipped where the data isn't."""
