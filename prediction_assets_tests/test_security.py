"""What docs/security.md promises and no other file tests: the proxy's login, the documents' own references."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import pytest
import yaml

from prediction_assets import cli
from prediction_assets_tests.deployment import DEPLOY, PARTS, REPOSITORY, command, compose
from prediction_assets_tests.emulators import free_port

PAGES = [*sorted((REPOSITORY / "docs").glob("*.md")), DEPLOY / "cloud-run.md"]


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
    became: list[list[str]] = []
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(finished_home))
    monkeypatch.setenv("DAGSTER_HOME", "set back after this test")
    monkeypatch.setattr(os, "execv", lambda program, words: became.append(words))
    monkeypatch.setattr(sys, "argv", ["prediction-assets", "dev", "--port", str(free_port()), *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    ((*_, flag, address, _, _),) = became
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
    assert file["services"]["webserver"] == {"ports": None}
    proxy = file["services"]["proxy"]
    assert set(proxy["secrets"]) == set(file["secrets"]) == {"ui_users", "ui_certificate", "ui_key"}
    assert set(proxy["networks"]) <= compose()["networks"].keys()
    mounted = {volume.split(":")[0] for volume in proxy["volumes"]}
    assert [name for name in mounted if not (DEPLOY / name).exists()] == []
    used = {word for each in directives() for word in re.findall(r"/run/secrets/(\w+)", each)}
    assert used == set(file["secrets"])


def test_the_cloud_run_service_has_compose_s_parts_with_the_variables_that_they_read():
    text = (DEPLOY / "cloud-run.md").read_text("utf-8")
    (body,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    template = yaml.safe_load(body)["spec"]["template"]
    containers = {each["name"]: each for each in template["spec"]["containers"]}
    assert set(containers) == set(PARTS)
    assert [name for name, each in containers.items() if "ports" in each] == ["webserver"]
    scale = template["metadata"]["annotations"]
    assert {scale[f"autoscaling.knative.dev/{edge}Scale"] for edge in ("min", "max")} == {"1"}
    instance = set(compose()["services"]["daemon"]["environment"])
    for part, container in containers.items():
        local = [word.replace("0.0.0.0", "127.0.0.1") if part == "code" else word for word in command(part)]
        assert container["args"] == local
        names = {variable["name"] for variable in container["env"]}
        ours = {name for name in names if name.startswith("PREDICTION_ASSETS_")}
        assert names - ours == instance
        assert bool(ours) == (part == "code")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page):
    named = set(re.findall(r"`(test_\w+)`", page.read_text("utf-8")))
    sources = "".join(
        each.read_text("utf-8") for each in (REPOSITORY / "prediction_assets_tests").rglob("test_*.py")
    )
    assert {name for name in named if f"def {name}(" not in sources} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_deploy_that_a_page_names_exists(page):
    named = set(re.findall(r"`(?:\.\./)?(deploy/[\w./-]*\w)`", page.read_text("utf-8")))
    local = {"deploy/settings.env"}  # the reader's own
    assert {name for name in named - local if not (REPOSITORY / name).exists()} == set()
