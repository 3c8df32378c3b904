"""Players staged again by hand: ``refresh`` and ``run --player``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from prediction_assets import cli
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets_tests.homes import SIMULATED


@pytest.fixture
def command(
    finished: SlateRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Run a command on a finished home, in this process; return its exit code and what it wrote."""
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(finished._settings.home))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["prediction-assets", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out + captured.err

    return run


def test_refresh_and_run_stage_exactly_the_players_that_they_name(finished, command):
    state, warehouse = finished.stores.batch_state, finished.stores.warehouse
    first, second, *_ = state.progress(SIMULATED).batch.expected
    assert command("refresh", "--slate", SIMULATED) == (
        0,
        f"slate {SIMULATED}: nobody has to be staged again\n",
    )
    with warehouse._connect(write=True) as connection:
        connection.execute(
            "UPDATE facts.prop_lines SET line = line + 1 WHERE player_id = ?", [first.player_id]
        )
    before = state.progress(SIMULATED)
    code, said = command("refresh", "--slate", SIMULATED, "--dry-run")
    assert (code, said.startswith(f"{first.slug}: line moved"), "nothing was changed" in said) == (
        0,
        True,
        True,
    )
    assert state.progress(SIMULATED) == before

    code, said = command("refresh", "--slate", SIMULATED)
    assert (code, "success, revision 2" in said) == (0, True)
    after = state.progress(SIMULATED).outcomes
    assert {slug for slug, done in after.items() if done != before.outcomes[slug]} == {first.slug}
    code, said = command("diff", "--slate", SIMULATED, "--json")
    assert (code, '"causes": [\n        "line moved' in said) == (0, True)

    code, _ = command("run", "--slate", SIMULATED, "--player", second.slug)
    again = state.progress(SIMULATED).outcomes
    assert (code, {slug for slug, done in again.items() if done != after[slug]}) == (0, {second.slug})
    assert {receipt.revision for receipt in warehouse.receipts(SIMULATED)} == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("run", "--slate", SIMULATED, "--player", "nobody"), "'nobody' is not among"),
        (("run", "--slate", SIMULATED, "--player", "a", "--reopen"), "can't be combined with --reopen"),
        (("refresh", "--slate", "2026-01-02"), "2026-01-02"),
    ],
)
def test_what_can_not_be_staged_is_refused_in_one_line(command, arguments, refusal):
    code, said = command(*arguments)
    assert (code, refusal in said) == (2, True)
