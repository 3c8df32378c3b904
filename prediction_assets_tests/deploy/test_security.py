"""What docs/security.md promises and no other file tests: the proxy's login."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import tenacity
import yaml

from prediction_assets import cli
from prediction_assets_tests.deployment import DEPLOY, compose
from prediction_assets_tests.emulators import free_port


class _Loader(yaml.SafeLoader):
    """Reads compose's ``!reset`` as what it leaves: nothing."""


_Loader.add_constructor("!reset", lambda loader, node: None)


def overlay() -> dict[str, Any]:
    return yaml.load((DEPLOY / "proxy" / "compose.yaml").read_text("utf-8"), _Loader)  # type: ignore[no-any-return]


def directives() -> list[str]:
    """Return the proxy's directives, comments left out."""
    lines = (DEPLOY / "proxy" / "nginx.conf").read_text("utf-8").splitlines()
    return [line.strip().rstrip(";{ ") for line in lines if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize(
    ("arguments", "host"),
    [([], "127.0.0.1"), (["--host", "127.0.0.2"], "127.0.0.2")],
    ids=["default", "asked for"],
)
def test_the_ui_listens_on_this_machine_unless_somebody_asks_for_more(
    finished_home, monkeypatch, arguments, host
):
    served: list[list[str]] = []
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(finished_home))
    monkeypatch.setattr("prediction_assets.cli.dev.exec_server", lambda command, _: served.append(command))
    monkeypatch.setattr(sys, "argv", ["prediction-assets", "dev", "--port", str(free_port()), *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    ((*_, flag, address, _, _),) = served
    assert (flag, address) == ("-h", host)


def test_the_proxy_lets_nobody_in_without_a_login():
    found = directives()
    assert 'auth_basic "prediction_assets"' in found
    assert "auth_basic_user_file /run/secrets/ui_users" in found
    assert [each for each in found if re.match(r"auth_basic off|satisfy|allow ", each)] == []
    # The login is the server's, before any location; there is one of each.
    assert [each.split()[0] for each in found if each.split()[0] in ("server", "auth_basic", "location")] == [
        "server",
        "auth_basic",
        "location",
    ]


def test_the_proxy_listens_with_tls_only_and_passes_websockets_on():
    found = directives()
    assert [each for each in found if each.startswith("listen")] == ["listen 8443 ssl"]
    assert {"proxy_set_header Upgrade $http_upgrade", "proxy_http_version 1.1"} <= set(found)
    assert 'proxy_set_header Authorization ""' in found
    (target,) = [each for each in found if each.startswith("proxy_pass")]
    assert target == "proxy_pass http://webserver:3000"


def test_with_the_proxy_the_webserver_publishes_nothing_and_secrets_are_mounted_files():
    file = overlay()
    webserver = file["services"]["webserver"]
    assert webserver["ports"] is None
    assert set(webserver["environment"]) == {"PREDICTION_ASSETS_UI_URL"}
    proxy = file["services"]["proxy"]
    assert set(proxy["secrets"]) == set(file["secrets"]) == {"ui_users", "ui_certificate", "ui_key"}
    assert set(proxy["networks"]) <= compose()["networks"].keys()
    mounted = {volume.split(":")[0] for volume in proxy["volumes"]}
    assert [name for name in mounted if not (DEPLOY / name).exists()] == []
    used = {word for each in directives() for word in re.findall(r"/run/secrets/(\w+)", each)}
    assert used == set(file["secrets"])


# The proxy itself, where there is one


class _Upstream(BaseHTTPRequestHandler):
    """Stands where the webserver does and answers with the headers that reached it."""

    def do_GET(self) -> None:
        body = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """The address of an nginx with the shipped configuration, but for its paths and the webserver's name."""
    key, certificate, users = tmp_path / "key", tmp_path / "certificate", tmp_path / "users"
    openssl = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-days",
        "1",
    ]
    subprocess.run([*openssl, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "right"], check=True, capture_output=True, text=True
    )
    users.write_text(f"analyst:{hashed.stdout}", "utf-8")
    users.chmod(0o644)
    upstream, port = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream), free_port()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    text = (DEPLOY / "proxy" / "nginx.conf").read_text("utf-8")
    replaced = {
        "/tmp/": f"{tmp_path}/",
        "/run/secrets/ui_certificate": str(certificate),
        "/run/secrets/ui_key": str(key),
        "/run/secrets/ui_users": str(users),
        "listen 8443": f"listen 127.0.0.1:{port}",
        "webserver:3000": f"127.0.0.1:{upstream.server_port}",
    }
    for shipped, here in replaced.items():
        assert shipped in text
        text = text.replace(shipped, here)
    (tmp_path / "nginx.conf").write_text(text, "utf-8")
    tmp_path.chmod(0o755)
    started = ["nginx", "-p", str(tmp_path), "-c", "nginx.conf", "-g", "daemon off; user root;"]
    if os.getuid() != 0:
        started[-1] = "daemon off;"
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"https://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)
        upstream.shutdown()
        upstream.server_close()


def answered(address: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str]]:
    """Return the status of a request and the headers that reached the webserver; waits for nginx to listen."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ConnectionError),
        stop=tenacity.stop_after_delay(30),
        wait=tenacity.wait_fixed(0.05),
        reraise=True,
    ):
        with attempt:
            connection = http.client.HTTPSConnection(urlsplit(address).netloc, timeout=30, context=trusting)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else {}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="no nginx or no openssl on this machine"
)
def test_nginx_with_the_shipped_configuration_asks_for_a_login_and_keeps_it_to_itself(proxy):
    assert answered(proxy)[0] == 401
    assert answered(proxy, Authorization=basic("analyst", "wrong"))[0] == 401
    status, reached = answered(
        proxy, Authorization=basic("analyst", "right"), Upgrade="websocket", Connection="upgrade"
    )
    assert status == 200
    assert "Authorization" not in reached
    assert (reached["Upgrade"], reached["Connection"]) == ("websocket", "upgrade")
    assert (reached["X-Forwarded-Proto"], reached["X-Forwarded-For"]) == ("https", "127.0.0.1")


@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="no nginx or no openssl on this machine"
)
def test_nginx_with_the_shipped_configuration_refuses_what_a_page_of_another_site_sends(proxy):
    login = {"Authorization": basic("analyst", "right")}
    own = proxy.rstrip("/")
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    image = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    cases: list[tuple[dict[str, str], str, int]] = [
        ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, "/", 200),
        ({"Sec-Fetch-Site": "none", **navigation}, "/", 200),
        ({"Sec-Fetch-Site": "cross-site", **navigation}, "/", 200),
        ({"Sec-Fetch-Site": "cross-site", **image}, "/", 403),
        ({"Sec-Fetch-Site": "same-site", **image}, "/", 403),
        ({"Origin": "https://evil.example"}, "/", 403),
        ({"Origin": f"{own}.evil.example"}, "/", 403),
        ({"Origin": "null"}, "/", 403),
        ({"Origin": own.replace("https", "http")}, "/", 403),
        ({}, "/graphql?query=mutation", 403),
        ({"Upgrade": "websocket", "Connection": "upgrade", "Origin": own}, "/graphql", 200),
        (
            {"Upgrade": "websocket", "Connection": "upgrade", "Origin": "https://evil.example"},
            "/graphql",
            403,
        ),
    ]
    found = [(headers, path, answered(proxy, path, **login, **headers)[0]) for headers, path, _ in cases]
    assert found == cases
    assert answered(proxy, **login)[1]["Host"] == own.removeprefix("https://"), "with its port"
