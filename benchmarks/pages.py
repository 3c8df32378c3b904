"""What the UI asks for the page of a partitioned asset, by GraphQL, on both event storages.

    python -m benchmarks.pages FOLDER KEYS

One set of files, with this many partition keys of which 450 are materialized, opened by Dagster's own storage
and by this project's in turn: the partition keys, the counts, the status of all, the newest events.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from benchmarks.events import materialized
from benchmarks.measuring import table
from benchmarks.old_keys import register
from prediction_assets.orchestration.instance import prepare_home
from prediction_assets.settings import load_settings

ASSET = 'assetNodeOrError(assetKey: {path: ["staged_predictions"]}) { __typename ... on AssetNode { %s } }'
QUERIES = {
    "partition keys": ASSET % "partitionKeysByDimension { partitionKeys }",
    "partition counts": ASSET % "partitionStats { numPartitions numMaterialized numFailed numMaterializing }",
    "partition status": ASSET
    % "assetPartitionStatuses { __typename ... on DefaultPartitionStatuses { materializedPartitions } }",
    "newest events": ASSET % "assetMaterializations(limit: 100) { partition timestamp runId }",
}
REPEATS = 5


def main(folder: Path, keys: int) -> None:
    """Fill an instance, ask it both ways and print the medians."""
    settings = load_settings(home=Path(tempfile.mkdtemp(dir=folder)))
    home = prepare_home(settings)
    pooled = yaml.safe_load((home / "dagster.yaml").read_text("utf-8"))
    stock = {name: value for name, value in pooled.items() if name != "event_log_storage"}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        registered = register(instance, keys)
        for number, key in enumerate(registered[:: max(1, keys // 450)]):
            event = materialized(f"run-{number % 10}", number)
            made = event.dagster_event.event_specific_data.materialization._replace(partition=key)  # type: ignore[union-attr]
            data = event.dagster_event.event_specific_data._replace(materialization=made)  # type: ignore[union-attr]
            instance.store_event(
                event._replace(dagster_event=event.dagster_event._replace(event_specific_data=data))
            )  # type: ignore[union-attr]
    measured: dict[str, dict[str, float]] = {}
    for name, config in (("own", stock), ("pooled", pooled)):
        (home / "dagster.yaml").write_text(yaml.safe_dump(config), "utf-8")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            measured[name] = asked(instance)
    rows = [
        [what, measured["own"][what] * 1000, seconds * 1000, seconds / measured["own"][what]]
        for what, seconds in measured["pooled"].items()
    ]
    columns = ("query", "Dagster's own ms", "pooled ms", "ratio")
    print(table(f"GraphQL of an asset with {keys:,} partition keys", columns, rows))


def asked(instance: dg.DagsterInstance) -> dict[str, float]:
    """Return each query's median seconds, after one that is not counted."""
    target = ModuleTarget(
        module_name="prediction_assets.definitions", attribute=None, working_directory=None,
        location_name="prediction_assets",
    )  # fmt: skip
    found = {}
    with WorkspaceProcessContext(instance, target) as process:
        for what, query in QUERIES.items():
            seconds = []
            for _ in range(REPEATS + 1):
                started = time.perf_counter()
                answer: Any = execute_dagster_graphql(process.create_request_context(), f"{{ {query} }}")
                seconds.append(time.perf_counter() - started)
                assert answer.data["assetNodeOrError"]["__typename"] == "AssetNode", answer.data
            found[what] = statistics.median(seconds[1:])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
