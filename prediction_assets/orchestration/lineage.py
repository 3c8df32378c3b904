"""Runs as OpenLineage events, sent by its own client (https://openlineage.io/docs/client/python).

A run that is sent again has the same id, and its receiver counts it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prediction_assets.errors import NotDelivered
from prediction_assets.orchestration.finished_runs import FinishedRun

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

NAMESPACE = "prediction_assets"
_PRODUCER = "https://pypi.org/project/prediction-assets"


def events_of(run: FinishedRun) -> list[RunEvent]:
    """Return the start and the end of a run, with the assets that it read and made."""
    from openlineage.client import event_v2
    from openlineage.client.facet_v2 import tags_run

    tags = [tags_run.TagsRunFacetFields(name, value) for name, value in sorted(run.labels.items())]
    state = event_v2.RunState.COMPLETE if run.succeeded else event_v2.RunState.FAIL
    return [
        event_v2.RunEvent(
            eventType=kind,
            eventTime=at.isoformat(),
            run=event_v2.Run(run.run_id, facets={"tags": tags_run.TagsRunFacet(tags=tags)}),
            job=event_v2.Job(NAMESPACE, run.job),
            producer=_PRODUCER,
            inputs=[event_v2.InputDataset(NAMESPACE, name) for name in run.inputs],
            outputs=[event_v2.OutputDataset(NAMESPACE, name) for name in run.outputs],
        )
        for kind, at in ((event_v2.RunState.START, run.began), (state, run.ended))
    ]


def send_lineage(runs: Sequence[FinishedRun], url: str) -> None:
    """Send the events of these runs to an OpenLineage API."""
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.http import HttpConfig, HttpTransport
    except ImportError as error:
        raise NotDelivered("lineage_url is set: install prediction-assets[lineage]") from error
    client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url)))
    try:
        for event in (event for run in runs for event in events_of(run)):
            client.emit(event)
    except Exception as error:
        raise NotDelivered(
            f"lineage of {len(runs)} runs isn't sent: {type(error).__name__}; check PREDICTION_ASSETS_LINEAGE_URL"
        ) from error
