"""Every command in README and docs is executed by a test, or is listed with the reason why it can't be.

``documented_commands.toml`` is the list. The walks below type a page's commands in order into a shell and compare what
it prints with what the page shows.
``docs/first-ten-minutes.md`` has a test of its own, :mod:`.test_first_ten_minutes`.
"""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.simulation.league import simulated_facts, simulated_slate
from prediction_assets_tests.consoles import PAGES, ROOT, Console, Shown, is_as_shown, shown_on
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.real_data import REAL_DATA, WITHOUT_REAL_DATA
from prediction_assets_tests.test_real_slates import FILES
from prediction_assets_tests.warehouse.conftest import bigquery_endpoint

__all__ = ["bigquery_endpoint", "firestore_emulator", "pubsub_emulator"]  # fixtures

TUTORIAL = "docs/first-ten-minutes.md"
README, OPERATING, GCP = "README.md", "docs/operating.md", "docs/gcp.md"

LISTED = tomllib.loads((ROOT / "prediction_assets_tests" / "documented_commands.toml").read_text("utf-8"))
ELSEWHERE = {
    (group["page"], command): group["test"] for group in LISTED["elsewhere"] for command in group["commands"]
}
"""Commands that another test executes, or whose function it calls with faults that a shell can't make."""

NOT_HERE = {
    (group["page"], command): group["reason"] for group in LISTED["not_here"] for command in group["commands"]
}
"""Commands that can't be executed where the tests run, and why."""

Before = Mapping[int, Callable[[Console], None]]


def commands(page: str, *sections: str) -> list[Shown]:
    """Return the commands of a page's sections that aren't listed; a test below types them."""
    found = [
        shown
        for shown in shown_on(ROOT / page)
        if shown.section in sections and not {(page, shown.command)} & (ELSEWHERE.keys() | NOT_HERE.keys())
    ]
    assert {shown.section for shown in found} == set(sections), f"{page}: a section has no command"
    TYPED.extend(found)
    return found


TYPED: list[Shown] = []


# What stands in a home before a page's command is typed.


def home_of(console: Console) -> Path:
    return Path(console.environment["PREDICTION_ASSETS_HOME"])


@contextmanager
def opened(console: Console) -> Iterator[SlateRun]:
    settings = load_settings(home=home_of(console))
    with open_instance(settings) as instance:
        yield SlateRun(settings, instance)


def new_home(console: Console) -> None:
    folder = home_of(console).parent / f"home-{time.monotonic_ns()}"
    console.environment = {**console.environment, "PREDICTION_ASSETS_HOME": str(folder)}


def simulated(players: int) -> Callable[[Console], None]:
    """Return what ingests a simulated league into a new home and opens its slate."""

    def prepare(console: Console) -> None:
        new_home(console)
        with opened(console) as run:
            run.ingest(simulated_facts(players))
            run.roster(simulated_slate(players).isoformat())

    return prepare


def finished(players: int) -> Callable[[Console], None]:
    """Return what runs a simulated slate in a new home."""

    def prepare(console: Console) -> None:
        simulated(players)(console)
        with opened(console) as run:
            run.whole(simulated_slate(players).isoformat())

    return prepare


def staging(console: Console, players: int) -> Path:
    return home_of(console) / "staging" / simulated_slate(players).isoformat()


def blocked(console: Console, players: int, *positions: int) -> list[Path]:
    """Put folders where the parts of some players belong."""
    with opened(console) as run:
        expected = run.progress(simulated_slate(players).isoformat()).batch.expected
    folders = [staging(console, players) / f"{expected[position].slug}.parquet" for position in positions]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def nobody_can_be_staged(console: Console) -> None:
    simulated(1)(console)
    blocked(console, 1, 0)


def the_staging_folder_is_a_file(console: Console) -> None:
    simulated(5)(console)
    staging(console, 5).parent.mkdir(exist_ok=True)
    staging(console, 5).write_text("not a folder", "utf-8")
    console.type("prediction-assets run --slate 2056-01-15")
    assert console.status == 2


def two_of_five_cannot_be_staged(console: Console) -> None:
    staging(console, 5).unlink()
    blocked(console, 5, 0, 1)


