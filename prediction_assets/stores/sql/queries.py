"""SQL that only reads, for assets, asset checks, sensors and the health report.

Values are always named parameters (``$slate``); identifiers come from :mod:`.tables`.
"""

from __future__ import annotations

from prediction_assets.slate.markets import MARKETS, POINTS
from prediction_assets.stores.sql.table_sql import names
from prediction_assets.stores.sql.tables import (
    CURRENT_PREDICTIONS,
    FACTS_VERSIONS,
    FETCHES,
    GAME_LOGS,
    INJURY_REPORTS,
    POINTS_MODELS,
    PREDICTION_GRADES,
    PREDICTIONS,
    PROP_LINES,
    QUARANTINE,
    RECEIPTS,
    SCHEDULE,
)

_LEDGER = PREDICTIONS.qualified_name
_KEY = ", ".join(PREDICTIONS.business_key)
_KEY_OF_P = ", ".join(f"p.{name}" for name in PREDICTIONS.business_key)
_IN_FORCE = CURRENT_PREDICTIONS.qualified_name

SLATE_GAMES = f"""
    SELECT league, season_id, game_id, home_team, away_team, team_a, team_b
    FROM {SCHEDULE.qualified_name} WHERE game_date = $slate ORDER BY game_id"""

SCHEDULE_SPANS = f"""
    WITH logged AS (SELECT league, MAX(game_date) AS newest_log FROM {GAME_LOGS.qualified_name} GROUP BY league)
    SELECT s.league, MIN(s.game_date) AS first_slate, MAX(s.game_date) AS last_slate,
           MAX(CASE WHEN s.game_date <= $today THEN s.game_date END) AS newest_slate,
           MIN(CASE WHEN s.game_date > l.newest_log THEN s.game_date END) AS next_slate
    FROM {SCHEDULE.qualified_name} AS s LEFT JOIN logged AS l ON l.league = s.league
    GROUP BY s.league ORDER BY s.league"""
"""Per league: the schedule's span, its newest slate up to today, and the one that follows the game logs."""

SEASONS = f"""
    SELECT league, MOD(season_id, 10000) AS year, MIN(game_date) AS began FROM {SCHEDULE.qualified_name}
    WHERE season_id NOT BETWEEN 10000 AND 19999 GROUP BY league, MOD(season_id, 10000) ORDER BY league, began"""
"""When each stored season began, without its preseason."""

SLATES_FROM = f"""
    SELECT DISTINCT game_date FROM {SCHEDULE.qualified_name}
    WHERE league = $league AND game_date >= $slate ORDER BY game_date LIMIT 60"""

SLATES_BETWEEN = f"""
    SELECT DISTINCT league, game_date FROM {SCHEDULE.qualified_name}
    WHERE game_date BETWEEN $first AND $last ORDER BY game_date, league"""

ROSTER_CANDIDATES = f"""
    WITH played AS (
        SELECT player_id, player_name, team, season_id, game_date, minutes,
               ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) AS recency
        FROM {GAME_LOGS.qualified_name}
        WHERE league = $league AND game_date < $slate AND game_date >= $since
    ),
    team_games AS (SELECT team, MAX(game_date) AS team_last_game FROM played GROUP BY team),
    form AS (
        SELECT player_id, AVG(minutes) AS average_minutes, COUNT(*) AS games
        FROM played WHERE recency <= $form_games GROUP BY player_id
    ),
    past AS (
        SELECT player_id, MIN(MOD(season_id, 10000)) AS first_season,
               COUNT(DISTINCT CASE WHEN recency <= $joined_games THEN team END) AS teams
        FROM played GROUP BY player_id
    )
    SELECT p.player_id, p.player_name, p.team, p.game_date AS last_game, t.team_last_game,
           f.average_minutes, f.games, a.first_season = MOD(g.season_id, 10000) AS is_rookie,
           a.teams > 1 AS has_moved, g.game_id,
           CASE WHEN p.team = g.team_a THEN g.team_b ELSE g.team_a END AS opponent,
           CASE WHEN g.home_team IS NULL THEN NULL ELSE p.team = g.home_team END AS is_home
    FROM played AS p
    JOIN form AS f ON f.player_id = p.player_id
    JOIN past AS a ON a.player_id = p.player_id
    JOIN team_games AS t ON t.team = p.team
    JOIN {SCHEDULE.qualified_name} AS g
      ON g.game_date = $slate AND g.league = $league AND p.team IN (g.team_a, g.team_b)
    WHERE p.recency = 1
    ORDER BY g.game_id, p.team, p.player_id"""

