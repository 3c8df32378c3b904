"""The query behind the features: one SQL text that yields both the training rows and the slate's rows.

The games to be predicted are appended to the past games as rows without a result, and the same window expressions run
over both, so that training and serving cannot differ. The columns are declared in :mod:`.features`. What doesn't belong
here: running the query.

A snapshot's id is a digest of these numbers, and an engine may add rows in any order. So every sum is of whole numbers,
and each feature is one division of two of them, the last step; AVG doesn't promise whole sums. A frame holds played
games only, whose columns are never NULL, so one count serves every column. Each sum and count is asked for once: an
engine plans this query for as long as it runs.
"""

from __future__ import annotations

RECENT_GAMES = 25
"""Length of the two list columns. An exponential average with a half-life of 8 games has 89 % of its weight
here."""

WARM_UP_DAYS = 550
"""Days of logs read before ``$history_start``: a game in April needs the season that began 18 months
before."""

CANDIDATE_DAYS = 400
"""A player whose latest game is older than this is no candidate: he missed a whole season."""


POINTS_COUNTED = "points AS points"
"""What the query counts, once for all of it; :mod:`.stats` puts others in its place."""


_PLAYED = "SELECT *, FALSE AS is_slate FROM logs"


def of_players(sql: str) -> str:
    """Return :data:`FEATURES_SQL` for the players of ``$players`` alone: of others nothing is added up.

    A player's features are made of his own games and his teams'. So they are the same, sooner; there are no whole
    training rows.
    """
    theirs = "SELECT given.id FROM UNNEST(CAST($players AS BIGINT[])) AS given(id)"
    return sql.replace(_PLAYED, f"{_PLAYED} WHERE player_id IN ({theirs})")


def _sum(column: str, window: str) -> str:
    """Return the sum of a column of whole numbers; DuckDB's own sum has 16 bytes, and there are 30 of each row."""
    return f"CAST(SUM({column}) OVER {window} AS BIGINT)"


def _count(window: str) -> str:
    """Return the number of games in a window; NULL, not 0, because it divides, and BigQuery refuses to divide by 0."""
    return f"CAST(NULLIF(COUNT(*) OVER {window}, 0) AS INTEGER)"


