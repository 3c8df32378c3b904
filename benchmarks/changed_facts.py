"""Change what a home's predictions are made from, as a corrected box score of each player would.

python -m benchmarks.changed_facts HOME
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main(home: Path) -> None:
    """Give each player one free throw more in his newest game log."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(
            "UPDATE facts.game_logs AS g SET free_throws_made = free_throws_made + 1, "
            "free_throws_attempted = free_throws_attempted + 1, points = points + 1 "
            "FROM (SELECT player_id, MAX(game_date) AS newest FROM facts.game_logs GROUP BY player_id) AS n "
            "WHERE g.player_id = n.player_id AND g.game_date = n.newest"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
