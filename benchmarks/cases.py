"""The cases: each prints a table of whole processes beside their peers, measured in the same run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import PEERS, PLAIN, ROOT, Peer
from benchmarks.measuring import CommandFailed, Usage, repeated, run, table
from prediction_assets.simulation.slates import simulated_slate

PORTS = Peer("this project: stage, MERGE, cleanup alone", "ours")
HEADER = ("", "wall s", "cpu s", "peak MiB", "wall ratio", "cpu ratio")


@dataclass(frozen=True)
class Options:
    """What the command line asked for.

    Attributes:
        sizes: players per slate.
        peers: names of the peers to measure beside.
        repeats: counted repeats after a warm-up.
        history: rows in the table that a slate is merged into.
        slates: slates of the season's backfill.
        keys: partition keys that an old instance has.
        folder: where everything is written.
    """

    sizes: tuple[int, ...]
    peers: tuple[str, ...]
    repeats: int
    history: tuple[int, ...]
    slates: int
    keys: int
    folder: Path


def python(module: str, *arguments: object) -> list[str | Path]:
    """Return the command that runs a module of ours."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def environment(home: Path | None = None) -> dict[str, str]:
    """Return what a process of ours needs beside its own environment."""
    return {"PYTHONPATH": str(ROOT)} | ({"PREDICTION_ASSETS_HOME": str(home)} if home else {})


def given(options: Options, players: int, seed: int) -> Path:
    """Return the file with a slate's rows, made once."""
    file = options.folder / f"rows-{players}-{seed}.parquet"
    if not file.exists():
        run(python("benchmarks.given_rows", file, players, seed), environment=environment())
    return file


def peer(options: Options, which: Peer, players: int) -> Callable[[Path], Sequence[Usage]]:
    """Return what measures a peer's first run in a folder, and its second with changed values."""
    files = [given(options, players, seed) for seed in (0, 1)]
    return lambda folder: [
        run([*which.command, folder, file, number], environment=environment())
        for number, file in enumerate(map(str, files))
    ]


def ready_home(options: Options, players: int) -> Path:
    """Return a home with facts and a trained model, made once."""
    home = options.folder / f"home-{players}"
    if not home.exists():
        run(python("benchmarks.ready_home", players), environment=environment(home))
    return home


def whole_slate(options: Options, players: int) -> Callable[[Path], Sequence[Usage]]:
    """Return what measures `prediction-assets run` as on a morning, and again with changed facts."""

    def once(folder: Path) -> Sequence[Usage]:
        shutil.copytree(ready_home(options, players), folder, dirs_exist_ok=True)
        command = python("prediction_assets.cli", "run")
        first = run(command, environment=environment(folder))
        subprocess.run(
            python("benchmarks.changed_facts", folder), check=True, env={**os.environ, **environment()}
        )
        return [first, run(command, environment=environment(folder))]

    return once


def compared(title: str, measured: Sequence[tuple[str, Usage | None]]) -> str:
    """Return a table whose first row is what the others are compared with."""
    base = measured[0][1]
    rows: list[Sequence[object]] = []
    for name, used in measured:
        if used is None:
            rows.append((name, "failed", "", "", "", ""))
            continue
        ratios = ("", "") if base is None else (used.wall / base.wall, used.cpu / base.cpu)
        rows.append((name, used.wall, used.cpu, used.peak, *ratios))
    return table(title, HEADER, rows)


def tried(options: Options, once: Callable[[Path], Sequence[Usage]], count: int) -> Sequence[Usage | None]:
    """Return the medians, or None for each when the command failed; the reason goes to standard error."""
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        return repeated(once, options.repeats, root)
    except CommandFailed as error:
        print(error, file=sys.stderr, flush=True)
        return [None] * count


def noted(name: str, used: Sequence[Usage | None]) -> tuple[str, Sequence[Usage | None]]:
    """Say on standard error what was measured, for whoever waits for the table."""
    for each in used:
        print(f"  {name}: {each}", file=sys.stderr, flush=True)
    return name, used


def slates(options: Options) -> None:
    """(a) A slate of given rows, then again with changed values: this project beside its peers."""
    for players in options.sizes:
        measured: list[tuple[str, Sequence[Usage | None]]] = []
        for name in options.peers:
            which = PEERS[name]
            try:
                which.install()
            except subprocess.CalledProcessError as error:
                print(f"{which.name}: not installed: {error}", file=sys.stderr)
                continue
            print(f"{players} players: {which.name}: {which.versions()}", file=sys.stderr, flush=True)
            measured.append(noted(which.name, tried(options, peer(options, which, players), 2)))
        measured.append(noted(PORTS.name, tried(options, peer(options, PORTS, players), 2)))
        measured.append(
            noted("this project: the whole slate", tried(options, whole_slate(options, players), 2))
        )
        for number, what in enumerate(("first run", "again, with changed values")):
            title = f"{players:,} players x 25 rows, {what}"
            print(compared(title, [(name, used[number]) for name, used in measured]), flush=True)


