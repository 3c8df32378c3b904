"""What is Firestore's own: the outcome path's independence, the live picture, counts, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud import firestore

from prediction_assets.errors import BadInput, BatchNotOpen, StateUnreadable
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets_tests.batch_state.test_contract import failed, receipt, staged
from prediction_assets_tests.conftest import NOW, SLATE, batch
from prediction_assets_tests.emulators import free_port


def live(client: firestore.Client) -> dict[str, object]:
    picture: dict[str, object] = client.document(f"batches/{SLATE}").get().get("live")
    return picture


def test_recording_waits_for_nobody_who_holds_the_batch_document(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2))
    document = firestore_client.document(f"batches/{SLATE}")
    transaction = firestore_client.transaction()
    transaction._begin()
    document.get(transaction=transaction)  # a lock, until the transaction ends
    firestore_state.record([staged("player-1")])
    assert document.collection("outcomes").document("player-1").get().get("outcome") == "staged"
    transaction._rollback()
    firestore_state._live.settle()


def test_counts_come_from_an_aggregation_query(firestore_state: FirestoreBatchState) -> None:
    firestore_state.open(batch(4))
    firestore_state.record([staged("player-1"), failed("player-2"), staged("player-3")])
    firestore_state.record([staged("player-1")])
    assert firestore_state.outcome_counts(SLATE) == {
        Outcome.STAGED: 2, Outcome.SKIPPED: 0, Outcome.FAILED: 1,
    }  # fmt: skip


def test_the_live_picture_gathers_players_and_deliveries(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(3))
    assert (live(firestore_client)["players"], live(firestore_client)["deliveries"]) == ([], 0)
    firestore_state.record([staged("player-1"), staged("player-2")])
    firestore_state.record([staged("player-1")])
    firestore_state._live.settle()
    picture = live(firestore_client)
    assert (picture["players"], picture["deliveries"]) == (["player-1", "player-2"], 3)


def test_the_live_picture_never_opens_a_batch_and_the_log_names_the_command_that_mends_it(
    firestore_client: firestore.Client,
    firestore_state: FirestoreBatchState,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "prediction_assets")
    firestore_state.record([staged("player-1")])
    firestore_state._live.settle()
    assert not firestore_client.document(f"batches/{SLATE}").get().exists
    assert f"`prediction-assets gcp rebuild-live-picture --slate {SLATE}` mends it" in caplog.text


def test_a_wrong_live_picture_changes_no_decision_and_is_rebuilt_from_the_outcomes(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(3))
    firestore_state.record([staged("player-1"), staged("player-2")])
    firestore_state._live.settle()
    before = firestore_state.progress(SLATE)
    wrong = {"live": {"players": ["somebody"], "deliveries": 99}}
    firestore_client.document(f"batches/{SLATE}").update(wrong)
    assert firestore_state.progress(SLATE) == before
    assert firestore_state.rebuild_live_picture(SLATE) == 2
    picture = live(firestore_client)
    assert (picture["players"], picture["deliveries"]) == (["player-1", "player-2"], 2)


def test_a_reopened_batch_shows_the_players_who_stay(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(3))
    firestore_state.record([staged("player-1"), staged("player-3")])
    firestore_state._live.settle()
    firestore_state.reopen(batch(2))
    assert live(firestore_client)["players"] == ["player-1"]


def test_a_slate_without_a_batch_has_no_live_picture_to_rebuild(firestore_state: FirestoreBatchState) -> None:
    with pytest.raises(BatchNotOpen, match="no batch is open"):
        firestore_state.rebuild_live_picture(SLATE)


def test_replaced_lists_leave_no_chunks_behind(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2000))
    firestore_state.mark_consolidated(receipt("r1", parts=2000))
    document = firestore_client.document(f"batches/{SLATE}")

    def chunks(name: str) -> int:
        return len(document.collection(name).select([]).get())

    assert chunks("expected") > 1
    assert chunks("receipt_parts") > 1
    firestore_state.reopen(batch(3))
    firestore_state.mark_consolidated(receipt("r2", 1, parts=3))
    assert (chunks("expected"), chunks("receipt_parts")) == (1, 1)


def test_a_batch_whose_players_are_incomplete_is_unreadable_and_never_a_smaller_batch(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2000))
    expected = firestore_client.document(f"batches/{SLATE}").collection("expected")
    expected.select([]).get()[0].reference.delete()
    for read in (firestore_state.progress, lambda _: firestore_state.open(batch(2000))):
        with pytest.raises(StateUnreadable, match=r"of the 2000 items of list .* reopen the slate"):
            read(SLATE)
    firestore_state.reopen(batch(2000))
    assert firestore_state.progress(SLATE) is not None


@pytest.mark.parametrize("path", ["", "/outcomes/player-1", "/receipts/newest"])
def test_a_document_edited_by_hand_is_reported_as_unreadable(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState, path: str
) -> None:
    firestore_state.open(batch(1))
    firestore_state.record([staged("player-1")])
    firestore_state.mark_consolidated(receipt())
    firestore_client.document(f"batches/{SLATE}{path}").set({"edited": True})
    with pytest.raises(StateUnreadable, match="edited by hand or by another version"):
        firestore_state.progress(SLATE)


@pytest.mark.parametrize("slug", ["", ".", "..", "a/b", "__a__", "x" * 1501])
def test_a_key_that_can_not_name_a_document_is_refused_before_anything_is_written(
    firestore_state: FirestoreBatchState, slug: str
) -> None:
    firestore_state.open(batch(1))
    with pytest.raises(BadInput, match="can't name a Firestore document"):
        firestore_state.record(
            [staged("player-1"), PlayerOutcome(SLATE, f"{SLATE}@test", slug, Outcome.SKIPPED, "run", NOW)]
        )
    progress = firestore_state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {}


# Errors


def _outbox(client: firestore.Client) -> FirestoreOutbox:
    return FirestoreOutbox(FirestoreCalls(client, timeout_seconds=0.3))


def _state(client: firestore.Client) -> FirestoreBatchState:
    return FirestoreBatchState(FirestoreCalls(client, timeout_seconds=0.3))


OPERATIONS: dict[str, Callable[[firestore.Client], object]] = {
    "open": lambda client: _state(client).open(batch(2)),
    "reopen": lambda client: _state(client).reopen(batch(2)),
    "pin_features": lambda client: _state(client).pin_features(SLATE, "snapshot1"),
    "record": lambda client: _state(client).record([staged("player-1")]),
    "progress": lambda client: _state(client).progress(SLATE),
    "recent_slates": lambda client: _state(client).recent_slates(NOW - timedelta(days=1)),
    "mark_consolidated": lambda client: _state(client).mark_consolidated(receipt()),
    "outcome_counts": lambda client: _state(client).outcome_counts(SLATE),
    "live_players": lambda client: _state(client).live_players(SLATE),
    "rebuild_live_picture": lambda client: _state(client).rebuild_live_picture(SLATE),
    "enqueue": lambda client: _outbox(client).enqueue(OutboxEntry("e", SLATE, "r", {})),
    "mark_delivered": lambda client: _outbox(client).mark_delivered("e", "m", NOW),
    "entries": lambda client: _outbox(client).entries(SLATE),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_emulator_that_is_down_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    client = firestore.Client(project="nobody-home")
    with pytest.raises(StateUnreadable) as raised:
        OPERATIONS[operation](client)
    client.close()
    message = str(raised.value)
    assert "project nobody-home" in message
    assert "no answer within 0.3 s" in message
    assert "start the emulator there (`make emulators`)" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (exceptions.PermissionDenied("Missing or insufficient permissions."), "roles/datastore.user"),
        (exceptions.Unauthenticated("expired"), "gcloud auth application-default login"),
        (DefaultCredentialsError("none"), "gcloud auth application-default login"),
        (RefreshError("invalid_grant"), "gcloud auth application-default login"),
        (exceptions.NotFound("The database (default) does not exist"), "gcloud firestore databases create"),
        (exceptions.ResourceExhausted("Quota exceeded."), "a quota is used up"),
        (exceptions.RetryError("Timeout", exceptions.Aborted("contention")), "run it again"),
        (exceptions.RetryError("Timeout", exceptions.ServiceUnavailable("down")), "check the network"),
        (exceptions.InvalidArgument("too\nlong"), "nothing was changed by this step"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_firestore_refuses_names_the_role_the_setting_or_the_service(
    firestore_client: firestore.Client, project: str, error: Exception, says: str
) -> None:
    with (
        pytest.raises(StateUnreadable) as raised,
        FirestoreCalls(firestore_client, 1).clear_errors("slate x"),
    ):
        raise error
    message = str(raised.value)
    assert message.startswith(f"slate x: Firestore database (default) of project {project}: ")
    assert says in message
    assert "\n" not in message
