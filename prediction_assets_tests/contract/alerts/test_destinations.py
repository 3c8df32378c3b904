"""Where alerts go: whom a severity reaches, and that a URL is never shown."""

from __future__ import annotations

import logging
import socket

import pytest

from prediction_assets.definitions import defs as location
from prediction_assets.errors import NotDelivered
from prediction_assets.monitoring.alert_delivery import deliver_due
from prediction_assets.monitoring.alert_lifecycle import message
from prediction_assets.monitoring.destinations import Notice, destinations, receivers_of, unusable
from prediction_assets.settings import Settings, load_settings
from prediction_assets.stores.alert import Severity
from prediction_assets.stores.local.alerts import SqliteAlertStore
from prediction_assets_tests.contract.alerts.test_contract import HOUR, alert, keep
from prediction_assets_tests.made_up import NOW
from prediction_assets_tests.webhooks import TOKEN, Webhook

OPENED = message(alert(), Notice.OPENED)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seen(caplog: pytest.LogCaptureFixture) -> str:
    """Return what an installation logs; pytest also captures apprise's, which is silent, and urllib3's DEBUG."""
    assert not logging.getLogger("apprise").propagate
    kept = [r.getMessage() for r in caplog.records if r.name.partition(".")[0] not in ("apprise", "urllib3")]
    return "\n".join(kept)


@pytest.mark.parametrize(
    ("severity", "reached"),
    [
        (Severity.WARNING, ["log", "URL 1 of PREDICTION_ASSETS_ALERT_URLS (json://)"]),
        (
            Severity.ERROR,
            [
                "log",
                "URL 1 of PREDICTION_ASSETS_ALERT_URLS (json://)",
                "URL 1 of PREDICTION_ASSETS_ALERT_ERROR_URLS (json://)",
                "URL 2 of PREDICTION_ASSETS_ALERT_ERROR_URLS (slack://)",
            ],
        ),
        (
            Severity.CRITICAL,
            [
                "log",
                "URL 1 of PREDICTION_ASSETS_ALERT_URLS (json://)",
                "URL 1 of PREDICTION_ASSETS_ALERT_ERROR_URLS (json://)",
                "URL 2 of PREDICTION_ASSETS_ALERT_ERROR_URLS (slack://)",
                "URL 1 of PREDICTION_ASSETS_ALERT_CRITICAL_URLS (mailto://)",
            ],
        ),
    ],
)
def test_a_severity_reaches_those_who_want_it_or_milder(severity, reached):
    settings = load_settings(
        alert_urls="json://127.0.0.1/a",
        alert_error_urls="json://127.0.0.1/b  slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        alert_critical_urls="mailto://user:password@example.com",
    )
    assert [each.name for each in receivers_of(destinations(settings), severity)] == reached


def test_without_a_url_alerts_are_in_the_log(caplog):
    (only,) = destinations(load_settings())
    with caplog.at_level(logging.INFO, "prediction_assets.alerts"):
        only.send(OPENED)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "a fact: 1 of 2" in record.getMessage()
    assert "http://ui/runs/r" in record.getMessage()


UNUSABLE = [f"carrier-pigeon://{TOKEN}", TOKEN, f"slack://{TOKEN}", f"json://[{TOKEN}"]


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_url_that_apprise_does_not_know_is_named_without_being_shown(url, caplog, capsys):
    settings = load_settings(alert_urls=f"json://127.0.0.1/x {url}")
    *_, hook = destinations(settings)
    with pytest.raises(
        NotDelivered, match=r"PREDICTION_ASSETS_ALERT_URLS: URL 2 \(.*apprise/wiki"
    ) as refused:
        hook.send(OPENED)
    assert unusable(settings) == [str(refused.value)]
    captured = capsys.readouterr()
    assert TOKEN not in str(refused.value) + seen(caplog) + captured.err + captured.out + repr(hook)


@pytest.mark.parametrize("url", UNUSABLE)
def test_a_url_that_apprise_does_not_know_mutes_no_other_destination(tmp_path, webhook: Webhook, url, caplog):
    store = SqliteAlertStore(tmp_path / "state.sqlite")
    keep(store, "a:1")
    settings = load_settings(alert_urls=webhook.url, alert_error_urls=url)
    for _ in range(2):
        done = deliver_due(store, destinations(settings), NOW, repeat=4 * HOUR, expire=72 * HOUR)
        assert len(done.problems) == 1
        assert "PREDICTION_ASSETS_ALERT_ERROR_URLS: URL 1 (" in done.problems[0]
    assert len(webhook.received) == 1
    assert seen(caplog).count("a fact: 1 of 2") == 1
    mended = load_settings(alert_urls=webhook.url)
    assert deliver_due(store, destinations(mended), NOW, repeat=4 * HOUR, expire=72 * HOUR).problems == ()
    assert len(webhook.received) == 1


def test_loading_the_code_location_says_that_a_url_is_unusable_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREDICTION_ASSETS_ALERT_URLS", f"carrier-pigeon://{TOKEN}")
    assert location.load_fn().resolve_job_def("consolidation")
    logged = capsys.readouterr().err
    (line,) = [line for line in logged.splitlines() if "URL 1 (carrier-pigeon://)" in line]
    assert "ERROR" in line
    assert TOKEN not in logged


@pytest.mark.parametrize(
    ("status", "trouble"), [(404, "answered with HTTP 404"), (500, "HTTP 500"), (None, "unreachable")]
)
def test_a_webhook_that_does_not_take_a_message_is_named_and_its_url_is_not(
    webhook: Webhook, status, trouble, caplog, capsys
):
    url = webhook.url if status else f"json://127.0.0.1:{closed_port()}/{TOKEN}"
    webhook.status = status or 200
    caplog.set_level(logging.DEBUG)
    *_, hook = destinations(load_settings(alert_urls=url))
    with pytest.raises(NotDelivered, match=trouble) as failed:
        hook.send(OPENED)
    captured = capsys.readouterr()
    assert TOKEN not in str(failed.value) + seen(caplog) + captured.err + captured.out + repr(hook)


def test_settings_show_no_url():
    settings = load_settings(alert_urls=f"json://host/{TOKEN}")
    assert TOKEN not in repr(settings) + str(settings) + settings.model_dump_json()


def test_one_who_got_the_message_does_not_get_it_twice_because_another_was_unreachable(
    tmp_path, webhook: Webhook
):
    store = SqliteAlertStore(tmp_path / "state.sqlite")
    keep(store, "a:1")
    other = Webhook(port=closed_port())

    def delivered(settings: Settings, minutes: int) -> tuple[int, int]:
        at = NOW + HOUR * minutes / 60
        done = deliver_due(store, destinations(settings), at, repeat=4 * HOUR, expire=72 * HOUR)
        return len(done.notices), len(done.problems)

    settings = load_settings(alert_urls=f"{webhook.url} {other.url}")
    assert delivered(settings, 1) == (0, 1)
    assert delivered(settings, 2) == (0, 1)
    assert len(webhook.received) == 1
    # The unreachable one is taken out of the settings: nothing is left to be done.
    assert delivered(load_settings(alert_urls=webhook.url), 3) == (1, 0)
    assert len(webhook.received) == 1
    assert delivered(load_settings(alert_urls=webhook.url), 4) == (0, 0)
