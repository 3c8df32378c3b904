"""The guard of Dagster's webserver: what a page of another site can't do to the UI.

Dagster's webserver checks neither Host nor Origin and runs mutations that are sent by GET, so any page that an operator
opens could operate it. :class:`~.instance.LoggedInstance` puts this guard in front of every webserver that opens the
instance, whatever command started it: ``prediction-assets dev``, ``dagster dev``, ``dagster-webserver`` of the image or
of the chart. It is no login: see docs/security.md.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import dagster_webserver.app
from dagster_webserver.webserver import DagsterWebserver
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prediction_assets.settings import load_settings

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[0-9a-z._-]+?)\.?(?P<port>:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_SECURITY_HEADERS = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}
_POLICY = "frame-ancestors 'none'; form-action 'self'; img-src 'self' data: blob:"
"""Beside Dagster's own policy; a browser enforces both. ``img-src`` stops images from calling another site."""


class BrowserGuard:
    """Refuses what a browser sends for another site, and forbids other sites to frame the UI.

    A request without ``Origin`` and ``Sec-Fetch-Site`` is from a program, not from a page: it passes if its Host does.

    Args:
        app: what is guarded.
        ui_url: the address by which browsers reach the UI, besides the names of this machine.
    """

    def __init__(self, app: ASGIApp, ui_url: str) -> None:
        self._app = app
        address = urlsplit(ui_url.lower())
        self._scheme = address.scheme
        self._ui_host = _without_default_port(address.netloc, address.scheme)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request with 403, 405 or 415, and pass on every other."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY_HEADERS)
                headers.append("Content-Security-Policy", _POLICY)
            await send(message)

        await (refused or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers, path = Headers(scope=scope), scope["path"]
        is_websocket = scope["type"] == "websocket"
        method = "GET" if is_websocket else scope["method"]
        # A probe names the UI by its address in a cluster, and gets nothing but versions.
        if method == "GET" and path == "/server_info":
            return None
        own = self._own_origins(headers.getlist("host"))
        if not own:
            return _refuse(
                403,
                "this UI doesn't answer to that Host. Set PREDICTION_ASSETS_UI_URL of the webserver to the address "
                "that browsers use",
            )
        origins = headers.getlist("origin")
        if any(origin.lower() not in own for origin in origins) or (is_websocket and not origins):
            return _refuse(403, "the request is from a page of another origin")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not (
            method in ("GET", "HEAD")
            and not is_websocket
            and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        ):
            return _refuse(403, "another site may link to a page of this UI, and do nothing else")
        if is_websocket:
            return None
        if method not in ("GET", "HEAD", "POST") or (method != "POST" and path.endswith("/graphql")):
            return _refuse(405, "GraphQL takes POST alone, every page GET alone")
        # A form can't send JSON, and a script of another site must ask before it does.
        if method == "POST" and _media_type(headers.getlist("content-type")) != "application/json":
            return _refuse(415, "send JSON, as application/json")
        return None

    def _own_origins(self, hosts: list[str]) -> set[str]:
        """Return the origins of the UI's own pages under a request's Host, none if the Host isn't the UI's."""
        if len(hosts) != 1 or (found := _HOST.fullmatch(hosts[0].lower())) is None:
            return set()
        origins = set()
        if _is_loopback(found["name"].strip("[]")):
            origins.add(f"http://{_without_default_port(hosts[0].lower(), 'http')}")
        named = found["name"] + (found["port"] or "")
        if _without_default_port(named, self._scheme) == self._ui_host:
            origins.add(f"{self._scheme}://{self._ui_host}")
        return origins


class GuardedWebserver(DagsterWebserver):
    """Dagster's webserver with :class:`BrowserGuard` in front of everything that it serves."""

    def build_middleware(self) -> list[Middleware]:
        """Return the guard, then Dagster's own middleware."""
        return [Middleware(BrowserGuard, ui_url=load_settings().ui_url), *super().build_middleware()]


def guard_webserver() -> None:
    """Make Dagster build its app from :class:`GuardedWebserver` in this process."""
    dagster_webserver.app.DagsterWebserver = GuardedWebserver  # type: ignore[attr-defined]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _without_default_port(netloc: str, scheme: str) -> str:
    return netloc.removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def _media_type(values: list[str]) -> str:
    return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""


def _refuse(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(f"refused: {why}\n", status)
