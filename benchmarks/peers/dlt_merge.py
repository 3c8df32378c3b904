"""dlt: the rows as an Arrow resource, merged by the business key.

python dlt_merge.py FOLDER ROWS NUMBER
"""

import os
import sys
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import pyarrow.parquet as pq

KEY = ["game_date", "game_id", "player_id", "system", "line"]


def main(folder: Path, rows: str) -> None:
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt"),
        destination=dlt.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="predictions",
    )
    pipeline.run(
        pq.read_table(rows), table_name="predictions", primary_key=KEY, write_disposition="merge"
    ).raise_on_failed_jobs()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