NEWCOMERS = f"""
    WITH offered AS (
        SELECT player_id, MIN(player_name) AS player_name FROM {PROP_LINES.qualified_name}
        WHERE game_date = $slate AND league = $league AND player_id IS NOT NULL GROUP BY player_id
    ),
    logged AS (
        SELECT player_id, player_name, team FROM {GAME_LOGS.qualified_name}
        WHERE league = $league AND game_date < $slate
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY player_id ORDER BY game_date DESC NULLS LAST, game_id DESC NULLS LAST) = 1
    ),
    reported AS (
        SELECT player_id, team FROM {INJURY_REPORTS.qualified_name}
        WHERE game_date = $slate AND league = $league AND player_id IS NOT NULL
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY player_id ORDER BY reported_at DESC NULLS LAST, team NULLS LAST) = 1
    ),
    of_team AS (
        SELECT player_id, team, 0 AS place FROM reported UNION ALL SELECT player_id, team, 1 AS place FROM logged
    )
    SELECT o.player_id, COALESCE(l.player_name, o.player_name) AS player_name, t.team, g.game_id,
           CASE WHEN t.team = g.team_a THEN g.team_b ELSE g.team_a END AS opponent,
           CASE WHEN g.home_team IS NULL THEN NULL ELSE t.team = g.home_team END AS is_home
    FROM offered AS o
    JOIN of_team AS t ON t.player_id = o.player_id
    LEFT JOIN logged AS l ON l.player_id = o.player_id
    JOIN {SCHEDULE.qualified_name} AS g
      ON g.game_date = $slate AND g.league = $league AND t.team IN (g.team_a, g.team_b)
    ORDER BY o.player_id, t.place, g.game_id"""
"""The players with an offer on the slate, each with the team that the newest report, then his newest log, gives him."""

KNOWN_PLAYERS = f"""
    SELECT player_id, player_name, team, MAX(game_date) AS last_game_date
    FROM {GAME_LOGS.qualified_name} WHERE league = $league GROUP BY player_id, player_name, team
    ORDER BY player_id, player_name, team"""

_STATS = "points, offensive_rebounds + defensive_rebounds AS rebounds, assists, three_pointers_made AS threes"
"""The stats that markets add up."""

_MOST = " ".join(f"WHEN '{market.name}' THEN {market.most}" for market in MARKETS.values())

