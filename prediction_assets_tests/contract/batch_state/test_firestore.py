"""What only Firestore does: outcomes that wait for nobody, lists in chunks, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta

import pytest
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud import firestore

from prediction_assets.errors import (
    BadInput,
    Misplaced,
    NotPermitted,
    QuotaExceeded,
    StateBusy,
    StateUnreadable,
    Unreachable,
)
from prediction_assets.slate.completion_message import OutboxEntry
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.gcp import batch_state
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.gcp.outbox import FirestoreOutbox
from prediction_assets_tests.contract.batch_state.test_contract import failed, receipt, staged
from prediction_assets_tests.emulators import free_port
from prediction_assets_tests.google_calls import READS, counted
from prediction_assets_tests.made_up import NOW, SLATE, batch, player


def test_recording_waits_for_nobody_who_holds_the_batch_document(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2))
    document = firestore_client.document(f"batches/{SLATE}")
    transaction = firestore_client.transaction()
    transaction._begin()
    document.get(transaction=transaction)  # a lock, until the transaction ends
    firestore_state.record([staged("player-1")])
    assert document.collection("outcomes").document("player-1@00000001").get().get("outcome") == "staged"
    transaction._rollback()


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


def test_a_document_edited_by_hand_is_reported_as_unreadable(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(1))
    firestore_state.record([staged("player-1")])
    firestore_state.mark_consolidated(receipt())
    for path in ("/outcomes/player-1@00000001", "/receipts/newest", ""):
        document = firestore_client.document(f"batches/{SLATE}{path}")
        whole = document.get().to_dict()
        document.set({"edited": True})
        with pytest.raises(StateUnreadable, match="edited by hand or by another version"):
            firestore_state.progress(SLATE)
        document.set(whole)
        assert firestore_state.progress(SLATE) is not None, path


def test_a_key_that_can_not_name_a_document_is_refused_before_anything_is_written(
    firestore_state: FirestoreBatchState,
) -> None:
    firestore_state.open(batch(1))
    for slug in ("", ".", "..", "a/b", "__a__", "x" * 1501):
        unnameable = PlayerOutcome(SLATE, f"{SLATE}@test", slug, Outcome.SKIPPED, "run", NOW, 1, 1)
        with pytest.raises(BadInput, match="can't name a Firestore document"):
            firestore_state.record([staged("player-1"), unnameable])
    progress = firestore_state.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {}


def test_a_recording_reads_nothing_and_a_claim_is_one_read_and_one_write(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    firestore_state.open(batch(3))
    api, calls = firestore_client._firestore_api, []
    for name in ("commit", "batch_get_documents", "run_query", "begin_transaction"):
        rpc = getattr(api, name)

        def counted(
            *arguments: object, _rpc: Callable[..., object] = rpc, _name: str = name, **options: object
        ) -> object:
            calls.append(_name)
            return _rpc(*arguments, **options)

        monkeypatch.setattr(api, name, counted)
    firestore_state.record([staged("player-1"), failed("player-2"), failed("player-3", fence=2)])
    assert calls == ["commit"]
    calls.clear()
    assert firestore_state.claim_fence(SLATE) == 1
    assert calls == ["batch_get_documents", "commit"]


def test_pruning_that_read_the_batch_before_a_reopening_prunes_no_outcome_of_the_batch_that_is_open_now(
    firestore_client: firestore.Client,
    firestore_state: FirestoreBatchState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = replace(batch(1), batch_id="later", expected=(replace(player(1), team="S09"),))
    counts = replace(staged("player-1"), batch_id="later", fence=4)
    firestore_state.open(batch(1))
    firestore_state.record([replace(staged("player-1"), fence=3)])
    other, find = FirestoreBatchState(FirestoreCalls(firestore_client)), firestore_state._document
    looks: list[str] = []

    def reopened_between_the_two_reads(slate: str) -> firestore.DocumentReference:
        looks.append(slate)
        if len(looks) == 2:
            other.reopen(later)
            other.record([counts])
            other.record([replace(staged("player-1"), fence=5)])  # of a run that began before the reopening
        return find(slate)

    monkeypatch.setattr(firestore_state, "_document", reopened_between_the_two_reads)
    firestore_state.prune_outcomes(SLATE)
    assert len(looks) > 1
    progress = other.progress(SLATE)
    assert progress is not None
    assert progress.outcomes == {"player-1": counts}


def test_outcomes_of_lower_fences_are_pruned_and_reopening_leaves_one_of_each_player(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2))
    documents = firestore_client.document(f"batches/{SLATE}").collection("outcomes")

    def stored() -> list[str]:
        return sorted(found.id for found in documents.select([]).get())

    firestore_state.record([staged("player-1", fence=fence) for fence in (1, 2, 3)])
    firestore_state.record([staged("player-2", fence=2)])
    assert len(stored()) == 4
    assert firestore_state.prune_outcomes(SLATE) == 2
    assert stored() == ["player-1@00000003", "player-2@00000002"]
    firestore_state.record([staged("player-1", fence=1)])
    firestore_state.reopen(batch(3))
    assert stored() == ["player-1@00000003", "player-2@00000002"]


# Errors


def _outbox(client: firestore.Client) -> FirestoreOutbox:
    return FirestoreOutbox(FirestoreCalls(client, call_timeout=0.1))


def _state(client: firestore.Client) -> FirestoreBatchState:
    return FirestoreBatchState(FirestoreCalls(client, call_timeout=0.1))


OPERATIONS: dict[str, Callable[[firestore.Client], object]] = {
    "open": lambda client: _state(client).open(batch(2)),
    "reopen": lambda client: _state(client).reopen(batch(2)),
    "pin_features": lambda client: _state(client).pin_features(SLATE, "snapshot1", fence=1, facts_version=1),
    "claim_fence": lambda client: _state(client).claim_fence(SLATE),
    "prune_outcomes": lambda client: _state(client).prune_outcomes(SLATE),
    "record": lambda client: _state(client).record([staged("player-1")]),
    "progress": lambda client: _state(client).progress(SLATE),
    "recent_slates": lambda client: _state(client).recent_slates(NOW - timedelta(days=1)),
    "mark_consolidated": lambda client: _state(client).mark_consolidated(receipt()),
    "enqueue": lambda client: _outbox(client).enqueue(OutboxEntry("e", SLATE, "r", 1, {})),
    "mark_delivered": lambda client: _outbox(client).mark_delivered("e", "m", NOW),
    "entries": lambda client: _outbox(client).entries(SLATE),
}


def test_an_emulator_that_is_down_is_one_clear_error_of_every_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    client = firestore.Client(project="nobody-home")
    for name, operation in OPERATIONS.items():
        with pytest.raises(Unreachable) as raised:
            operation(client)
        message = str(raised.value)
        assert "project nobody-home" in message, name
        assert "no answer within 0.1 s" in message, name
        assert "start the emulator there (`make emulators`)" in message, name
        assert "\n" not in message, name
    client.close()


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (exceptions.PermissionDenied("Missing permissions."), NotPermitted, "roles/datastore.user"),
        (exceptions.Unauthenticated("expired"), NotPermitted, "gcloud auth application-default login"),
        (DefaultCredentialsError("none"), NotPermitted, "gcloud auth application-default login"),
        (RefreshError("invalid_grant"), NotPermitted, "gcloud auth application-default login"),
        (exceptions.NotFound("The database does not exist"), Misplaced, "gcloud firestore databases create"),
        (exceptions.ResourceExhausted("Quota exceeded."), QuotaExceeded, "a quota is used up"),
        (exceptions.RetryError("Timeout", exceptions.Aborted("contention")), StateBusy, "Run this again"),
        (
            exceptions.RetryError("Timeout", exceptions.FailedPrecondition("changed")),
            StateBusy,
            "other writers were first",
        ),
        (
            exceptions.RetryError("Timeout", exceptions.ServiceUnavailable("down")),
            Unreachable,
            "Check the network",
        ),
        (exceptions.InvalidArgument("too\nlong"), StateUnreadable, "too long"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_firestore_refuses_names_the_role_the_setting_or_the_service(
    firestore_client: firestore.Client, project: str, error: Exception, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as raised, FirestoreCalls(firestore_client, 1).service.clear_errors("slate x"):
        raise error
    assert type(raised.value) is kind
    message = str(raised.value)
    assert message.startswith(f"slate x: Firestore database (default) of project {project}: ")
    assert says in message
    assert "\n" not in message


def test_a_write_that_lost_against_another_is_retried(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firestore's client retries neither an aborted commit nor an aborted update."""
    firestore_state.open(batch(1))
    rpc, lost = firestore_client._firestore_api.commit, [exceptions.Aborted("contention")] * 2

    def commit(*arguments: object, retry: Retry, **options: object) -> object:
        def attempt() -> object:
            if lost:
                raise lost.pop()
            return rpc(*arguments, **options)

        return retry(attempt)()

    monkeypatch.setattr(firestore_client._firestore_api, "commit", commit)
    firestore_state.record([staged("player-1")])
    lost += [exceptions.Aborted("contention")]
    firestore_state.pin_features(SLATE, "snapshot1", fence=1, facts_version=1)
    assert lost == []
    progress = firestore_state.progress(SLATE)
    assert progress is not None
    assert (list(progress.outcomes), progress.feature_snapshot) == (["player-1"], "snapshot1")


