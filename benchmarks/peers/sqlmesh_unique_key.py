"""SQLMesh: one model, incremental by unique key; each run is one day later than the one before.

python sqlmesh_unique_key.py FOLDER ROWS NUMBER
"""

import os
import sys
from datetime import date, timedelta
from pathlib import Path

os.environ["SQLMESH__DISABLE_ANONYMIZED_ANALYTICS"] = "true"

MODEL = """MODEL (
    name bench.predictions,
    kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (game_date, game_id, player_id, system, line)),
    start '2026-01-01', cron '@daily'
);
SELECT * FROM read_parquet('{rows}')
"""


def main(folder: Path, rows: str, number: int) -> None:
    from sqlmesh import Context

    project = folder / "sqlmesh"
    (project / "models").mkdir(parents=True, exist_ok=True)
    given = project / "rows.parquet"
    given.unlink(missing_ok=True)
    given.symlink_to(rows)
    (project / "models" / "predictions.sql").write_text(MODEL.format(rows=given), "utf-8")
    (project / "config.yaml").write_text(
        "gateways:\n  local:\n    connection:\n      type: duckdb\n"
        f"      database: {folder / 'bench_rows.duckdb'}\n"
        "default_gateway: local\ndisable_anonymized_analytics: true\nmodel_defaults:\n  dialect: duckdb\n",
        "utf-8",
    )
    context = Context(paths=str(project))
    today = date(2026, 1, 2) + timedelta(days=number)
    if number == 0:
        context.plan(auto_apply=True, no_prompts=True, execution_time=f"{today} 12:00:00")
    else:
        context.run(ignore_cron=True, execution_time=f"{today} 12:00:00")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