MARKET_LINES = f"""
    WITH usable AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, captured_at, home_team, away_team,
               CASE WHEN over_price IS NULL OR under_price IS NULL THEN 0 ELSE 1 END AS two_sided,
               CASE WHEN over_price > 0 THEN 100.0 / (over_price + 100)
                    ELSE over_price / (over_price - 100.0) END AS over_share,
               CASE WHEN under_price > 0 THEN 100.0 / (under_price + 100)
                    ELSE under_price / (under_price - 100.0) END AS under_share
        FROM {PROP_LINES.qualified_name}
        WHERE game_date = $slate AND league = $league AND player_id IS NOT NULL
          AND market IN (SELECT given.name FROM UNNEST(CAST($markets AS VARCHAR[])) AS given(name))
          AND line <= CASE market {_MOST} END
          AND COALESCE(ABS(over_price), 0) < $suspended AND COALESCE(ABS(under_price), 0) < $suspended
          AND CONCAT(LEAST(home_team, away_team), '-', GREATEST(home_team, away_team)) IN (
              SELECT CONCAT(LEAST(team_a, team_b), '-', GREATEST(team_a, team_b))
              FROM {SCHEDULE.qualified_name} WHERE game_date = $slate AND league = $league)
          AND CASE WHEN captured_at IS NULL THEN TRUE
                   WHEN captured_at = DATE_TRUNC('day', captured_at)
                   THEN CAST(captured_at AS DATE) <= CAST(commence_time AS DATE)
                   ELSE captured_at <= commence_time END
    ),
    priced AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, captured_at, home_team, away_team,
               CASE WHEN two_sided = 0 THEN ROUND(ABS(COALESCE(over_share, under_share) - 0.5), 9)
                    ELSE ROUND(ABS(over_share / (over_share + under_share) - 0.5), 9) END AS imbalance
        FROM usable QUALIFY two_sided = MAX(two_sided) OVER (PARTITION BY market, player_id)
    ),
    ladder AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, imbalance, home_team, away_team
        FROM priced
        QUALIFY RANK() OVER (
            PARTITION BY market, player_id, bookmaker
            ORDER BY CASE WHEN captured_at IS NULL THEN 0 ELSE 1 END, captured_at DESC NULLS LAST) = 1
    ),
    ladders AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, imbalance,
               AVG(line) OVER (PARTITION BY market, player_id, bookmaker) AS middle
        FROM ladder
    ),
    of_book AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, imbalance
        FROM ladders
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY market, player_id, bookmaker
            ORDER BY imbalance, ABS(line - middle), line,
                     over_price NULLS LAST, under_price NULLS LAST) = 1
    ),
    compared AS (
        SELECT market, player_id, bookmaker, line, over_price, under_price, imbalance,
               COUNT(*) OVER (PARTITION BY market, player_id, line) AS books,
               MIN(imbalance) OVER (PARTITION BY market, player_id, line) AS best,
               AVG(line) OVER (PARTITION BY market, player_id) AS middle
        FROM of_book
    ),
    main AS (
        SELECT market, player_id, line, bookmaker
        FROM compared
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY market, player_id
            ORDER BY books DESC, best, ABS(line - middle), line, imbalance, bookmaker) = 1
    )
    SELECT l.market, l.player_id, l.line, l.bookmaker, l.over_price, l.under_price, l.home_team, l.away_team
    FROM ladder AS l
    LEFT JOIN main AS m
      ON m.market = l.market AND m.player_id = l.player_id AND m.line = l.line AND m.bookmaker = l.bookmaker
    ORDER BY l.market, l.player_id, CASE WHEN m.player_id IS NULL THEN 1 ELSE 0 END, l.line, l.bookmaker, l.imbalance,
             l.over_price NULLS LAST, l.under_price NULLS LAST, l.home_team, l.away_team"""
"""What is offered on each player of a slate in some markets, main lines first, whatever the order of stored rows.

1. Suspended offers, offers beyond the highest line, offers on games that aren't scheduled and offers seen after
   tip-off don't count. A ``captured_at`` of exactly midnight UTC is a bare date: it is late only if that date is after
   tip-off's.
2. Where a player has a two-sided offer, his one-sided ones don't count.
3. Each book's newest moment counts; without a ``captured_at`` an offer is newest. Where a book offers several lines at
   that moment, its line is the one with the most balanced pair of prices (of one-sided ones the price nearest to even
   money); then the one nearest their mean; then the lower; then the lower prices.
4. Over the books: the line that most of them have; then the one whose best pair of prices is more balanced; then the
   one nearest their mean; then the lower. Of its books: the most balanced; then the first by name.
"""


NEWEST_INJURY_REPORT = f"""
    SELECT player_id, team, player_name, status, reason, reported_at,
           EXISTS (SELECT 1 FROM {INJURY_REPORTS.qualified_name} AS earlier
                   WHERE earlier.game_date < $slate AND earlier.league = $league) AS has_earlier
    FROM {INJURY_REPORTS.qualified_name}
    WHERE game_date = $slate AND league = $league AND (player_id IS NOT NULL OR status = 'Not yet submitted')
      AND reported_at = (
          SELECT MAX(newest.reported_at) FROM {INJURY_REPORTS.qualified_name} AS newest
          WHERE newest.game_date = $slate AND newest.league = $league AND newest.reported_at <= $until)
    ORDER BY player_id NULLS FIRST, team, player_name"""
"""The resolved players of the slate's newest report, and without a player each team that has not reported yet.

``has_earlier``: an earlier date has a report too. A player whom the newest one no longer lists may play.

A report counts for the date as soon as one team is in it, even as "not yet submitted" and without a player.
"""


