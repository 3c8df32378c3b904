"""Stage: every player ends staged, skipped or failed, and his part or letter is durable before his outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace

import pyarrow as pa
import pytest
import tenacity

from prediction_assets.errors import (
    BatchConflict,
    BatchNotOpen,
    PredictionAssetsError,
    SnapshotUnreadable,
    TransientError,
)
from prediction_assets.nba.forecasting import model
from prediction_assets.nba.forecasting.features import FEATURES_SCHEMA
from prediction_assets.nba.forecasting.lines import MarketLine
from prediction_assets.nba.forecasting.stats import with_stat
from prediction_assets.nba.skip_rules import NO_GAME_LOG
from prediction_assets.settings import load_settings
from prediction_assets.slate.batch import Progress
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.keys import parse_slate
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.steps import stage
from prediction_assets.steps.stage import PART_ATTEMPTS, Staging, begin_staging, forecast_parts
from prediction_assets.stores.sql.queries import SLATE_GAMES
from prediction_assets_tests.made_up import NOW, SLATE, batch, player, rows_of


class FixedClock(Clock):
    """A clock that stands at the slate's opening."""

    def now(self) -> datetime:
        return NOW


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Retry at once."""
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda seconds: None))


def staging(stores, players: int = 3, *, call_timeout: float = 60.0, threads: int = 1, **changes) -> Staging:
    """Return the staging of a made-up batch, whose players all have rows unless said otherwise."""
    opened = stores.batch_state.open(batch(players))
    usual = {
        "progress": Progress(opened, {}, "snapshot1"),
        "players": opened.expected,
        "parts": {who.slug: rows_of(who, {"20.5": 21.0}) for who in opened.expected},
        "errors": {},
        "skipped": {},
    }
    settings = load_settings(call_timeout=call_timeout, staging_threads=threads)
    return Staging(
        **{**usual, **changes}, run_id="run", fence=1, facts_version=1,
        staging_area=stores.warehouse.parts, state=stores.batch_state,
        dead_letters=stores.dead_letters, settings=settings, clock=FixedClock(),
    )  # fmt: skip


def settled(work: Staging) -> dict[str, PlayerOutcome]:
    """Settle and record every player, and return the outcomes that batch state has, by slug."""
    list(work.outcomes())
    work.record()
    work.finish()
    return dict(work.state.progress(SLATE).outcomes)


def failing(stores, monkeypatch, error: Exception, times: int) -> list[str]:
    """Let the first writes of parts fail, and return the list of the players who are tried."""
    write, tried = stores.warehouse.parts.write, []

    def fail_first(slate: str, slug: str, rows: pa.Table, fence: int):
        tried.append(slug)
        if len(tried) <= times:
            raise type(error)(*error.args)  # a new one, as a store raises it: its traceback is its own
        return write(slate, slug, rows, fence)

    monkeypatch.setattr(stores.warehouse.parts, "write", fail_first)
    return tried


def test_a_player_is_staged_skipped_or_failed_and_only_a_failure_has_a_letter(stores):
    work = staging(stores, skipped={"player-2": "out: knee"}, errors={"player-3": ValueError("odd\nfacts")})
    outcomes = settled(work)
    assert {slug: done.outcome.value for slug, done in outcomes.items()} == {
        "player-1": "staged", "player-2": "skipped", "player-3": "failed",
    }  # fmt: skip
    assert outcomes["player-1"].part.part_id == dict(stores.warehouse.parts.staged(SLATE))["player-1"]
    assert outcomes["player-2"].reason == "out: knee"
    assert outcomes["player-3"].reason == "ValueError: odd facts (1 attempts)"
    (letter,) = stores.dead_letters.letters(SLATE)
    assert (letter.player_slug, letter.newest.message, letter.newest.failed_at) == (
        "player-3",
        "odd facts",
        NOW,
    )
    assert work.failed == [outcomes["player-3"]]
    assert work.unrecorded == []


def test_no_outcome_is_recorded_before_the_caller_says_that_its_event_is_stored(stores):
    work = staging(stores)
    assert len(list(work.outcomes())) == 3
    assert stores.batch_state.progress(SLATE).outcomes == {}
    work.record()
    assert len(stores.batch_state.progress(SLATE).outcomes) == 3


@pytest.mark.parametrize(
    ("error", "times", "attempts", "outcome"),
    [
        (OSError(5, "injected"), 1, 2, Outcome.STAGED),
        (TransientError("busy"), PART_ATTEMPTS - 1, PART_ATTEMPTS, Outcome.STAGED),
        (OSError(5, "injected"), PART_ATTEMPTS, PART_ATTEMPTS, Outcome.FAILED),
        (ValueError("no"), 1, 1, Outcome.FAILED),
        (PredictionAssetsError("no"), 1, 1, Outcome.FAILED),
    ],
)
def test_only_a_transient_error_is_retried_and_not_for_ever(
    stores, monkeypatch, error, times, attempts, outcome
):
    tried = failing(stores, monkeypatch, error, times)
    done = settled(staging(stores, 1))["player-1"]
    assert (len(tried), done.outcome) == (attempts, outcome)
    for letter in stores.dead_letters.letters(SLATE):
        assert (letter.attempts, letter.newest.error_class) == (attempts, type(error).__name__)


def test_when_most_players_failed_alike_the_others_are_not_tried_and_share_the_cause(stores, monkeypatch):
    tried = failing(stores, monkeypatch, OSError(28, "no space left"), 1_000)
    outcomes = settled(staging(stores, 8))
    assert len({*tried}) == 5
    letters = stores.dead_letters.letters(SLATE)
    assert {done.outcome for done in outcomes.values()} == {Outcome.FAILED}
    assert len({letter.newest.traceback_digest for letter in letters}) == 1
    assert sorted(letter.newest.error_class for letter in letters) == ["CircuitOpen"] * 3 + ["OSError"] * 5
    assert [letter.attempts for letter in letters if letter.newest.error_class == "CircuitOpen"] == [0, 0, 0]


@pytest.mark.parametrize("fails_late", [False, True])
def test_an_overdue_player_fails_and_the_part_that_he_writes_late_is_dropped(stores, monkeypatch, fails_late):
    release, ended = threading.Event(), threading.Event()
    parts, write = stores.warehouse.parts, stores.warehouse.parts.write

    def hang(slate: str, slug: str, rows: pa.Table, fence: int):
        release.wait(60)
        if fails_late:
            raise ValueError("late")
        return write(slate, slug, rows, fence)

    late = Staging._drop_late_part

    def passed_on(self: Staging, *arguments) -> None:
        late(self, *arguments)
        ended.set()

    monkeypatch.setattr(parts, "write", hang)
    monkeypatch.setattr(Staging, "_drop_late_part", passed_on)
    outcomes = settled(staging(stores, 1, call_timeout=0.05))
    assert outcomes["player-1"].reason == "PartOverdue: not written within 0.1 s (1 attempts)"
    release.set()
    assert ended.wait(30)
    assert dict(parts.staged(SLATE)) == {}
    assert stores.batch_state.progress(SLATE).outcomes == outcomes


def by_run(stores, fence: int, **changes) -> Staging:
    """Return the staging of one player by the run of a fence; he has rows unless said otherwise."""
    work = staging(stores, 1, **changes)
    work.fence, work.run_id = fence, f"run {fence}"
    return work


ENDS = {
    "staged": {},
    "skipped": {"skipped": {"player-1": "out"}},
    "failed": {"errors": {"player-1": ValueError("no")}},
}


@pytest.mark.parametrize("second", ENDS)
@pytest.mark.parametrize("first", ENDS)
def test_a_later_run_leaves_its_own_outcome_and_no_part_of_the_earlier_one(stores, first, second):
    earlier = settled(by_run(stores, 3, **ENDS[first]))["player-1"]
    done = settled(by_run(stores, 4, **ENDS[second]))["player-1"]
    assert (earlier.outcome.value, done.outcome.value, done.fence) == (first, second, 4)
    named = [] if done.part is None else [("player-1", done.part.part_id)]
    assert stores.warehouse.parts.staged(SLATE) == named


@pytest.mark.parametrize("second", ENDS)
@pytest.mark.parametrize("first", ENDS)
def test_a_run_that_was_paused_changes_nothing_of_what_a_later_run_left(stores, first, second):
    paused = by_run(stores, 3, **ENDS[first])
    list(paused.outcomes())
    after = settled(by_run(stores, 4, **ENDS[second]))
    left = stores.warehouse.parts.staged(SLATE)
    paused.record()
    paused.finish()
    assert dict(stores.batch_state.progress(SLATE).outcomes) == after
    part = after["player-1"].part
    assert stores.warehouse.parts.staged(SLATE) == ([] if part is None else [("player-1", part.part_id)])
    assert set(stores.warehouse.parts.staged(SLATE)) <= set(left)
    open_fences = [
        f.fence for letter in stores.dead_letters.letters(SLATE) for f in letter.failures if not f.closed
    ]
    assert open_fences == {
        ("failed", "failed"): [3, 4], ("staged", "failed"): [4], ("skipped", "failed"): [4]
    }.get((first, second), [])  # fmt: skip


def test_a_pause_between_outcomes_is_reported_while_it_lasts(stores, monkeypatch):
    idle, write = threading.Event(), stores.warehouse.parts.write

    def wait_for_idle(slate: str, slug: str, rows: pa.Table, fence: int):
        assert idle.wait(60)
        return write(slate, slug, rows, fence)

    monkeypatch.setattr(stores.warehouse.parts, "write", wait_for_idle)
    found = list(staging(stores, 1).outcomes(idle_seconds=0.01, on_idle=idle.set))
    assert [done.outcome for done in found] == [Outcome.STAGED]


# Reopened meanwhile


@pytest.mark.parametrize("when", ["before any outcome is recorded", "between two", "after the last"])
def test_a_run_whose_slate_was_reopened_says_whose_outcomes_do_not_count_and_leaves_none_of_their_parts(
    stores, when
):
    work = staging(stores)
    outcomes = work.outcomes()
    if when != "before any outcome is recorded":
        next(outcomes)
        work.record()
    if when == "after the last":
        list(outcomes)
        work.record()
    later = replace(
        batch(3), batch_id="later", expected=(player(1), replace(player(2), team="S09"), player(3))
    )
    stores.batch_state.reopen(later)
    list(outcomes)
    work.record()
    lost = {"before any outcome is recorded": 3, "between two": 2, "after the last": 1}[when]
    with pytest.raises(
        BatchConflict, match=rf"reopened while this run staged, so the outcomes of {lost} of 3"
    ):
        work.finish()
    progress = stores.batch_state.progress(SLATE)
    assert (len(progress.unsettled), "player-2" in progress.unsettled) == (lost, True)
    assert [slug for slug, _ in stores.warehouse.parts.staged(SLATE)] == sorted(progress.outcomes)


def test_a_skipped_player_whose_outcome_a_reopening_dropped_is_named_too(stores):
    work = staging(stores, players=1, skipped={"player-1": "out: knee"}, parts={})
    list(work.outcomes())
    work.record()
    moved = replace(batch(1), batch_id="later", expected=(replace(player(1), team="S09"),))
    stores.batch_state.reopen(moved)
    with pytest.raises(BatchConflict, match="the outcomes of 1 of 1 players, first player-1, don't count"):
        work.finish()


def test_a_run_whose_slate_was_reopened_as_it_was_or_staged_again_since_ends_well(stores):
    work = staging(stores)
    list(work.outcomes())
    work.record()
    stores.batch_state.reopen(replace(batch(3), batch_id="later"))
    work.finish()
    assert stores.batch_state.progress(SLATE).unsettled == ()


# Forecasting


def features(*numbers: int) -> pa.Table:
    """Return the slate's rows of players of whom nothing but their game is known; no model is pinned."""
    rows = []
    for number in numbers:
        who = player(number)
        row = {field.name: [] if pa.types.is_list(field.type) else None for field in FEATURES_SCHEMA}
        row |= {
            "is_slate": True, "season_id": 22025, "game_id": who.game_id, "game_date": parse_slate(SLATE),
            "player_id": who.player_id, "team": who.team, "opponent": who.opponent, "is_home": True, "home": 1.0,
        }  # fmt: skip
        rows.append(row)
    table = pa.Table.from_pylist(rows, schema=FEATURES_SCHEMA)
    return table.append_column("model_id", pa.array([""] * len(rows), pa.string()))


