"""A player who fails leaves a letter; a replay that works closes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from prediction_assets.cli.dead_letters import stage_again
from prediction_assets.errors import WarehouseBusy
from prediction_assets.slate.dead_letter import Closing, common_cause
from prediction_assets.slate.outcome import Outcome
from prediction_assets.steps import stage
from prediction_assets.stores.local.parts import ArrowParts
from prediction_assets.stores.sql.tables import PROP_LINES
from prediction_assets_tests.homes import PLAYERS, SIMULATED

Break = Callable[[Callable[[str, int], Exception | None]], None]


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Let a part's write fail: the function says with what, by slug and attempt (from 1)."""
    healthy, tried = ArrowParts.write, {}

    def install(failing: Callable[[str, int], Exception | None]) -> None:
        def write(self, slate, player_slug, rows, fence):
            tried[player_slug] = tried.get(player_slug, 0) + 1
            error = failing(player_slug, tried[player_slug])
            if error is not None:
                raise error
            return healthy(self, slate, player_slug, rows, fence)

        monkeypatch.setattr(ArrowParts, "write", write)

    return install


@pytest.fixture
def ready_run(ready_home, open_home):
    """A slate that is ready to be staged, and announced with three quarters of its players."""
    return open_home(ready_home, minimum_staged_share=0.7)


def slugs(run) -> list[str]:
    return [p.slug for p in run.stores.batch_state.progress(SIMULATED).batch.expected]


def test_a_failed_player_s_letter_says_what_a_replay_needs(ready_run, breaking):
    (slug, *_) = slugs(ready_run)
    breaking(lambda who, _: OSError(28, "No space left on device") if who == slug else None)
    assert ready_run.stage(SIMULATED) is False
    (letter,) = ready_run.stores.dead_letters.letters()
    failure = letter.newest
    assert (letter.slate, letter.player_slug, letter.attempts) == (SIMULATED, slug, 3)
    assert (failure.error_class, failure.message) == ("OSError", "[Errno 28] No space left on device")
    assert failure.payload["partition_key"] == f"{SIMULATED}:{slug}"
    assert (
        failure.payload["feature_snapshot"]
        == ready_run.stores.batch_state.progress(SIMULATED).feature_snapshot
    )
    assert ready_run._instance.get_run_by_id(failure.run_id).job_name == "staging"


def test_a_flaky_player_is_tried_again_within_the_run_and_leaves_no_letter(ready_run, breaking):
    flaky = set(slugs(ready_run)[:3])
    breaking(lambda who, attempt: OSError(5, "flaky") if who in flaky and attempt < 3 else None)
    assert ready_run.stage(SIMULATED) is True
    assert ready_run.stores.dead_letters.letters() == []


class OddFacts(Exception):
    """What a forecast stumbles over."""


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int] | None, Exception], list[int]]:
    """Let forecasts fail whenever one of these players, None for any, is among them; returns the groups' sizes."""
    healthy, groups = stage.predict_slate, []

    def install(culprits: set[int] | None, error: Exception) -> list[int]:
        def predict_slate(players, *facts, **options):
            ids = set(players["player_id"].to_pylist())
            groups.append(len(ids))
            if culprits is None or ids & culprits:
                raise error
            return healthy(players, *facts, **options)

        monkeypatch.setattr(stage, "predict_slate", predict_slate)
        return groups

    return install


def test_a_player_whose_forecast_fails_is_the_only_one_who_is_not_staged(ready_run, odd):
    expected = ready_run.stores.batch_state.progress(SIMULATED).batch.expected
    culprit = expected[2]
    odd({culprit.player_id}, OddFacts("no such line"))
    assert ready_run.stage(SIMULATED) is False
    (letter,) = ready_run.stores.dead_letters.letters()
    failure = letter.newest
    assert (letter.player_slug, letter.attempts) == (culprit.slug, 1)
    assert (failure.error_class, failure.message) == ("OddFacts", "no such line")
    assert ready_run.stores.batch_state.progress(SIMULATED).count(Outcome.STAGED) == PLAYERS - 1
    receipt = ready_run.consolidate(SIMULATED)
    assert (receipt.status, receipt.rows) == ("partial", (PLAYERS - 1) * 25)


