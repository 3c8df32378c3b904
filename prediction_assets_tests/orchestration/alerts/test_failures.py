"""Every failure, caused for real: it is delivered once to a local webhook, with its link, and its end once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._daemon.types import DaemonHeartbeat

import prediction_assets
from prediction_assets.errors import NotDelivered
from prediction_assets.monitoring.thresholds import REPEAT_AFTER
from prediction_assets.orchestration.sensors.alerts import ALERT_DELIVERY, ALERTS
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.slate.audits import AuditLimits
from prediction_assets.slate.deadlines import Clock
from prediction_assets.steps import failpoints
from prediction_assets.steps.merge import audit_limits
from prediction_assets_tests.homes import PLAYERS, SIMULATED
from prediction_assets_tests.orchestration.sensors.ticking import tick
from prediction_assets_tests.webhooks import Webhook

UI = "http://ui.example:3000"
NEVER = "0 7 29 2 *"


@dataclass
class Watched:
    """A home whose alerts go to the webhook, and a clock that a test may move."""

    run: SlateRun
    webhook: Webhook
    patch: pytest.MonkeyPatch
    undo: list[Callable[[], None]] = field(default_factory=list)

    def look(self) -> None:
        """Tick the sensors of alerting, once each."""
        tick(self.run, ALERTS)
        tick(self.run, ALERT_DELIVERY)

    def at(self, moment: datetime) -> None:
        """Set the clock that the assets and the alerts go by."""
        self.patch.setattr(Clock, "now", lambda _: moment)

    def later(self, **by: float) -> None:
        """Move the clock on."""
        self.at(Clock().now() + timedelta(**by))

    def failing(self, slugs: set[str] | None = None) -> None:
        """Let the disk be full for these players, or for everybody."""
        healthy = self.run.stores.warehouse.parts.__class__.write

        def write(parts: Any, slate: str, slug: str, rows: Any, fence: int) -> Any:
            if slugs is None or slug in slugs:
                raise OSError(28, "No space left on device")
            return healthy(parts, slate, slug, rows, fence)

        self.patch.setattr(self.run.stores.warehouse.parts.__class__, "write", write)
        self.undo.append(
            lambda: self.patch.setattr(self.run.stores.warehouse.parts.__class__, "write", healthy)
        )

    def mend(self) -> None:
        """Undo what makes things fail."""
        while self.undo:
            self.undo.pop()()

    def stopping(self, point: str) -> None:
        """Let every run fail behind a durable step."""

        def stop(name: str) -> None:
            if name == point:
                raise OSError(5, f"injected behind {name}")

        failpoints.install(stop)
        self.undo.append(lambda: failpoints.install(failpoints._go_on))


@pytest.fixture
def watched(request, ingested_home, open_home, webhook: Webhook, monkeypatch: pytest.MonkeyPatch):
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    # After the roster's hour the slates' sensor opens the warehouse too; whether it's damaged is one sensor's to say.
    hours = {"roster_cron": NEVER} if name == "a sensor's tick" else {}
    monkeypatch.setattr("prediction_assets.steps.stage.PART_ATTEMPTS", 1)
    run = open_home(ingested_home, alert_urls=webhook.url, ui_url=UI, **hours)
    made = Watched(run, webhook, monkeypatch)
    made.look()
    assert webhook.received == []
    yield made
    made.mend()


def failed(function: Callable[..., object], *arguments: object) -> None:
    """Run a stage that fails."""
    with suppress(Exception):
        function(*arguments)
        pytest.fail("the stage was to fail")


def staged(w: Watched) -> None:
    w.run.roster(SIMULATED)  # pins the features, too
    w.run.stage(SIMULATED)


def one_player(w: Watched) -> str:
    return w.run.roster(SIMULATED).batch.expected[0].slug


# Causes and their ends, by what fails


LIMITS = "prediction_assets.orchestration.assets.predictions.audit_limits"


def fail_a_blocking_check(w: Watched) -> None:
    staged(w)
    w.patch.setattr(LIMITS, lambda _: AuditLimits(most_points=1.0))
    w.undo.append(lambda: w.patch.setattr(LIMITS, audit_limits))
    failed(w.run.consolidate, SIMULATED)


def consolidate(w: Watched) -> None:
    w.run.consolidate(SIMULATED)


def fail_the_warning_check(w: Watched) -> None:
    w.failing({one_player(w)})
    staged(w)
    w.run.consolidate(SIMULATED)


def stage_and_consolidate(w: Watched) -> None:
    w.run.stage(SIMULATED)
    w.run.consolidate(SIMULATED)


def fail_a_run(w: Watched) -> None:
    w.run.roster(SIMULATED)
    w.stopping("features_written")
    failed(w.run.features, SIMULATED)


def make_features(w: Watched) -> None:
    w.run.features(SIMULATED)


def merge_nothing(w: Watched) -> None:
    w.failing()
    staged(w)
    failed(w.run.consolidate, SIMULATED)


def fail_to_publish(w: Watched) -> None:
    staged(w)
    w.run.consolidate(SIMULATED)
    w.stopping("outbox_written")
    failed(lambda: w.run.announce(w.run.stores.batch_state.progress(SIMULATED).receipt))


def announce(w: Watched) -> None:
    w.run.announce(w.run.stores.batch_state.progress(SIMULATED).receipt)


def leave_unpublished(w: Watched) -> None:
    staged(w)
    w.run.consolidate(SIMULATED)
    w.later(minutes=11)


def run_the_sensors_beside_a_damaged_warehouse(w: Watched) -> None:
    staged(w)
    database = w.run._settings.home / "warehouse.duckdb"
    kept = database.with_suffix(".kept")
    shutil.copyfile(database, kept)
    database.write_bytes(b"\xff" * 8192)
    w.undo.append(lambda: shutil.move(kept, database))
    tick_as_the_daemon(w)


def tick_as_the_daemon(w: Watched) -> None:
    """Tick every sensor of the code location, in a code server of its own, with its ticks recorded."""
    settings = w.run._settings
    w.patch.setenv("PREDICTION_ASSETS_HOME", str(settings.home))
    w.patch.setenv("PREDICTION_ASSETS_ALERT_URLS", w.webhook.url)
    w.patch.setenv("PREDICTION_ASSETS_UI_URL", UI)
    w.patch.setenv("PREDICTION_ASSETS_ROSTER_CRON", NEVER)
    w.patch.setenv("PYTHONPATH", str(Path(prediction_assets.__file__).parents[1]))
    target = ModuleTarget("prediction_assets.definitions", None, None, "prediction_assets")
    with create_test_daemon_workspace_context(target, w.run._instance) as context:
        # Sensors remember when they ticked last; two rounds in one test must not be too close together.
        for _ in execute_sensor_iteration(context, _logger(), None, None):
            pass


def _logger() -> Any:
    import logging

    return logging.getLogger("dagster.daemon.SensorDaemon")


def mend_and_tick(w: Watched) -> None:
    """Have the sensors tick again, a minute after they did last as far as they know."""
    instance = w.run._instance
    for state in instance.all_instigator_state():
        data = state.instigator_data._replace(
            last_tick_timestamp=time.time() - 3600, last_tick_start_timestamp=time.time() - 3600
        )
        instance.update_instigator_state(state.with_data(data))
    tick_as_the_daemon(w)


def fail_too_many(w: Watched) -> None:
    w.run.roster(SIMULATED)
    w.failing()  # for everybody: who else is tried before the circuit breaker trips is up to the threads
    staged(w)


def miss_the_deadline(w: Watched) -> None:
    batch = w.run.roster(SIMULATED).batch
    w.at(batch.deadline + timedelta(minutes=6))


def carry_it_through(w: Watched) -> None:
    w.run.stage(SIMULATED)
    w.run.consolidate(SIMULATED)
    announce(w)


def miss_the_roster(w: Watched) -> None:
    w.at(datetime.fromisoformat(f"{SIMULATED}T16:30:00+00:00"))  # 08:30 in Los Angeles


def open_the_roster(w: Watched) -> None:
    w.run.roster(SIMULATED)


def stop_the_daemons(w: Watched) -> None:
    _heartbeats(w, time.time() - 3600)


def start_the_daemons(w: Watched) -> None:
    _heartbeats(w, time.time())


def _heartbeats(w: Watched, at: float) -> None:
    for kind in w.run._instance.get_required_daemon_types():
        w.run._instance.add_daemon_heartbeat(DaemonHeartbeat(at, kind, "daemon", []))


@dataclass(frozen=True)
class Case:
    """A failure: how it is caused and ended, and what is delivered.

    Attributes:
        also: further findings with the same cause.
    """

    cause: Callable[[Watched], None]
    end: Callable[[Watched], None]
    title: str
    fact: str
    link: str
    next_step: str
    also: tuple[str, ...] = ()


S = f"slate {SIMULATED}"
CLI = "prediction-assets"
RUN = f"{CLI} run --slate {SIMULATED}"
CASES = {
    "a blocking check": Case(
        fail_a_blocking_check, consolidate, f"[error] {S}: check", "the audit values_in_range refused the slate: ",
        f"{UI}/assets/predictions?view=checks&checkDetail=values_in_range", RUN,
    ),
    "a warning check": Case(
        fail_the_warning_check, stage_and_consolidate, f"[warning] {S}: partial receipt", "without 1 failed",
        f"{UI}/assets/predictions?view=partitions&partition={SIMULATED}",
        f"{CLI} dead-letters replay --slate {SIMULATED}", also=("[error]: run",),
    ),
    "a run": Case(
        fail_a_run, make_features, f"[error] {S}: run",
        "the run of features failed at step player_features: OSError: [Errno 5] injected behind",
        f"{UI}/runs/", RUN,
    ),
    "a 0-row MERGE": Case(
        merge_nothing, stage_and_consolidate, f"[critical] {S}: empty merge",
        f"0-row MERGE: slate {SIMULATED}: none of {PLAYERS} expected players has staged rows",
        f"{UI}/assets/predictions?view=checks&checkDetail=predictions_not_empty", RUN,
        also=("[error]: run", "[critical]: dead letters"),
    ),
    "publishing": Case(
        fail_to_publish, announce, f"[critical] {S}: run", "failed at step phase5_completion",
        f"{UI}/runs/", f"{CLI} republish --slate {SIMULATED}",
    ),
    "nobody publishing": Case(
        leave_unpublished, announce, f"[critical] {S}: unpublished", "not announced",
        f"{UI}/assets/phase5_completion?view=partitions&partition={SIMULATED}", f"{CLI} republish --slate {SIMULATED}",
    ),
    "a sensor's tick": Case(
        run_the_sensors_beside_a_damaged_warehouse, mend_and_tick,
        "[error] prediction_assets: tick", "a tick of consolidation_sensor failed: WarehouseUnreadable: ",
        f"{UI}/locations/prediction_assets/sensors/consolidation_sensor", f"{CLI} run",
    ),
    "most players, alike": Case(
        fail_too_many, stage_and_consolidate, f"[critical] {S}: dead letters",
        f"{PLAYERS} dead letters open of {PLAYERS} players, most with one cause: OSError: [Errno 28] No space left",
        f"{UI}/assets/dead_letters", f"{CLI} dead-letters replay --slate {SIMULATED}", also=("[error]: run",),
    ),
    "a deadline": Case(
        miss_the_deadline, carry_it_through, f"[critical] {S}: no receipt",
        "no checked consolidation at the deadline",
        f"{UI}/assets/predictions?view=partitions&partition={SIMULATED}", RUN,
    ),
    "a roster's hour": Case(
        miss_the_roster, open_the_roster, f"[critical] {S}: no roster",
        f"1 game and no roster, it was due at {SIMULATED} 07:00 PST", f"{UI}/assets/slate_roster", RUN,
    ),
    "the daemons": Case(
        stop_the_daemons, start_the_daemons, "[warning] prediction_assets: daemon", "the daemon has been down since",
        f"{UI}/deployment/daemons", f"{CLI} dev",
    ),
}  # fmt: skip


def of_this(case: Case, received: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the ticks of other sensors that read the warehouse too: each is a finding of its own."""
    return [m for m in received if not m["title"].endswith(": tick") or case.fact in m["message"]]


