"""The BigQuery emulator for the tests: the one that is running, or one of our own, or a reason to skip.

``BIGQUERY_EMULATOR_HOST`` names a running one. Otherwise bqemulator is started on a free port, from this file,
in a process that dies with its parent. Run by hand (``python FILE --port 9050``) it serves until it is stopped.
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
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from sqlglot.errors import SqlglotError

HOST_VARIABLE = "BIGQUERY_EMULATOR_HOST"
_READY_SECONDS = 60.0
_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1
_TEXTS_KEPT = 1500
_NAMES = re.compile(r"test-[0-9a-f]{12,20}|staged_[0-9a-f]{24}")
"""Names that differ between tests and MERGEs: a test's project, the table in which a MERGE has its rows."""
_of_thread = threading.local()


class NoEmulator(Exception):
    """There is no BigQuery emulator here, and why."""


def emulator_client(endpoint: str, project: str) -> bigquery.Client:
    """Return a client of the emulator at an endpoint; it needs no credentials."""
    return bigquery.Client(
        project=project,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=endpoint),
    )


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
                [sys.executable, str(Path(__file__).resolve()), "--port", str(port), "--host", address],
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
    from bqemulator.cli import main
    from bqemulator.jobs import executor
    from bqemulator.scripting import interpreter
    from bqemulator.sql import inner_query
    from bqemulator.sql.translator import SQLTranslator
    from bqemulator.storage.engine import DuckDBEngine
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.expressions import core

    # A row's hash names each column in one long chain; a statement that is too deep for it is run without its datasets.
    sys.setrecursionlimit(20_000)
    # Its geography functions are DuckDB's spatial extension, which is downloaded at every start.
    DuckDBEngine._load_spatial = lambda self: None
    DuckDBEngine.connection = property(_connection_of_thread)
    Dialect.parse = _parse_each_text_once(Dialect.parse)
    SQLTranslator.translate = _translate_each_text_once(SQLTranslator.translate)
    core.deepcopy = _copy_flat(core.Expr, core.deepcopy)
    executor.parse_script = interpreter.parse_script = lru_cache(_TEXTS_KEPT)(executor.parse_script)  # frozen
    rewrite_once = _rewrite_each_text_once(executor.rewrite_table_refs)
    executor.rewrite_table_refs = interpreter.rewrite_table_refs = rewrite_once
    inner_query.rewrite_for_row_access = _leave_tables_alone(inner_query.rewrite_for_row_access)
    interpreter._rewrite_vars_to_params = _bind_each_text_once(interpreter._rewrite_vars_to_params)
    # These parse each job's whole text for snapshots of tables and for time travel, which nobody here asks for.
    executor._reject_dml_on_immutable = lambda *_: None
    executor._capture_dml_snapshots = _capture_nothing
    main(
        [
            *("start", "--rest-host", host, "--rest-port", str(port), "--grpc-port", "0"),
            *("--ephemeral", "--log-level", "error"),
        ],
        standalone_mode=True,
    )


def _connection_of_thread(engine: Any) -> Any:
    """Return the emulator's connection, or in another thread than the server's one of its own.

    It answers questions for rows in worker threads, on the connection that its jobs run on: then one thread gets the
    other's rows, or DuckDB's "connection is busy".
    """
    if threading.current_thread() is threading.main_thread():
        return engine._connection
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = engine._connection.cursor()
        _of_thread.connection.execute("SET TimeZone = 'UTC'")
    return _of_thread.connection


def _renamed(text: str, names: Sequence[str], others: Sequence[str]) -> str:
    """Return a text with other names in place of these."""
    for name, other in zip(names, others, strict=True):
        text = text.replace(name, other)
    return text


def _names_in(text: str) -> tuple[list[str], list[str]]:
    """Return the names in a text that differ between tests, and what stands for each in what is remembered."""
    names = sorted(set(_NAMES.findall(text)))
    return names, [f"{name.rstrip('0123456789abcdef')}any{place}name" for place, name in enumerate(names)]


def _translate_each_text_once(translate: Callable[..., Any]) -> Callable[..., Any]:
    """Return the emulator's translator with a memory: a MERGE's statements are the same ones for every slate."""
    translated: OrderedDict[Hashable, Any] = OrderedDict()

    def translate_once(translator: Any, text: str, *, schema: Any = None, **options: Any) -> Any:
        names, stand_ins = _names_in(text)
        key = (_renamed(text, names, stand_ins), _renamed(repr(schema), names, stand_ins), repr(options))
        if key not in translated:
            result = translate(translator, text, schema=schema, **options)
            if not hasattr(result, "value"):
                return result  # an error
            translated[key] = type(result)(_renamed(result.value, names, stand_ins))
            if len(translated) > _TEXTS_KEPT:
                translated.popitem(last=False)
        result = translated[key]
        return type(result)(_renamed(result.value, stand_ins, names))

    return translate_once


