"""A server on this machine that answers as the live sources do, with made-up facts; no test uses the network."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from prediction_assets.settings import Settings
from prediction_assets_tests.listening import listening


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        body: bytes, text, or a document that is sent as JSON.
        seconds: it comes so late.
        cut: the connection ends after half of it.
        drip: a byte at a time, so many seconds apart.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: bool = False
    drip: float = 0.0

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Asked:
    """One request: its path, the parameters of its query, its headers."""

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]


Route = Reply | list[Reply] | Callable[[Asked], Reply]


@dataclass
class SourceServer:
    """A server of made-up answers.

    Attributes:
        routes: by the begin of the path, the longest first: a reply, replies in turn (the last one stays), or a
            function of the request. A path without a route is answered with 404.
        asked: the requests that came, in order.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, settings: Settings, **more: Any) -> Settings:
        """Return an installation's settings with this server in the place of every live source."""
        addresses = {
            name: f"{self.url}/{name.removesuffix('_url')}"
            for name in ("stats_nba_url", "cdn_nba_url", "odds_api_url", "official_report_url")
        }
        return Settings(**{**settings.model_dump(), **addresses, "source_timeout": 2.0, **more})

    def paths(self, begin: str = "") -> list[str]:
        """Return the paths that were asked for and begin so."""
        return [asked.path for asked in self.asked if asked.path.startswith(begin)]

    def reply(self, asked: Asked) -> Reply:
        """Return the answer to a request."""
        self.asked.append(asked)
        begins = [begin for begin in self.routes if asked.path.startswith(begin)]
        if not begins:
            return Reply("no such thing", 404)
        route = self.routes[max(begins, key=len)]
        if isinstance(route, list):
            return route.pop(0) if len(route) > 1 else route[0]
        return route if isinstance(route, Reply) else route(asked)


@pytest.fixture
def source_server() -> Iterator[SourceServer]:
    """Serve made-up answers for the time of a test."""
    with_answers = SourceServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            reply = with_answers.reply(
                Asked(address.path, dict(parse_qsl(address.query)), dict(self.headers))
            )
            time.sleep(reply.seconds)
            content = reply.content
            packed = reply.headers.get("Content-Encoding") == "gzip"
            sent = gzip.compress(content) if packed else content
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            try:
                if reply.drip:
                    for byte in sent:
                        self.wfile.write(bytes([byte]))
                        time.sleep(reply.drip)
                else:
                    self.wfile.write(sent[: len(sent) // 2] if reply.cut else sent)
            except OSError:
                pass  # the client has given up

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with listening(Handler) as with_answers.port:
        yield with_answers
