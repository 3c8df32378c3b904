"""``dagster.yaml`` of a home: written once, renewed while nobody edited it, compared with the packaged one after that.

The written file starts with a line that holds the digest of the rest, so an unedited file is recognized without a
list of what earlier versions packaged. Opening the instance doesn't belong here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from prediction_assets.stores.local.files import replace_file

_MARK = (
    "# As packaged: `prediction-assets migrate` renews this file until you edit it. SHA-256 of the rest: {}\n"
)
_MARKED = re.compile(re.escape(_MARK).replace(r"\{\}", "([0-9a-f]{64})"))


class Origin(Enum):
    """Where a home's ``dagster.yaml`` comes from.

    ``EARLIER``: an earlier version packaged it and nobody edited it. ``prediction-assets migrate`` renews such a file
    after an upgrade. There is no other way to renew one.
    """

    MISSING = "not there yet"
    CURRENT = "says what the packaged one says"
    EARLIER = "as an earlier version packaged it"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """How a home's ``dagster.yaml`` compares with the packaged one."""

    origin: Origin
    lacks: tuple[str, ...] = ()  # settings of the packaged file that an edited one doesn't have
    # settings of an edited file with another value, or that the packaged one doesn't have
    differs: tuple[str, ...] = ()


def packaged_text() -> str:
    return resources.files(__package__).joinpath("dagster.yaml").read_text("utf-8")


def marked(packaged: str) -> str:
    """Return a packaged text as it is written into a home: after the line by which it is recognized."""
    return _MARK.format(_digest(packaged)) + packaged


def examine(text: str | None, packaged: str) -> InstanceConfig:
    """Compare a home's ``dagster.yaml`` with the packaged one by its settings; comments don't count."""
    if text is None:
        return InstanceConfig(Origin.MISSING)
    mark = _MARKED.match(text)
    if mark and mark[1] == _digest(text[mark.end() :]):
        return InstanceConfig(Origin.CURRENT if text == marked(packaged) else Origin.EARLIER)
    try:
        theirs = dict(_settings(yaml.safe_load(text) or {}))
    except (yaml.YAMLError, AttributeError) as error:
        return InstanceConfig(Origin.EDITED, differs=(f"can't be read: {' '.join(str(error).split())}",))
    ours = dict(_settings(yaml.safe_load(packaged)))
    lacks = tuple(f"{name}: {ours[name]}" for name in ours if name not in theirs)
    differs = tuple(
        f"{name}: {theirs[name]}" + (f" (packaged: {ours[name]})" if name in ours else " (not packaged)")
        for name in theirs
        if theirs[name] != ours.get(name)
    )
    origin = Origin.EDITED if lacks or differs else Origin.CURRENT
    return InstanceConfig(origin, lacks, differs)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if isinstance(value, dict) and value:
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def renew(path: Path, packaged: str) -> None:
    """Write the packaged text into a home, as a whole or not at all."""
    replace_file(path, marked(packaged).encode())
