"""The emulator harness: named ones are used, missing ones are said to be, and one serves all who share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prediction_assets_tests.emulators import EMULATORS, PUBSUB, Emulator, EmulatorMissing, shared


@pytest.mark.parametrize("emulator", EMULATORS.values(), ids=lambda emulator: emulator.name)
def test_an_emulator_that_is_named_is_used_and_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, emulator: Emulator
) -> None:
    monkeypatch.setenv(emulator.variable, "example:1234")
    with shared(emulator, tmp_path / "session") as address:
        assert address == "example:1234"
    assert not (tmp_path / "session").exists()


def test_a_missing_emulator_says_what_to_install_or_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    nowhere = Emulator("Pub/Sub", "PUBSUB_EMULATOR_HOST", "platform/nowhere-*.jar", "pubsub-emulator")
    with pytest.raises(
        EmulatorMissing, match=r"gcloud components install pubsub-emulator.*PUBSUB_EMULATOR_HOST"
    ):
        nowhere.command(1)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorMissing, match="no `java` on the PATH"):
        nowhere.command(1)


def test_whoever_shares_a_session_shares_its_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    try:
        PUBSUB.command(1)
    except EmulatorMissing as error:
        pytest.skip(str(error))
    other = (
        "import sys; from pathlib import Path; from prediction_assets_tests.emulators import *\n"
        "with shared(PUBSUB, Path(sys.argv[1])) as address: print(address)"
    )
    root = Path(__file__).resolve().parents[2]
    with shared(PUBSUB, tmp_path) as address, shared(PUBSUB, tmp_path) as again:
        done = subprocess.run(
            [sys.executable, "-c", other, str(tmp_path)],
            capture_output=True, text=True, check=True, cwd=root,
        )  # fmt: skip
        assert done.stdout.strip() == address == again
