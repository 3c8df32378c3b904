"""dbt-duckdb: one incremental model, merged by the business key.

python dbt_incremental.py FOLDER ROWS NUMBER
"""

import json
import os
import subprocess
import sys
from pathlib import Path

MODEL = """{{ config(materialized='incremental', incremental_strategy='delete+insert',
    unique_key=['game_date', 'game_id', 'player_id', 'system', 'line']) }}
SELECT * FROM read_parquet('{{ var("rows") }}')
"""


def main(folder: Path, rows: str) -> None:
    project = folder / "dbt"
    (project / "models").mkdir(parents=True, exist_ok=True)
    (project / "models" / "predictions.sql").write_text(MODEL, "utf-8")
    (project / "dbt_project.yml").write_text(
        "name: bench\nversion: '1.0'\nprofile: bench\nmodel-paths: [models]\n"
        "flags:\n  send_anonymous_usage_stats: false\n",
        "utf-8",
    )
    (project / "profiles.yml").write_text(
        f"bench:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: {folder / 'dbt.duckdb'}, threads: 2}}\n",
        "utf-8",
    )
    dbt = Path(sys.executable).parent / "dbt"
    command = [
        dbt,
        "run",
        "--project-dir",
        project,
        "--profiles-dir",
        project,
        "--vars",
        json.dumps({"rows": rows}),
    ]
    subprocess.run(command, check=True, env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
