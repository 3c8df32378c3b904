"""What every store of dead letters does alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from prediction_assets.slate.dead_letter import (
    Closing,
    Failure,
    common_cause,
    letters_of,
    most_failed_alike,
    traceback_digest,
)
from prediction_assets.stores.protocols import DeadLetters
from prediction_assets_tests.made_up import NOW, SLATE

OpenDeadLetters = Callable[[], DeadLetters]


def failure(slug: str = "player-1", run: str = "run-1", minutes: int = 0, **changes: object) -> Failure:
    """Return a made-up failure."""
    made = Failure(
        slate=SLATE,
        player_slug=slug,
        run_id=run,
        error_class="OSError",
        message="[Errno 28] No space left on device: 'Jokić'",
        traceback_digest="0123456789ab",
        attempts=3,
        fence=1,
        failed_at=NOW + timedelta(minutes=minutes),
        payload={"partition_key": f"{SLATE}:{slug}", "feature_snapshot": None, "player_id": 7},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_failure_is_read_back_whole(opened: OpenDeadLetters):
    opened().add([failure()])
    (letter,) = opened().letters(SLATE)
    assert letter.failures == (failure(),)


def test_without_failures_there_is_no_letter(opened: OpenDeadLetters):
    assert list(opened().letters()) == []
    assert list(opened().letters(SLATE)) == []
    assert opened().close(SLATE, dict.fromkeys(["player-1"], 9), Closing.DISCARDED) == 0


def test_the_same_failure_delivered_again_changes_nothing(opened: OpenDeadLetters):
    opened().add([failure()])
    opened().add([failure(attempts=9), failure(attempts=9)])
    (letter,) = opened().letters()
    assert letter.attempts == 3


def test_a_player_s_failures_in_several_runs_are_one_letter_in_the_order_of_their_fences(
    opened: OpenDeadLetters,
):
    opened().add([failure(run="b", fence=2, attempts=1), failure(run="a", minutes=5)])
    (letter,) = opened().letters()
    assert [f.run_id for f in letter.failures] == ["a", "b"]
    assert (letter.attempts, letter.first_seen, letter.last_seen) == (4, NOW, NOW + timedelta(minutes=5))
    assert letter.newest.run_id == "b"


def test_moments_are_kept_whatever_time_zone_they_came_in(opened: OpenDeadLetters):
    there = NOW.replace(microsecond=123456).astimezone(timezone(timedelta(hours=-5)))
    opened().add([failure(failed_at=there)])
    assert opened().letters()[0].last_seen == there


def test_letters_are_listed_by_slate_and_slug_and_can_be_asked_for_by_slate(opened: OpenDeadLetters):
    opened().add([failure("b"), failure("a"), failure("c", slate="2026-01-01")])
    assert [(x.slate, x.player_slug) for x in opened().letters()] == [
        ("2026-01-01", "c"),
        (SLATE, "a"),
        (SLATE, "b"),
    ]
    assert [x.player_slug for x in opened().letters("2026-01-01")] == ["c"]


def test_a_closed_letter_is_listed_only_when_asked_for(opened: OpenDeadLetters):
    ways = list(Closing)
    for how in ways:
        opened().add([failure(how), failure(how, run="run-2", minutes=1)])
    opened().add([failure("still-open")])
    for how in ways:
        assert opened().close(SLATE, dict.fromkeys([how, "nobody"], 9), how) == 1
    assert [x.player_slug for x in opened().letters()] == ["still-open"]
    wanted = {**{how.value: how for how in ways}, "still-open": None}
    assert {x.player_slug: x.closed for x in opened().letters(include_closed=True)} == wanted
    assert opened().close(SLATE, dict.fromkeys(ways, 9), Closing.DISCARDED) == 0
    assert {x.player_slug: x.closed for x in opened().letters(include_closed=True)} == wanted


def test_closing_reaches_no_other_slate(opened: OpenDeadLetters):
    opened().add([failure(), failure(slate="2026-01-01")])
    assert opened().close(SLATE, dict.fromkeys(["player-1"], 9), Closing.REPLAYED) == 1
    assert [x.slate for x in opened().letters()] == ["2026-01-01"]


def test_a_failure_after_the_closing_opens_the_letter_again_with_its_history(opened: OpenDeadLetters):
    opened().add([failure()])
    opened().close(SLATE, dict.fromkeys(["player-1"], 9), Closing.REPLAYED)
    opened().add([failure()])
    assert list(opened().letters()) == []
    # A clock that went back makes no difference: what counts is that this run's failure isn't closed.
    opened().add([failure(run="run-2", minutes=-60)])
    (letter,) = opened().letters()
    assert (letter.closed, letter.attempts, len(letter.failures)) == (None, 6, 2)


@pytest.mark.parametrize(
    ("up_to", "left"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, []), (9, [])], ids=lambda value: str(value)
)
def test_only_failures_up_to_a_fence_are_closed_whatever_the_clocks_say(
    opened: OpenDeadLetters, up_to: int, left: list[int]
):
    opened().add([failure(run=f"run-{n}", fence=n, minutes=-1440 * n) for n in (2, 3, 1)])
    opened().add([failure("player-2", fence=1)])
    assert opened().close(SLATE, {"player-1": up_to, "nobody": 9}, Closing.REPLAYED) == (up_to > 0)
    letters = {letter.player_slug: letter for letter in opened().letters(include_closed=True)}
    assert [f.fence for f in letters["player-1"].failures if f.closed is None] == left
    assert letters["player-2"].closed is None


def test_many_at_once_lose_nothing(opened: OpenDeadLetters):
    wanted = [failure(f"player-{n}", run=f"run-{n % 3}") for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: opened().add([each]), wanted * 2))
    assert sorted(x.player_slug for x in opened().letters()) == sorted(f.player_slug for f in wanted)


# What follows is the port's own, and the same for every store.


def _raise(kind: type[Exception], text: str) -> Exception:
    try:
        raise kind(text)
    except Exception as error:  # noqa: BLE001
        return error


def test_errors_from_the_same_lines_share_a_digest_whatever_they_say():
    first, second = _raise(OSError, "about player a"), _raise(OSError, "about player b")
    assert traceback_digest(first) == traceback_digest(second)
    assert traceback_digest(first) != traceback_digest(_raise(ValueError, "about player a"))
    assert traceback_digest(first) != traceback_digest(OSError("never raised"))
    assert len(traceback_digest(first)) == 12


@pytest.mark.parametrize(
    ("failed_alike", "players", "expected"),
    [(0, 0, False), (4, 4, False), (5, 5, True), (5, 10, False), (6, 10, True), (225, 450, False), (226, 450, True)],
)  # fmt: skip
def test_a_cause_is_common_when_most_of_at_least_five_failed_alike(failed_alike, players, expected):
    assert most_failed_alike(failed_alike, players) is expected


def test_the_common_cause_of_a_slate_is_a_letter_that_shows_it():
    alike = [failure(f"p{n}") for n in range(6)]
    other = [failure(f"q{n}", traceback_digest=f"{n:012x}") for n in range(4)]
    assert common_cause(letters_of(alike + other), 10).newest.traceback_digest == "0123456789ab"
    assert common_cause(letters_of(alike + other), 12) is None
    assert common_cause([], 12) is None


def test_only_closed_failures_of_the_named_players_are_dropped(opened: OpenDeadLetters):
    store = opened()
    store.add([failure("a"), failure("b"), failure("c"), failure("d", slate="2026-01-03")])
    store.close(SLATE, dict.fromkeys(["a", "b"], 9), Closing.REPLAYED)
    store.add([failure("b", run="run-2", minutes=9)])
    assert store.drop_closed(SLATE, ["a", "b", "c", "d", "nobody"]) == 2
    left = {(letter.slate, letter.player_slug): letter for letter in opened().letters(include_closed=True)}
    assert sorted(left) == [(SLATE, "b"), (SLATE, "c"), ("2026-01-03", "d")]
    assert [f.run_id for f in left[SLATE, "b"].failures] == ["run-2"]
    assert opened().drop_closed(SLATE, ["a", "b", "c"]) == 0
