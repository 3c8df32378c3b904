"""What the guard of the UI's webserver refuses, and what it lets pass."""

from __future__ import annotations

from collections.abc import Mapping

import dagster_webserver.app
import pytest
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.webserver import BrowserGuard, GuardedWebserver
from prediction_assets.settings import load_settings

OWN, UI, EVIL = "http://127.0.0.1:3000", "https://ui.example.com", "https://evil.example"
MUTATION = "mutation{wipeAssets(assetPartitionRanges:[]){__typename}}"
JSON = "application/json"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def _reached(request: Request) -> Response:
    return JSONResponse({"path": request.url.path}, headers={"Content-Security-Policy": "object-src 'none'"})


async def _live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("live")
    await socket.close()


def client(ui_url: str = OWN) -> TestClient:
    """Return a client of a guarded app that answers every request that reaches it with 200."""
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
    app = Starlette(
        routes=[WebSocketRoute("/graphql", _live), Route("/{path:path}", _reached, methods=methods)],
        middleware=[Middleware(BrowserGuard, ui_url=ui_url)],
    )
    return TestClient(app, base_url=OWN)


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("127.0.0.1:3000", True),
        ("127.0.0.1", True),
        ("127.9.9.9:3000", True),
        ("localhost:3000", True),
        ("LOCALHOST:3000", True),
        ("localhost.:3000", True),
        ("[::1]:3000", True),
        ("ui.example.com", True),
        ("UI.Example.COM", True),
        ("ui.example.com.", True),
        ("ui.example.com:443", True),
        ("ui.example.com:3000", False),
        ("evil.example", False),
        ("EVIL.EXAMPLE.:3000", False),
        ("localhost.evil.example:3000", False),
        ("127.0.0.1.evil.example:3000", False),
        ("ui.example.com.evil.example", False),
        ("evil-ui.example.com", False),
        ("evil.example#@localhost:3000", False),
        ("localhost@evil.example", False),
        ("localhost, evil.example", False),
        ("localhost..", False),
        ("0.0.0.0:3000", False),
        ("[::]:3000", False),
        ("[2001:db8::1]:3000", False),
        ("192.168.1.7:3000", False),
        ("2130706433:3000", False),
        ("localhost:port", False),
        ("", False),
    ],
)
def test_a_host_that_is_not_the_ui_s_gets_no_answer(host, passes):
    answer = client(UI).get("/runs", headers={"Host": host})
    assert answer.status_code == (200 if passes else 403)
    assert passes or "PREDICTION_ASSETS_UI_URL" in answer.text


def test_a_request_with_two_hosts_or_with_none_gets_no_answer():
    twice = [(b"host", b"localhost:3000"), (b"host", b"evil.example")]
    assert client().get("/runs", headers=twice).status_code == 403
    scope = {"type": "http", "method": "GET", "path": "/runs", "headers": []}
    assert BrowserGuard(_live, OWN)._refusal(scope).status_code == 403  # type: ignore[arg-type, union-attr]


def test_a_probe_that_knows_the_ui_by_its_address_gets_its_versions_alone():
    probe = {"Host": "10.1.2.3:3000"}
    assert client().get("/server_info", headers=probe).status_code == 200
    for path in ("/", "/server_info/", "/graphql"):
        assert client().get(path, headers=probe).status_code == 403
    assert client().post("/server_info", headers={**probe, "Content-Type": JSON}).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/graphql", "/%67raphql", "/prefix/graphql"])
def test_graphql_is_run_by_post_alone(method, path):
    answer = client().request(method, path, params={"query": MUTATION}, headers={"Origin": OWN})
    assert answer.status_code == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_page_is_read_and_nothing_else(method):
    assert client().request(method, "/runs").status_code == 405


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "application/jsonp",
    ],
)
def test_what_a_form_can_send_is_no_query_even_without_an_origin(content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    for path in ("/graphql", "/report_asset_materialization/predictions"):
        answer = client().post(path, params={"query": MUTATION}, content=b"{}", headers=headers)
        assert answer.status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://localhost:3000"},
        {"Origin": f"{OWN}.evil.example"},
        {"Origin": UI},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", **NAVIGATION},
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "text/plain", "application/x-www-form-urlencoded"])
def test_a_post_of_another_site_is_refused(headers, content_type):
    answer = client().post(
        "/graphql", json={"query": MUTATION}, headers={"Content-Type": content_type, **headers}
    )
    assert answer.status_code == 403


def test_two_origins_are_refused_although_one_is_the_ui_s():
    headers = [("Origin", OWN), ("Origin", EVIL)]
    assert client().get("/runs", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "cross-site", **NAVIGATION}, True),
        ({"Sec-Fetch-Site": "none", **NAVIGATION}, True),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": EVIL}, False),
    ],
)
def test_another_site_may_link_to_a_page_and_use_nothing_of_it(headers, passes):
    assert client().get("/runs", headers=headers).status_code == (200 if passes else 403)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN},
        {"Origin": OWN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
        {"Host": "[::1]:3000", "Origin": "http://[::1]:3000"},
        {"Host": "ui.example.com", "Origin": UI},
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "Application/JSON; charset=utf-8"])
def test_the_ui_s_own_queries_and_those_of_programs_pass(headers, content_type):
    answer = client(UI).post("/graphql", content=b"{}", headers={"Content-Type": content_type, **headers})
    assert answer.status_code == 200


def test_a_page_of_the_ui_s_public_name_without_tls_is_another_origin():
    headers = {"Host": "ui.example.com", "Origin": "http://ui.example.com"}
    assert client(UI).post("/graphql", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Origin": OWN}, True),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, True),
        ({"Host": "localhost:3000", "Origin": "http://localhost:3000"}, True),
        ({}, False),
        ({"Origin": EVIL}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1:8000"}, False),
        ({"Origin": OWN, "Sec-Fetch-Site": "cross-site", **NAVIGATION}, False),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, False),
    ],
)
def test_live_updates_go_to_the_ui_s_own_pages_alone(headers: Mapping[str, str], passes: bool):
    connection = client().websocket_connect("/graphql", headers={"Host": "127.0.0.1:3000", **headers})
    if passes:
        with connection as socket:
            assert socket.receive_text() == "live"
    else:
        with pytest.raises(WebSocketDenialResponse) as refused, connection:
            pass
        assert refused.value.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 200), ({"Host": "evil.example"}, 403)], ids=["page", "refusal"]
)
def test_no_answer_can_be_framed_or_taken_for_another_type(headers, status):
    answer = client().get("/runs", headers=headers)
    assert answer.status_code == status
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policies = answer.headers.get_list("Content-Security-Policy")
    assert "frame-ancestors 'none'" in policies[-1]
    assert policies[:-1] == (["object-src 'none'"] if status == 200 else [])


def test_the_webserver_of_an_instance_is_guarded_whatever_command_starts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(dagster_webserver.app, "DagsterWebserver", DagsterWebserver)
    with open_instance(load_settings(home=tmp_path), capture_output=False) as instance:
        assert dagster_webserver.app.DagsterWebserver is DagsterWebserver, "no other process guards anything"
        instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
    assert dagster_webserver.app.DagsterWebserver is GuardedWebserver
