"""The simulated facts are shaped like the real ones: 2024-25 up to mid-January."""

from __future__ import annotations

import pytest

SIMULATED = """
    SELECT player_id, team_id, game_id, game_date, minutes, points, field_goals_attempted AS shots,
           three_pointers_attempted AS threes, free_throws_attempted AS free_throws, field_goals_made AS made,
           is_home
    FROM game_logs
"""
PLAYERS = """
    (SELECT avg(points) AS p, avg(minutes) AS m, stddev(points) AS s
     FROM logs GROUP BY player_id HAVING count(*) >= 15)
"""
TEAMS = "(SELECT game_id, team_id, sum(points) AS p, bool_or(is_home) AS home FROM logs GROUP BY ALL)"
MEETINGS = f"""
    (SELECT a.*, b.p AS allowed FROM {TEAMS} a JOIN {TEAMS} b
     ON a.game_id = b.game_id AND a.team_id <> b.team_id)
"""
ALLOWED = f"(SELECT avg(allowed) AS p FROM {MEETINGS} GROUP BY team_id)"
DRESSED = "(SELECT count(*) AS n FROM logs GROUP BY game_id, team_id)"
CONSECUTIVE = """
    (SELECT points, lag(points) OVER w AS points_before, minutes, lag(minutes) OVER w AS minutes_before
     FROM logs WINDOW w AS (PARTITION BY player_id ORDER BY game_date))
"""
FORM = """
    (SELECT d, lag(d) OVER (PARTITION BY player_id ORDER BY game_date) AS before FROM
     (SELECT *, points - avg(points) OVER (PARTITION BY player_id) AS d FROM logs))
"""

# What, query, the real figure, and how far the simulated one may be from it.
SHAPES = [
    ("mean minutes", "avg(minutes) FROM logs", 22.4, 0.8),
    ("spread of minutes", "stddev(minutes) FROM logs", 10.9, 0.9),
    ("mean points", "avg(points) FROM logs", 10.5, 0.6),
    ("spread of points", "stddev(points) FROM logs", 8.81, 0.6),
    ("mean shots", "avg(shots) FROM logs", 8.25, 0.5),
    ("threes per shot", "sum(threes) / sum(shots) FROM logs", 0.423, 0.03),
    ("free throws per shot", "sum(free_throws) / sum(shots) FROM logs", 0.244, 0.03),
    ("accuracy", "sum(made) / sum(shots) FROM logs", 0.464, 0.015),
    ("points in 10-14 minutes", "avg(points) FROM logs WHERE minutes BETWEEN 10 AND 14", 4.12, 0.7),
    ("points in 20-24 minutes", "avg(points) FROM logs WHERE minutes BETWEEN 20 AND 24", 8.83, 1.2),
    ("points in 30-34 minutes", "avg(points) FROM logs WHERE minutes BETWEEN 30 AND 34", 16.3, 1.3),
    ("points in 35 minutes and more", "avg(points) FROM logs WHERE minutes >= 35", 21.3, 1.5),
    ("spread in 20-24 minutes", "stddev(points) FROM logs WHERE minutes BETWEEN 20 AND 24", 4.97, 0.8),
    ("spread in 30-34 minutes", "stddev(points) FROM logs WHERE minutes BETWEEN 30 AND 34", 7.43, 0.8),
    ("consecutive games' points", f"corr(points, points_before) FROM {CONSECUTIVE}", 0.607, 0.05),
    ("consecutive games' minutes", f"corr(minutes, minutes_before) FROM {CONSECUTIVE}", 0.771, 0.05),
    ("no streaks: form within a player", f"corr(d, before) FROM {FORM}", 0.033, 0.05),
    ("best scorer", f"max(p) FROM {PLAYERS}", 31.5, 3.5),
    ("spread of regulars' means", f"stddev(p) FROM {PLAYERS} WHERE m >= 15", 6.34, 0.8),
    ("spread of a 20-point scorer", f"avg(s) FROM {PLAYERS} WHERE p BETWEEN 20 AND 30", 7.91, 1.0),
    ("spread of a 10-point scorer", f"avg(s) FROM {PLAYERS} WHERE p BETWEEN 10 AND 15", 6.08, 0.7),
    ("team points", f"avg(p) FROM {TEAMS}", 112.9, 2.5),
    ("spread of team points", f"stddev(p) FROM {TEAMS}", 12.4, 1.8),
    ("home advantage", f"avg(p) FILTER (home) - avg(p) FILTER (NOT home) FROM {TEAMS}", 1.47, 1.2),
    ("pace is shared", f"corr(p, allowed) FROM {MEETINGS}", 0.255, 0.12),
    ("good defences", f"stddev(p) FROM {ALLOWED}", 4.68, 1.2),
    ("players with a row", f"avg(n) FROM {DRESSED}", 10.77, 0.3),
]


def measure(connection, query):
    return connection.execute(f"SELECT {query}").fetchone()[0]


@pytest.fixture(scope="module")
def simulated(league):
    import duckdb  # not when tests are collected

    with duckdb.connect() as connection:
        connection.register("game_logs", league.game_logs)
        connection.execute(f"CREATE TABLE logs AS {SIMULATED}")
        yield connection


@pytest.mark.parametrize(
    ("query", "figure", "tolerance"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_the_simulated_league_has_the_real_shape(simulated, query, figure, tolerance):
    assert measure(simulated, query) == pytest.approx(figure, abs=tolerance)


def test_the_books_miss_as_far_as_real_books_do(league):
    import duckdb  # not when tests are collected

    with duckdb.connect() as connection:
        connection.register("game_logs", league.game_logs)
        connection.register("prop_lines", league.prop_lines)
        error, correlation, over = connection.execute("""
            WITH latest AS (
                SELECT *, row_number() OVER (PARTITION BY event_id, bookmaker, player_id
                                             ORDER BY captured_at DESC, line) AS age FROM prop_lines
            )
            SELECT avg(abs(points - line)), corr(points, line), avg((points > line)::INT)
            FROM latest JOIN game_logs USING (game_date, player_id) WHERE age = 1
        """).fetchone()  # fmt: skip
    assert 4.6 < error < 5.4  # 4.99 to 5.33
    assert 0.6 < correlation < 0.72  # 0.65 to 0.69
    assert 0.43 < over < 0.54
