"""BigQuery's rules, enforced by a proxy before the emulator, which is built on DuckDB and has few of them.

Every rule is one that Google documents. What breaks a rule never reaches the emulator. A job that BigQuery would run
and fail is answered as a failed job, a used job id with 409. Rows of a load job arrive in an order of chance, and a
number with a point is a FLOAT64, so a sum that depends on the order shows.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow.parquet as pq
import sqlglot
from bqemulator.scripting import ast
from bqemulator.scripting.parser import Parser
from sqlglot import exp

from prediction_assets_tests.listening import listening

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
_STRINGS = re.compile(_STRING)
_STRING_NAME_OR_NUMBER = re.compile(rf"{_STRING}|`[^`]*`|(?<![\w.])\d+\.\d+(?![\w.])")
_PATH = r"((?:`?[\w-]+`?\.)+`?\w+`?)"
_MUTATED = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM|MERGE INTO|MERGE|TRUNCATE TABLE) {_PATH}")
_READ = re.compile(r"`[^`]+`\.`[^`]+`\.`[^`]+`")
_TRANSACTION = re.compile(r"\bBEGIN TRANSACTION\b")
_UPLOAD = "/upload/bigquery/v2/"
_HOP_BY_HOP = frozenset({"connection", "content-length", "host", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True)
class Limits:
    """Google's limits, https://cloud.google.com/bigquery/quotas; a test makes one smaller to reach it.

    Attributes:
        text_bytes: of one job's text.
        tables: that one statement reads.
        loads: load jobs for one table on one day, failed ones too.
        queued: mutating statements that wait for one table.
        running: mutating statements outside a transaction that run on one table at once.
    """

    text_bytes: int = 1024 * 1024
    tables: int = 1000
    loads: int = 1500
    queued: int = 20
    running: int = 2


class _Refused(Exception):
    """A job that BigQuery runs and fails."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class StrictBigQuery:
    """The rules, and what they need to remember.

    Attributes:
        emulator: the emulator's endpoint.
        transaction_seconds: how long a transaction takes at least: on an emulator it is over too soon to meet another.
        lose: how many answers to jobs of a purpose are lost still; the job is done.
        refused: the messages of the jobs that were failed.
        in_transaction: the tables that a transaction changes at the moment.
    """

    emulator: str
    limits: Limits = field(default_factory=Limits)
    transaction_seconds: float = 0.0
    lose: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    in_transaction: set[str] = field(default_factory=set)
    seed: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._job_ids: set[tuple[str, str]] = set()
        self._answers: dict[str, dict[str, Any]] = {}
        self._uploads: dict[str, dict[str, Any]] = {}
        self._loads: Counter[str] = Counter()
        self._statements: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._filtered: dict[str, str] = {}
        self._random = np.random.default_rng(self.seed)

    def filter_as(self, other: StrictBigQuery) -> None:
        """Demand filters of the same tables, which were copied and not created here."""
        self._filtered.update(other._filtered)

    # Requests ------------------------------------------------------------------------------------

    def answer(self, request: _Request) -> _Answer | None:
        """Return the answer to a request; None if it gets lost."""
        path = urlsplit(request.path).path
        if request.method == "POST" and path.endswith("/tables"):
            self._remember_filter(json.loads(request.body))
        elif request.method == "POST" and path.startswith(_UPLOAD):
            return self._begin_upload(request)
        elif request.method == "PUT" and path.startswith(_UPLOAD):
            return self._load(request)
        elif request.method == "POST" and path.endswith("/jobs"):
            return self._query(request)
        elif request.method == "GET" and (found := self._answers.get(path.rsplit("/", 1)[-1])):
            return _of_failed_query(found) if "/queries/" in path else _json(200, found)
        return self._forward(request)

    def _forward(self, request: _Request) -> _Answer:
        where = urlsplit(self.emulator)
        connection = HTTPConnection(str(where.hostname), where.port, timeout=600)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return _Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def _query(self, request: _Request) -> _Answer | None:
        job = json.loads(request.body)
        if not self._is_new(job):
            return _conflict()
        query = job["configuration"].get("query", {})
        text = query.get("query", "")
        try:
            self._require_sizes(text)
            query["query"] = as_float64(text)
            with self._mutating(text):
                self._require_partition_filter(text)
                answer = self._forward(request.with_body(json.dumps(job).encode()))
        except _Refused as refused:
            answer = self._failed(job, refused)
        return self._maybe_lost(job, answer)

    def _begin_upload(self, request: _Request) -> _Answer:
        job = json.loads(request.body)
        if not self._is_new(job):
            return _conflict()
        answer = self._forward(request)
        self._uploads[_upload_id(answer.headers["location"])] = job
        return answer

    def _load(self, request: _Request) -> _Answer | None:
        job = self._uploads[_upload_id(request.path)]
        load = job["configuration"]["load"]
        table = ".".join(load["destinationTable"].values())
        try:
            with self._lock:
                self._loads[table] += 1
                if self._loads[table] > self.limits.loads:
                    message = f"Exceeded rate limits: too many table update operations for this table {table}"
                    raise _Refused("quotaExceeded", message)
            rows = pq.read_table(io.BytesIO(request.body))
            for each in load["schema"]["fields"]:
                if each.get("mode") == "REQUIRED" and rows[each["name"]].null_count:
                    raise _Refused("invalid", f"Required field {each['name']} cannot be null")
            shuffled = io.BytesIO()
            pq.write_table(rows.take(self._random.permutation(rows.num_rows)), shuffled)
            answer = self._forward(request.with_body(shuffled.getvalue()))
            resource = json.loads(answer.body)
            # The emulator forgets the id that a load job was given.
            resource["jobReference"] = {**resource["jobReference"], **job["jobReference"]}
            self._answers[job["jobReference"]["jobId"]] = resource
            answer = _json(200, resource)
        except _Refused as refused:
            answer = self._failed(job, refused)
        return self._maybe_lost(job, answer)

    def _is_new(self, job: Mapping[str, Any]) -> bool:
        reference = job["jobReference"]
        name = (reference["projectId"], reference["jobId"])
        with self._lock:
            is_new = name not in self._job_ids
            self._job_ids.add(name)
        return is_new

    def _maybe_lost(self, job: Mapping[str, Any], answer: _Answer) -> _Answer | None:
        purpose = job["configuration"].get("labels", {}).get("purpose", "")
        with self._lock:
            if not self.lose[purpose]:
                return answer
            self.lose[purpose] -= 1
        return None

    def _failed(self, job: dict[str, Any], refused: _Refused) -> _Answer:
        problem = {"reason": refused.reason, "message": str(refused)}
        status = {"state": "DONE", "errorResult": problem, "errors": [problem]}
        with self._lock:
            self.refused.append(str(refused))
            self._answers[job["jobReference"]["jobId"]] = {**job, "status": status}
        return _json(200, {**job, "status": status})

    # Rules ---------------------------------------------------------------------------------------

    def _require_sizes(self, text: str) -> None:
        if len(text.encode()) > self.limits.text_bytes:
            raise _Refused(
                "invalid", "The query is too large. The maximum standard SQL query length is 1024.00K"
            )
        for tables in tables_read(text):
            if len(tables) > self.limits.tables:
                raise _Refused(
                    "resourcesExceeded", f"Too many tables: at most {self.limits.tables} in a query"
                )

    def _remember_filter(self, table: dict[str, Any]) -> None:
        name = table["tableReference"]["tableId"]
        if table.get("requirePartitionFilter"):
            self._filtered[name] = table["timePartitioning"]["field"]
        viewed = table.get("view", {}).get("query", "")
        for other, column in list(self._filtered.items()):
            if f"`{other}`" in viewed:
                self._filtered[name] = column

    def _require_partition_filter(self, text: str) -> None:
        for name, column in list(self._filtered.items()):
            if (f"`{name}`" in text or f".{name}" in text) and (table := _unfiltered(text, name, column)):
                raise _Refused(
                    "invalidQuery",
                    f"Cannot query over table '{table}' without a filter over column(s) '{column}' that can be used "
                    "for partition elimination",
                )

    @contextmanager
    def _mutating(self, text: str) -> Iterator[None]:
        """Let a job change its tables alone; cancel a transaction that meets another, queue a statement.

        https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
        """
        bare = _STRINGS.sub("''", text)
        tables = {name.replace("`", "") for name in _MUTATED.findall(bare)}
        if _TRANSACTION.search(bare):
            with self._in_a_transaction(tables):
                yield
        else:
            with self._as_a_statement(tables):
                yield

    @contextmanager
    def _in_a_transaction(self, tables: set[str]) -> Iterator[None]:
        with self._lock:
            for table in sorted(tables):
                if table in self.in_transaction or self._statements[table]:
                    message = f"Transaction is aborted due to concurrent update against table {table}"
                    raise _Refused("invalidQuery", message)
            self.in_transaction |= tables
        ends = time.monotonic() + self.transaction_seconds
        try:
            yield
            time.sleep(max(0.0, ends - time.monotonic()))
        finally:
            with self._lock:
                self.in_transaction -= tables
                self._lock.notify_all()

    @contextmanager
    def _as_a_statement(self, tables: set[str]) -> Iterator[None]:
        def is_free() -> bool:
            return not any(
                each in self.in_transaction or self._statements[each] >= self.limits.running
                for each in tables
            )

        with self._lock:
            if not is_free():
                if any(self._waiting[each] >= self.limits.queued for each in tables):
                    raise _Refused(
                        "resourcesExceeded",
                        "Resources exceeded during query execution: Too many DML statements outstanding against table "
                        f"{', '.join(sorted(tables))}, limit is {self.limits.queued}",
                    )
                self._waiting.update(tables)
                self._lock.wait_for(is_free)
                self._waiting.subtract(tables)
            self._statements.update(tables)
        try:
            yield
        finally:
            with self._lock:
                self._statements.subtract(tables)
                self._lock.notify_all()


