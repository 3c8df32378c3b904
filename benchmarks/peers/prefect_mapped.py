"""Prefect: one mapped task per player that writes his table, then one MERGE, on its own temporary server.

python prefect_mapped.py FOLDER ROWS NUMBER
"""

import os
import sys
import threading
from pathlib import Path

os.environ["PREFECT_HOME"] = str(Path(sys.argv[1]) / "prefect")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "300"  # a loaded machine
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

import duckdb
import pyarrow.parquet as pq
from prefect import flow, task, unmapped
from prefect.task_runners import ThreadPoolTaskRunner

KEY = ("game_date", "game_id", "player_id", "system", "line")


@task
def stage(number, table, connection, lock):
    with lock:
        connection.register("part", table.slice(number * 25, 25))
        connection.execute(f"CREATE TABLE staging.part_{number} AS SELECT * FROM part")


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def slate(folder, rows):
    table = pq.read_table(rows)
    parts = table.num_rows // 25
    with duckdb.connect(str(Path(folder) / "prefect.duckdb")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
        connection.register("rows", table)
        connection.execute("CREATE TABLE IF NOT EXISTS predictions AS SELECT * FROM rows LIMIT 0")
        futures = stage.map(
            list(range(parts)), unmapped(table), unmapped(connection), unmapped(threading.Lock())
        )
        for future in futures:
            future.result()
        source = " UNION ALL ".join(f"SELECT * FROM staging.part_{n}" for n in range(parts))
        same = " AND ".join(f't."{c}" = s."{c}"' for c in KEY)
        update = ", ".join(f'"{c}" = s."{c}"' for c in table.column_names if c not in KEY)
        names = ", ".join(f'"{c}"' for c in table.column_names)
        values = ", ".join(f's."{c}"' for c in table.column_names)
        connection.execute(
            f"MERGE INTO predictions AS t USING ({source}) AS s ON {same} "
            f"WHEN MATCHED AND t.content_hash <> s.content_hash THEN UPDATE SET {update} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
        )
        for number in range(parts):
            connection.execute(f"DROP TABLE staging.part_{number}")


if __name__ == "__main__":
    slate(sys.argv[1], sys.argv[2])
