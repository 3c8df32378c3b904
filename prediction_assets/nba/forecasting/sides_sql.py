"""The queries behind :mod:`.candidates`: who could play for each side, and what the injury reports said of them.

Every sum is of whole numbers, as in :mod:`.features_sql`. What doesn't belong here: running the queries.
"""

from __future__ import annotations

from prediction_assets.nba.forecasting.features_sql import CANDIDATE_DAYS

RECENT_TEAM_GAMES = 7
"""The team's games that count as recent, the newest 7 times, the one before 6 times, and so on."""

CANDIDATES_SQL = f"""
WITH logs AS (
    SELECT
        game_id, game_date, player_id, team, points, minutes, assists, blocks,
        offensive_rebounds + defensive_rebounds AS rebounds,
        100 * field_goals_attempted + 44 * free_throws_attempted + 100 * turnovers AS possessions
    FROM facts.game_logs
    WHERE league = $league
        AND game_date < CAST($slate AS DATE)
        AND game_date >= CAST($history_start AS DATE) - {CANDIDATE_DAYS}
), sides AS (
    SELECT DISTINCT game_id, game_date, team FROM logs
    UNION ALL
    SELECT game_id, game_date, team_a AS team FROM facts.schedule
    WHERE league = $league AND game_date = CAST($slate AS DATE)
    UNION ALL
    SELECT game_id, game_date, team_b AS team FROM facts.schedule
    WHERE league = $league AND game_date = CAST($slate AS DATE)
), numbered AS (
    SELECT
        game_id, game_date, team,
        ROW_NUMBER() OVER (PARTITION BY team ORDER BY game_date NULLS FIRST, game_id NULLS FIRST) AS team_game
    FROM sides
), form AS (
    SELECT
        l.player_id, l.team, l.game_date, n.team_game,
        LEAD(l.game_date) OVER player_order AS next_date, LEAD(l.team) OVER player_order AS next_team,
        SUM(l.points) OVER last_10 AS points_10, SUM(l.minutes) OVER last_10 AS minutes_10,
        COUNT(*) OVER last_10 AS games_10,
        SUM(l.minutes) OVER last_3 AS minutes_3, COUNT(*) OVER last_3 AS games_3,
        SUM(l.minutes) OVER last_25 AS minutes_25, COUNT(*) OVER last_25 AS games_25,
        SUM(l.rebounds) OVER last_25 AS rebounds_25, SUM(l.assists) OVER last_25 AS assists_25,
        SUM(l.blocks) OVER last_25 AS blocks_25, SUM(l.possessions) OVER last_25 AS possessions_25
    FROM logs AS l
    JOIN numbered AS n ON n.game_id = l.game_id AND n.team = l.team
    WINDOW
        player_order AS (PARTITION BY l.player_id ORDER BY l.game_date NULLS FIRST, l.game_id NULLS FIRST),
        last_3 AS (
            PARTITION BY l.player_id ORDER BY l.game_date NULLS FIRST, l.game_id NULLS FIRST
            ROWS BETWEEN 2 PRECEDING AND CURRENT ROW
        ),
        last_10 AS (
            PARTITION BY l.player_id ORDER BY l.game_date NULLS FIRST, l.game_id NULLS FIRST
            ROWS BETWEEN 9 PRECEDING AND CURRENT ROW
        ),
        last_25 AS (
            PARTITION BY l.player_id ORDER BY l.game_date NULLS FIRST, l.game_id NULLS FIRST
            ROWS BETWEEN 24 PRECEDING AND CURRENT ROW
        )
), appearances AS (
    SELECT
        g.game_id, g.team, f.player_id, COUNT(*) AS played_20,
        SUM(GREATEST({RECENT_TEAM_GAMES} + 1 - (g.team_game - f.team_game), 0)) AS played_recently
    FROM numbered AS g
    JOIN form AS f ON f.team = g.team AND f.team_game BETWEEN g.team_game - 20 AND g.team_game - 1
    WHERE g.game_date >= CAST($history_start AS DATE)
    GROUP BY g.game_id, g.team, f.player_id
)
SELECT
    g.game_id, g.game_date, g.team, f.player_id, f.points_10, f.minutes_10, f.games_10,
    f.minutes_3, f.games_3, f.minutes_25, f.games_25, f.rebounds_25, f.assists_25, f.blocks_25, f.possessions_25,
    COALESCE(a.played_20, 0) AS played_20, COALESCE(a.played_recently, 0) AS played_recently,
    g.team_game - f.team_game - 1 AS games_missed,
    COALESCE(f.next_date = g.game_date AND f.next_team = g.team, FALSE) AS played
FROM numbered AS g
JOIN form AS f ON f.team = g.team
    AND f.game_date < g.game_date AND (f.next_date IS NULL OR f.next_date >= g.game_date)
LEFT JOIN appearances AS a ON a.game_id = g.game_id AND a.team = g.team AND a.player_id = f.player_id
WHERE g.game_date >= CAST($history_start AS DATE)
    AND DATE_DIFF('day', f.game_date, g.game_date) <= {CANDIDATE_DAYS}
ORDER BY g.game_date NULLS FIRST, g.game_id NULLS FIRST, g.team NULLS FIRST, f.player_id NULLS FIRST
"""
"""Each player whose newest game was for a side, for every side from ``$history_start`` to ``$slate``.

Sums are over the last 3, 10 and 25 games that he played; possessions are those that he used, in hundredths (Oliver's
estimate). ``played_20`` and ``played_recently`` count his games among his team's last ones, the latter weighted by how
recent they are (:data:`RECENT_TEAM_GAMES`). ``games_missed`` counts his team's games since the newest one.
``played`` is false of the slate's own games, whose logs are not read."""

REPORTED_SQL = """
WITH timed AS (
    SELECT
        game_date, reported_at, team, player_id, status,
        CASE
            WHEN CAST(reported_at AS DATE) < game_date OR EXTRACT(HOUR FROM reported_at) < 16 THEN 0
            WHEN EXTRACT(HOUR FROM reported_at) < 20 THEN 1
            ELSE 2
        END AS time_of_day
    FROM facts.injury_reports
    WHERE league = $league AND game_date < CAST($slate AS DATE) AND game_date >= CAST($history_start AS DATE)
        AND CAST(reported_at AS DATE) <= game_date
)
SELECT game_date, time_of_day, team, COALESCE(player_id, 0) AS player_id, status
FROM timed
WHERE player_id IS NOT NULL OR status = 'Not yet submitted'
QUALIFY reported_at = MAX(reported_at) OVER (PARTITION BY game_date, time_of_day)
ORDER BY game_date NULLS FIRST, time_of_day NULLS FIRST, team NULLS FIRST, player_id NULLS FIRST, status NULLS FIRST
"""
"""The newest report of each date and time of day (:func:`.availability.time_of_day`), before ``$slate``.

``player_id`` is 0, never NULL, where a team had not submitted its report. A report that is published after midnight
UTC, when most games have begun, teaches nothing."""
