"""The BigQuery emulator for the tests: the one that is running, or one of our own, or a reason to skip.

``BIGQUERY_EMULATOR_HOST`` names a running one. Otherwise bqemulator is started on a free port, from this file,
in a process that dies with its parent. Run by hand (``python -m``) it serves until it is stopped.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud import bigquery

HOST_VARIABLE = "BIGQUERY_EMULATOR_HOST"
_MODULE = "prediction_assets_tests.contract.warehouse.bigquery_emulator"
_READY_SECONDS = 60.0
_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1
_COPIES = "/copies/{template}/{project}"


class NoEmulator(Exception):
    """There is no BigQuery emulator here, and why."""


def emulator_client(endpoint: str, project: str) -> bigquery.Client:
    """Return a client of the emulator at an endpoint; it needs no credentials."""
    from google.api_core.client_options import ClientOptions  # not in the emulator's process
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return bigquery.Client(
        project=project,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )


def copy_project(endpoint: str, template: str, project: str) -> None:
    """Give a new project the datasets and the empty tables of another one, in one request."""
    path = _COPIES.format(template=template, project=project)
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}{path}", method="POST")):
        pass


@contextmanager
def running_emulator(log: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Yield the endpoint of a running emulator, ``http://127.0.0.1:9050``; ends it if it was started here.

    Args:
        log: file for the emulator's output.
        address: where it listens if it is started here.

    Raises:
        NoEmulator: none is running and none can be started.
    """
    host = os.environ.get(HOST_VARIABLE)
    if host:
        endpoint = host if "://" in host else f"http://{host}"
        _wait_until_ready(endpoint, None, 10.0)
        yield endpoint.rstrip("/")
        return
    if importlib.util.find_spec("bqemulator") is None:
        raise NoEmulator(
            f"bqemulator isn't installed (the `test` extra has it) and {HOST_VARIABLE} isn't set"
        )
    process, endpoint = _start(log, address)
    try:
        yield endpoint
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(log: Path, address: str) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(_ATTEMPTS):  # another process may take the port between our look and the emulator's bind
        port = _free_port()
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, "--port", str(port), "--host", address],
                cwd=Path(__file__).resolve().parents[3],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        endpoint = f"http://{address}:{port}"
        try:
            _wait_until_ready(endpoint, process, _READY_SECONDS)
        except NoEmulator:
            process.kill()
            process.wait()
        else:
            return process, endpoint
    tail = log.read_text(errors="replace").splitlines()[-3:]
    raise NoEmulator(f"bqemulator didn't start: {' '.join(tail) or 'it said nothing'} ({log})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(endpoint: str, process: subprocess.Popen[bytes] | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise NoEmulator(f"bqemulator ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{endpoint}/healthz", timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it answers, whatever it thinks of the path
        except OSError:
            time.sleep(0.1)
    raise NoEmulator(f"no BigQuery emulator answers at {endpoint}")


def serve(port: int, host: str = "127.0.0.1") -> None:
    """Run bqemulator in this process until it is told to stop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    from bqemulator import server
    from bqemulator.catalog import ddl_sync
    from bqemulator.cli import main
    from bqemulator.jobs import executor
    from bqemulator.scripting import interpreter
    from bqemulator.sql import catalog_schema, inner_query
    from bqemulator.sql.translator import SQLTranslator
    from bqemulator.storage.engine import DuckDBEngine
    from bqemulator.versioning.snapshots import SnapshotManager
    from fastapi import routing
    from fastapi.dependencies import utils
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.expressions import core

    from prediction_assets_tests.contract.warehouse import emulator_memory

    # A row's hash names each column in one long chain; a statement that is too deep for it is run without its datasets.
    sys.setrecursionlimit(20_000)
    # DuckDB's extensions for geography and Avro are downloaded at every start.
    DuckDBEngine._load_spatial = lambda self: self.execute(
        "SET threads = 1"
    )  # threads for rows this few only cost
    DuckDBEngine._load_format_extensions = lambda self: None
    server.create_app = _bare_app(server.create_app)
    routing.run_in_threadpool = utils.run_in_threadpool = _in_this_thread
    Dialect.parse = emulator_memory.parse_each_text_once(Dialect.parse)
    core.deepcopy = emulator_memory.copy_flat(core.Expr, core.deepcopy)
    made = emulator_memory.memory()
    SQLTranslator.translate = emulator_memory.translate_each_text_once(made, SQLTranslator)
    executor.parse_script = interpreter.parse_script = made.once(executor.parse_script)
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = made.once(executor.rewrite_table_refs)
    executor.classify_statement_type = made.once(executor.classify_statement_type)
    interpreter.ScriptInterpreter._eval_expr_scalar = emulator_memory.evaluate_constants_once(
        interpreter.ScriptInterpreter._eval_expr_scalar
    )
    interpreter._is_row_producing = made.once(interpreter._is_row_producing)
    interpreter._dml_targets = made.once(interpreter._dml_targets)
    interpreter._rewrite_vars_to_params = emulator_memory.bind_each_text_once(
        made, interpreter._rewrite_vars_to_params
    )
    catalog_schema.sqlglot = emulator_memory.TablesOfText(made)
    for word, kind, otherwise in (
        (r"CREATE\s+SCHEMA", "create_schema", None),
        (r"CREATE\s+(OR\s+REPLACE\s+)?TABLE", "plain_create_table", None),
        (r"CREATE\s+(OR\s+REPLACE\s+)?VIEW", "plain_create_view", (None, None)),
        ("DROP", "catalog_drop", None),
    ):
        detect = getattr(ddl_sync, f"_detect_{kind}")
        setattr(ddl_sync, f"_detect_{kind}", _only_of(word, detect, otherwise))
    inner_query.rewrite_for_row_access = _leave_tables_alone(inner_query.rewrite_for_row_access)
    # These parse each job's whole text, and copy tables, for snapshots and time travel, which nobody here asks for.
    SnapshotManager.record_change = lambda *_: None
    executor._reject_dml_on_immutable = lambda *_: None
    executor._capture_dml_snapshots = _capture_nothing
    main(
        [
            *("start", "--rest-host", host, "--rest-port", str(port), "--grpc-port", "0"),
            *("--ephemeral", "--log-level", "error"),
        ],
        standalone_mode=True,
    )


def _bare_app(create: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes the emulator's application without its logs and metrics, and with a way to copy a project."""

    def create_bare(context: Any) -> Any:
        app = create(context)
        app.user_middleware.clear()
        app.add_api_route(
            _COPIES, lambda template, project: _copy(context, template, project), methods=["POST"]
        )
        return app

    return create_bare


async def _in_this_thread(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Answer where the jobs run, too.

    In worker threads, on the one connection to DuckDB, one answer got the rows of another, or it was busy. A change of
    threads also took a third of a short answer's time.
    """
    return call(*arguments, **named)


def _copy(context: Any, template: str, project: str) -> None:
    from bqemulator.storage.sql_identifiers import quoted_schema, quoted_table_ref

    for dataset in context.catalog.list_datasets(template):
        context.engine.execute(f"CREATE SCHEMA {quoted_schema(project, dataset.dataset_id)}")
        context.catalog.create_dataset(dataset.model_copy(update={"project_id": project}))
        for table in context.catalog.list_tables(template, dataset.dataset_id):
            made, like = (
                quoted_table_ref(each, table.dataset_id, table.table_id) for each in (project, template)
            )
            context.engine.execute(f"CREATE TABLE {made} AS FROM {like} LIMIT 0")
            query = table.view_query and table.view_query.replace(template, project)
            context.catalog.create_table(
                table.model_copy(update={"project_id": project, "view_query": query})
            )


def _only_of(word: str, detect: Callable[..., Any], otherwise: Any) -> Callable[..., Any]:
    """Return what looks for a kind of statement and doesn't parse the others: each is looked at for four kinds."""
    begins = re.compile(rf"(\s|--[^\n]*\n)*{word}\b", re.IGNORECASE)
    return lambda text, *others: detect(text, *others) if begins.match(text) else otherwise


async def _capture_nothing(*_: object) -> None:
    pass


def _leave_tables_alone(rewrite: Callable[..., str]) -> Callable[..., str]:
    """Return what puts a view's query in place of its name, and parses no text that names no view of ours.

    To ask the catalog for its views takes the longer the more projects it has.
    """
    from prediction_assets.stores.sql.tables import VIEWS

    names = [view.name for view in VIEWS]
    return lambda text, **named: rewrite(text, **named) if any(name in text for name in names) else text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the BigQuery emulator.")
    parser.add_argument("--port", type=int, default=9050)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    serve(options.port, options.host)