TIP_OFFS = f"""
    SELECT home_team, away_team, commence_time FROM {PROP_LINES.qualified_name}
    WHERE game_date = $slate AND league = $league
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY LEAST(home_team, away_team), GREATEST(home_team, away_team)
        ORDER BY captured_at DESC NULLS FIRST, commence_time, home_team) = 1
    ORDER BY home_team, away_team"""
"""When each game begins, as its newest line says; a game without a line isn't in it."""


FACTS_CHANGED = f"""
    SELECT table_name, MAX(version) AS version FROM {FACTS_VERSIONS.qualified_name}
    WHERE version > $since GROUP BY table_name ORDER BY table_name"""
"""The tables of facts that changed after a version of the facts."""


FACTS_STATE = f"""
    SELECT table_name, version, changed_at FROM {FACTS_VERSIONS.qualified_name}
    QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY version DESC NULLS LAST) = 1
    ORDER BY table_name"""
"""When each table of facts changed last. A warehouse that was restored and changed since has another moment."""


FACTS_CHANGED_AT = f"""
    SELECT MAX(changed_at) AS changed_at FROM {FACTS_VERSIONS.qualified_name} WHERE version > $since"""
"""When the facts changed last, after a version of them."""


GAMES_AROUND = f"""
    SELECT MAX(CASE WHEN game_date <= $today THEN game_date END) AS previous,
           MIN(CASE WHEN game_date >= $today THEN game_date END) AS following
    FROM {SCHEDULE.qualified_name} WHERE league = $league"""
"""The dates with games that are nearest to a date, before and after it, itself included."""

GAMES_OF_SEASON = f"""
    SELECT COUNT(*) AS games, COUNT(CASE WHEN game_date < $today THEN 1 END) AS played
    FROM {SCHEDULE.qualified_name} WHERE league = $league AND MOD(season_id, 10000) = $year"""
"""The stored games of the season that began in a year, and those before a date."""

TONIGHT = f"""
    SELECT (SELECT COUNT(*) FROM {SCHEDULE.qualified_name}
            WHERE league = $league AND game_date = $slate) AS games,
           (SELECT MAX(commence_time) FROM {PROP_LINES.qualified_name}
            WHERE league = $league AND game_date = $slate) AS tip_off,
           (SELECT MAX(captured_at) FROM {PROP_LINES.qualified_name}
            WHERE league = $league AND game_date = $slate) AS newest_line,
           (SELECT MAX(reported_at) FROM {INJURY_REPORTS.qualified_name}
            WHERE league = $league AND game_date = $slate) AS newest_report"""
"""The games of a date, when the last of them begins, by the lines on it, and how new its lines and reports are."""

FIRST_TIP_OFFS = f"""
    WITH newest AS (
        SELECT game_date, commence_time FROM {PROP_LINES.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $last
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY game_date, home_team, away_team
            ORDER BY CASE WHEN captured_at IS NULL THEN 0 ELSE 1 END NULLS LAST, captured_at DESC NULLS LAST,
                     commence_time NULLS LAST) = 1)
    SELECT game_date, MIN(commence_time) AS first_tip_off FROM newest GROUP BY game_date ORDER BY game_date"""
"""When the first game of each date begins, by the newest line on each game; dates without lines are left out."""

NEWEST_REPORT_TIME = f"""
    SELECT MAX(reported_at) AS reported_at FROM {INJURY_REPORTS.qualified_name}
    WHERE league = $league AND game_date >= $since"""
"""When the newest injury report of the last days was published."""

REQUESTS_SPENT = f"""
    SELECT COALESCE(SUM(CASE WHEN started_at >= $day THEN requests END), 0) AS day,
           COALESCE(SUM(requests), 0) AS month
    FROM {FETCHES.qualified_name} WHERE source = $source AND started_at >= $month"""
"""What a source was asked since the begin of the day and of the month."""

REQUESTS_LEFT = f"""
    SELECT remaining FROM {FETCHES.qualified_name}
    WHERE source = $source AND started_at >= $month AND remaining IS NOT NULL
    ORDER BY started_at DESC, remaining LIMIT 1"""
"""What a source said last about the requests that are left this month."""

