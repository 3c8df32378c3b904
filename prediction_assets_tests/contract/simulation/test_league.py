"""The simulated league: its size, its labels, its tables and the traps that real data have too."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pyarrow.compute as pc
import pytest

from prediction_assets.errors import BadInput
from prediction_assets.simulation.league import simulate_league
from prediction_assets.simulation.rosters import slate_rotations
from prediction_assets.slate.keys import player_slugs, slugify, to_ascii
from prediction_assets.stores.sql.tables import GAME_LOGS, PROP_LINES, SCHEDULE

# The smallest, the first odd team, the shipped size, the first of a short history. The largest has a test of its own.
SIZES = (1, 11, 40, 1001)
LARGEST = 5_000
TABLES = ((GAME_LOGS, "game_logs"), (SCHEDULE, "schedule"), (PROP_LINES, "prop_lines"))

# The roster rule, written again on purpose: in SQL, from the tables alone.
ROSTER_RULE = """
    WITH tonight AS (
        SELECT team_a AS team FROM schedule WHERE game_date = $slate
        UNION ALL SELECT team_b FROM schedule WHERE game_date = $slate
    ), numbered AS (
        SELECT *, row_number() OVER (PARTITION BY player_id ORDER BY game_date DESC) AS games_ago
        FROM game_logs WHERE game_date < $slate
    ), players AS (
        SELECT player_id, max(game_date) AS last_game, arg_max(team, game_date) AS team,
               arg_max(player_name, game_date) AS player_name, avg(minutes) AS minutes
        FROM numbered WHERE games_ago <= 7 GROUP BY player_id
    )
    SELECT player_id, player_name, team, minutes, last_game >= $slate::DATE - 15 AS appeared
    FROM players JOIN tonight USING (team)
"""


def sql(league, query, **parameters):
    import duckdb  # not when tests are collected

    with duckdb.connect(config={"threads": 1}) as connection:
        for _, name in TABLES:
            connection.register(name, getattr(league, name))
        return connection.execute(query, parameters or None).fetchall()


def expected_players(league):
    """Return {player id: name} of those whom the roster rule finds."""
    rows = sql(league, ROSTER_RULE, slate=league.slate)
    return {player: name for player, name, _, minutes, appeared in rows if appeared and minutes >= 15}


def digest(league):
    """Return a hash of the tables' values, row by row."""
    hashed = hashlib.sha256()
    for _, name in TABLES:
        table = getattr(league, name)
        hashed.update(repr(table.schema.names).encode())
        for column in table.columns:
            hashed.update(repr(column.to_pylist()).encode())
    return hashed.hexdigest()


@pytest.fixture(params=SIZES)
def sized(request, league_of):
    return request.param, league_of(request.param)


def test_the_roster_rule_finds_exactly_the_players_asked_for_and_nobody_is_near_its_limit(sized):
    size, league = sized
    appeared = [row for row in sql(league, ROSTER_RULE, slate=league.slate) if row[4]]
    assert sum(minutes >= 15 for _, _, _, minutes, _ in appeared) == size
    assert [(player, minutes) for player, _, _, minutes, _ in appeared if 13 < minutes < 17] == []


def test_the_players_of_any_size_are_shared_out_among_teams_of_ten_at_most_in_pairs():
    for size in range(1, 5_001):
        rotations = slate_rotations(size)
        assert rotations.sum() == size
        assert rotations.size % 2 == 0
        assert np.ptp(rotations) <= 1
        assert rotations.max() <= 10


def test_forty_expected_players_are_two_games_of_four_teams_with_ten_each(league):
    teams = Counter(
        team
        for _, _, team, minutes, appeared in sql(league, ROSTER_RULE, slate=league.slate)
        if appeared and minutes >= 15
    )
    assert sorted(teams.values()) == [10, 10, 10, 10]
    assert pc.sum(pc.equal(league.schedule["game_date"], league.slate)).as_py() == 2