def one_player_failed(console: Console) -> None:
    simulated(12)(console)
    blocked(console, 12, 0)
    console.type("prediction-assets run --slate 2063-01-15")
    assert console.status == 1


def the_cause_is_mended(console: Console) -> None:
    for folder in staging(console, 12).glob("*.parquet"):
        folder.rmdir()


def one_of_five_fails_the_second_time(console: Console) -> None:
    finished(5)(console)
    blocked(console, 5, 0)


WALKS: dict[str, tuple[list[Shown], Before]] = {
    "the morning check": (commands(OPERATING, "The morning check"), {0: finished(40)}),
    "readme": (commands(README, "prediction_assets", "The UI, and one click"), {}),
    "dead letters": (
        commands(OPERATING, "Dead letters", "One step at a time"),
        {0: one_player_failed, 1: the_cause_is_mended},
    ),
    "too few rows": (
        commands(OPERATING, "Too few rows"),
        {0: nobody_can_be_staged, 2: the_staging_folder_is_a_file, 4: two_of_five_cannot_be_staged},
    ),
    "alerts": (commands(OPERATING, "Alerts"), {0: the_staging_folder_is_a_file}),
    "pruning": (commands(OPERATING, "The UI grew slow"), {0: simulated(3)}),
    "a read-only home": (commands(OPERATING, "The home is read-only"), {}),
    "logs": (commands(OPERATING, "Logs"), {}),
    "one of five": (
        commands("docs/decisions/0011-earlier-rows-of-failed-and-skipped-players.md", "Consequences"),
        {0: one_of_five_fails_the_second_time},
    ),
}

BUSY = commands(OPERATING, "The warehouse is busy")
EMULATORS = commands(GCP, "On a laptop", "Jobs per slate")
PYTHON = [
    *commands(GCP, "Costs per slate"),
    *commands("docs/decisions/0001-flat-slate-player-keys.md", "Consequences"),
    *commands("docs/decisions/0007-the-simulated-league-plays-in-the-future.md", "Decision"),
    *commands("docs/decisions/0008-sql-once-in-duckdbs-dialect.md", "Decision"),
]
LOCK = commands("docs/decisions/0003-parts-as-files-duckdb-behind-a-waiting-lock.md", "Context")
REAL = [
    *commands(README, "With your own data"),
    *commands(
        OPERATING,
        "The facts of a slate",
        "The slate is late",
        "A run is stuck",
        "Run a date again",
        "A line moved or was wrong",
        "A name did not resolve",
        "A player is out",
        "The expected players changed",
    ),
    *commands("docs/forecasting.md", "The trained model", "Grades"),
]


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "checkout", {"PREDICTION_ASSETS_HOME": str(tmp_path / "home")})


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_a_page_s_commands_print_what_it_shows(walk, console):
    typed, before = walk
    for position, shown in enumerate(typed):
        before.get(position, lambda console: None)(console)
        console.follow(shown)


@pytest.mark.slow
def test_a_page_s_command_waits_for_a_program_that_keeps_the_warehouse_open_and_says_so(console):
    simulated(5)(console)
    (shown,) = BUSY
    with duckdb.connect(str(home_of(console) / "warehouse.duckdb")):
        console.follow(shown)
    assert console.status == 2


@pytest.mark.slow
@pytest.mark.parametrize("shown", PYTHON, ids=lambda shown: shown.page)
def test_python_that_a_page_shows_prints_what_it_shows(shown, console):
    console.follow(shown)


@pytest.mark.slow
def test_a_script_that_a_decision_shows_prints_what_it_shows(console):
    script, run = LOCK
    (console.folder / script.command.split()[-1]).write_text(script.output, "utf-8")
    console.follow(script)
    console.follow(run)