NEWEST_FETCHES = f"""
    SELECT facts, source, started_at, outcome, problem, requests, remaining FROM {FETCHES.qualified_name}
    WHERE started_at >= $since
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY facts, source
        ORDER BY started_at DESC NULLS LAST,
                 CASE outcome WHEN 'failed' THEN 0 WHEN 'partial' THEN 1 ELSE 2 END NULLS LAST,
                 fetch_id DESC NULLS LAST) = 1
    ORDER BY facts, source"""
"""How each source of each kind of facts answered last."""

PREDICTIONS_SAMPLE = f"""
    SELECT player_name, team, opponent, market, system, line, predicted_points, probability_over, recommendation,
           bet_price, expected_value, line_source
    FROM {_IN_FORCE}
    WHERE game_date = $slate AND line_offset = 0 AND system = 'ensemble'
    ORDER BY recommendation IN ('OVER', 'UNDER') DESC, COALESCE(expected_value, -1) DESC, player_id LIMIT $limit"""

SLATE_TABLE = f"""
    SELECT COUNT(*) AS row_count, COUNT(DISTINCT player_id) AS players, MAX(created_at) AS newest,
           COUNT(DISTINCT CASE WHEN line_source = 'market' THEN player_id END) AS players_with_a_line
    FROM {_IN_FORCE} WHERE game_date = $slate"""

SLATE_VERSIONS = f"""
    SELECT DISTINCT system, system_version, schema_version, feature_snapshot
    FROM {_IN_FORCE} WHERE game_date = $slate
    ORDER BY system, system_version, schema_version, feature_snapshot"""

SLATE_BY_SYSTEM = f"""
    SELECT market, system, COUNT(*) AS row_count, AVG(predicted_points) AS mean_points,
           AVG(standard_deviation) AS mean_deviation,
           COUNT(CASE WHEN recommendation = 'OVER' AND line_offset = 0 THEN 1 END) AS over_count,
           COUNT(CASE WHEN recommendation = 'UNDER' AND line_offset = 0 THEN 1 END) AS under_count,
           COUNT(CASE WHEN recommendation = 'PASS' AND line_offset = 0 THEN 1 END) AS pass_count,
           COUNT(CASE WHEN recommendation = 'NO_PRICE' AND line_offset = 0 THEN 1 END) AS no_price_count,
           COUNT(CASE WHEN recommendation = 'NO_LINE' AND line_offset = 0 THEN 1 END) AS no_line_count
    FROM {_IN_FORCE} WHERE game_date = $slate
    GROUP BY market, system ORDER BY market, system"""
"""Recommendations are counted at the main line only: each player has one there in each market."""

# Rows are only inserted and closed, so this stays the same as long as they are kept.
CHANGES_OF_REVISION = f"""
    WITH mine AS (
        SELECT receipt_id FROM {RECEIPTS.qualified_name} WHERE game_date = $slate AND revision = $revision),
    changed AS (
        SELECT p.player_slug, {_KEY_OF_P}, p.recommendation AS opened, CAST(NULL AS VARCHAR) AS closed
        FROM {_LEDGER} AS p JOIN mine ON p.receipt_id = mine.receipt_id WHERE p.game_date = $slate
        UNION ALL
        SELECT p.player_slug, {_KEY_OF_P}, CAST(NULL AS VARCHAR) AS opened, p.recommendation AS closed
        FROM {_LEDGER} AS p JOIN mine ON p.superseded_by = mine.receipt_id WHERE p.game_date = $slate),
    keys AS (
        SELECT player_slug, {_KEY}, MAX(opened) AS opened, MAX(closed) AS closed
        FROM changed GROUP BY player_slug, {_KEY})
    SELECT player_slug,
           COUNT(CASE WHEN opened IN ('OVER', 'UNDER') AND closed IN ('OVER', 'UNDER') AND opened <> closed
                      THEN 1 END) AS flipped
    FROM keys GROUP BY player_slug ORDER BY player_slug"""

# As of the receipt and not in force now: a receipt's message stays the same whenever it is made.
BETS_AS_OF = f"""
    SELECT COUNT(*) AS bets FROM {_LEDGER}
    WHERE game_date = $slate AND recommendation IN ('OVER', 'UNDER')
      AND created_at <= $moment AND (superseded_at IS NULL OR superseded_at > $moment)"""

