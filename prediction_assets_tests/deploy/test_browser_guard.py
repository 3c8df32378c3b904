"""Pages of other sites against a running `prediction-assets dev`: nothing they send has an effect, the UI works."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from prediction_assets_tests.browser import browser, require_chromium
from prediction_assets_tests.dagster_dev import PREDICTION_ASSETS_DEV, dev_server, graphql
from prediction_assets_tests.listening import listening

_REPOSITORY = (
    """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"""
)


class Served(NamedTuple):
    """A running UI, and the mutation that adds a partition to it."""

    address: str
    repository: str
    location: str

    def adding(self, key: str) -> str:
        """Return the mutation that adds a key to the slates."""
        selector = f'repositoryName: "{self.repository}", repositoryLocationName: "{self.location}"'
        return (
            f'mutation {{ addDynamicPartition(partitionKey: "{key}", partitionsDefName: "slates", '
            f"repositorySelector: {{ {selector} }}) {{ __typename }} }}"
        )

    def slates(self) -> set[str]:
        """Return the slates that the UI knows."""
        query = """{ assetNodeOrError(assetKey: {path: ["predictions"]}) { ... on AssetNode { partitionKeys } } }"""
        return set(graphql(self.address, query)["assetNodeOrError"]["partitionKeys"])


@pytest.fixture(scope="module")
def served(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    home = folder / "home"
    shutil.copytree(ingested_home, home)
    environment = {**os.environ, "PREDICTION_ASSETS_HOME": str(home)}
    with dev_server(PREDICTION_ASSETS_DEV, folder / "dev.log", environment) as address:
        (found,) = graphql(address, _REPOSITORY)["repositoriesOrError"]["nodes"]
        yield Served(address, found["name"], found["location"]["name"])


def status(served: Served, method: str, path: str, body: str | None = None, **headers: str) -> int:
    """Return the status of a request with exactly these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=60)
    connection.request(method, path, body, named)
    return connection.getresponse().status


def test_a_mutation_of_another_site_or_by_get_has_no_effect_and_the_ui_s_own_has(served):
    query = urllib.parse.quote(served.adding("2001-01-01"))
    body = json.dumps({"query": served.adding("2001-01-01")})
    assert status(served, "GET", f"/graphql?query={query}") == 405
    assert status(served, "POST", f"/graphql?query={query}", Content_Type="text/plain") == 415
    assert status(served, "POST", "/graphql", body, Content_Type="text/plain;application/json") == 415
    json_of_evil = {"Content_Type": "application/json", "Origin": "https://evil.example"}
    assert status(served, "POST", "/graphql", body, **json_of_evil) == 403
    rebound = {"Content_Type": "application/json", "Host": "evil.example", "Origin": "http://evil.example"}
    assert status(served, "POST", "/graphql", body, **rebound) == 403
    assert "2001-01-01" not in served.slates()
    own = {"Content_Type": "application/json", "Origin": served.address}
    assert (
        status(served, "POST", "/graphql", json.dumps({"query": served.adding("2001-01-02")}), **own) == 200
    )
    assert "2001-01-02" in served.slates()


def test_live_updates_are_for_the_ui_s_own_pages(served):
    address = served.address.replace("http", "ws") + "/graphql"
    for origin in (None, "https://evil.example"):
        with pytest.raises(InvalidStatus) as refused, connect(address, origin=origin):  # type: ignore[arg-type]
            pass
        assert refused.value.response.status_code == 403
    with connect(address, origin=served.address, subprotocols=["graphql-ws"]) as socket:  # type: ignore[arg-type, list-item]
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(timeout=60)) == {"type": "connection_ack"}


_EVIL = """<!doctype html><title>evil</title>
<img src="UI/graphql?query=QUERY">
<script src="UI/graphql?query=QUERY"></script>
<iframe id="page" src="UI/runs"></iframe>
<iframe name="answer"></iframe>
<form method="post" target="answer" enctype="text/plain" action="UI/graphql?query=QUERY"></form>
<script>
  document.forms[0].submit();
  const body = JSON.stringify({query: decodeURIComponent("QUERY")});
  const tries = ["text/plain", "application/json"].map((type) =>
    fetch("UI/graphql", {method: "POST", mode: type === "text/plain" ? "no-cors" : "cors",
      headers: {"Content-Type": type}, body}).then((r) => r.type + r.status, () => "failed"));
  tries.push(new Promise((done) => {
    const socket = new WebSocket("UI/graphql".replace("http", "ws"), "graphql-ws");
    socket.onopen = () => done("open"); socket.onerror = () => done("refused");
  }));
  Promise.all(tries).then((all) => { document.title = all.join(" "); });
</script>"""


@pytest.fixture
def evil(served: Served) -> Iterator[str]:
    """The address of a page that tries everything that a page can."""
    query = urllib.parse.quote(served.adding("2001-01-03"))
    page = _EVIL.replace("UI", served.address).replace("QUERY", query).encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with listening(Page) as port:
        yield f"http://localhost:{port}/"


def test_in_a_browser_a_page_of_another_site_does_nothing_and_the_ui_works_live(served, evil, tmp_path):
    require_chromium()
    port = served.address.rpartition(":")[2]
    rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    with browser(served.address, tmp_path / "failed.png", [rules]) as ui:
        page = ui.page
        page.set_default_timeout(120_000)
        answers: dict[str, int] = {}
        page.on("response", lambda each: answers.update({f"{each.request.method} {each.url}": each.status}))
        page.goto(evil)
        page.wait_for_function("document.title !== 'evil'")
        assert page.title() == "opaque0 failed refused"
        page.wait_for_load_state("networkidle")
        assert [each for each, code in answers.items() if served.address in each and code < 400] == []
        assert len([each for each in answers if served.address in each]) >= 3

        rebound = page.goto(f"http://rebound.example:{port}/")
        assert rebound is not None
        assert rebound.status == 403

        received: list[str | bytes] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame)))
        ui.open("/runs")
        page.get_by_text("Runs", exact=True).first.wait_for()
        page.wait_for_timeout(1000)
        # An image in a text from facts, on the UI's own page.
        address = f"{served.address}/graphql?query={urllib.parse.quote(served.adding('2001-01-03'))}"
        page.evaluate(
            "(address) => new Promise((d) => { const i = new Image(); i.onerror = d; i.src = address })",
            address,
        )
        assert any("connection_ack" in str(frame) for frame in received)
    assert "2001-01-03" not in served.slates()
