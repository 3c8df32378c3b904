"""``prediction-assets alerts``: exit codes, what it prints, and bad input."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.contract.alerts.test_destinations import closed_port
from prediction_assets_tests.homes import SIMULATED
from prediction_assets_tests.orchestration.test_cli import command, home, prediction_assets
from prediction_assets_tests.webhooks import TOKEN, Webhook

__all__ = ["home", "prediction_assets"]


def test_a_test_message_reaches_every_destination_of_its_severity(
    home, prediction_assets, webhook: Webhook, monkeypatch
):
    monkeypatch.setenv("PREDICTION_ASSETS_ALERT_CRITICAL_URLS", webhook.url)
    assert prediction_assets("alerts", "test", "--severity", "warning")[:2] == (0, "sent    log\n")
    assert webhook.received == []
    code, out, _ = prediction_assets("alerts", "test")
    assert code == 0
    assert "sent    URL 1 of PREDICTION_ASSETS_ALERT_CRITICAL_URLS (json://)" in out
    (message,) = webhook.received
    assert message["title"] == "[critical] prediction_assets: test"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (
            f"carrier-pigeon://{TOKEN}",
            "PREDICTION_ASSETS_ALERT_URLS: URL 1 (carrier-pigeon://) is not one that",
        ),
        ("json://127.0.0.1:{port}/" + TOKEN, "URL 1 of PREDICTION_ASSETS_ALERT_URLS (json://): unreachable"),
    ],
)
def test_a_url_that_does_not_work_is_one_line_and_exit_2(home, prediction_assets, monkeypatch, url, error):
    monkeypatch.setenv("PREDICTION_ASSETS_ALERT_URLS", url.format(port=closed_port()))
    code, out, err = prediction_assets("alerts", "test")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert error in line
    assert TOKEN not in out + err


def test_a_severity_that_is_none_is_refused(home, prediction_assets):
    code, _, err = prediction_assets("alerts", "test", "--severity", "loud")
    assert (code, "choose one of warning, error, critical" in err) == (2, True)


def test_a_home_without_anything_has_nothing_open(home, prediction_assets):
    code, out, _ = prediction_assets("alerts", "check")
    assert (code, out) == (0, "nothing is open\n")


def test_without_the_daemon_a_late_slate_is_delivered_by_the_command_line_once(
    ingested, capsys, monkeypatch, webhook: Webhook
):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(ingested._settings.home))
    monkeypatch.setenv("PREDICTION_ASSETS_ALERT_URLS", webhook.url)

    def run(*arguments: str) -> tuple[int, str, str]:
        return command(capsys, monkeypatch, "alerts", *arguments)

    deadline = ingested.roster(SIMULATED).batch.deadline
    assert run("check")[0] == 0
    monkeypatch.setattr(Clock, "now", lambda _: deadline + timedelta(minutes=6))
    webhook.status = 500
    code, _, err = run("check")
    assert code == 2
    assert "error: 1 alerts not delivered, they stay due: no_receipt" in err
    (undelivered,) = json.loads(run("list", "--json")[1])
    assert (undelivered["state"], undelivered["slate"]) == ("open, not delivered yet", SIMULATED)
    webhook.status = 200
    for _ in range(2):
        code, out, _ = run("check", "--json")
        (alert,) = json.loads(out)
        assert (code, alert["key"], alert["state"]) == (1, f"no_receipt:{SIMULATED}", "open")
    assert len(webhook.received) == 1
    ingested.whole(SIMULATED)
    assert run("check")[:2] == (0, "nothing is open\n")
    assert [m["title"][:10] for m in webhook.received] == ["[critical]", "[recovered"]
    assert run("list")[1] == "nothing is open\n"
    (settled,) = json.loads(run("list", "--all", "--json")[1])
    assert settled["state"] == "recovered"
