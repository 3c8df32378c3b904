"""A PostgreSQL server of a test's own, from the programs that are installed on the machine."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prediction_assets_tests.emulators import free_port

_INSTALLED = Path("/usr/lib/postgresql")
_SECONDS = 180
_ATTEMPTS = 3


class PostgresMissing(Exception):
    """No PostgreSQL server is installed here."""


def _programs() -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``: the newest of Debian's, or what the PATH has."""
    debian = sorted(_INSTALLED.glob("*/bin/pg_ctl"), key=lambda each: int(each.parent.parent.name))
    on_path = shutil.which("pg_ctl")
    if not debian and on_path is None:
        raise PostgresMissing("no PostgreSQL server on this machine; the package is called postgresql")
    return debian[-1].parent if debian else Path(on_path or "").parent


def reason_to_skip() -> str | None:
    """Return why there is no PostgreSQL here, None when there is. With CI=true, whoever has the folder has it."""
    try:
        _programs()
    except PostgresMissing as error:
        if os.environ.get("CI") == "true" and _INSTALLED.exists():
            raise
        return str(error)
    return None


@contextmanager
def postgres_server(address: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Run a server with an empty database and yield the variables that ``deploy/dagster.yaml`` reads.

    PostgreSQL refuses to run as root, so root's server runs as the user ``postgres``. Its data are in a folder of
    their own: pytest closes the one that holds its temporary folders to other users, whenever it starts.

    Args:
        address: where it listens.

    Raises:
        PostgresMissing: it isn't installed.
    """
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        yield from _serve(programs, Path(folder), address)


def _serve(programs: Path, folder: Path, address: str) -> Iterator[dict[str, str]]:
    prefix = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    data, password = folder / "data", folder / "password"
    data.mkdir()
    password.write_text(secrets.token_hex(16), "utf-8")
    if prefix:
        shutil.chown(data, "postgres")
        shutil.chown(password, "postgres")
        _let_through(folder)
    quiet = {"check": True, "stdin": subprocess.DEVNULL, "timeout": _SECONDS}
    hidden = {**quiet, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    make = [programs / "initdb", "-D", data, "-U", "dagster", "-A", "scram-sha-256", f"--pwfile={password}"]
    subprocess.run([*prefix, *make, "--no-sync"], **hidden)
    if address != "127.0.0.1":
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as access:
            access.write("host all all all scram-sha-256\n")
    port = _start([*prefix, str(programs / "pg_ctl"), "-D", str(data)], data, address, hidden)
    try:
        yield {
            "DAGSTER_POSTGRES_HOST": address,
            "DAGSTER_POSTGRES_PORT": str(port),
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": password.read_text("utf-8"),
            "DAGSTER_POSTGRES_DB": "postgres",
        }
    finally:
        stop = [*prefix, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"]
        subprocess.run(stop, **{**hidden, "check": False})


def _start(control: list[str], data: Path, address: str, hidden: dict[str, object]) -> int:
    for attempt in range(_ATTEMPTS):
        port = free_port()
        # What is durable is not what these tests are about: a killed client, never a lost disk.
        options = f"-p {port} -k {data} -c listen_addresses={address} -c fsync=off -c max_connections=300"
        command = [*control, "-l", str(data / "log"), "-o", options, "-w", "start"]
        started = subprocess.run(command, **{**hidden, "check": attempt == _ATTEMPTS - 1})  # type: ignore[call-overload]
        if started.returncode == 0:
            return port  # else somebody took the port in between
    raise AssertionError("unreachable: the last attempt raises")


def _let_through(folder: Path) -> None:
    """Let other users reach a folder below this user's own temporary ones."""
    for each in (folder, *folder.parents):
        if each != Path("/") and each.stat().st_uid == os.getuid():
            each.chmod(each.stat().st_mode | 0o011)