MERGED_SINCE = f"""
    SELECT DISTINCT game_date FROM {RECEIPTS.qualified_name}
    WHERE game_date >= $oldest AND consolidated_at >= $since ORDER BY game_date"""

SLATE_LINES = f"""
    SELECT line_source, bookmaker, COUNT(*) AS players FROM {_IN_FORCE}
    WHERE game_date = $slate AND market = '{POINTS.name}' AND line_offset = 0 AND system = 'ensemble'
    GROUP BY line_source, bookmaker ORDER BY line_source DESC, players DESC, bookmaker"""

SLATE_EDGES = f"""
    SELECT CAST(FLOOR(probability_over * 20) AS BIGINT) AS bin, COUNT(*) AS players FROM {_IN_FORCE}
    WHERE game_date = $slate AND market = '{POINTS.name}' AND line_offset = 0 AND system = 'ensemble'
      AND line_source = 'market'
    GROUP BY bin ORDER BY bin"""

RECENT_RESULTS = f"""
    SELECT player_id, game_date, {_STATS} FROM {GAME_LOGS.qualified_name}
    WHERE league = $league AND game_date >= $since AND game_date < $slate
    QUALIFY ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) <= $games
    ORDER BY player_id, game_date, game_id"""
"""What each player had in his last games before the slate, oldest first."""

EARLIER_MERGES = f"""
    SELECT receipt_id, merge_ms, rows_staged, parts FROM {RECEIPTS.qualified_name}
    WHERE game_date BETWEEN $since AND $slate AND league = $league AND rows_staged > 0
    ORDER BY consolidated_at DESC, receipt_id LIMIT $limit"""

GAMES_WITHOUT_LOGS = f"""
    SELECT COUNT(*) AS games, MIN(s.game_date) AS since
    FROM {SCHEDULE.qualified_name} AS s
    LEFT JOIN (
        SELECT DISTINCT game_id FROM {GAME_LOGS.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $slate) AS l ON l.game_id = s.game_id
    WHERE s.league = $league AND s.game_date BETWEEN $first AND $last AND l.game_id IS NULL"""
"""The scheduled games of some days without a game log; a game that was moved counts on the day of its logs."""

NEWEST_LINES = f"""
    SELECT MAX(game_date) AS newest FROM {PROP_LINES.qualified_name}
    WHERE league = $league AND game_date BETWEEN $since AND $slate"""

LOGGED_GAMES = f"""
    SELECT game_id, game_date, LEAST(team, opponent) AS team_a, GREATEST(team, opponent) AS team_b
    FROM {GAME_LOGS.qualified_name} WHERE league = $league
    GROUP BY game_id, game_date, LEAST(team, opponent), GREATEST(team, opponent)
    ORDER BY game_id, game_date, team_a, team_b"""

SCHEDULED_GAMES = f"""
    SELECT game_id, game_date, home_team, LEAST(team_a, team_b) AS team_a, GREATEST(team_a, team_b) AS team_b
    FROM {SCHEDULE.qualified_name} WHERE league = $league ORDER BY game_id"""

APPEARANCES = f"""
    SELECT player_id, player_name, game_date, game_id, team, opponent FROM {GAME_LOGS.qualified_name}
    WHERE league = $league AND game_date BETWEEN $first AND $last ORDER BY player_id, game_date, game_id"""

FACTS_BETWEEN = {
    table.name: f"""
    SELECT {names(table.column_names)} FROM {table.qualified_name}
    WHERE league = $league AND game_date BETWEEN $first AND $last ORDER BY {names(table.key)}"""
    for table in (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)
}
"""The rows of some dates, by table."""

OFFERED_GAMES = f"""
    SELECT DISTINCT event_id, player_name, player_id, game_date, home_team, away_team
    FROM {PROP_LINES.qualified_name} WHERE league = $league AND game_date BETWEEN $first AND $last
    ORDER BY event_id, player_name, player_id, game_date, home_team, away_team"""
"""Whom the lines of some dates are about, and of which games."""

LINES_SEEN = f"""
    SELECT {names(PROP_LINES.key)}, captured_at FROM {PROP_LINES.qualified_name}
    WHERE league = $league AND game_date BETWEEN $first AND $last
      AND (captured_at IS NULL OR captured_at BETWEEN $since AND $until)
    ORDER BY {names(PROP_LINES.key)}"""