def _rewrite_each_text_once(rewrite: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """Return what puts the project before each table's name, with a memory for texts that differ in names only."""
    remembered = lru_cache(_TEXTS_KEPT)(rewrite)

    def rewrite_once(text: str, project: str) -> str:
        names, stand_ins = _names_in(f"{text} {project}")
        rewritten = remembered(_renamed(text, names, stand_ins), _renamed(project, names, stand_ins))
        return _renamed(rewritten, stand_ins, names)

    return rewrite_once


def _bind_each_text_once(bind: Callable[..., tuple[str, list[Any]]]) -> Callable[..., tuple[str, list[Any]]]:
    """Return what puts placeholders for a script's variables, with a memory: the texts depend on no value but NULL."""
    bound: OrderedDict[Hashable, tuple[str, list[str | None]]] = OrderedDict()

    def bind_once(text: str, frames: Any) -> tuple[str, list[Any]]:
        visible = {name: each for name, each in frames.all_visible().items() if name in text}
        if any(isinstance(variable.value, dict) for variable in visible.values()):
            return bind(text, frames)  # a row, whose fields are bound
        names, stand_ins = _names_in(text)
        kinds = tuple((name, each.type_name, each.value is None) for name, each in sorted(visible.items()))
        key = (_renamed(text, names, stand_ins), kinds)
        if key not in bound:
            named = {
                name: SimpleNamespace(value=None if is_null else name, type_name=kind)
                for name, kind, is_null in kinds
            }
            bound[key] = bind(key[0], SimpleNamespace(all_visible=lambda: named))
            if len(bound) > _TEXTS_KEPT:
                bound.popitem(last=False)
        made, variables = bound[key]
        values = [None if name is None else visible[name].value for name in variables]
        return _renamed(made, stand_ins, names), values

    return bind_once


async def _capture_nothing(*_: object) -> None:
    pass


def _leave_tables_alone(rewrite: Callable[..., str]) -> Callable[..., str]:
    """Return what puts a view's query in place of its name, and parses no text that names no view."""

    def rewrite_views(text: str, *, project_id: str, caller: Any, catalog: Any) -> str:
        views = (
            view.table_id
            for dataset in catalog.list_datasets(project_id)
            for view in catalog.list_views(project_id, dataset.dataset_id)
        )
        if any(view in text for view in views) or catalog.list_all_row_access_policies():
            return rewrite(text, project_id=project_id, caller=caller, catalog=catalog)
        return text

    return rewrite_views


def _copy_flat(expression: type, copy_deep: Callable[..., Any]) -> Callable[..., Any]:
    """Return what copies a syntax tree: the positions in the text that each node has are plain numbers.

    Copying trees took the emulator two fifths of its time.
    """

    def copy(value: Any) -> Any:
        if isinstance(value, expression):
            return value.__deepcopy__({})
        if type(value) is dict and all(type(each) in (int, str, bool) for each in value.values()):
            return dict(value)
        return copy_deep(value)

    return copy


def _parse_each_text_once(parse: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return sqlglot's parser with a memory: the emulator parses each statement of a script some nine times.

    A MERGE took the emulator 0.9 s of processor time, most of it in the parser.
    """
    parsed: OrderedDict[Hashable, list[Any] | SqlglotError] = OrderedDict()

    def parse_once(dialect: Any, text: str, **options: Any) -> list[Any]:
        if options or dialect.settings:
            return parse(dialect, text, **options)
        names, stand_ins = _names_in(text)
        key = (type(dialect), _renamed(text, names, stand_ins))
        if key not in parsed:
            try:
                parsed[key] = parse(dialect, key[1])
            except SqlglotError as error:  # a whole script, that many a call tries to read as a statement
                parsed[key] = error
            if len(parsed) > _TEXTS_KEPT:
                parsed.popitem(last=False)
        remembered = parsed[key]
        if isinstance(remembered, SqlglotError):
            raise remembered.with_traceback(None)
        trees = [tree and tree.copy() for tree in remembered]  # callers change the trees
        for tree in trees if names else ():
            for node in tree.walk() if tree else ():
                if isinstance(node.args.get("this"), str):
                    node.args["this"] = _renamed(node.args["this"], stand_ins, names)
        return trees

    return parse_once


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the BigQuery emulator.")
    parser.add_argument("--port", type=int, default=9050)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    serve(options.port, options.host)