@pytest.fixture
def pinned(stores) -> Progress:
    """Return a batch of three players, of whom the first two have features."""
    snapshot = stores.warehouse.snapshots.write(SLATE, features(1, 2), FEATURES_SCHEMA.empty_table())
    stores.batch_state.open(batch(3))
    fence = stores.batch_state.claim_fence(SLATE)
    stores.batch_state.pin_features(SLATE, snapshot, fence=fence, facts_version=0)
    return stores.batch_state.progress(SLATE)


def forecast(stores, progress: Progress, lines: Mapping[int, MarketLine] = MappingProxyType({})):
    who = progress.batch.expected
    return forecast_parts(stores.warehouse, progress, who, lines, load_settings(), FixedClock())


def test_a_second_run_of_a_slate_without_a_model_fits_nothing_and_reads_no_history(
    stores, pinned, monkeypatch
):
    first, _, _ = forecast(stores, pinned)

    def fits(*_):
        raise AssertionError("fitted or read again")

    monkeypatch.setattr(model, "fit_all", fits)
    monkeypatch.setattr(stores.warehouse.snapshots, "history", fits)
    again, errors, _ = forecast(stores, pinned)
    assert errors == {}
    assert again == first


def test_players_are_forecast_together_and_one_without_features_is_in_neither(stores, pinned):
    parts, errors, _ = forecast(stores, pinned)
    assert {slug: rows.num_rows for slug, rows in parts.items()} == {"player-1": 25, "player-2": 25}
    assert errors == {}