SHORT = ("a blocking check", "nobody publishing", "a deadline", "the daemons")
"""The failures that are caused here; ``long/`` causes the others."""


def deliver_once_with_its_end(watched: Watched, name: str) -> None:
    case, received = CASES[name], watched.webhook.received
    case.cause(watched)
    watched.look()
    watched.look()
    (message,) = [m for m in received if m["title"] == case.title and case.fact in m["message"]]
    assert f"Next: {case.next_step}" in message["message"].splitlines()
    assert message["message"].splitlines()[-1].startswith(case.link)
    assert message["type"] == ("warning" if "[warning]" in case.title else "failure")
    others = [m["title"].replace(f" {S}", "") for m in of_this(case, received) if m is not message]
    assert sorted(others) == sorted(case.also), received

    watched.mend()
    received.clear()
    case.end(watched)
    watched.look()
    watched.look()
    received = of_this(case, received)
    ends = [m for m in received if m["title"].startswith("[recovered, ")]
    (ended,) = [m for m in ends if case.fact in m["message"]]
    assert ended["type"] == "success"
    assert len(ends) == len(received) == 1 + len(case.also), received


@pytest.mark.parametrize("name", SHORT)
def test_a_failure_is_delivered_once_with_its_link_and_its_end_once(watched: Watched, name):
    deliver_once_with_its_end(watched, name)


