"""``prediction-assets gcp rebuild-live-picture``: the picture is made anew from the outcomes, on request only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from google.cloud import firestore

from prediction_assets import cli
from prediction_assets.stores.gcp.batch_state import FirestoreBatchState
from prediction_assets_tests.batch_state.test_contract import staged
from prediction_assets_tests.conftest import SLATE, batch


@pytest.fixture
def typed(
    firestore_client: firestore.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    """Types the command with its options, and returns its exit code and what it said."""
    monkeypatch.setenv("PREDICTION_ASSETS_PROFILE", "gcp")
    monkeypatch.setenv("PREDICTION_ASSETS_GCP_PROJECT", firestore_client.project)
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path))

    def type_command(*options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["prediction-assets", "gcp", "rebuild-live-picture", *options])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out + said.err

    return type_command


def test_a_dry_run_says_what_the_picture_misses_and_the_command_mends_it(
    firestore_client: firestore.Client, firestore_state: FirestoreBatchState, typed
) -> None:
    firestore_state.open(batch(3))
    firestore_state.record([staged("player-1"), staged("player-2")])
    firestore_state._live.settle()
    document = firestore_client.document(f"batches/{SLATE}")
    document.update({"live": {"players": ["player-1"], "deliveries": 1}})

    code, said = typed("--slate", SLATE, "--dry-run")
    assert (code, said) == (
        0,
        f"slate {SLATE}: the live picture shows 1 settled players, and would show 2\n",
    )
    assert firestore_state.live_players(SLATE) == ["player-1"]

    code, said = typed("--slate", SLATE)
    assert (code, said) == (0, f"slate {SLATE}: the live picture shows 2 settled players, and showed 1\n")
    assert firestore_state.live_players(SLATE) == ["player-1", "player-2"]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_slate_without_a_batch_has_no_picture(typed, options: tuple[str, ...]) -> None:
    code, said = typed("--slate", SLATE, *options)
    assert (code, said.count("\n")) == (2, 1)
    assert "no batch is open" in said


def test_only_the_gcp_profile_has_one(typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTION_ASSETS_PROFILE", "local")
    code, said = typed("--slate", SLATE)
    assert code == 2
    assert "PREDICTION_ASSETS_PROFILE" in said