def test_a_market_is_forecast_once_the_slate_s_features_were_made_for_it(stores, pinned):
    both = {"player_rebounds": {}, "player_assists": {101: MarketLine(Decimal("4.5"), "Book A", -110, -110)}}
    who, settings = pinned.batch.expected, load_settings()
    parts, _, _ = forecast_parts(stores.warehouse, pinned, who, {}, settings, FixedClock(), both)
    assert {*parts["player-1"]["market"].to_pylist()} == {"player_points"}
    players = with_stat(features(1, 2), "assists", features(1, 2))
    history = with_stat(FEATURES_SCHEMA.empty_table(), "assists", FEATURES_SCHEMA.empty_table())
    snapshot = stores.warehouse.snapshots.write(SLATE, players, history)
    parts, errors, _ = forecast_parts(
        stores.warehouse, replace(pinned, feature_snapshot=snapshot), who, {}, settings, FixedClock(), both
    )
    assert errors == {}
    markets = parts["player-1"]["market"].to_pylist()
    assert (markets.count("player_points"), markets.count("player_assists"), len(markets)) == (25, 25, 50)
    at_a_line = [row for row in parts["player-1"].to_pylist() if row["line_source"] == "market"]
    assert {row["market"] for row in at_a_line} == {"player_assists"}


