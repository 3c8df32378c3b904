"""The picture of a slate's progress on its batch document, for people and listeners.

Blind atomic operations (``ArrayUnion``, ``Increment``), written by a thread of its own, about once a second and
process: one hot document takes about one sustained write a second, and 450 processes that each wrote it
lost up to 442 outcomes, so no outcome waits for it. It may lag or miss deliveries, nothing is decided
from it, and :meth:`~prediction_assets.stores.gcp.batch_state.FirestoreBatchState.rebuild_live_picture`
makes it anew from the outcomes.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

from google.cloud import firestore

from prediction_assets.stores.gcp.firestore_calls import FirestoreCalls

_PATIENCE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class LivePicture:
    """Collects deliveries and adds them to their batch documents, many at a time, when it gets to it."""

    def __init__(
        self,
        client: firestore.Client,
        document: Callable[[str], firestore.DocumentReference],
        seconds_between_writes: float = 1.0,
    ) -> None:
        self._arguments = FirestoreCalls(client, _PATIENCE_SECONDS).arguments
        self._document = document
        self._seconds_between_writes = seconds_between_writes
        self._lock = threading.Lock()
        self._pending: dict[str, list[str]] = defaultdict(list)
        self._writer: threading.Thread | None = None

    def delivered(self, slate: str, slugs: Iterable[str]) -> None:
        """Note deliveries; returns at once and never raises."""
        with self._lock:
            self._pending[slate].extend(slugs)
            if self._writer is None:
                # Not a daemon: at exit the interpreter waits for it, so that the last ones are written too.
                writer = threading.Thread(target=self._write_pending, name="live-picture", daemon=False)
                with suppress(RuntimeError):  # no thread to be had, or the interpreter is going down
                    writer.start()
                    self._writer = writer

    def settle(self) -> None:
        """Wait until everything noted so far was tried; takes some seconds at most."""
        with self._lock:
            writer = self._writer
        if writer is not None:
            writer.join()

    def _write_pending(self) -> None:
        while True:
            # Gathers a run's deliveries into one write; ends early when the process is about to.
            threading.main_thread().join(self._seconds_between_writes * random.uniform(0.5, 1.5))  # noqa: S311
            with self._lock:
                pending, self._pending = self._pending, defaultdict(list)
                if not pending:
                    self._writer = None
                    return
            for slate, slugs in pending.items():
                self._write(slate, slugs)

    def _write(self, slate: str, slugs: list[str]) -> None:
        try:
            self._document(slate).update(
                {
                    "live.players": firestore.ArrayUnion(sorted(set(slugs))),
                    "live.deliveries": firestore.Increment(len(slugs)),
                    "live.updated_at": firestore.SERVER_TIMESTAMP,
                },
                **self._arguments,
            )
        except Exception as error:  # noqa: BLE001  a picture for people is worth no failure
            _logger.info(
                "slate %s: the live picture misses %d deliveries, nothing else does (%s); "
                "`prediction-assets gcp rebuild-live-picture --slate %s` mends it", slate, len(slugs), error, slate,
            )  # fmt: skip
