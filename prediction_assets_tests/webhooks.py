"""A receiver of alerts on this machine, for tests of where alerts go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from prediction_assets_tests.listening import listening

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

    with listening(Receiver) as hook.port:
        yield hook