def tables_read(text: str) -> list[set[str]]:
    """Return the tables that each statement of a job's text names."""
    return [set(_READ.findall(statement)) for statement in _STRINGS.sub("''", text).split(";")]


def as_float64(text: str) -> str:
    """Return a job's text with each number that has a point as BigQuery reads it: a FLOAT64, not a decimal."""
    return _STRING_NAME_OR_NUMBER.sub(
        lambda found: f"CAST({found[0]} AS FLOAT64)" if found[0][0].isdigit() else found[0], text
    )


def _expressions(statements: Sequence[ast.Statement]) -> Iterator[exp.Expression]:
    """Yield what each statement of a script reads, changes, assigns or decides."""
    for each in statements:
        texts: list[str | None] = []
        if isinstance(each, ast.SqlStmt):
            texts = [each.sql]
        elif isinstance(each, ast.SetStmt):
            texts = [f"SELECT {each.source_expr}"]
        elif isinstance(each, ast.DeclareStmt):
            texts = [each.default_expr and f"SELECT {each.default_expr}"]
        elif isinstance(each, ast.IfStmt):
            for condition, body in each.branches:
                texts.append(f"SELECT {condition}")
                yield from _expressions(body)
            yield from _expressions(each.else_body or ())
        for text in texts:
            if text:
                yield from (tree for tree in sqlglot.parse(text, read="bigquery") if tree is not None)


