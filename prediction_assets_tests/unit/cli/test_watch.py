"""``status --watch``: what each look says, how many reads it makes, and how watching ends."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from prediction_assets.cli import INTERRUPTED
from prediction_assets.cli import watch as watching
from prediction_assets.cli.watch import SECONDS, picture, standing, watch
from prediction_assets.settings import load_settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.made_up import NOW, SLATE
from prediction_assets_tests.made_up_facts import delivered, settled, whole_receipt

WHOLE = settled(staged=3)
RECEIPT = whole_receipt()
MERGED = replace(WHOLE, receipt=RECEIPT)
PARTIAL = whole_receipt(status="partial", staged_players=2, failed_players=1)


@dataclass
class Reads:
    """Batch state and outbox of a slate, as they are at each look; what was read is counted."""

    looks: Sequence[tuple[Progress | None, Sequence[OutboxEntry]]]
    read: list[str] = field(default_factory=list)

    @property
    def batch_state(self) -> Any:
        return self

    @property
    def outbox(self) -> Any:
        return self

    def progress(self, slate: str, only: object = None) -> Progress | None:
        self.read.append(slate)
        return self.looks[min(self.read.count(slate), len(self.looks)) - 1][0]

    def entries(self, slate: str) -> Sequence[OutboxEntry]:
        self.read.append("outbox")
        return self.looks[min(self.read.count(slate), len(self.looks)) - 1][1]


@pytest.mark.parametrize(
    ("progress", "entries", "minutes", "step", "code", "outbox_is_read"),
    [
        (None, (), 0, "its roster isn't open yet", None, False),
        (replace(settled(staged=1), feature_snapshot=None), (), 0, "features", None, False),
        (settled(staged=1), (), 0, "stage", None, False),
        (settled(staged=1), (), 31, "consolidate", None, False),
        (WHOLE, (), 0, "consolidate", None, False),
        (MERGED, (), 0, "the message of revision 1", None, True),
        (MERGED, (replace(delivered(RECEIPT), delivery_id=None),), 0, "the message of revision 1", None, True),
        (MERGED, (delivered(RECEIPT),), 0, "nothing: revision 1 is announced, success", 0, True),
        (replace(WHOLE, receipt=PARTIAL), (delivered(PARTIAL),), 0, "nothing: revision 1 is announced, partial", 1,
         True),
        (settled(skipped=3), (), 0, "nothing to predict", 0, False),
    ],
)  # fmt: skip
def test_a_look_says_what_the_slate_waits_for_from_one_read(
    progress, entries, minutes, step, code, outbox_is_read
):
    reads = Reads([(progress, entries)])
    found = standing(reads, SLATE, NOW + timedelta(minutes=minutes))  # type: ignore[arg-type]
    assert (found.step, found.code) == (step, code)
    assert reads.read == [SLATE, *(["outbox"] if outbox_is_read else [])]


def shown(progress: Progress | None, minutes: int) -> str:
    now = NOW + timedelta(minutes=minutes)
    console = Console(file=io.StringIO(), width=100)
    console.print(picture(SLATE, standing(Reads([(progress, ())]), SLATE, now), now))  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_picture_counts_the_players_and_the_minutes_to_the_deadline():
    text = shown(settled(5, staged=2, failed=1), minutes=12)
    assert f"slate {SLATE} (simulated league)" in text
    assert "5 expected: 2 staged, 0 skipped, 1 failed, 2 unsettled" in text
    assert "15:30 UTC, in 18 min" in text
    assert "15:30 UTC, past by 15 min" in shown(settled(5, staged=2), minutes=45)
    assert "deadline" not in shown(None, minutes=0)


@pytest.fixture
def output(monkeypatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(watching, "standard_output", lambda: Console(file=text, width=100))
    monkeypatch.setattr(Clock, "now", lambda _: NOW)
    return text


@pytest.mark.parametrize("profile", ["local", "gcp"])
def test_watching_looks_again_until_the_slate_is_announced(output, profile):
    reads = Reads([(None, ()), (settled(staged=1), ()), (MERGED, ()), (MERGED, (delivered(RECEIPT),))])
    waits: list[float] = []
    settings = load_settings(profile=profile, gcp_project="p")
    assert watch(reads, settings, SLATE, wait=waits.append) == 0  # type: ignore[arg-type]
    assert waits == [SECONDS[profile]] * 3
    assert "revision 1 is announced" in output.getvalue()


def test_ctrl_c_ends_it_with_the_slate_as_it_was_seen_last(output):
    def pressed(seconds: float) -> None:
        raise KeyboardInterrupt

    assert watch(Reads([(WHOLE, ())]), load_settings(), SLATE, wait=pressed) == INTERRUPTED  # type: ignore[arg-type]
    assert "consolidate" in output.getvalue()
