"""A finished run as others are told of it: what it worked on, when, what it read and what it made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from prediction_assets.orchestration.run_tags import BATCH_TAG, labels_of


@dataclass(frozen=True, slots=True)
class FinishedStep:
    key: str
    began: datetime
    ended: datetime
    succeeded: bool


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One run."""

    run_id: str
    job: str
    began: datetime
    ended: datetime
    succeeded: bool
    labels: Mapping[str, str]  # slate, batch and player, as far as it is about one
    batch: str  # id of the batch that it worked on, '' without one
    steps: Sequence[FinishedStep]
    inputs: Sequence[str]  # assets that it read and didn't make
    outputs: Sequence[str]  # assets that it was to make


def finished_run(
    record: dg.RunRecord, instance: dg.DagsterInstance, repository: dg.RepositoryDefinition
) -> FinishedRun | None:
    """Return what is said of a run, None of one that never began."""
    run = record.dagster_run
    if record.start_time is None or record.end_time is None:
        return None
    graph = repository.asset_graph
    made = set(run.asset_selection or ())
    if not made and repository.has_job(run.job_name):
        made = set(repository.get_job(run.job_name).asset_layer.executable_asset_keys)
    made = {key for key in made if graph.has(key)}
    read = {parent for key in made for parent in graph.get(key).parent_keys} - made
    return FinishedRun(
        run_id=run.run_id,
        job=run.job_name,
        began=_moment(record.start_time),
        ended=_moment(record.end_time),
        succeeded=run.is_success,
        labels=labels_of(run.tags),
        batch=run.tags.get(BATCH_TAG, ""),
        steps=[
            FinishedStep(
                step.step_key,
                _moment(step.start_time),
                _moment(step.end_time),
                step.status is not None and step.status.value == "SUCCESS",
            )
            for step in instance.get_run_step_stats(run.run_id)
            if step.start_time is not None and step.end_time is not None
        ],
        inputs=sorted(key.to_user_string() for key in read),
        outputs=sorted(key.to_user_string() for key in made),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