FEATURES_SQL = f"""
WITH logs AS (
    -- Game logs are read only here: this filter keeps out the slate's date and everything after it.
    SELECT
        season_id, MOD(season_id, 10000) AS season_year, game_id, game_date, player_id, player_name,
        team, opponent, is_home, {POINTS_COUNTED}, minutes,
        field_goals_attempted, three_pointers_attempted, free_throws_attempted, offensive_rebounds, turnovers
    FROM facts.game_logs
    WHERE league = $league
        AND game_date < CAST($slate AS DATE)
        AND game_date >= CAST($history_start AS DATE) - {WARM_UP_DAYS}
), slate_games AS (
    SELECT
        season_id, game_id, game_date, team_a AS team, team_b AS opponent,
        CASE WHEN home_team IS NOT NULL THEN home_team = team_a END AS is_home
    FROM facts.schedule
    WHERE league = $league AND game_date = CAST($slate AS DATE)
    UNION ALL
    SELECT
        season_id, game_id, game_date, team_b AS team, team_a AS opponent,
        CASE WHEN home_team IS NOT NULL THEN home_team = team_b END AS is_home
    FROM facts.schedule
    WHERE league = $league AND game_date = CAST($slate AS DATE)
), slate_teams AS (
    SELECT * FROM slate_games
    QUALIFY ROW_NUMBER() OVER (PARTITION BY team ORDER BY game_id NULLS FIRST) = 1
), latest AS (
    -- The newest date first: a number for each row of each player takes ten times as long.
    SELECT l.player_id, l.player_name, l.team, l.game_date
    FROM logs AS l
    JOIN (SELECT player_id, MAX(game_date) AS game_date FROM logs GROUP BY player_id) AS newest
        ON newest.player_id = l.player_id AND newest.game_date = l.game_date
    QUALIFY ROW_NUMBER() OVER (PARTITION BY l.player_id ORDER BY l.game_id DESC NULLS LAST) = 1
), candidates AS (
    SELECT
        g.season_id, MOD(g.season_id, 10000) AS season_year, g.game_id, g.game_date,
        l.player_id, l.player_name, g.team, g.opponent, g.is_home
    FROM latest AS l
    JOIN slate_teams AS g ON g.team = l.team
    WHERE l.game_date >= CAST($slate AS DATE) - {CANDIDATE_DAYS}
), player_games AS (
    {_PLAYED}
    UNION ALL
    SELECT
        *, NULL AS points, NULL AS minutes,
        NULL AS field_goals_attempted, NULL AS three_pointers_attempted, NULL AS free_throws_attempted,
        NULL AS offensive_rebounds, NULL AS turnovers, TRUE AS is_slate
    FROM candidates
), form_before AS (
    SELECT
        game_id, team,
        SUM(points) OVER ten_before AS points, COUNT(*) OVER ten_before AS games
    FROM logs
    WINDOW ten_before AS (
        PARTITION BY player_id ORDER BY game_date NULLS FIRST, game_id NULLS FIRST
        ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING
    )
), lineups AS (
    -- Whole thousandths of a point: a sum of fractions would depend on the order of the players.
    SELECT
        game_id, team,
        SUM(CAST(ROUND(COALESCE(points, 0) * 1000 / GREATEST(games, 1)) AS BIGINT)) AS lineup
    FROM form_before
    GROUP BY game_id, team
), team_games AS (
    SELECT
        game_id, game_date, team, opponent, SUM(points) AS points,
        -- Hundredths of Oliver's possession estimate; player logs don't give its defensive rebounding term.
        SUM(
            100 * field_goals_attempted + 44 * free_throws_attempted - 100 * offensive_rebounds + 100 * turnovers
        ) AS possessions
    FROM logs
    GROUP BY game_id, game_date, team, opponent
    UNION ALL
    SELECT game_id, game_date, team, opponent, NULL AS points, NULL AS possessions FROM slate_teams
), league_days AS (
    SELECT game_date, SUM(points) AS points, SUM(possessions) AS possessions, COUNT(*) AS games
    FROM team_games
    GROUP BY game_date
), league_form AS (
    SELECT
        game_date,
        SUM(points) OVER league_before / SUM(games) OVER league_before AS league_points,
        SUM(possessions) OVER league_before / (100 * SUM(games) OVER league_before) AS league_pace
    FROM league_days
    WINDOW league_before AS (ORDER BY game_date NULLS FIRST ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING)
), team_form AS (
    SELECT
        t.game_id, t.team,
        LAG(l.lineup) OVER team_order AS lineup_1, SUM(l.lineup) OVER team_ten_before AS lineup_10,
        {_count("team_ten_before")} AS games_10,
        {_count("team_before")} AS games_15, {_count("opponent_before")} AS opponent_games_15,
        SUM(points) OVER team_before AS points_15, SUM(possessions) OVER team_before AS possessions_15,
        SUM(points) OVER opponent_before AS opponent_points_15,
        SUM(possessions) OVER opponent_before AS opponent_possessions_15,
        DATE_DIFF('day', LAG(game_date) OVER team_order, game_date) AS team_rest_days
    FROM team_games AS t
    LEFT JOIN lineups AS l ON l.game_id = t.game_id AND l.team = t.team
    WINDOW
        team_order AS (PARTITION BY t.team ORDER BY game_date NULLS FIRST, t.game_id NULLS FIRST),
        team_ten_before AS (
            PARTITION BY t.team ORDER BY game_date NULLS FIRST, t.game_id NULLS FIRST
            ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING
        ),
        team_before AS (
            PARTITION BY t.team ORDER BY game_date NULLS FIRST, t.game_id NULLS FIRST
            ROWS BETWEEN 15 PRECEDING AND 1 PRECEDING
        ),
        opponent_before AS (
            PARTITION BY opponent ORDER BY game_date NULLS FIRST, t.game_id NULLS FIRST
            ROWS BETWEEN 15 PRECEDING AND 1 PRECEDING
        )
), player_seasons AS (
    SELECT
        player_id, season_year + 1 AS season_year,
        SUM(points) / COUNT(*) AS points_previous_season, SUM(minutes) / COUNT(*) AS minutes_previous_season,
        COUNT(*) AS games_previous_season
    FROM logs
    GROUP BY player_id, season_year
), player_form AS (
    SELECT
        is_slate, season_id, season_year, p.game_id, game_date, player_id, player_name, p.team, opponent, is_home,
        points, minutes,
        COUNT(*) OVER season_before AS games_season,
        {_sum("points", "season_before")} AS points_in_season,
        {_sum("minutes", "season_before")} AS minutes_in_season,
        COUNT(*) OVER last_7_days AS games_last_7_days,
        ARRAY_AGG(points) OVER most_recent_first AS recent_points,
        ARRAY_AGG(minutes) OVER most_recent_first AS recent_minutes,
        -- One order of rows from here on; after the others, whose sorts would carry all these columns.
        {_count("last_3")} AS games_3, {_count("last_5")} AS games_5, {_count("last_10")} AS games_10,
        {_count("last_20")} AS games_20, COUNT(*) OVER last_25 AS games_last_25,
        LAG(points) OVER player_order AS points_last_1,
        {_sum("points", "last_3")} AS points_3, {_sum("points", "last_5")} AS points_5,
        {_sum("points", "last_10")} AS points_10, {_sum("points", "last_20")} AS points_20,
        {_sum("points", "last_60")} AS points_60,
        {_sum("points * points", "last_10")} AS points_squared_10,
        {_sum("points * points", "last_20")} AS points_squared_20,
        MAX(points) OVER last_20 AS points_max_last_20,
        LAG(minutes) OVER player_order AS minutes_last_1,
        {_sum("minutes", "last_3")} AS minutes_3, {_sum("minutes", "last_5")} AS minutes_5,
        {_sum("minutes", "last_10")} AS minutes_10, {_sum("minutes", "last_60")} AS minutes_60,
        {_sum("minutes * minutes", "last_10")} AS minutes_squared_10,
        {_sum("field_goals_attempted", "last_3")} AS field_goals_3,
        {_sum("field_goals_attempted", "last_10")} AS field_goals_10,
        {_sum("field_goals_attempted", "last_25")} AS field_goals_25,
        {_sum("field_goals_attempted", "last_60")} AS field_goals_60,
        {_sum("three_pointers_attempted", "last_10")} AS three_pointers_10,
        {_sum("three_pointers_attempted", "last_25")} AS three_pointers_25,
        {_sum("free_throws_attempted", "last_3")} AS free_throws_3,
        {_sum("free_throws_attempted", "last_10")} AS free_throws_10,
        {_sum("free_throws_attempted", "last_25")} AS free_throws_25,
        {_sum("free_throws_attempted", "last_60")} AS free_throws_60,
        LAG(l.lineup) OVER player_order AS lineup_1, {_sum("l.lineup", "last_10")} AS lineup_10,
        DATE_DIFF('day', LAG(game_date) OVER player_order, game_date) AS rest_days
    FROM player_games AS p
    LEFT JOIN lineups AS l ON l.game_id = p.game_id AND l.team = p.team
    WINDOW
        player_order AS (PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST),
        last_3 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING
        ),
        last_5 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING
        ),
        last_10 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING
        ),
        last_60 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING
        ),
        last_20 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING
        ),
        last_25 AS (
            PARTITION BY player_id ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN 25 PRECEDING AND 1 PRECEDING
        ),
        season_before AS (
            PARTITION BY player_id, season_year ORDER BY game_date NULLS FIRST, p.game_id NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        last_7_days AS (
            PARTITION BY player_id ORDER BY DATE_DIFF('day', DATE '2000-01-01', game_date) NULLS FIRST
            RANGE BETWEEN 7 PRECEDING AND 1 PRECEDING
        ),
        most_recent_first AS (
            PARTITION BY player_id ORDER BY game_date DESC NULLS LAST, p.game_id DESC NULLS LAST
            ROWS BETWEEN 1 FOLLOWING AND 25 FOLLOWING
        )
)
SELECT
    p.is_slate, p.season_id, p.game_id, p.game_date, p.player_id, p.player_name, p.team, p.opponent, p.is_home,
    p.points, p.minutes,
    p.games_last_25,
    CAST(p.points_last_1 AS DOUBLE) AS points_last_1,
    p.points_3 / p.games_3 AS points_last_3, p.points_5 / p.games_5 AS points_last_5,
    p.points_10 / p.games_10 AS points_last_10,
    CAST(p.minutes_last_1 AS DOUBLE) AS minutes_last_1,
    p.minutes_3 / p.games_3 AS minutes_last_3, p.minutes_5 / p.games_5 AS minutes_last_5,
    p.minutes_10 / p.games_10 AS minutes_last_10,
    p.points_in_season / NULLIF(p.games_season, 0) AS points_season,
    p.minutes_in_season / NULLIF(p.games_season, 0) AS minutes_season,
    p.games_season,
    s.points_previous_season, s.minutes_previous_season, s.games_previous_season,
    p.points_10 / NULLIF(p.minutes_10, 0) AS points_per_minute_last_10,
    p.points_in_season / NULLIF(p.minutes_in_season, 0) AS points_per_minute_season,
    p.field_goals_10 / p.games_10 AS field_goals_attempted_last_10,
    p.three_pointers_10 / p.games_10 AS three_pointers_attempted_last_10,
    p.free_throws_10 / p.games_10 AS free_throws_attempted_last_10,
    p.field_goals_3 / p.games_3 AS field_goals_attempted_last_3,
    p.free_throws_3 / p.games_3 AS free_throws_attempted_last_3,
    p.field_goals_25 / NULLIF(p.games_last_25, 0) AS field_goals_attempted_last_25,
    p.three_pointers_25 / NULLIF(p.games_last_25, 0) AS three_pointers_attempted_last_25,
    p.free_throws_25 / NULLIF(p.games_last_25, 0) AS free_throws_attempted_last_25,
    (100 * p.field_goals_3 + 44 * p.free_throws_3) / NULLIF(100 * p.minutes_3, 0) AS attempts_per_minute_last_3,
    (100 * p.field_goals_10 + 44 * p.free_throws_10) / NULLIF(100 * p.minutes_10, 0) AS attempts_per_minute_last_10,
    (100 * p.field_goals_60 + 44 * p.free_throws_60) / NULLIF(100 * p.minutes_60, 0) AS attempts_per_minute_last_60,
    100 * p.points_10 / NULLIF((100 * p.field_goals_10 + 44 * p.free_throws_10), 0) AS points_per_attempt_last_10,
    100 * p.points_60 / NULLIF((100 * p.field_goals_60 + 44 * p.free_throws_60), 0) AS points_per_attempt_last_60,
    p.lineup_1 / 1000 AS lineup_last_1, p.lineup_10 / (1000 * p.games_10) AS lineup_last_10,
    t.lineup_1 / 1000 AS team_lineup_last_1, t.lineup_10 / (1000 * t.games_10) AS team_lineup_last_10,
    -- Deviations from whole sums: STDDEV_SAMP's last digit depends on how the engine shares out the frame, and
    -- a game must have the same features before it is played and afterwards.
    SQRT(CAST(p.games_10 * p.points_squared_10 - p.points_10 * p.points_10 AS DOUBLE)
        / NULLIF(p.games_10 * (p.games_10 - 1), 0)) AS points_deviation_last_10,
    SQRT(CAST(p.games_20 * p.points_squared_20 - p.points_20 * p.points_20 AS DOUBLE)
        / NULLIF(p.games_20 * (p.games_20 - 1), 0)) AS points_deviation_last_20,
    SQRT(CAST(p.games_10 * p.minutes_squared_10 - p.minutes_10 * p.minutes_10 AS DOUBLE)
        / NULLIF(p.games_10 * (p.games_10 - 1), 0)) AS minutes_deviation_last_10,
    CAST(p.points_max_last_20 AS DOUBLE) AS points_max_last_20,
    p.rest_days, t.team_rest_days, p.rest_days = 1 AS is_back_to_back, p.games_last_7_days,
    CAST(CASE WHEN p.is_home IS NULL THEN 0.5 WHEN p.is_home THEN 1 ELSE 0 END AS DOUBLE) AS home,
    t.points_15 / t.games_15 AS team_points_last_15,
    t.possessions_15 / (100 * t.games_15) AS team_pace_last_15,
    t.opponent_points_15 / t.opponent_games_15 AS opponent_points_allowed_last_15,
    t.opponent_possessions_15 / (100 * t.opponent_games_15) AS opponent_pace_last_15,
    t.opponent_points_15 / t.opponent_games_15 / NULLIF(f.league_points, 0) AS opponent_defence,
    f.league_points, f.league_pace,
    p.recent_points, p.recent_minutes
FROM player_form AS p
JOIN team_form AS t ON t.game_id = p.game_id AND t.team = p.team
JOIN league_form AS f ON f.game_date = p.game_date
LEFT JOIN player_seasons AS s ON s.player_id = p.player_id AND s.season_year = p.season_year
WHERE p.game_date >= CAST($history_start AS DATE) AND p.games_last_25 > 0
ORDER BY p.is_slate NULLS FIRST, p.game_date NULLS FIRST, p.game_id NULLS FIRST, p.player_id NULLS FIRST
"""
"""The features of one slate, in DuckDB's dialect, portable to BigQuery by ``sqlglot.transpile``.

Parameters, all named: ``slate`` (DATE), ``league`` (VARCHAR), ``history_start`` (DATE, the earliest game that
is returned as a training row). Reads ``facts.game_logs`` and ``facts.schedule``; returns the columns of
:data:`.features.FEATURES_SCHEMA`: training rows (``is_slate`` false: every player-game of ``history_start`` <= date
< ``slate`` whose player has an earlier game) and slate rows (``is_slate`` true, targets NULL: every player whose
latest team plays on the slate and whose latest game is at most :data:`CANDIDATE_DAYS` days old).

Sources: the possession estimate is Oliver, *Basketball on Paper* (2004), ch. 3.
"""