def test_the_rows_of_the_others_are_those_that_all_players_together_have(ready_run, odd, finished_home):
    expected = ready_run.stores.batch_state.progress(SIMULATED).batch.expected
    odd({expected[2].player_id}, OddFacts("no such line"))
    ready_run.stage(SIMULATED)
    found = {
        c.player_slug: c.part.content_hash
        for c in ready_run.stores.batch_state.progress(SIMULATED).outcomes.values()
        if c.part
    }
    with duckdb.connect(str(finished_home / "warehouse.duckdb"), read_only=True) as undisturbed:
        ((listed,),) = undisturbed.execute("SELECT parts FROM predictions.consolidation_receipts").fetchall()
    parts = {part["player_slug"]: part["content_hash"] for part in json.loads(listed)}
    assert found == {slug: digest for slug, digest in parts.items() if slug != expected[2].slug}


def test_a_forecast_that_fails_for_all_settles_all_with_a_common_cause(ready_run, odd):
    odd(None, OddFacts("a bug"))
    assert ready_run.stage(SIMULATED) is False
    letters = ready_run.stores.dead_letters.letters()
    assert len(letters) == PLAYERS
    assert len({x.newest.traceback_digest for x in letters}) == 1
    assert common_cause(letters, PLAYERS) is not None
    assert ready_run.stores.batch_state.progress(SIMULATED).count(Outcome.FAILED) == PLAYERS


def test_a_forecast_that_fails_for_a_passing_reason_is_nobody_s_failure(ready_run, odd):
    groups = odd(None, WarehouseBusy("another process has the file"))
    with pytest.raises(WarehouseBusy):
        ready_run.stage(SIMULATED)
    assert groups == [PLAYERS]
    assert ready_run.stores.dead_letters.letters() == []
    assert not ready_run.stores.batch_state.progress(SIMULATED).outcomes


def test_a_line_that_nobody_can_reach_costs_its_player_the_line_and_nobody_his_rows(ready_run):
    who = ready_run.stores.batch_state.progress(SIMULATED).batch.expected[0]
    lines = ready_run.stores.warehouse.query(
        "SELECT * FROM facts.prop_lines WHERE player_id = $who AND game_date = $day",
        {"who": who.player_id, "day": date.fromisoformat(SIMULATED)},
    ).to_pylist()
    assert lines
    slip = [{**line, "line": Decimal("9999.00")} for line in lines[:1]]
    ready_run.stores.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table(slip), ("player_id",))
    assert ready_run.stage(SIMULATED) is True
    receipt = ready_run.consolidate(SIMULATED)
    assert (receipt.status, receipt.rows) == ("success", PLAYERS * 25)
    sources = ready_run.stores.warehouse.query(
        "SELECT DISTINCT line_source FROM predictions.player_prop_predictions WHERE player_id = $who",
        {"who": who.player_id},
    )
    assert sources["line_source"].to_pylist() == ["estimated"]


def test_an_error_that_can_not_pass_is_tried_once(ready_run, breaking):
    (slug, *_) = slugs(ready_run)
    breaking(lambda who, _: ValueError("never") if who == slug else None)
    ready_run.stage(SIMULATED)
    assert ready_run.stores.dead_letters.letters()[0].attempts == 1


def test_a_replay_that_works_closes_the_letter_and_a_discarded_one_stays_failed(ready_run, breaking):
    first, second = slugs(ready_run)[:2]
    broken = {first, second}
    breaking(lambda who, _: OSError(28, "full") if who in broken else None)
    ready_run.stage(SIMULATED)
    partial = ready_run.announce(ready_run.consolidate(SIMULATED))
    assert partial.message["status"] == "partial"
    assert ready_run.stores.dead_letters.close(SIMULATED, dict.fromkeys([second], 9), Closing.DISCARDED) == 1
    broken.remove(first)
    event = stage_again(ready_run, SIMULATED, [first])
    assert ready_run.stores.dead_letters.letters() == []
    closed = {x.player_slug: x.closed for x in ready_run.stores.dead_letters.letters(include_closed=True)}
    assert closed == {first: Closing.REPLAYED, second: Closing.DISCARDED}
    assert [m["player_slug"] for m in event.message["missing"]] == [second]
    assert len(ready_run.stores.outbox.entries(SIMULATED)) == 2


def test_a_replay_that_fails_again_keeps_one_letter_with_both_runs(ready_run, breaking):
    (slug, *_) = slugs(ready_run)
    breaking(lambda who, _: OSError(28, "full") if who == slug else None)
    ready_run.stage(SIMULATED)
    stage_again(ready_run, SIMULATED, [slug])
    (letter,) = ready_run.stores.dead_letters.letters()
    assert (len(letter.failures), letter.attempts) == (2, 6)


