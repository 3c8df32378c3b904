"""Plain DuckDB: a staging table per player, one MERGE over all of them, the tables dropped.

python plain.py FOLDER ROWS NUMBER
"""

import itertools
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

KEY = ("game_date", "game_id", "player_id", "system", "line")


def main(folder: Path, rows: str) -> None:
    table = pq.read_table(rows)
    names = table.column_names
    values = [name for name in names if name not in KEY]
    slugs = table["player_slug"].to_pylist()
    starts = [n for n, slug in enumerate(slugs) if n == 0 or slugs[n - 1] != slug] + [len(slugs)]
    with duckdb.connect(str(folder / "plain.duckdb")) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
        connection.register("rows", table)
        connection.execute("CREATE TABLE IF NOT EXISTS predictions AS SELECT * FROM rows LIMIT 0")
        staged = []
        for first, last in itertools.pairwise(starts):
            name = f'staging."{slugs[first]}"'
            connection.register("part", table.slice(first, last - first))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM part")
            staged.append(name)
        columns = ", ".join(f'"{name}"' for name in names)
        source = " UNION ALL ".join(f"SELECT {columns} FROM {name}" for name in staged)
        same = " AND ".join(f't."{c}" = s."{c}"' for c in KEY)
        update = ", ".join(f'"{c}" = s."{c}"' for c in values)
        inserted = ", ".join(f's."{c}"' for c in names)
        connection.begin()
        connection.execute(
            f"MERGE INTO predictions AS t USING ({source}) AS s ON {same} "
            f"WHEN MATCHED AND t.content_hash <> s.content_hash THEN UPDATE SET {update} "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({inserted})"
        )
        connection.commit()
        for name in staged:
            connection.execute(f"DROP TABLE {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
