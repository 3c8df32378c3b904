"""``prediction-assets health`` and ``check_morning_run.sh``: exit codes, output, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import jsonschema
import pytest

from prediction_assets import cli
from prediction_assets.monitoring.evaluate import NAMES
from prediction_assets_tests.homes import SIMULATED
from prediction_assets_tests.orchestration.health.conftest import health_schema
from prediction_assets_tests.orchestration.test_cli import command

SCRIPT = Path(__file__).resolve().parents[3] / "bin" / "monitoring" / "check_morning_run.sh"


@pytest.fixture
def health(capsys, monkeypatch, tmp_path):
    """Run the command on a home, in this process."""

    def run(*arguments: str, home: Path | None = None) -> tuple[int, str, str]:
        monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home or tmp_path / "home"))
        monkeypatch.setattr(sys, "argv", ["prediction-assets", "health", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


def colors(out: str) -> dict[str, str]:
    return {line["name"]: line["color"] for line in json.loads(out)["lines"]}


@pytest.mark.parametrize(
    "minutes", ["soon", "", "0", "-5", "1.5", "10081", "30m", "٣٠", "1" * 400], ids=lambda text: text[:8]
)
def test_minutes_that_are_no_number_are_refused(health, minutes):
    code, out, err = health(f"--minutes={minutes}")
    assert (code, out) == (2, "")
    assert err.startswith("error: --minutes: ")
    assert "1 to 10,080; leave it out for 60" in err
    assert len(err.splitlines()) == 1


def test_a_slate_that_is_no_date_is_refused(health):
    code, out, err = health("--slate", "tonight")
    assert (code, out, err.startswith("error: slate: 'tonight' is not a date")) == (2, "", True)


def test_a_finished_slate_is_green(finished, health):
    home = finished._settings.home
    code, out, err = health(home=home)
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[:10]] == [["GREEN", name] for name in NAMES]
    assert out.splitlines()[10] == (
        f"slate {SIMULATED}: GREEN, the predictions are there (10 green, 0 yellow, 0 red) (simulated league)"
    )
    assert "merge_ms" not in out

    code, out, _ = health("--verbose", "--slate", SIMULATED, home=home)
    assert (code, "merge_ms: " in out, "share_of_expected: 1.0" in out) == (0, True, True)

    code, out, _ = health("--json", home=home)
    report = json.loads(out)
    jsonschema.validate(report, health_schema())
    assert (code, report["color"], report["exit_code"], report["commands"]) == (0, "green", 0, [])


def test_a_finished_slate_is_as_green_after_typos_and_a_refused_file(finished, health, capsys, monkeypatch):
    home = finished._settings.home
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(home))
    (home / "schedule.csv").write_text("game_id,game_date\n1,yesterday\n", "utf-8")
    for refused in (
        ("run", "--slate", "2026-99-99"),
        ("predictions", "--slate", SIMULATED, "--revision", "9"),
        ("ingest", "--schedule", str(home / "schedule.csv")),
    ):
        assert command(capsys, monkeypatch, *refused)[0] == 2
    assert health(home=home)[0] == 0


def test_a_slate_that_never_was_is_refused(finished, health):
    code, out, err = health("--slate", "2031-01-01", home=finished._settings.home)
    assert (code, out) == (2, "")
    assert "slate 2031-01-01: was never opened, and no ingested schedule covers this date" in err
    assert len(err.splitlines()) == 1


def test_an_empty_home_is_red_and_says_what_to_do(health):
    code, out, err = health()
    assert code == 2
    assert err.endswith("outbox, alerts is here yet; PREDICTION_ASSETS_HOME names the home\n")
    assert "no batch, and no schedule was ingested" in out
    assert "RED, needs you" in out
    assert "next: prediction-assets ingest --game-logs FILE --schedule FILE --prop-lines FILE" in out


def test_a_warehouse_that_another_process_holds_is_red_and_the_rest_is_judged(finished, health, monkeypatch):
    monkeypatch.setenv("PREDICTION_ASSETS_CALL_TIMEOUT", "0.2")
    home = finished._settings.home
    hold = f"import duckdb; c = duckdb.connect({str(home / 'warehouse.duckdb')!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        code, out, err = health("--json", "--slate", SIMULATED, home=home)
        holder.communicate("\n", timeout=60)
    assert (code, err) == (2, "")
    found = colors(out)
    assert found["merge"] == found["predictions_in_table"] == "red"
    assert found["batch_opened"] == found["players_settled"] == found["no_errors"] == "green"
    (line,) = [line["line"] for line in json.loads(out)["lines"] if line["name"] == "merge"]
    assert "can't be read" in line
    assert "close the program that has it open" in line
    duckdb.connect(str(home / "warehouse.duckdb")).close()
    assert health("--slate", SIMULATED, home=home)[0] == 0


def test_a_damaged_state_file_is_red_and_named(finished, health):
    home = finished._settings.home
    for log in ("state.sqlite-wal", "state.sqlite-shm"):
        (home / log).unlink(missing_ok=True)
    (home / "state.sqlite").write_bytes(b"not a database" * 1000)
    code, out, err = health(home=home)
    assert (code, err) == (2, "")
    assert "state.sqlite: file is not a database" in out
    assert "Traceback" not in out


def test_a_damaged_dagster_instance_is_red_and_the_slate_is_still_judged(finished, health, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(finished._settings.home, home)
    for path in (home / "dagster").rglob("*.db"):
        path.write_bytes(b"not a database" * 1000)
    code, out, err = health("--json", home=home)
    assert (code, err) == (2, "")
    found = colors(out)
    assert (found["no_errors"], found["versions_consistent"]) == ("red", "red")
    assert {color for name, color in found.items() if name not in ("no_errors", "versions_consistent")} == {
        "green"
    }


def test_players_staged_by_two_versions_are_told(finished, health, monkeypatch):
    home = finished._settings.home
    slug = finished.stores.batch_state.progress(SIMULATED).batch.expected[0].slug
    monkeypatch.setattr("prediction_assets.orchestration.assets.staged_predictions.__version__", "0.0.9")
    finished.stage(SIMULATED, [slug])
    finished.announce(finished.consolidate(SIMULATED))
    code, out, _ = health(home=home)
    assert code == 1
    (line,) = [line for line in out.splitlines() if "versions_consistent" in line]
    assert line.startswith("YELLOW")
    assert "players staged by versions 0.0.9, " in line


def script(*arguments: str, home: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PREDICTION_ASSETS_HOME": str(home)},
    )


def test_the_script_passes_on_what_the_command_says(finished_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(finished_home, home)
    done = script("45", "verbose", home=home)
    assert done.returncode == 0, done
    assert "GREEN, the predictions are there" in done.stdout
    assert "in the last 45 minutes" in done.stdout
    assert "merge_ms" in done.stdout


def test_the_script_passes_on_an_error(tmp_path):
    done = script("soon", home=tmp_path / "home")
    assert done.returncode == 2
    assert "error: --minutes: 'soon' is not a whole number" in done.stderr


def test_the_script_survives_a_warning_and_still_prints_its_summary(tmp_path):
    done = script(home=tmp_path / "empty")
    assert done.returncode == 2
    assert "RED, needs you" in done.stdout.splitlines()[10]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The script outside of a checkout, beside a command that says its arguments and exits with 1."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "prediction-assets"
    command.write_text('#!/bin/sh\necho "$@"\nexit 1\n', "utf-8")
    command.chmod(0o755)
    copy = tmp_path / "share" / "monitoring" / SCRIPT.name
    copy.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, copy)
    return copy


@pytest.mark.parametrize(
    ("arguments", "passed_on"),
    [
        ((), "health\n"),
        (("15",), "health --minutes 15\n"),
        (("15", "verbose"), "health --minutes 15 --verbose\n"),
        (("verbose",), "health --verbose\n"),
        (("verbose", "verbose"), "health --verbose\n"),
    ],
)
def test_the_script_runs_what_is_installed_where_there_is_no_checkout(
    installed, tmp_path, arguments, passed_on
):
    environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    done = subprocess.run(
        [installed, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (1, passed_on)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "prediction-assets is not installed"),
        (("30", "loud"), "'loud' is not verbose"),
        (("30", "verbose", "more"), "more than two arguments"),
    ],
)
def test_what_the_script_can_not_do_is_an_error_of_its_own(installed, arguments, said):
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [installed, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck on this machine")
def test_the_script_has_nothing_that_shellcheck_warns_of():
    subprocess.run(["shellcheck", SCRIPT], check=True)