"""The lines of some dates that were seen between two moments, or at no known one."""

QUARANTINED = f"""
    SELECT {names(QUARANTINE.column_names)} FROM {QUARANTINE.qualified_name}
    ORDER BY facts, subject, reason, quarantine_id"""

OPEN_QUARANTINE = f"""
    SELECT facts, COUNT(*) AS row_count, MIN(first_seen_at) AS since, MIN(subject || ': ' || reason) AS example
    FROM {QUARANTINE.qualified_name} WHERE state = 'open' GROUP BY facts ORDER BY facts"""

HOLDS_LEAGUE = " UNION ALL ".join(
    f"SELECT * FROM (SELECT '{table.name}' AS facts FROM {table.qualified_name} WHERE league = $league LIMIT 1) AS one"
    for table in (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)
)
"""The kinds of facts that a league has."""

LEAGUES_HELD = " UNION ALL ".join(
    f"SELECT league, '{table.name}' AS facts FROM {table.qualified_name} GROUP BY league"
    for table in (GAME_LOGS, SCHEDULE, PROP_LINES)
)
"""Each league that has any facts, once for each kind that it has."""

COUNT_FACTS = {
    table.name: f"SELECT COUNT(*) AS row_count FROM {table.qualified_name}"
    for table in (GAME_LOGS, SCHEDULE, PROP_LINES, INJURY_REPORTS)
}


# Models and grades -------------------------------------------------------------------------------

_MODEL = [c for c in POINTS_MODELS.column_names if c != "document"]

MODELS_BEFORE = f"""
    SELECT {names(_MODEL)} FROM {POINTS_MODELS.qualified_name}
    WHERE league = $league AND cutoff <= $slate AND cutoff >= $oldest AND only_slate IS NULL
        AND is_promoted
    ORDER BY cutoff DESC, trained_at DESC, model_id LIMIT 50"""
"""The models that a slate may be forecast with, the preferred one first; without the fitted systems."""

NEWEST_MODELS = f"""
    SELECT {names(_MODEL)} FROM {POINTS_MODELS.qualified_name}
    WHERE only_slate IS NULL ORDER BY trained_at DESC, model_id LIMIT 20"""
"""Of every league, the newest first; without the fitted systems."""

MODEL_BY_ID = f"""
    SELECT {names(POINTS_MODELS.column_names)} FROM {POINTS_MODELS.qualified_name} WHERE model_id = $model_id"""

KEPT_FITS_BEFORE = f"""
    SELECT league, only_slate FROM {POINTS_MODELS.qualified_name} WHERE only_slate < $oldest
    ORDER BY only_slate, league"""
"""The slates before a date for which something is kept that was fitted on their own history."""

LOGGED_LEAGUES = f"""
    SELECT league, MAX(game_date) AS newest_log, COUNT(*) AS row_count
    FROM {GAME_LOGS.qualified_name} GROUP BY league ORDER BY league"""

RESULTS = f"""
    SELECT game_id, player_id, {_STATS}
    FROM {GAME_LOGS.qualified_name}
    WHERE league = $league AND game_date = $slate ORDER BY game_id, player_id"""

RESULTS_IN = f"""
    SELECT COUNT(DISTINCT s.game_id) AS games, COUNT(DISTINCT l.game_id) AS logged
    FROM {SCHEDULE.qualified_name} AS s
    LEFT JOIN {GAME_LOGS.qualified_name} AS l
      ON l.game_id = s.game_id AND l.game_date = $slate AND l.league = s.league
    WHERE s.game_date = $slate"""
"""How many games the slate has, and how many of them have game logs."""

PUBLISHED_FORECASTS = f"""
    SELECT player_id, game_id, market, system, system_version, league, line, line_source, predicted_points,
           probability_over, probability_push, recommendation, market_probability, bet_odds, standard_deviation,
           quantiles
    FROM {_IN_FORCE} WHERE game_date = $slate AND line_offset = 0
    ORDER BY market, system, player_id"""
"""One row per player, market and system, at the main line."""

