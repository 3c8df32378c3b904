"""Runs as OpenTelemetry spans, sent by its own exporter (https://opentelemetry.io/docs/languages/python/exporters).

The runs of one batch are one trace. Ids follow from Dagster's, so a span that is sent again is the same span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from prediction_assets.errors import NotDelivered
from prediction_assets.orchestration.finished_runs import FinishedRun

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext


def spans_of(run: FinishedRun) -> list[ReadableSpan]:
    """Return the span of a run, and below it one for each step."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status, StatusCode

    def span(
        name: str, *ids: str, began: datetime, ended: datetime, succeeded: bool, of: SpanContext | None = None
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context=_context(run, *ids),
            parent=of,
            resource=Resource({"service.name": "prediction_assets"}),
            attributes={"dagster.run_id": run.run_id, **run.labels},
            status=Status(StatusCode.OK if succeeded else StatusCode.ERROR),
            start_time=_nanoseconds(began),
            end_time=_nanoseconds(ended),
        )

    whole = span(run.job, began=run.began, ended=run.ended, succeeded=run.succeeded)
    return [
        whole,
        *(
            span(
                step.key,
                step.key,
                began=step.began,
                ended=step.ended,
                succeeded=step.succeeded,
                of=whole.context,
            )
            for step in run.steps
        ),
    ]


def send_spans(runs: Sequence[FinishedRun], url: str) -> None:
    """Send the spans of these runs to an OTLP receiver."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError as error:
        raise NotDelivered("traces_url is set: install prediction-assets[traces]") from error
    exporter = OTLPSpanExporter(endpoint=url)
    try:
        result = exporter.export([span for run in runs for span in spans_of(run)])
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]
    if result is not SpanExportResult.SUCCESS:
        raise NotDelivered(f"spans of {len(runs)} runs aren't sent; check PREDICTION_ASSETS_TRACES_URL")


def _context(run: FinishedRun, *ids: str) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    trace, own = _digest(run.batch or run.run_id), _digest(run.run_id, *ids)
    return SpanContext(
        int.from_bytes(trace[:16]),
        int.from_bytes(own[:8]),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _digest(*texts: str) -> bytes:
    return hashlib.sha256("\n".join(texts).encode()).digest()


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
