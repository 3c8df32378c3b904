"""A slate through the assets: longer stories than those of ``orchestration/``."""

from __future__ import annotations

from datetime import date, timedelta

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets.slate.next_step import Step, next_step
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.sql.tables import GAME_LOGS
from prediction_assets_tests.homes import FACTS, PLAYERS, SIMULATED
from prediction_assets_tests.orchestration.assets.test_slate import rows


def test_deleting_every_game_log_from_the_slate_s_date_on_changes_no_prediction(ingested, tmp_path):
    earlier_day = "2058-12-20"  # a day in the season of the simulated league of 8, with games after it
    games = ingested.stores.warehouse.query(
        "SELECT MIN(game_date) AS day FROM facts.schedule WHERE game_date >= $day",
        {"day": date.fromisoformat(earlier_day)},
    )
    slate = games["day"][0].as_py().isoformat()
    with_future = ingested.whole(slate)
    seen = rows(ingested)

    logs = ingested.stores.warehouse.query(
        "SELECT * FROM facts.game_logs WHERE game_date < $slate", {"slate": date.fromisoformat(slate)}
    )
    home = tmp_path / "past"
    settings = load_settings(home=home)
    with open_instance(settings, capture_output=False) as instance:
        past = SlateRun(settings, instance)
        past.ingest({name: FACTS[name] for name in ("schedule", "prop_lines")})
        past.stores.warehouse.upsert(GAME_LOGS, logs.cast(GAME_LOGS.arrow_schema))
        without_future = past.whole(slate)
        values = ("player_id", "system", "line", "predicted_points", "standard_deviation", "content_hash")
        assert [[r[v] for v in values] for r in rows(past)] == [[r[v] for v in values] for r in seen]
    assert without_future.receipt.content_digest == with_future.receipt.content_digest


def test_reopening_to_and_fro_leaves_what_the_batch_expects_now_and_announces_each_change(finished):
    gone = finished.stores.batch_state.progress(SIMULATED).batch.expected[0]
    logs = finished.stores.warehouse.query(
        "SELECT * FROM facts.game_logs WHERE player_id = $p", {"p": gone.player_id}
    )

    def without_him() -> None:
        with finished.stores.warehouse._connect(write=True) as connection:
            connection.execute("DELETE FROM facts.game_logs WHERE player_id = ?", [gone.player_id])
        assert len(finished.roster(SIMULATED, reopen=True).batch.expected) == PLAYERS - 1
        finished.announce(finished.consolidate(SIMULATED))

    without_him()
    finished.stores.warehouse.upsert(GAME_LOGS, logs.cast(GAME_LOGS.arrow_schema))
    finished.roster(SIMULATED, reopen=True)
    finished.features(SIMULATED)
    finished.stage(SIMULATED, [gone.slug])
    finished.announce(finished.consolidate(SIMULATED))
    without_him()
    assert gone.player_id not in {r["player_id"] for r in rows(finished) if r["is_active"]}
    assert next_step(finished.stores.batch_state.progress(SIMULATED), Clock().now()) is Step.NOTHING
    told = [
        (e.message["revision"], e.message["staged_players"])
        for e in finished.stores.outbox.entries(SIMULATED)
    ]
    assert told == [(1, PLAYERS), (2, PLAYERS - 1), (3, PLAYERS), (4, PLAYERS - 1)]


def test_a_player_who_fails_again_after_a_success_leads_to_a_receipt_of_its_own(finished):
    state = finished.stores.batch_state
    opened = finished.stores.batch_state.progress(SIMULATED).batch
    slug = opened.expected[0].slug
    receipts = []
    for minute in (1, 2):
        now = Clock().now() + timedelta(minutes=minute)
        state.record(
            [
                PlayerOutcome(
                    SIMULATED,
                    opened.batch_id,
                    slug,
                    Outcome.FAILED,
                    f"run-{minute}",
                    now,
                    state.claim_fence(SIMULATED),
                    1,
                    reason="OSError: disk",
                )
            ]
        )
        receipts.append(finished.consolidate(SIMULATED))
        finished.stage(SIMULATED, [slug])
        receipts.append(finished.consolidate(SIMULATED))
    assert [r.status for r in receipts] == ["partial", "success"] * 2
    assert len({r.receipt_id for r in receipts}) == 4
    assert [r.revision for r in receipts] == [2, 3, 4, 5]