def test_a_player_without_features_is_forecast_while_he_has_a_line(stores, pinned):
    lines = {103: MarketLine(Decimal("17.5"), "Book A", -110, -110)}
    parts, errors, digests = forecast(stores, pinned, lines)
    assert {slug: rows.num_rows for slug, rows in parts.items()} == dict.fromkeys(
        ("player-1", "player-2", "player-3"), 25
    )
    assert errors == {}
    assert 103 not in digests
    assert {*parts["player-3"]["line_source"].to_pylist()} == {"market"}
    assert {*parts["player-1"]["line_source"].to_pylist()} == {"estimated"}


def test_a_newcomer_who_is_staged_alone_is_forecast_by_the_slate_s_model(stores, pinned, monkeypatch):
    lines = {103: MarketLine(Decimal("17.5"), "Book A", -110, -110)}
    together, *_ = forecast(stores, pinned, lines)
    seen: list[int] = []

    def model(warehouse: object, players: pa.Table) -> None:
        seen.extend(players["player_id"].to_pylist())

    monkeypatch.setattr(stage, "pinned_model", model)
    (newcomer,) = [who for who in pinned.batch.expected if who.slug == "player-3"]
    alone, _, digests = forecast_parts(
        stores.warehouse, pinned, [newcomer], lines, load_settings(), FixedClock()
    )
    assert ([*alone], seen, [*digests]) == (["player-3"], [101, 102], [101, 102])
    assert alone["player-3"].equals(together["player-3"])


