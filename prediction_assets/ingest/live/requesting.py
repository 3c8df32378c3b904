"""One question to a live source: its requests with retries and time limits, each answer recorded as it came.

Nothing from here names an address or a key in an error or a log: a key is part of The Odds API's address.
"""

from __future__ import annotations

import gzip
import logging
import time
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import tenacity

from prediction_assets.errors import BadInput, RequestsSpent, SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    import requests

_logger = logging.getLogger(__name__)

ATTEMPTS = 4
_LONGEST_WAIT = 60.0
_CONNECT_SECONDS = 10.0
_LARGEST_ANSWER = 64 * 1024 * 1024
_LARGEST_COUNT = 10**9
"""Requests, credits or seconds; a plan has millions at most."""
_SHORTEST_KEY = 6
"""Characters; a shorter value is no key, and may be a word of any answer."""
_CHUNK = 64 * 1024

_TRANSIENT_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
"""Answers after which the same request is tried again: the server is busy, restarts, or wants fewer requests."""

_REFUSALS = frozenset({401, 403, 407, 451})
_ABSENT = frozenset({404, 410})


class _TryAgain(Exception):
    """A transient failure; its text says which, without an address."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass
class Requester:
    """The requests of one question."""

    source: str  # what errors call the source: `stats.nba.com`
    folder: Path  # where answers are recorded; created with the first one
    seconds: float  # for one answer, from the first byte that is sent to the last one that comes
    blocked_hint: str  # what to do when the source refuses this network address
    sleep: Callable[[float], None] = time.sleep  # waits between attempts, given seconds
    headers: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[int] = _ABSENT  # statuses by which this source says that there is no such thing (yet)
    cost: int = 0  # credits that an answer takes where the source doesn't say (`x-requests-last`)
    allowed: int | None = None  # requests that the budget leaves; None where it counts something else
    sent: int = 0  # requests so far, each attempt counted
    status: int | None = None  # of the newest answer
    # what the answers took. A request without an answer takes none here; if it did, `remaining` shows it.
    credits: int = 0
    remaining: int | None = None  # requests that the source said are left, None when it said nothing

    def get(
        self,
        url: str,
        name: str,
        what: str,
        parameters: Mapping[str, str] | None = None,
        attempts: int = ATTEMPTS,
    ) -> Path | None:
        """Return the recorded answer to one request, None when the source has no such thing.

        Args:
            url: the address without parameters.
            name: the file's name; JSON is compressed, and ``.gz`` added.
            what: what errors call the thing: ``game logs of 2026-27, Playoffs``.
            parameters: of the query.
            attempts: requests until it counts as failed.

        Raises:
            SourceUnavailable: no answer in all attempts.
            SourceRefused: the source refuses this network address, or the key.
            BadInput: the source refuses the question, or its answer is too large.
            RequestsSpent: the budget leaves no further request.
        """

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            named = error.wait if isinstance(error, _TryAgain) else 0.0
            return min(_LONGEST_WAIT, max(named, backoff(state)))

        backoff = tenacity.wait_exponential(multiplier=2, max=30) + tenacity.wait_random(0, 1)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_TryAgain),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            content = retrying(self._attempt, url, what, dict(parameters or {}))
        except _TryAgain as error:
            raise SourceUnavailable(
                f"{self.source}: no answer with {what} in {attempts} attempts, at last {error}; {self.blocked_hint}"
            ) from None
        return None if content is None else self._record(name, content)

    def _attempt(self, url: str, what: str, parameters: Mapping[str, str]) -> bytes | None:
        if self.allowed is not None and self.sent >= self.allowed:
            raise RequestsSpent(
                f"{self.source}: no request is left for {what}; raise its limits in the settings, or wait"
            )
        import requests  # with urllib3 a hundred modules, which a run that asks no live source doesn't need
        from urllib3.exceptions import HTTPError

        no_answer = (requests.ConnectionError, requests.Timeout, HTTPError)  # or one that was cut off
        self.sent += 1
        begun = time.monotonic()
        try:
            with requests.get(
                url,
                params=parameters,
                headers=dict(self.headers),
                timeout=(min(_CONNECT_SECONDS, self.seconds), self.seconds),
                stream=True,
                allow_redirects=False,  # a key goes to no other host
            ) as answer:
                self._note_usage(answer.headers, is_answer=answer.status_code == HTTPStatus.OK)
                content = self._content(answer, what, begun)
        except no_answer as error:
            _logger.debug("%s: %s", self.source, type(error).__name__)
            raise _TryAgain(_in_words(error, self.seconds)) from None
        except requests.RequestException as error:
            raise BadInput(self.source, f"{what} can't be requested: {type(error).__name__}") from None
        status = self.status = answer.status_code
        if status in self.absent:
            return None
        if status in _TRANSIENT_STATUSES:
            raise _TryAgain(f"status {_named(status)}", _retry_after(answer.headers))
        if status in _REFUSALS or 300 <= status < 400 or (status == HTTPStatus.OK and _is_web_page(content)):
            how = "a web page" if status == HTTPStatus.OK else f"status {_named(status)}"
            raise SourceRefused(f"{self.source} answered with {how} in place of {what}; {self.blocked_hint}")
        if status != HTTPStatus.OK:
            said = _without_values(content[:2000].decode("utf-8", "replace"), parameters)
            raise BadInput(
                self.source,
                f"refuses the question for {what}: status {_named(status)}: {' '.join(said.split())[:200]}",
            )
        return content

    def _content(self, answer: requests.Response, what: str, begun: float) -> bytes:
        content = bytearray()
        # Not iter_content, which waits until a chunk is full, from a server that sends a byte at a time for hours.
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > _LARGEST_ANSWER:
                raise BadInput(
                    self.source, f"the answer with {what} is larger than {_LARGEST_ANSWER // 1024**2} MB"
                )
            if time.monotonic() - begun > self.seconds:
                raise _TryAgain(_late(self.seconds))
        return bytes(content)

    def _note_usage(self, headers: Mapping[str, str], *, is_answer: bool) -> None:
        # Of The Odds API: https://the-odds-api.com/liveapi/guides/v4/#response-headers
        if (remaining := _whole(headers.get("x-requests-remaining"))) is not None:
            self.remaining = remaining
        last = _whole(headers.get("x-requests-last"))
        self.credits += (self.cost if is_answer else 0) if last is None else last

    def _record(self, name: str, content: bytes) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        is_json = name.endswith(".json")
        path = self.folder / (f"{name}.gz" if is_json else name)
        path.write_bytes(gzip.compress(content, mtime=0) if is_json else content)
        return path


def _late(seconds: float) -> str:
    return f"nothing complete within {seconds:.0f} seconds"


def _in_words(error: Exception, seconds: float) -> str:
    import requests
    from urllib3.exceptions import TimeoutError as TooLate

    if isinstance(error, requests.Timeout | TooLate):
        return _late(seconds)
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted connection (TLS)"
    return "no connection" if isinstance(error, requests.ConnectionError) else "an answer that was cut off"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _is_web_page(content: bytes) -> bool:
    # What is asked for is JSON or a PDF; a page may begin with a byte order mark, a comment or an XML declaration.
    return content.removeprefix(BOM_UTF8).lstrip().startswith(b"<")


def _retry_after(headers: Mapping[str, str]) -> float:
    return float(_whole(headers.get("Retry-After")) or 0)


def _whole(text: str | None) -> int | None:
    """Return the count that a header gives, None where it gives none that can be."""
    try:
        count = max(0, int(float(text or "")))
    except (ValueError, OverflowError):
        return None
    return count if count <= _LARGEST_COUNT else None


def _without_values(text: str, parameters: Mapping[str, str]) -> str:
    """Return what an answer says without the question's values: it may repeat the question, with the key in it."""
    for value in sorted(filter(None, parameters.values()), key=len, reverse=True):
        if len(value) >= _SHORTEST_KEY:
            for spelled in (value, quote(value, safe=""), quote_plus(value)):
                text = text.replace(spelled, "...")
    return text