def growth(options: Options) -> None:
    """(b) MERGE of a slate of 450 players into a growing table."""
    subprocess.run(
        python("benchmarks.growth", options.folder, *options.history),
        check=True,
        env={**os.environ, **environment()},
    )


def contention(options: Options) -> None:
    """(c) Workers that complete at once."""
    subprocess.run(
        python("benchmarks.contention", "--workers", *options.sizes),
        check=False,  # it says so itself when the emulator is missing
        env={**os.environ, **environment()},
    )


def season(options: Options) -> None:
    """(d) A season, slate after slate, through the assets."""
    subprocess.run(
        python("benchmarks.season", options.folder, options.slates),
        check=True,
        env={**os.environ, **environment()},
    )


def old_instance(options: Options) -> None:
    """(e) A slate in an instance with many old partition keys, beside a new one."""
    players = options.sizes[0]

    def once(folder: Path) -> Sequence[Usage]:
        command = python("prediction_assets.cli", "run", "--simulated-players", players)
        homes = [folder / "new", folder / "old"]
        subprocess.run(
            python("benchmarks.old_keys", homes[1], options.keys),
            check=True,
            env={**os.environ, **environment()},
        )
        for home in homes:
            run(command, environment=environment(home))
        return [run(command, environment=environment(home)) for home in homes]

    new, old = tried(options, once, 2)
    title = f"{players} players again, in a new instance and in one with {options.keys:,} old partition keys"
    print(compared(title, [("new instance", new), (f"{options.keys:,} old keys", old)]), flush=True)


def first_command(options: Options) -> None:
    """(f) `make run` in an environment that is installed, in a new home."""
    command = ["make", "--silent", "--old-file=requirements.txt", "--directory", str(ROOT), "run"]
    used = tried(options, lambda folder: [run(command, environment=environment(folder / "home"))], 1)
    print(compared("the first command, `make run`", [("make run", used[0])]), flush=True)


def pages(options: Options) -> None:
    """(g) What the UI asks for an asset's page, on this event storage and on Dagster's own."""
    subprocess.run(
        python("benchmarks.pages", options.folder, options.keys),
        check=True,
        env={**os.environ, **environment()},
    )


def events(options: Options) -> None:
    """(h) One event stored: this event storage beside Dagster's own."""
    subprocess.run(
        python("benchmarks.events", options.folder), check=True, env={**os.environ, **environment()}
    )


def audits(options: Options) -> None:
    """(i) The blocking audits' share of a slate's wall time: at most a tenth."""
    for players in options.sizes:
        home = options.folder / f"audited-{players}"
        shutil.copytree(ready_home(options, players), home)
        subprocess.run(
            python("benchmarks.audits", players), check=True, env={**os.environ, **environment(home)}
        )


def coverage(options: Options) -> None:
    """(j) Which dates of five real seasons lack something."""
    subprocess.run(
        python("benchmarks.coverage", options.folder), check=True, env={**os.environ, **environment()}
    )


def launchers(options: Options) -> None:
    """(k) A run that does nothing, and four workers' memory: the home's launcher beside Dagster's own."""
    subprocess.run(
        python("benchmarks.launchers", options.folder, max(1, options.repeats)),
        check=True,
        env={**os.environ, **environment()},
    )


def clicked(options: Options) -> None:
    """(l) From a click in `dev` to the message, and an idle minute: the home's launcher beside Dagster's own."""
    players = options.sizes[0]
    subprocess.run(
        python("benchmarks.clicked", ready_home(options, players), players),
        check=True,
        env={**os.environ, **environment()},
    )


def reading(options: Options) -> None:
    """(m) Commands that read, beside an empty Python that opens DuckDB; their processor time counts."""
    players = options.sizes[0]
    home = ready_home(options, players)
    run(python("prediction_assets.cli", "run"), environment=environment(home))
    slate = simulated_slate(players).isoformat()
    commands = {
        "empty Python with DuckDB": [
            sys.executable,
            "-c",
            "import duckdb; duckdb.connect().execute('SELECT 1')",
        ],
        "status": python("prediction_assets.cli", "status"),
        "messages": python("prediction_assets.cli", "messages"),
        "predictions --bets": python("prediction_assets.cli", "predictions", "--slate", slate, "--bets"),
    }
    used = tried(
        options,
        lambda folder: [run(command, environment=environment(home)) for command in commands.values()],
        len(commands),
    )
    print(compared(f"{players} players, commands that read", [*zip(commands, used, strict=True)]), flush=True)


CASES: dict[str, Callable[[Options], None]] = {
    "a": slates,
    "b": growth,
    "c": contention,
    "d": season,
    "e": old_instance,
    "f": first_command,
    "g": pages,
    "h": events,
    "i": audits,
    "j": coverage,
    "k": launchers,
    "l": clicked,
    "m": reading,
}

assert PEERS["plain"] is PLAIN  # what all others are compared with