@pytest.mark.slow
@pytest.mark.usefixtures("bigquery_endpoint", "firestore_emulator", "pubsub_emulator")
def test_the_emulators_of_the_page_run_its_slate(console, tmp_path):
    start, home, *rest = EMULATORS
    log, pause, deadline = tmp_path / "emulators.log", threading.Event(), time.monotonic() + 600
    with log.open("wb") as output:
        emulators = subprocess.Popen(
            [console.folder / ".venv" / "bin" / "python", "-m", "prediction_assets_tests.emulators"],
            env=console.variables, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while "running until" not in log.read_text("utf-8"):
                assert emulators.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < deadline, log.read_text("utf-8")
                pause.wait(0.1)
            said = log.read_text("utf-8")
            assert start.command == "make emulators"
            assert is_as_shown(re.sub(r":\d{4,5}\b", ":...", start.output), said)
            console.exports += [line for line in said.splitlines() if line.startswith("export ")]
            console.exports.append(home.command.replace("/tmp/gcp-slate", str(tmp_path / "gcp-slate")))
            for shown in rest:
                console.follow(shown)
        finally:
            emulators.send_signal(signal.SIGINT)
            emulators.wait(timeout=120)


INJURY_REPORT = """Game Date,Matchup,Team,Player Name,Current Status,Reason
01/02/2026,BOS@NYK,New York Knicks,"Brunson, Jalen",Out,Injury/Illness
"""
NICKNAME = """\
message_id,commence_time,home_team,away_team,player,market,bookmaker,side,line,price,captured_at
e1,2025-01-11T02:00Z,Denver Nuggets,Brooklyn Nets,The Joker,player_points,Book,over,28.5,-110,2025-01-10T20:00Z
e1,2025-01-11T02:00Z,Denver Nuggets,Brooklyn Nets,The Joker,player_points,Book,under,28.5,-110,2025-01-10T20:00Z
"""


@pytest.mark.slow
@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=WITHOUT_REAL_DATA)
@pytest.mark.xdist_group("real_slates")
def test_the_commands_for_one_s_own_data_run_on_real_data(console):
    data = console.folder / "data"
    data.mkdir()
    for name, file in FILES.items():
        (data / f"{name}{''.join(Path(file).suffixes)}").symlink_to(REAL_DATA / file)
    (data / "Injury-Report_2026-01-02_05PM.csv").write_text(INJURY_REPORT, "utf-8")
    (data / "nickname.csv").write_text(NICKNAME, "utf-8")
    (data / "aliases.csv").write_text("name,player_id\nThe Joker,203999\n", "utf-8")
    for shown in REAL:
        if shown.section == "The expected players changed" and "--reopen" not in shown.command:
            with duckdb.connect(str(home_of(console) / "warehouse.duckdb")) as warehouse:
                warehouse.execute(
                    "DELETE FROM facts.game_logs WHERE player_id = 203999 AND game_date >= '2024-12-20'"
                )
        console.follow(shown)


def test_every_command_is_executed_by_a_test_or_listed_as_not_executable_with_the_reason():
    typed = {(shown.page, shown.command) for shown in TYPED}
    in_the_docs = {
        (shown.page, shown.command) for page in PAGES for shown in shown_on(page) if shown.page != TUTORIAL
    }
    listed = ELSEWHERE.keys() | NOT_HERE.keys()
    assert in_the_docs - typed - listed == set(), "in the docs, and no test executes it"
    assert listed - in_the_docs == set(), "listed, and not in the docs any more"
    assert ELSEWHERE.keys() & NOT_HERE.keys() == set()
    assert all(NOT_HERE.values())


@pytest.mark.parametrize("named", sorted({*ELSEWHERE.values()}))
def test_a_test_that_is_said_to_execute_a_command_exists(named):
    file, _, test = named.partition("::")
    tree = ast.parse((ROOT / "prediction_assets_tests" / file).read_text("utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nd", True),
        ("a\n...\nd", "a\nb", False),
        ("...\nb", "a\nb\nc", True),
        ("a\nb", "a\nb\nc", False),
        ("took 12 ms", "took 8 ms", True),
        ("│ rows    │ 25 │", "│ rows │ 25 │", True),
        ("│ rows │ 25 │", "│ rows │ 26 │", False),
        ("first ... last", "first and then last", True),
        ("a.c", "abc", False),
        ("at 2026-11-24 15:27:27Z", "at 2027-01-01 00:00:00Z", True),
    ],
)
def test_what_counts_as_the_output_that_a_page_shows(shown, actual, same):
    assert is_as_shown(shown, actual) is same