@lru_cache(maxsize=256)
def _unfiltered(text: str, name: str, column: str) -> str:
    """Return where a job's text names a table without a filter over its partitions, "" if it doesn't."""
    for expression in _expressions(Parser(text).parse_script().statements):
        for table in expression.find_all(exp.Table):
            if table.name == name and not _is_filtered(table, column):
                return str(table.sql("bigquery"))
    return ""


def _is_filtered(table: exp.Table, column: str) -> bool:
    """Return whether a condition of the statement that reads a table, or of one around it, picks its partitions."""
    if isinstance(table.parent, exp.Schema | exp.Insert | exp.Alter | exp.Drop):
        return True  # written, not read
    around: exp.Expression | None = table
    while around is not None:
        conditions = [around.args.get("where"), around.args.get("on")]
        conditions += [join.args.get("on") for join in around.args.get("joins") or ()]
        for condition in filter(None, conditions):
            if any(_picks(predicate, column) for predicate in condition.find_all(exp.Predicate)):
                return True
        around = around.parent
    return False


def _picks(predicate: exp.Expression, column: str) -> bool:
    """Return whether a predicate compares a column with what is known before the statement runs."""
    sides = list(predicate.iter_expressions())
    named = [side for side in sides if isinstance(side, exp.Column) and side.name == column]
    others = [side for side in sides if side not in named]
    return bool(named) and not any(
        isinstance(node, exp.Query) or (isinstance(node, exp.Column) and node.table)
        for other in others
        for node in other.walk()
    )


# HTTP --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def with_body(self, body: bytes) -> _Request:
        headers = dict(self.headers)
        if "content-range" in headers:
            headers["content-range"] = f"bytes 0-{len(body) - 1}/{len(body)}"
        return _Request(self.method, self.path, headers, body)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def _json(status: int, content: object) -> _Answer:
    return _Answer(status, {"content-type": "application/json"}, json.dumps(content).encode())


def _error(status: int, problem: Mapping[str, Any]) -> _Answer:
    return _json(status, {"error": {"code": status, "message": problem["message"], "errors": [problem]}})


def _conflict() -> _Answer:
    return _error(409, {"reason": "duplicate", "message": "Already Exists: Job"})


def _of_failed_query(job: Mapping[str, Any]) -> _Answer:
    return _error(400, job["status"]["errorResult"])


def _upload_id(location: str) -> str:
    return parse_qs(urlsplit(location).query)["upload_id"][0]


@contextmanager
def strict(emulator: str, **options: Any) -> Iterator[tuple[str, StrictBigQuery]]:
    """Yield the endpoint of a BigQuery with Google's rules before an emulator, and the rules."""
    rules = StrictBigQuery(emulator, **options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            answer = rules.answer(_Request(self.command, self.path, headers, body))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value.replace(emulator, endpoint))
            self.send_header("content-length", str(len(answer.body)))
            with suppress(ConnectionError):  # the client waits no longer
                self.end_headers()
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as port:
        endpoint = f"http://127.0.0.1:{port}"
        yield endpoint, rules