def test_a_document_of_an_earlier_version_says_nothing_of_what_its_features_were_made_from(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState
) -> None:
    firestore_state.open(batch(2))
    firestore_state.pin_features(SLATE, "snapshot1", fence=1, facts_version=1, made_from="facts")
    firestore_client.document(f"batches/{SLATE}").update({"features_made_from": firestore.DELETE_FIELD})
    for reopened in (False, True):
        if reopened:
            firestore_state.reopen(batch(2))
        progress = firestore_state.progress(SLATE)
        assert progress is not None
        assert (progress.feature_snapshot, progress.features_made_from) == ("snapshot1", "")


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute has passed since every write."""
    monkeypatch.setattr(batch_state, "_SETTLED", timedelta(0))


def reads(state: FirestoreBatchState, only: Collection[str] | None = None) -> int:
    """Return how many documents a look at the slate is billed for."""
    with counted() as calls:
        state.progress(SLATE, only)
    return calls[READS]


def test_a_run_reads_the_outcomes_of_its_players_and_of_no_others(
    firestore_state: FirestoreBatchState, remembering: None
) -> None:
    firestore_state.open(batch(80))
    firestore_state.record([staged(f"player-{n}") for n in range(1, 81)])
    mine = {f"player-{n}" for n in range(1, 36)}
    assert reads(firestore_state, mine) == 2 + 1 + 35, "the list of players, and 35 outcomes"
    assert reads(firestore_state, mine) == 2 + 35


def test_of_a_slate_on_which_nothing_happens_three_documents_are_read_however_many_players_it_has(
    firestore_state: FirestoreBatchState, firestore_client: firestore.Client, remembering: None
) -> None:
    firestore_state.open(batch(40))
    assert reads(firestore_state) == 2 + 1 + 2, "the list of players, once, and two looks for outcomes"
    assert reads(firestore_state) == 2 + 2
    firestore_state.record([staged(f"player-{n}") for n in range(1, 41)])
    firestore_state.mark_consolidated(receipt("r1", parts=40))
    assert reads(firestore_state) == 2 + 1 + 40 + 2, "and two lists of the receipt"
    next_tick = FirestoreBatchState(FirestoreCalls(firestore_client))
    assert reads(next_tick) == 2 + 1


def test_what_was_written_a_moment_ago_is_read_again(firestore_state: FirestoreBatchState) -> None:
    firestore_state.open(batch(2))
    firestore_state.record([staged("player-1")])
    assert [reads(firestore_state) for _ in range(2)] == [5, 4]


def test_every_change_of_an_outcome_or_of_the_batch_is_seen(
    firestore_state: FirestoreBatchState, remembering: None
) -> None:
    def seen() -> dict[str, tuple[str, int]]:
        found = firestore_state.progress(SLATE)
        assert found is not None
        return {slug: (done.outcome.value, done.fence) for slug, done in found.outcomes.items()}

    firestore_state.open(batch(2))
    assert seen() == {}
    firestore_state.record([staged("player-1")])
    assert seen() == {"player-1": ("staged", 1)}
    firestore_state.record([failed("player-1")])  # of the same fence, in the same document
    assert seen() == {"player-1": ("failed", 1)}
    firestore_state.record([replace(staged("player-1"), fence=3)])
    firestore_state.record([replace(failed("player-1"), fence=2)])  # late
    assert seen() == {"player-1": ("staged", 3)}
    assert firestore_state.prune_outcomes(SLATE) == 2
    assert seen() == {"player-1": ("staged", 3)}
    gone = replace(batch(2), batch_id="other", expected=tuple(player(n) for n in (2, 3)))
    firestore_state.reopen(gone)
    assert seen() == {}