LEDGER_FORECASTS = f"""
    SELECT player_id, game_id, team, opponent, market, system, system_version, league, line, line_source,
           predicted_points, probability_over, probability_push, recommendation, market_probability, bet_odds,
           standard_deviation, quantiles, created_at, superseded_at
    FROM {_LEDGER} WHERE game_date = $slate AND line_offset = 0
    ORDER BY market, system, player_id, game_id, created_at, receipt_id"""
"""Every row at a main line that ever was in force, by player and system, oldest first."""

GRADABLE_SLATES = f"""
    WITH merged AS (
        SELECT game_date, receipt_id FROM {RECEIPTS.qualified_name}
        WHERE game_date >= $since AND game_date <= $until
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY game_date ORDER BY sequence DESC NULLS LAST) = 1
    ), games AS (
        SELECT game_date, COUNT(DISTINCT game_id) AS games FROM {SCHEDULE.qualified_name}
        WHERE game_date >= $since AND game_date <= $until GROUP BY game_date
    ), logged AS (
        SELECT game_date, COUNT(DISTINCT game_id) AS games FROM {GAME_LOGS.qualified_name}
        WHERE game_date >= $since AND game_date <= $until GROUP BY game_date
    ), graded AS (
        SELECT DISTINCT game_date, receipt_id FROM {PREDICTION_GRADES.qualified_name}
        WHERE game_date >= $since AND game_date <= $until AND origin = 'published'
    )
    SELECT m.game_date, m.receipt_id, g.receipt_id IS NOT NULL AS is_graded,
           COALESCE(l.games, 0) >= s.games AS has_results
    FROM merged AS m
    JOIN games AS s ON s.game_date = m.game_date
    LEFT JOIN logged AS l ON l.game_date = m.game_date
    LEFT JOIN graded AS g ON g.game_date = m.game_date AND g.receipt_id = m.receipt_id
    ORDER BY m.game_date"""
"""The slates with a receipt, whether every game has logs, and whether the newest receipt was graded."""

COVERAGE = f"""
    WITH scheduled AS (
        SELECT game_date, COUNT(*) AS games FROM {SCHEDULE.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $last GROUP BY game_date
    ), logged AS (
        SELECT game_date, COUNT(DISTINCT game_id) AS games FROM {GAME_LOGS.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $last GROUP BY game_date
    ), offered AS (
        SELECT game_date, COUNT(DISTINCT home_team || away_team) AS games FROM {PROP_LINES.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $last GROUP BY game_date
    ), merged AS (
        SELECT game_date, receipt_id, status FROM {RECEIPTS.qualified_name}
        WHERE league = $league AND game_date BETWEEN $first AND $last
        QUALIFY ROW_NUMBER() OVER (PARTITION BY game_date ORDER BY consolidated_at DESC, receipt_id DESC) = 1
    ), graded AS (
        SELECT DISTINCT game_date, receipt_id FROM {PREDICTION_GRADES.qualified_name}
        WHERE game_date BETWEEN $first AND $last AND origin = 'published'
    ), days AS (
        SELECT game_date FROM scheduled UNION SELECT game_date FROM logged
        UNION SELECT game_date FROM merged
    )
    SELECT d.game_date, s.games, l.games AS logged, o.games AS with_lines, m.receipt_id, m.status,
           g.receipt_id AS graded
    FROM days AS d
    LEFT JOIN scheduled AS s ON s.game_date = d.game_date
    LEFT JOIN logged AS l ON l.game_date = d.game_date
    LEFT JOIN offered AS o ON o.game_date = d.game_date
    LEFT JOIN merged AS m ON m.game_date = d.game_date
    LEFT JOIN graded AS g ON g.game_date = d.game_date AND g.receipt_id = m.receipt_id
    ORDER BY d.game_date"""
"""What each date with games has: its games, those with logs and lines, its newest receipt, and whether it is graded."""

FIRST_RECEIPT = f"""
    SELECT MIN(game_date) AS game_date FROM {RECEIPTS.qualified_name}
    WHERE league = $league AND game_date >= CAST('1946-01-01' AS DATE)"""

GRADES = f"""
    SELECT {names(PREDICTION_GRADES.column_names)} FROM {PREDICTION_GRADES.qualified_name}
    WHERE game_date >= $since AND game_date <= $until AND origin = $origin AND market = COALESCE($market, market)
    ORDER BY game_date, system"""