@pytest.mark.parametrize("size", [0, -1, 5_001])
def test_an_impossible_size_is_refused_with_the_range(size):
    with pytest.raises(BadInput, match="choose 1 to 5,000"):
        simulate_league(size)


@pytest.mark.parametrize("size", [1, 40, 1001])
@pytest.mark.parametrize(("table", "name"), TABLES)
def test_the_tables_have_the_declared_schemas_without_a_null_where_none_may_be(league_of, size, table, name):
    made = getattr(league_of(size), name)
    assert made.schema.equals(table.arrow_schema)
    for field in made.schema:
        assert field.nullable or made[field.name].null_count == 0, field.name


@pytest.mark.parametrize("size", [1, 40, 1001])
@pytest.mark.parametrize(("table", "name"), TABLES)
def test_keys_are_unique(league_of, size, table, name):
    made = getattr(league_of(size), name)
    assert made.select(list(table.key)).group_by(list(table.key)).aggregate([]).num_rows == made.num_rows


def test_the_same_size_gives_the_same_tables(league_of):
    for size in (11, 1001):
        again, before = simulate_league(size), league_of(size)
        for _, name in TABLES:
            assert getattr(again, name).equals(getattr(before, name)), (size, name)


def test_the_league_of_forty_is_the_same_on_every_machine(league):
    # Only exact arithmetic is used, so this holds on any processor. A change of the simulation changes it:
    # then paste the new digest.
    assert digest(league) == "550c87092ac65f047a7eab570bfad7dc568ed3956f56d99a9f2521289ed88b52"


def test_everything_says_that_it_is_simulated(league):
    assert league.name == "simulated-40"
    assert league.slate == date(2091, 1, 15)
    for _, name in TABLES:
        assert pc.unique(getattr(league, name)["league"]).to_pylist() == ["simulated-40"]
    assert all(team.startswith("Simulated ") for team in pc.unique(league.game_logs["team_name"]).to_pylist())
    assert pc.unique(league.prop_lines["bookmaker"]).to_pylist() == ["Simulated Book A", "Simulated Book B"]
    assert all(
        capture.startswith("simulated-20") for capture in pc.unique(league.prop_lines["capture"]).to_pylist()
    )


def identities(league):
    logs, schedule, lines = league.game_logs, league.schedule, league.prop_lines
    columns = [schedule["game_date"], schedule["season_id"], schedule["game_id"], lines["event_id"]]
    columns += [logs["player_id"], logs["team_id"]]
    return [set(column.to_pylist()) for column in columns]


@pytest.mark.parametrize("sizes", [(1, 40, 41, 1001)])
def test_leagues_share_neither_days_nor_ids(league_of, sizes):
    some = [identities(league_of(size)) for size in sizes]
    for kind in zip(*some, strict=True):
        assert len(set().union(*kind)) == sum(len(ids) for ids in kind)
    assert all(len(game_id) == 10 and game_id.startswith("90040") for game_id in some[1][2])


@pytest.mark.parametrize("last_day", [date(2091, 4, 13)])
def test_logs_end_before_the_slate_and_the_schedule_goes_on(league, last_day):
    assert pc.max(league.game_logs["game_date"]).as_py() < league.slate
    assert pc.max(league.schedule["game_date"]).as_py() == last_day


def test_every_log_belongs_to_a_scheduled_game_and_every_past_game_has_logs_of_both_teams(league):
    assert sql(league, """
        SELECT count(*) FROM game_logs l LEFT JOIN schedule s USING (game_id)
        WHERE s.game_id IS NULL OR s.game_date <> l.game_date OR l.season_id <> s.season_id
           OR least(l.team, l.opponent) <> s.team_a OR greatest(l.team, l.opponent) <> s.team_b
           OR l.is_home IS DISTINCT FROM (s.home_team = l.team)
    """) == [(0,)]  # fmt: skip
    assert sql(league, """
        SELECT count(*) FROM schedule s WHERE game_date < $slate AND
            (SELECT count(DISTINCT team) FROM game_logs l WHERE l.game_id = s.game_id) <> 2
    """, slate=league.slate) == [(0,)]  # fmt: skip


