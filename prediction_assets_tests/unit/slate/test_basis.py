"""What a player was staged from, and which changes of it are causes to stage him again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prediction_assets.slate.basis import Basis, affected, causes, merged_bases, why_changed
from prediction_assets.slate.merge_plan import plan
from prediction_assets.slate.outcome import Outcome, PartRef, PlayerOutcome
from prediction_assets.slate.receipt import MergeCounts
from prediction_assets_tests.made_up import NOW, SLATE, batch, progress_of

TIP_OFF = datetime(2026, 1, 3, 0, 30, tzinfo=UTC)
USUAL = Basis("9000000001", "S02", TIP_OFF.isoformat(), "", "24.5", "Book A", "o1", "f1", "m1")
OUT = replace(USUAL, injury="Out")
NO_GAME = replace(USUAL, game_id="")
NO_LOG = replace(USUAL, features="")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (USUAL, USUAL, ()),
        (USUAL, replace(USUAL, line="25.5"), ("line moved 24.5 -> 25.5",)),
        (USUAL, replace(USUAL, line="25.5", bookmaker="Book B"), ("line moved 24.5 -> 25.5",)),
        (USUAL, replace(USUAL, bookmaker="Book B"), ("book changed Book A -> Book B",)),
        (USUAL, replace(USUAL, offers="o2"), ("prices moved",)),
        (USUAL, replace(USUAL, bookmaker="Book B", offers="o2"), ("book changed Book A -> Book B",)),
        (replace(USUAL, line="", bookmaker="", offers=""), USUAL, ("line added 24.5",)),
        (USUAL, replace(USUAL, line="", bookmaker=""), ("line withdrawn 24.5",)),
        (USUAL, OUT, ("ruled out",)),
        (USUAL, replace(OUT, line="25.5"), ("ruled out",)),
        (OUT, USUAL, ("back in",)),
        (OUT, replace(USUAL, injury="Questionable"), ("back in",)),
        (OUT, replace(OUT, line="30.5", features="f2"), ()),
        (USUAL, replace(USUAL, injury="Questionable"), ()),
        (replace(USUAL, injury="Doubtful"), replace(USUAL, injury="Probable"), ()),
        (USUAL, replace(USUAL, report="morning: A B Out"), ("team report: A B Out",)),
        (
            replace(USUAL, report="morning: A B Out"),
            replace(USUAL, report="midday: A B Out"),
            ("report of midday",),
        ),
        (
            replace(USUAL, report="midday: A B Out"),
            replace(USUAL, report="midday: "),
            ("team report: no longer A B Out",),
        ),
        (
            USUAL,
            replace(USUAL, report="evening: A Out; B Out; C Out; D Out; E Out"),
            ("team report: A Out, B Out, C Out and 2 more",),
        ),
        (replace(USUAL, report="midday: "), USUAL, ("report withdrawn",)),
        (USUAL, replace(OUT, report="midday: A B Out"), ("ruled out",)),
        (USUAL, NO_GAME, ("game moved",)),
        (NO_GAME, USUAL, ("game moved",)),
        (NO_GAME, OUT, ()),
        (USUAL, replace(USUAL, game_id="9000000002", features="f2"), ("game moved",)),
        (USUAL, replace(USUAL, opponent="S09", features="f2"), ("opponent changed S02 -> S09",)),
        (USUAL, replace(USUAL, tip_off=(TIP_OFF + timedelta(hours=1)).isoformat()), ()),
        (USUAL, replace(USUAL, features="f2"), ("game log corrected",)),
        (NO_LOG, USUAL, ("game log corrected",)),
        # Without a game log he is predicted from his line alone.
        (NO_LOG, replace(NO_LOG, line="25.5"), ("line moved 24.5 -> 25.5",)),
        (NO_LOG, replace(NO_LOG, line=""), ("line withdrawn 24.5",)),
        (replace(NO_LOG, line=""), NO_LOG, ("line added 24.5",)),
        (replace(NO_LOG, line=""), USUAL, ("game log corrected",)),
        (USUAL, replace(NO_LOG, line=""), ("game log corrected",)),
        (NO_LOG, replace(NO_LOG, line="", injury="Out"), ("ruled out",)),
        (replace(NO_LOG, line=""), replace(NO_LOG, line="", injury="Out"), ()),
        (USUAL, replace(USUAL, model="m2"), ("model changed",)),
        (
            USUAL,
            replace(USUAL, line="26", features="f2", model="m2"),
            ("line moved 24.5 -> 26", "game log corrected", "model changed"),
        ),
    ],
)
def test_only_a_change_that_changes_his_rows_is_a_cause(before, now, expected):
    assert causes(before, now) == expected


MOVED = replace(USUAL, line="25.5")
LATER, EARLIER = ((TIP_OFF + timedelta(hours=hours)).isoformat() for hours in (1, -1))


@pytest.mark.parametrize(
    ("before", "now", "minutes", "due", "late"),
    [
        (USUAL, MOVED, -1, True, False),
        (USUAL, MOVED, 0, False, True),
        (USUAL, MOVED, 1, False, True),
        (replace(USUAL, tip_off=""), replace(MOVED, tip_off=""), 60, True, False),
        (USUAL, replace(MOVED, tip_off=EARLIER), -1, False, True),
        (USUAL, replace(MOVED, tip_off=LATER), 1, False, True),
        (USUAL, USUAL, 1, False, False),
        (None, MOVED, -1, False, False),
    ],
)
def test_a_player_is_due_until_his_own_tip_off_and_late_after_it(before, now, minutes, due, late):
    found = affected({"player-1": before}, {"player-1": now}, TIP_OFF + timedelta(minutes=minutes))
    assert ({*found.due}, {*found.late}) == ({"player-1"} if due else set(), {"player-1"} if late else set())


def outcome(number: int, basis: Basis, part: str = "", kind: Outcome = Outcome.STAGED) -> PlayerOutcome:
    slug = f"player-{number}"
    ref = PartRef(SLATE, slug, 100 + number, part, 25, f"c{part}", 1, "snapshot1") if part else None
    return PlayerOutcome(SLATE, f"{SLATE}@test", slug, kind, "run", NOW, 1, 1, part=ref, basis=basis)


def test_receipts_keep_what_each_player_was_made_from_and_why_he_was_staged_again():
    first = [outcome(1, USUAL, "a"), outcome(2, OUT, kind=Outcome.SKIPPED), outcome(3, USUAL, "c")]
    second = [outcome(1, MOVED, "d"), outcome(2, USUAL, "e"), first[2]]
    third = [second[0], outcome(2, MOVED, kind=Outcome.FAILED), first[2]]
    receipts = []
    for outcomes in (first, second, third):
        counts = MergeCounts(25, 25, 0, 0, 0, 25, "")
        work = plan(progress_of(batch(3), *outcomes), receipts)
        receipts.append(work.receipt(counts, receipts, merge_ms=1.0, now=NOW))
    everybody = [f"player-{n}" for n in (1, 2, 3, 4)]
    gone = {"player-4": ("no longer expected",)}
    assert why_changed(receipts, 1, everybody[:3]) == {}
    assert why_changed(receipts, 2, ["player-2", "player-1", "player-4"]) == {
        "player-1": ("line moved 24.5 -> 25.5",), "player-2": ("back in",), **gone,
    }  # fmt: skip
    assert [receipt.is_altered for receipt in receipts] == [False] * 3
    # He failed: his rows of revision 2 stay in force, and what they were made from.
    assert merged_bases(receipts) == {"player-1": MOVED, "player-2": USUAL, "player-3": USUAL}
