"""Damage to files, for tests of what is noticed."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path


def flipped(content: bytes, draw: random.Random) -> bytes:
    """Return the content with one bit flipped."""
    damaged = bytearray(content)
    bit = draw.randrange(len(damaged) * 8)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def flip_bits(file: Path, flips: int, seed: int, look: Callable[[int], None]) -> None:
    """Flip one bit of a file after another, each in the file as it is now, call ``look`` each time, and restore it."""
    draw, content = random.Random(seed), file.read_bytes()
    for flip in range(flips):
        file.write_bytes(flipped(content, draw))
        look(flip)
    file.write_bytes(content)


def damage_alerts(file: Path) -> None:
    """Overwrite the page of a state file that holds the alerts."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alerts'").fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(content)