@pytest.mark.parametrize("size", [40, 450])
def test_a_team_plays_82_games_give_or_take_one_as_often_at_home_and_never_three_days_running(
    league_of, size
):
    rows = sql(league_of(size), """
        WITH games AS (
            SELECT team_a AS team, game_date, home_team FROM schedule
            UNION ALL SELECT team_b, game_date, home_team FROM schedule
        ), spaced AS (
            SELECT *, game_date - lag(game_date, 1) OVER w AS one, game_date - lag(game_date, 2) OVER w AS two
            FROM games WINDOW w AS (PARTITION BY team ORDER BY game_date)
        )
        SELECT count(*), count(*) FILTER (home_team = team), min(one), min(two) FROM spaced GROUP BY team
    """)  # fmt: skip
    for games, at_home, shortest_gap, two_games_back in rows:
        assert 80 <= games <= 84
        assert abs(at_home - games / 2) <= 3
        assert shortest_gap >= 1
        assert two_games_back >= 3


def test_some_days_have_no_game(league):
    days = set(league.schedule["game_date"].to_pylist())
    assert date(2090, 12, 24) not in days
    assert date(2091, 2, 15) not in days


@pytest.mark.parametrize("size", [1, 40, 1001])
def test_every_row_keeps_the_sports_arithmetic(league_of, size):
    assert sql(league_of(size), """
        SELECT count(*) FROM game_logs WHERE
            points <> 2 * field_goals_made + three_pointers_made + free_throws_made
            OR field_goals_made > field_goals_attempted OR three_pointers_attempted > field_goals_attempted
            OR three_pointers_made > least(three_pointers_attempted, field_goals_made)
            OR field_goals_made - three_pointers_made > field_goals_attempted - three_pointers_attempted
            OR free_throws_made > free_throws_attempted OR personal_fouls > 6
            OR least(minutes, three_pointers_made, free_throws_made, offensive_rebounds, defensive_rebounds,
                     assists, steals, blocks, turnovers, personal_fouls) < 0
            OR minutes > 53
    """) == [(0,)]  # fmt: skip


@pytest.mark.parametrize("size", [1, 40, 1001])
def test_one_team_wins_each_game_and_it_is_the_one_with_more_points(league_of, size):
    assert sql(league_of(size), """
        WITH teams AS (SELECT game_id, team, opponent, sum(points) AS points, bool_and(is_win) AS won,
                              bool_or(is_win) AS any_won FROM game_logs GROUP BY ALL)
        SELECT count(*) FROM teams a LEFT JOIN teams b ON a.game_id = b.game_id AND a.opponent = b.team
        WHERE b.team IS NULL OR a.won <> a.any_won OR a.won <> (a.points > b.points) OR a.points = b.points
    """) == [(0,)]  # fmt: skip


def test_the_team_minutes_are_those_of_a_game_with_at_most_one_overtime(league):
    low, high = sql(league, """
        SELECT quantile_cont(minutes, [0.005, 0.995])
        FROM (SELECT sum(minutes) AS minutes FROM game_logs GROUP BY game_id, team)
    """)[0][0]  # fmt: skip
    assert 232 < low < 240
    assert 263 < high < 270


def test_one_game_is_on_a_neutral_site_within_reach_of_features_and_lines(league):
    neutral = sql(league, "SELECT game_id, away_team, game_date FROM schedule WHERE home_team IS NULL")
    assert [(away, league.slate - day < timedelta(10)) for _, away, day in neutral] == [(None, True)]
    rows = sql(league, "SELECT DISTINCT game_id, is_home FROM game_logs WHERE is_home IS NULL")
    assert rows == [(neutral[0][0], None)]


