"""Following a log whose ids may start again: tables over a made-up log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg
import pytest

from prediction_assets.orchestration.following import Cursor, follow
from prediction_assets_tests.made_up import NOW

LOOK_BACK = NOW - timedelta(days=3)


def record(storage_id: int, run_id: str, hours_ago: float = 1.0) -> dg.EventLogRecord:
    entry = dg.EventLogEntry(
        None, "info", "", run_id, (NOW - timedelta(hours=hours_ago)).timestamp(), dagster_event=None
    )
    return dg.EventLogRecord(storage_id, entry)


class Log:
    """Records of one kind, by id and run."""

    def __init__(self, *records: dg.EventLogRecord) -> None:
        self.records = sorted(records, key=lambda each: each.storage_id)
        self.reads = 0

    def __call__(
        self, *, after: int, since: datetime | None, limit: int, ascending: bool
    ) -> Sequence[dg.EventLogRecord]:
        self.reads += 1
        found = [
            each
            for each in self.records
            if each.storage_id > after and (since is None or each.timestamp > since.timestamp())
        ]
        return (found if ascending else found[::-1])[:limit]


def followed(log: Log, cursor: str | None, *, limit: int = 10) -> tuple[str, list[tuple[int, str]]]:
    at, found = follow(log, Cursor.read(cursor), limit=limit, since=LOOK_BACK)
    return str(at), [(each.storage_id, each.run_id) for each in found]


OLD = 24 * 9


@pytest.mark.parametrize(
    ("log", "cursor", "expected"),
    [
        (Log(), None, ("0:", [])),
        (Log(record(4, "a"), record(9, "b")), None, ("0:", [(4, "a"), (9, "b")])),
        (Log(record(4, "a", OLD), record(9, "b")), None, ("0:", [(9, "b")])),
        (Log(record(4, "a", OLD)), None, ("4:a", [])),
        (Log(record(4, "a"), record(9, "b")), "4:a", ("4:a", [(9, "b")])),
        (Log(record(4, "a"), record(9, "b")), "9:b", ("9:b", [])),
        (Log(record(4, "a"), record(9, "c")), "9:b", ("0:", [(4, "a"), (9, "c")])),
        (Log(record(4, "a"), record(7, "c")), "9:b", ("0:", [(4, "a"), (7, "c")])),
        (Log(record(4, "a", OLD), record(12, "c")), "9:b", ("0:", [(12, "c")])),
        (Log(record(4, "a", OLD)), "9:b", ("4:a", [])),
        (Log(), "9:b", ("0:", [])),
    ],
    ids=[
        "nothing was stored yet", "the first look", "the first look leaves old records out", "all records are old",
        "something new", "nothing new", "the id was given out again",
        "ids start again", "ids start again and have passed the cursor", "the newest were deleted",
        "everything was deleted",
    ],
)  # fmt: skip
def test_what_follows_a_cursor(log, cursor, expected):
    assert followed(log, cursor) == expected


def test_a_log_is_followed_to_its_end_whatever_the_limit():
    log = Log(*(record(n, f"run-{n}") for n in range(1, 8)))
    for start in (None, "9:gone"):
        cursor, seen = start, []
        while found := followed(log, cursor, limit=2)[1]:
            seen += found
            cursor = f"{found[-1][0]}:{found[-1][1]}"
        assert seen == [(n, f"run-{n}") for n in range(1, 8)]


def test_a_record_that_is_not_done_with_comes_again_and_the_start_over_is_not_repeated():
    log = Log(record(2, "a", OLD), record(5, "b"), record(6, "c"))
    at, found = followed(log, "9:gone")
    assert (at, found) == ("0:", [(5, "b"), (6, "c")])
    assert followed(log, at) == (at, found)


def test_to_see_that_nothing_is_new_takes_one_read():
    log = Log(record(9, "b"))
    followed(log, "9:b")
    assert log.reads == 1


@pytest.mark.parametrize("text", ["0:", "45:8c6a9909-6dd2"])
def test_a_cursor_is_read_back_as_it_was_written(text):
    assert str(Cursor.read(text)) == text
