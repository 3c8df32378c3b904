"""The floor below any slate on Dagster: three runs that do nothing but log a slate's events, on its default instance.

python empty_dagster.py FOLDER ROWS NUMBER

One run materializes every player of ROWS, with as many entries of metadata as a staged player has; two runs
materialize one asset each, as the roster and all that follows the staging are runs of their own.
"""

import os
import sys
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

ENTRIES = 14


def main(folder: Path, rows: str) -> None:
    home = folder / "empty"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    slugs = sorted(set(pq.read_table(rows, columns=["player_slug"])["player_slug"].to_pylist()))

    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(slugs), backfill_policy=dg.BackfillPolicy.single_run()
    )
    def players() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={f"entry_{n}": "0" * 20 for n in range(ENTRIES)})

    @dg.asset
    def step() -> None: ...

    with dg.DagsterInstance.get() as instance:
        whole = {
            "dagster/asset_partition_range_start": slugs[0],
            "dagster/asset_partition_range_end": slugs[-1],
        }
        assert dg.materialize([players], instance=instance, tags=whole).success
        for _ in range(2):
            assert dg.materialize([step], instance=instance).success
        assert len(instance.get_materialized_partitions(players.key)) == len(slugs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
