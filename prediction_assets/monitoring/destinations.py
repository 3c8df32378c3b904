"""The destinations of alerts: the log always, and the settings' URLs through apprise.

A URL is a secret: it lets anybody write to the channel. So a destination is named by its setting, its position there
and its kind, and errors keep only the kind of trouble from apprise's text.
https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from prediction_assets.errors import NotDelivered, without_markup
from prediction_assets.logs import silence
from prediction_assets.settings import Settings
from prediction_assets.stores.alert import Severity

if TYPE_CHECKING:
    from apprise import Apprise

_logger = logging.getLogger("prediction_assets.alerts")

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}

_SETTINGS = {
    "alert_urls": Severity.INFO,
    "alert_error_urls": Severity.ERROR,
    "alert_critical_urls": Severity.CRITICAL,
}


class Notice(StrEnum):
    """What a message says about an alert."""

    OPENED = "opened"
    STILL_OPEN = "still open"
    RECOVERED = "recovered"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Message:
    """What a person reads: one title line and a few body lines."""

    notice: Notice
    severity: Severity
    title: str
    body: str


class Destination(Protocol):
    @property
    def name(self) -> str:
        """Its setting and kind, never its URL."""

    @property
    def identity(self) -> str:
        """The same for the same URL, which it doesn't show."""

    @property
    def least(self) -> Severity:
        """The mildest severity that it gets."""

    def send(self, message: Message) -> None:
        """Deliver a message."""


class LogDestination:
    name = "log"
    identity = "log"
    least = Severity.INFO

    def send(self, message: Message) -> None:
        """Log the message at its severity, a recovery at INFO."""
        level = logging.INFO if message.notice is Notice.RECOVERED else _LEVELS[message.severity]
        _logger.log(level, "%s: %s", message.title, " | ".join(message.body.splitlines()))


@dataclass(frozen=True)
class AppriseDestination:
    """One URL, delivered to by apprise."""

    name: str
    identity: str  # 12 hex digits of a hash of the URL
    least: Severity
    _service: Apprise

    def send(self, message: Message) -> None:
        result: Any = self._service.notify(
            title=without_markup(message.title),
            body=without_markup(message.body),
            notify_type=_type(message),
            body_format="text",
        )
        if not result:
            raise NotDelivered(f"{self.name}: {_trouble(result)}")


@dataclass(frozen=True)
class UnusableDestination:
    """A URL that apprise can't deliver to. It mutes no other destination."""

    name: str
    identity: str
    least: Severity
    problem: str  # the setting, the position in it, and what to do; never the URL

    def send(self, message: Message) -> None:
        raise NotDelivered(self.problem)


def destinations(settings: Settings) -> list[Destination]:
    """Return every destination, also those that apprise can't deliver to."""
    found: list[Destination] = [LogDestination()]
    for setting, least in _SETTINGS.items():
        secret = getattr(settings, setting)
        urls = [] if secret is None else secret.get_secret_value().split()
        found += [_apprise(setting, position, url, least) for position, url in enumerate(urls, 1)]
    return found


def unusable(settings: Settings) -> list[str]:
    """Return the problem of each URL that apprise can't deliver to."""
    return [each.problem for each in destinations(settings) if isinstance(each, UnusableDestination)]


def receivers_of(every: Sequence[Destination], severity: Severity) -> list[Destination]:
    return [each for each in every if severity.rank >= each.least.rank]


def _apprise(
    setting: str, position: int, url: str, least: Severity
) -> AppriseDestination | UnusableDestination:
    import apprise  # takes half a second, needed only when a URL is set

    silence("apprise")
    variable = f"PREDICTION_ASSETS_{setting.upper()}"
    scheme = url.partition("://")[0] if "://" in url else ""
    shown = f"{scheme}://" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,30}", scheme.lower()) else "no scheme"
    name, identity = f"URL {position} of {variable} ({shown})", hashlib.sha256(url.encode()).hexdigest()[:12]
    service = apprise.Apprise()
    if not service.add(url):
        problem = (
            f"{variable}: URL {position} ({shown}) is not one that apprise can deliver to; write it as "
            "https://github.com/caronc/apprise/wiki says for that service"
        )
        return UnusableDestination(name, identity, least, problem)
    return AppriseDestination(name, identity, least, service)


def _type(message: Message) -> str:
    if message.notice is Notice.RECOVERED:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning"}.get(message.severity, "failure")


def _trouble(result: Any) -> str:
    """Return what kept a message from arriving, without the hosts and paths that apprise's own text may name."""
    said = " ".join(str(entry.message) for entry in result.logs())
    if answered := re.search(r"error=(\d{3})\b", said):
        return f"answered with HTTP {answered[1]}; check that the URL is still valid"
    if re.search(r"timed? ?out|timeout", said, re.IGNORECASE):
        return "no answer in time; check the network and the service"
    if re.search(r"connection|socket", said, re.IGNORECASE):
        return "unreachable; check the network and the service"
    return "refused; check that the URL is still valid"