def test_an_alert_that_stays_open_is_delivered_again_after_a_while(watched: Watched):
    miss_the_deadline(watched)
    for _ in range(3):
        watched.look()
    watched.later(seconds=REPEAT_AFTER.total_seconds())
    for _ in range(3):
        watched.look()
    assert [m["title"] for m in watched.webhook.received] == [
        f"[critical] {S}: no receipt",
        f"[still open, critical] {S}: no receipt",
    ]


def test_an_alert_that_does_not_arrive_fails_the_tick_and_is_sent_at_the_next(watched: Watched):
    fail_a_run(watched)
    watched.webhook.status = 503
    for _ in range(2):
        with pytest.raises(NotDelivered, match=r"1 alerts not delivered.*ALERT_URLS.*HTTP 503"):
            watched.look()
    assert (watched.webhook.received, watched.webhook.asked) == ([], 2)
    watched.webhook.status = 200
    watched.look()
    watched.look()
    assert [m["title"] for m in watched.webhook.received] == [f"[error] {S}: run"]


def test_a_look_that_fails_half_way_loses_nothing(watched: Watched, monkeypatch):
    fail_a_run(watched)
    with monkeypatch.context() as broken:
        broken.setattr("prediction_assets.monitoring.open_alerts.open_findings", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            watched.look()
    watched.look()
    assert [m["title"] for m in watched.webhook.received] == [f"[error] {S}: run"]


def test_a_failure_that_was_repaired_before_anybody_looked_is_no_alert(watched: Watched):
    fail_a_run(watched)
    watched.mend()
    make_features(watched)
    watched.look()
    assert watched.webhook.received == []


def test_an_alert_on_a_run_that_was_deleted_since_stays_open(watched: Watched):
    fail_a_run(watched)
    watched.look()
    for run in watched.run._instance.get_runs():
        if run.job_name == "features":
            watched.run._instance.delete_run(run.run_id)
    watched.look()
    assert [m["title"] for m in watched.webhook.received] == [f"[error] {S}: run"]


def test_a_day_without_games_is_never_late(watched: Watched):
    day = datetime.fromisoformat(f"{SIMULATED}T16:30:00+00:00") + timedelta(days=400)
    for hours in range(0, 48, 6):
        watched.at(day + timedelta(hours=hours))
        watched.look()
    assert watched.webhook.received == []