def test_a_part_that_hangs_fails_after_its_time_and_the_others_are_staged(
    ready_home, open_home, breaking, monkeypatch
):
    import threading

    monkeypatch.setattr("prediction_assets.steps.stage.PART_CALLS", 1 / 60)
    run = open_home(ready_home)
    (slug, *_) = slugs(run)
    release = threading.Event()

    def hang(who: str, _: int) -> None:
        if who == slug:
            release.wait(120)

    breaking(hang)
    assert run.stage(SIMULATED) is False
    (letter,) = run.stores.dead_letters.letters()
    assert (letter.player_slug, letter.newest.error_class) == (slug, "PartOverdue")
    assert run.stores.batch_state.progress(SIMULATED).count(Outcome.STAGED) == PLAYERS - 1
    release.set()


def test_the_others_are_settled_while_one_player_still_takes_his_time(ready_run, breaking):
    import threading

    (slug, *_) = slugs(ready_run)
    settled_meanwhile = threading.Event()

    def take_time(who: str, _: int) -> None:
        for _ in range(600 if who == slug else 0):
            if ready_run.stores.batch_state.progress(SIMULATED).count(Outcome.STAGED) == PLAYERS - 1:
                settled_meanwhile.set()
                return
            settled_meanwhile.wait(0.05)

    breaking(take_time)
    assert ready_run.stage(SIMULATED) is True
    assert settled_meanwhile.is_set()


def test_a_common_cause_stops_the_attempts_and_the_letters_share_it(
    ready_home, open_home, breaking, monkeypatch
):
    monkeypatch.setattr("prediction_assets.steps.stage.PART_ATTEMPTS", 2)
    run = open_home(ready_home, staging_threads=1)
    tried = []

    def fail(who: str, _: int) -> Exception:
        tried.append(who)
        return OSError(28, "No space left on device")

    breaking(fail)
    assert run.stage(SIMULATED) is False
    # 5 of 8 players are most of them: the other three aren't tried.
    assert len(set(tried)) == 5
    letters = run.stores.dead_letters.letters()
    assert len(letters) == PLAYERS
    assert len({x.newest.traceback_digest for x in letters}) == 1
    # The fifth failed while the circuit opened, and so was not tried a second time.
    assert sorted(x.attempts for x in letters)[:3] == [0, 0, 0]
    assert min(sorted(x.attempts for x in letters)[3:]) >= 1


def test_the_asset_shows_the_open_letters_by_class_and_the_common_cause(ready_run, breaking):
    breaking(lambda who, _: OSError(28, "full"))
    ready_run.stage(SIMULATED)
    result = ready_run._execute("list_dead_letters")
    (done,) = result.asset_materializations_for_node("dead_letters")
    values = {name: value.value for name, value in done.metadata.items()}
    assert values["open_letters"] == PLAYERS
    assert sum(v for name, v in values.items() if name.startswith("open: ")) == PLAYERS
    assert "OSError" in values["common_causes"][0]
    assert len(done.metadata["letters"].records) == PLAYERS


def test_the_sensor_asks_for_the_asset_once_per_change(ready_run, breaking):
    from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

    def ask(cursor):
        result = tick(ready_run, "dead_letters_sensor", cursor)
        return len(requested(result)), result.cursor if result.cursor is not None else cursor

    asked, cursor = ask(None)
    assert asked == 0
    (slug, *_) = slugs(ready_run)
    breaking(lambda who, _: OSError(28, "full") if who == slug else None)
    ready_run.stage(SIMULATED)
    asked, cursor = ask(cursor)
    assert asked == 1
    asked, cursor = ask(cursor)
    assert asked == 0
    ready_run.stores.dead_letters.close(SIMULATED, dict.fromkeys([slug], 9), Closing.DISCARDED)
    asked, cursor = ask(cursor)
    assert asked == 1
    assert ask(cursor)[0] == 0


def test_a_letter_is_written_before_the_outcome(ready_run, breaking):
    from prediction_assets.steps import failpoints

    (slug, *_) = slugs(ready_run)
    breaking(lambda who, _: OSError(28, "full") if who == slug else None)

    def stop(point: str) -> None:
        if point == "dead_letter_written":
            raise OSError(5, "injected")

    failpoints.install(stop)
    try:
        with pytest.raises(OSError, match="injected"):
            ready_run.stage(SIMULATED, [slug])
    finally:
        failpoints.install(failpoints._go_on)
    assert [x.player_slug for x in ready_run.stores.dead_letters.letters()] == [slug]
    assert slug in ready_run.stores.batch_state.progress(SIMULATED).unsettled