@pytest.mark.parametrize("size", [1, 40, 1001])
def test_one_player_was_traded_and_has_two_teams_one_of_them_on_the_slate(league_of, size):
    league = league_of(size)
    traded = sql(league, """
        SELECT player_id, count(DISTINCT team), arg_max(team, game_date) FROM game_logs
        GROUP BY player_id HAVING count(DISTINCT team) > 1
    """)  # fmt: skip
    assert [teams for _, teams, _ in traded] == [2]
    assert traded[0][2] in {team for _, _, team, _, _ in sql(league, ROSTER_RULE, slate=league.slate)}
    assert size < 40 or traded[0][0] in expected_players(league)


def test_somebody_scores_in_no_minutes(league):
    assert sql(league, "SELECT count(*) > 0 FROM game_logs WHERE minutes = 0 AND points > 0") == [(True,)]


@pytest.mark.parametrize("size", [1, 9])
def test_regulars_who_are_out_for_weeks_are_on_slate_teams_and_not_expected(league_of, size):
    league = league_of(size)
    rows = sql(league, ROSTER_RULE, slate=league.slate)
    assert any(minutes >= 15 and not appeared for _, _, _, minutes, appeared in rows)


@pytest.mark.parametrize("size", [40, 41, 1001])
def test_two_expected_players_share_a_name_and_nobody_else_a_slug(league_of, size):
    league = league_of(size)
    everybody = dict(
        sql(league, "SELECT player_id, arg_max(player_name, game_date) FROM game_logs GROUP BY player_id")
    )
    repeated = [slug for slug, count in Counter(map(slugify, everybody.values())).items() if count > 1]
    assert repeated == ["corvin-hastermond"]
    slugs = player_slugs(expected_players(league))
    assert len(set(slugs.values())) == size
    assert sum(slug.startswith("corvin-hastermond-") for slug in slugs.values()) == 2


def test_expected_players_names_have_dots_accents_apostrophes_and_suffixes(league):
    names = set(expected_players(league).values())
    for trap in ("T.J. ", "'", "é", "ć", " Jr.", " III"):
        assert any(trap in name for name in names), trap


def test_a_name_drifts_under_one_id(league):
    rows = sql(league, """
        SELECT list(DISTINCT player_name ORDER BY player_name) FROM game_logs GROUP BY player_id
        HAVING count(DISTINCT player_name) > 1
    """)  # fmt: skip
    assert rows == [(["De'Varro Ostrelic", "De'Varro Ostrelić"],)]


def test_game_ids_are_not_in_the_order_of_the_dates(league):
    ids = sql(league, "SELECT game_id FROM schedule ORDER BY game_date, game_id")
    assert ids != sorted(ids)


