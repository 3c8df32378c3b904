"""Alerting under test: a local webhook, every store, and an observer that ticks the sensors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prediction_assets.stores.gcp.alerts import FirestoreAlertStore
from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets.stores.protocols import AlertStore
from prediction_assets_tests.emulator_fixtures import firestore_client, firestore_emulator, project

__all__ = ["firestore_client", "firestore_emulator", "project"]

TOKEN = "a-secret-token"


@dataclass
class Webhook:
    """A receiver of alerts on this machine.

    Attributes:
        status: what it answers with.
        received: the messages that it accepted, in order.
        asked: how many requests came, accepted or not.
    """

    status: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """The URL as an alert setting has it."""
        return f"json://127.0.0.1:{self.port}/{TOKEN}"

    def about(self, text: str) -> list[str]:
        """Return the titles of the messages that mention a text."""
        return [m["title"] for m in self.received if text in m["title"] + "\n" + m["message"]]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.asked += 1
            if hook.status == 200 and self.path.startswith(f"/{TOKEN}"):
                hook.received.append(json.loads(body))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()
    thread.join(10)


OpenStore = Callable[[], AlertStore]


@pytest.fixture(params=["sqlite", "firestore"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Return a store anew with each call, as another process would."""
    if request.param == "sqlite":
        return lambda: SqliteAlertStore(tmp_path / "state.sqlite")
    client = request.getfixturevalue("firestore_client")
    return lambda: FirestoreAlertStore(FirestoreCalls(client))