def test_a_slate_without_features_is_refused_with_what_makes_them(stores, pinned):
    with pytest.raises(PredictionAssetsError, match="materialize player_features for it first"):
        forecast(stores, replace(pinned, feature_snapshot=None))


def test_a_player_whose_facts_are_odd_costs_no_other_player_his_rows(stores, pinned, monkeypatch, caplog):
    predict = stage.predict_slate

    def odd(players: pa.Table, *arguments, **options) -> pa.Table:
        if 102 in players["player_id"].to_pylist():
            raise ValueError("odd facts")
        return predict(players, *arguments, **options)

    monkeypatch.setattr(stage, "predict_slate", odd)
    with caplog.at_level(logging.WARNING):
        parts, errors, _ = forecast(stores, pinned)
    assert [*parts] == ["player-1"]
    assert {slug: str(error) for slug, error in errors.items()} == {"player-2": "odd facts"}
    assert "1 of 3 players can't be forecast, first player-2: odd facts" in caplog.text


def begun(stores, slugs: list[str]) -> Staging:
    return begin_staging(
        SLATE, slugs, stores.warehouse, stores.batch_state, stores.dead_letters, load_settings(), FixedClock(),
        run_id="run",
    )  # fmt: skip


@pytest.mark.parametrize("lost", ["players", "history"])
def test_features_that_cant_be_read_are_no_players_failure(stores, pinned, monkeypatch, lost):
    def unreadable(*_):
        raise SnapshotUnreadable("materialize player_features again")

    monkeypatch.setattr(stores.warehouse.snapshots, lost, unreadable)
    with pytest.raises(SnapshotUnreadable):
        begun(stores, ["player-1", "player-2"])
    assert stores.batch_state.progress(SLATE).outcomes == {}
    assert list(stores.dead_letters.letters(SLATE)) == []


def test_a_run_begins_with_each_of_its_players_forecast_or_skipped(stores, pinned, monkeypatch):
    query = stores.warehouse.query
    on = pa.table({"game_id": ["9000000001"], "team_a": ["S01"], "team_b": ["S02"]})

    def scheduled(sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        return on if sql == SLATE_GAMES else query(sql, parameters)

    monkeypatch.setattr(stores.warehouse, "query", scheduled)
    work = begun(stores, ["player-3", "player-1"])
    assert [who.slug for who in work.players] == ["player-3", "player-1"]
    assert ([*work.parts], work.skipped) == (["player-1"], {"player-3": NO_GAME_LOG})
    assert (work.fence, work.facts_version) == (2, 0)
    assert begun(stores, ["player-1"]).fence == 3


def test_a_run_claims_its_fence_before_it_reads_the_batch_or_a_fact(stores, pinned, monkeypatch):
    calls: list[str] = []

    def listen(owner: object, name: str) -> None:
        call = getattr(owner, name)

        def heard(*arguments, **options):
            calls.append(name)
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, heard)

    listen(stores.batch_state, "claim_fence")
    listen(stores.batch_state, "progress")
    listen(stores.warehouse, "facts_version")
    listen(stores.warehouse.snapshots, "players")
    facts = stage.read_slate_facts
    monkeypatch.setattr(stage, "read_slate_facts", lambda *of: calls.append("facts") or facts(*of))
    begun(stores, ["player-1"])
    assert calls == ["claim_fence", "facts_version", "progress", "facts", "players"]


def test_a_run_of_a_slate_without_a_batch_or_with_a_player_who_is_not_expected_does_not_begin(stores):
    with pytest.raises(BatchNotOpen):
        begun(stores, ["player-9"])
    stores.batch_state.open(batch(3))
    with pytest.raises(BatchConflict, match="'player-9' is not among"):
        begun(stores, ["player-9"])