class TestLines:
    @pytest.mark.parametrize("size", [11, 40, 1001])
    def test_about_85_percent_of_the_expected_players_have_a_line_and_nobody_else(self, league_of, size):
        league = league_of(size)
        listed = {player for (player,) in sql(
            league, "SELECT DISTINCT player_id FROM prop_lines WHERE game_date = $slate", slate=league.slate
        )}  # fmt: skip
        assert listed <= set(expected_players(league))
        assert len(listed) == pytest.approx(0.85 * size, abs=0.6)

    def test_lines_reach_ten_days_back(self, league):
        first = pc.min(league.prop_lines["game_date"]).as_py()
        assert timedelta(9) <= league.slate - first <= timedelta(10)

    def test_a_line_belongs_to_a_scheduled_game_of_the_players_team(self, league):
        assert sql(league, """
            SELECT count(*) FROM prop_lines p
            LEFT JOIN schedule s ON p.event_id = 'simulated-' || s.game_id AND p.game_date = s.game_date
            LEFT JOIN (SELECT player_id, arg_max(team, game_date) AS team FROM game_logs GROUP BY ALL)
                USING (player_id)
            WHERE s.game_id IS NULL OR p.player_id IS NULL OR team NOT IN (p.home_team, p.away_team)
               OR [s.team_a, s.team_b] <> list_sort([p.home_team, p.away_team])
        """) == [(0,)]  # fmt: skip

    def test_lines_are_captured_before_a_tip_off_on_the_eastern_evening_of_the_game(self, league):
        lines = league.prop_lines.select(["game_date", "commence_time", "captured_at", "capture"])
        eastern = timezone(timedelta(hours=-5))
        for row in lines.group_by(lines.column_names).aggregate([]).to_pylist():
            tip_off = row["commence_time"].astimezone(eastern)
            assert tip_off.date() == row["game_date"]
            assert (19, 0) <= (tip_off.hour, tip_off.minute) <= (22, 30)
            assert row["captured_at"] < row["commence_time"]
            seen = datetime.fromisoformat(row["capture"].removeprefix("simulated-"))
            assert row["captured_at"].astimezone(eastern).replace(tzinfo=None) == seen

    def test_lines_are_on_half_points_mostly_and_on_whole_points_sometimes(self, league):
        halves, whole, other = sql(league, """
            SELECT avg((line % 1 = 0.5)::INT), avg((line % 1 = 0)::INT),
                   count(*) FILTER (line * 2 % 1 <> 0 OR line < 1)
            FROM prop_lines
        """)[0]  # fmt: skip
        assert halves > 0.8
        assert whole > 0.1
        assert other == 0

    def test_prices_are_american_odds_around_110_some_one_sided_and_some_suspended(self, league):
        assert sql(league, """
            SELECT count(*) FILTER (over_price BETWEEN -99 AND 99 OR under_price BETWEEN -99 AND 99),
                   count(*) FILTER (over_price IS NULL AND under_price IS NULL),
                   count(*) FILTER (over_price IS NULL) > 0, count(*) FILTER (under_price IS NULL) > 0,
                   count(*) FILTER (over_price = -10000) > 0, median(over_price) BETWEEN -115 AND -105
            FROM prop_lines
        """) == [(0, 0, True, True, True, True)]  # fmt: skip

    def test_lines_move_between_captures_and_within_one(self, league):
        moved, within = sql(league, """
            SELECT count(*) FILTER (lines > 1), count(*) FILTER (most > 1) FROM (
                SELECT count(DISTINCT line) AS lines, max(n) AS most FROM (
                    SELECT event_id, bookmaker, player_id, line, count(*) OVER same_capture AS n
                    FROM prop_lines
                    WINDOW same_capture AS (PARTITION BY event_id, bookmaker, player_id, capture)
                ) GROUP BY event_id, bookmaker, player_id)
        """)[0]  # fmt: skip
        assert moved > 100
        assert within > 10

    def test_some_lines_are_void_because_the_player_did_not_play(self, league):
        (share,) = sql(league, """
            SELECT avg((l.player_id IS NULL)::INT) FROM
                (SELECT DISTINCT game_date, player_id FROM prop_lines WHERE game_date < $slate) p
                LEFT JOIN game_logs l USING (game_date, player_id)
        """, slate=league.slate)[0]  # fmt: skip
        assert 0.01 < share < 0.07  # 0.036 of the real lines

    def test_the_second_book_spells_names_without_accents(self, league):
        names = dict(
            sql(
                league,
                "SELECT player_id, max(player_name) FROM prop_lines WHERE bookmaker LIKE '%A' GROUP BY 1",
            )
        )
        for player, name in sql(
            league, "SELECT DISTINCT player_id, player_name FROM prop_lines WHERE bookmaker LIKE '%B'"
        ):
            assert name == to_ascii(name)
            assert slugify(name) == slugify(names.get(player, name))


def test_the_largest_league_keeps_the_rules_of_the_smaller_ones():
    """Making it and reading it takes seconds; no other test remembers it."""
    sizes = functools.cache(simulate_league)
    largest = sizes(LARGEST)
    test_the_roster_rule_finds_exactly_the_players_asked_for_and_nobody_is_near_its_limit((LARGEST, largest))
    test_leagues_share_neither_days_nor_ids(sizes, (1, 40, 1001, LARGEST))
    test_logs_end_before_the_slate_and_the_schedule_goes_on(largest, date(7051, 1, 29))
    TestLines().test_lines_are_captured_before_a_tip_off_on_the_eastern_evening_of_the_game(largest)
