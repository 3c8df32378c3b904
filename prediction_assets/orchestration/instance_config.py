"""``dagster.yaml`` of a home: renewed where nobody edited it, compared with the packaged one where somebody did.

It is copied into a home once and is its owner's from then on. A later version may need more in it (the event
log's storage, run retries, the instance's class), so ``prediction-assets migrate`` looks at it. Pure but for
:func:`renew`; what opens the instance is :mod:`prediction_assets.orchestration.instance`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

EARLIER_PACKAGED = frozenset(
    {
        "578b2d7ec85bdec5798b83de8d35d35f280a245bdd3900dbb84dc5265ca9d27b",
        "f83594d26bd1ecb38e94dbb0d79f9a63ea1b95e48dd6babd83dc407968d796c9",
        "ee3437dc6fd4c0f37c01a6b4240723549b129b9d9833bdb0d723fbd0c67e46c1",
        "8184b3d9043d7d42195bd6ba311343ef427b821376a28c3ea2ceec1656fe44a4",
        "f2b924ef2320f9873f9152a462e82a37466a519fe8f4bb337c45e1fa863011ed",
        "2684ebcb8bc8725f9f0242ddace6230f74247605405e4a9dcf10fe4600bfdc49",
        "c619352747af5bb22ce4e847d867a47be3f75bc2c84da082a05994129ae002f3",
        "f1f43b5cd4535bcf1095fc5ae9a56781f827ed4da19147192768f5172ec64892",
    }
)
"""SHA-256 of what earlier versions packaged: whoever has one of these has edited nothing."""


class Origin(Enum):
    """Where a home's ``dagster.yaml`` comes from."""

    MISSING = "not there yet"
    CURRENT = "says what the packaged one says"
    EARLIER = "as an earlier version packaged it"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """A home's ``dagster.yaml``, judged.

    Attributes:
        lacks: settings of the packaged one that an edited one doesn't have.
        differs: settings that an edited one has otherwise, or alone.
    """

    origin: Origin
    lacks: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def packaged_text() -> str:
    """Return the packaged ``dagster.yaml``."""
    return resources.files(__package__).joinpath("dagster.yaml").read_text("utf-8")


def examine(text: str | None, packaged: str) -> InstanceConfig:
    """Compare a home's ``dagster.yaml`` with the packaged one by what they say; comments don't count.

    Args:
        text: the home's, None when there is none.
    """
    if text is None:
        return InstanceConfig(Origin.MISSING)
    if hashlib.sha256(text.encode()).hexdigest() in EARLIER_PACKAGED:
        return InstanceConfig(Origin.EARLIER)
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


def _settings(block: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if isinstance(value, dict) and value:
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def renew(path: Path, packaged: str) -> None:
    """Put the packaged text in a file's place, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(packaged, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
