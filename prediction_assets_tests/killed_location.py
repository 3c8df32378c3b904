"""The code location, with run workers that kill themselves once: when ``KILL_AT``'s point is reached so often.

``KILL_AT`` is ``<point>:<times>``. ``KILLED`` is a file that remembers that it was done, and by whom.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

from prediction_assets.definitions import defs
from prediction_assets.steps import failpoints as crash_points

__all__ = ["defs"]

_reached: Counter[str] = Counter()


def _kill_once(point: str) -> None:
    wanted, _, times = os.environ["KILL_AT"].partition(":")
    _reached[point] += 1
    if point != wanted or _reached[point] != int(times):
        return
    try:
        marker = os.open(os.environ["KILLED"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(marker, str(os.getpid()).encode())
    os.close(marker)
    os.kill(os.getpid(), signal.SIGKILL)


crash_points.install(_kill_once)
