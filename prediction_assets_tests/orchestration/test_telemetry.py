"""Finished runs as OpenLineage events and OpenTelemetry spans, as their receivers get them."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from prediction_assets.errors import NotDelivered
from prediction_assets.orchestration.sensors.telemetry import telemetry_sensors
from prediction_assets.settings import load_settings
from prediction_assets.slate.deadlines import Clock
from prediction_assets_tests.listening import listening

TAGS = {"slate": "2026-01-02", "batch": "2026-01-02@test"}


@dg.asset
def facts() -> int:
    return 1


@dg.asset(deps=[facts])
def rows() -> int:
    return 2


@dg.asset(deps=[rows])
def fails() -> None:
    raise ValueError("no")


@dataclass
class Receiver:
    """What a receiver of telemetry got: the path and the body of each request; ``status`` is what it answers."""

    status: int = 200
    port: int = 0
    got: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            unpacked = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            receiver.got.append((self.path, unpacked))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with listening(Handler) as receiver.port:
        yield receiver


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


DEFS = dg.Definitions(
    assets=[facts, rows, fails],
    jobs=[dg.define_asset_job("consolidation", [rows]), dg.define_asset_job("completion", [fails])],
)


def tick(instance: dg.DagsterInstance, cursor: str | None, **settings: str) -> tuple[str, str]:
    """Evaluate the sensor; return what it says and its cursor."""
    (sensor,) = telemetry_sensors(load_settings(**settings))
    context = dg.build_sensor_context(
        instance, cursor=cursor, definitions=DEFS, resources={"clock": Clock()}, sensor_name=sensor.name
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return str(result.skip_reason.skip_message), str(result.cursor)  # type: ignore[union-attr]


def two_runs(instance: dg.DagsterInstance) -> list[str]:
    jobs = [DEFS.resolve_job_def(name) for name in ("consolidation", "completion")]
    return [job.execute_in_process(instance=instance, tags=TAGS, raise_on_error=False).run_id for job in jobs]


BEFORE = (datetime.now(UTC) - timedelta(days=1)).isoformat()


def test_without_an_address_there_is_no_sensor_and_neither_package_is_imported():
    assert telemetry_sensors(load_settings()) == []
    assert "openlineage" not in sys.modules


def test_a_finished_run_is_sent_once_as_a_trace_of_its_batch_with_a_span_for_each_step(instance, receiver):
    first, second = two_runs(instance)
    said, cursor = tick(instance, BEFORE, traces_url=f"{receiver.url}/v1/traces")
    assert said == "2 runs sent"
    assert tick(instance, cursor, traces_url=f"{receiver.url}/v1/traces") == ("0 runs sent", cursor)
    ((path, body),) = receiver.got
    assert path == "/v1/traces"
    sent = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = [span for each in sent for scope in each.scope_spans for span in scope.spans]
    assert [(span.name, span.status.code) for span in spans] == [
        ("consolidation", 1), ("rows", 1), ("completion", 2), ("fails", 2),
    ]  # fmt: skip
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == 4
    assert [span.parent_span_id for span in spans] == [b"", spans[0].span_id, b"", spans[2].span_id]
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    about = [{each.key: each.value.string_value for each in span.attributes} for span in spans]
    assert about[::2] == [{"dagster.run_id": run, **TAGS} for run in (first, second)]

    # Sent again, a span is the same span.
    tick(instance, BEFORE, traces_url=f"{receiver.url}/v1/traces")
    assert receiver.got[1] == receiver.got[0]


def test_a_finished_run_is_sent_as_its_start_and_its_end_with_what_it_read_and_made(instance, receiver):
    first, second = two_runs(instance)
    assert tick(instance, BEFORE, lineage_url=receiver.url)[0] == "2 runs sent"
    assert {path for path, _ in receiver.got} == {"/api/v1/lineage"}
    events = [json.loads(body) for _, body in receiver.got]
    found = [
        (
            event["run"]["runId"], event["eventType"], event["job"]["name"],
            *([each["name"] for each in event[side]] for side in ("inputs", "outputs")),
        )
        for event in events
    ]  # fmt: skip
    assert found == [
        (first, "START", "consolidation", ["facts"], ["rows"]),
        (first, "COMPLETE", "consolidation", ["facts"], ["rows"]),
        (second, "START", "completion", ["rows"], ["fails"]),
        (second, "FAIL", "completion", ["rows"], ["fails"]),
    ]
    tags = {each["key"]: each["value"] for each in events[0]["run"]["facets"]["tags"]["tags"]}
    assert tags.items() >= TAGS.items()  # the client adds its version


@pytest.mark.parametrize("setting", ["lineage_url", "traces_url"])
def test_what_is_refused_fails_the_tick_and_is_sent_by_the_next_one(instance, receiver, setting):
    two_runs(instance)
    receiver.status = 400
    with pytest.raises(NotDelivered, match=f"PREDICTION_ASSETS_{setting.upper()}"):
        tick(instance, BEFORE, **{setting: receiver.url})
    receiver.status = 200
    assert tick(instance, BEFORE, **{setting: receiver.url})[0] == "2 runs sent"


@pytest.mark.parametrize(
    ("setting", "package"),
    [("lineage_url", "openlineage.client"), ("traces_url", "opentelemetry.sdk.trace.export")],
)
def test_a_package_that_is_not_installed_is_named_by_its_extra(instance, monkeypatch, setting, package):
    two_runs(instance)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotDelivered, match=rf"install prediction-assets\[{setting.removesuffix('_url')}\]"):
        tick(instance, BEFORE, **{setting: "http://127.0.0.1:1"})
