"""Stock Dagster: one partition per player, a single-run backfill, its DuckDB IO manager, its default instance.

python stock_dagster.py FOLDER ROWS NUMBER
"""

import os
import sys
from pathlib import Path

import pandas as pd


def main(folder: Path, rows: str) -> None:
    import dagster as dg
    from dagster_duckdb_pandas import DuckDBPandasIOManager

    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    given = pd.read_parquet(rows)
    slugs = sorted(given["player_slug"].unique())

    @dg.asset(
        partitions_def=dg.StaticPartitionsDefinition(slugs),
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"partition_expr": "player_slug"},
        key_prefix=["public"],
    )
    def predictions(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return given[given["player_slug"].isin(context.partition_keys)]

    with dg.DagsterInstance.get() as instance:
        result = dg.materialize(
            [predictions],
            instance=instance,
            resources={"io_manager": DuckDBPandasIOManager(database=str(folder / "stock.duckdb"))},
            tags={
                "dagster/asset_partition_range_start": slugs[0],
                "dagster/asset_partition_range_end": slugs[-1],
            },
        )
        assert result.success
        assert len(instance.get_materialized_partitions(predictions.key)) == len(slugs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
