"""Predictions follow their facts: who is staged again, when, how often, and what a revision says about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from prediction_assets.nba.slate_facts import feature_digests
from prediction_assets.orchestration.jobs import staging_job
from prediction_assets.orchestration.sensors.needs import SlateNeeds
from prediction_assets.orchestration.sensors.refresh import LOOK_AGAIN, Refreshes, Watch
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import load_settings
from prediction_assets.slate.basis import Basis
from prediction_assets.slate.outcome import Outcome, PlayerOutcome
from prediction_assets.stores.sql.tables import GAME_LOGS, INJURY_REPORTS, PROP_LINES, SCHEDULE
from prediction_assets_tests.homes import PLAYERS, SIMULATED, OpenHome, made_once, opened
from prediction_assets_tests.orchestration.sensors.ticking import requested, tick

DAY = date.fromisoformat(SIMULATED)
MORNING = datetime(DAY.year, DAY.month, DAY.day, 15, tzinfo=UTC)
QUIET = timedelta(seconds=10)
SENSORS = ("staging_sensor", "consolidation_sensor", "phase5_completion_sensor")


class Day:
    """A home on the day of its slate, whose sensors tick by an injected clock."""

    def __init__(self, run: SlateRun, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.now, self.cursor = run, MORNING, ""
        monkeypatch.setattr("prediction_assets.slate.deadlines.Clock.now", lambda clock: self.now)
        monkeypatch.setattr("prediction_assets.orchestration.sensors.requests.FIRST_PAUSE", timedelta(0))
        self.stores = run.stores
        self.reads = 0
        self.said = ""
        progress = type(run.stores.batch_state).progress

        def counted(state, slate, only=None):
            self.reads += 1
            return progress(state, slate, only)

        monkeypatch.setattr(type(run.stores.batch_state), "progress", counted)

    @property
    def slugs(self) -> list[str]:
        return [player.slug for player in self.stores.batch_state.progress(SIMULATED).batch.expected]

    def player_id(self, slug: str) -> int:
        batch = self.stores.batch_state.progress(SIMULATED).batch
        return next(player.player_id for player in batch.expected if player.slug == slug)

    def tick(self, after: timedelta = QUIET) -> list[dg.RunRequest]:
        """Let the time pass, and tick the sensor."""
        self.now += after
        result = tick(self.run, "refresh_sensor", self.cursor)
        self.cursor = result.cursor or self.cursor
        self.said = result.skip_reason.skip_message if result.skip_reason else ""
        return requested(result)

    def carry_out(self, request: dg.RunRequest) -> None:
        """Do a requested run in this process."""
        self.run._defs.resolve_job_def(request.job_name).execute_in_process(
            run_config=request.run_config,
            instance=self.run._instance,
            partition_key=request.partition_key,
            tags=request.tags,
        )

    def until_it_rests(self) -> list[str]:
        """Tick all sensors and do what they request, until nothing is left; return the jobs that ran."""
        jobs = []
        for _ in range(60):
            requests = self.tick(QUIET) + [r for name in SENSORS for r in requested(tick(self.run, name))]
            if not requests and json.loads(self.cursor)[SIMULATED]["since"] == 0:
                return jobs
            for request in requests:
                self.carry_out(request)
                jobs.append(request.job_name)
        raise AssertionError(f"the sensors never rest: {jobs}, {self.said}")

    def change(self, sql: str, **values: object) -> None:
        """Change facts by hand, and raise their version, as an ingestion does."""
        with self.stores.warehouse._connect(write=True) as connection:
            connection.execute(sql, {"day": DAY, **values} if "$day" in sql else values)
            connection.execute(
                "INSERT INTO facts.versions SELECT MAX(version) + 1, $name, now() FROM facts.versions",
                {"name": sql.split("facts.")[1].split()[0]},
            )

    def move_line(self, slug: str, by: int = 1) -> None:
        self.change(
            "UPDATE facts.prop_lines SET line = line + $by WHERE game_date = $day AND player_id = $who",
            by=by, who=self.player_id(slug),
        )  # fmt: skip

    def report(self, minute: int, *statuses: tuple[str, str]) -> None:
        """Publish an injury report."""
        batch = self.stores.batch_state.progress(SIMULATED).batch
        named = {player.slug: player for player in batch.expected}
        rows = [
            {
                "league": batch.league, "game_date": DAY, "reported_at": MORNING + timedelta(minutes=minute),
                "team": named[slug].team, "player_name": named[slug].name, "player_id": named[slug].player_id,
                "status": status, "reason": "Injury/Illness - Left Knee; Soreness",
            }
            for slug, status in statuses or [(self.slugs[-1], "Questionable")]
        ]  # fmt: skip
        self.stores.warehouse.upsert(INJURY_REPORTS, INJURY_REPORTS.arrow_table(rows))

    def rows(self) -> dict[str, set[tuple[str, str]]]:
        """Return each player's rows in force: hash, and the receipt that put it into force."""
        found: dict[str, set[tuple[str, str]]] = {}
        for row in self.stores.warehouse.query(
            "SELECT player_slug, content_hash, receipt_id FROM predictions.player_prop_predictions "
            "WHERE game_date = $day AND is_active", {"day": DAY},
        ).to_pylist():  # fmt: skip
            found.setdefault(row["player_slug"], set()).add((row["content_hash"], row["receipt_id"]))
        return found

    def changes(self) -> dict[str, list[str]]:
        """Return the players and causes of the newest message."""
        return {each["player_slug"]: each["causes"] for each in self.message()["changes"]}

    def message(self) -> dict[str, Any]:
        """Return the newest delivered message."""
        entry = self.stores.outbox.entries(SIMULATED)[-1]
        assert entry.delivery_id
        return dict(entry.message)


@pytest.fixture(scope="session")
def announced_home(ingested_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose slate was announced in the morning of its day."""

    def make(home: Path) -> None:
        with opened(home) as run, pytest.MonkeyPatch.context() as patched:
            patched.setattr("prediction_assets.slate.deadlines.Clock.now", lambda clock: MORNING)
            run.whole(SIMULATED)

    return made_once("announced", tmp_path_factory, ingested_home, make)


@pytest.fixture
def day(announced_home: Path, open_home: OpenHome, monkeypatch: pytest.MonkeyPatch) -> Day:
    """The slate's day, an hour after its first revision was announced."""
    made = Day(open_home(announced_home), monkeypatch)
    made.tick()
    made.now += timedelta(hours=1)
    made.tick()
    assert "follows the facts" in made.said
    return made


def test_after_a_change_exactly_the_affected_players_have_new_rows(day):
    follow_the_changes(day, slice(0, 2))


def follow_the_changes(day: Day, chosen: slice) -> None:
    """Make these changes of a day's facts, one after the other; ``long/`` makes all."""
    a, b, c, d, _, f, *_ = day.slugs
    reported = iter(range(1, 99))
    ruled_out = lambda: day.report(next(reported), (b, "Out"), (d, "Doubtful"))  # noqa: E731
    back = lambda: day.report(next(reported), (b, "Available"))  # noqa: E731

    def two_lines_a_moment_apart() -> None:
        day.move_line(c)
        assert day.tick(QUIET / 2) == []
        day.move_line(d, -1)
        assert day.tick(QUIET / 2) == []
        assert "waits for more changes" in day.said

    changes: list[tuple[str, Callable[[], None], dict[str, str], list[str]]] = [
        ("a line moves", lambda: day.move_line(a), {a: "line moved"}, ["staging"]),
        ("he is ruled out", ruled_out, {b: "ruled out"}, ["staging"]),
        ("several in one quiet period", two_lines_a_moment_apart, {c: "line moved", d: "line moved"}, ["staging"]),
        ("he is back", back, {b: "back in"}, ["staging"]),
        (
            "a line is withdrawn",
            lambda: day.change(
                "DELETE FROM facts.prop_lines WHERE game_date = $day AND player_id = $who", who=day.player_id(f)
            ),
            {f: "line withdrawn"},
            ["staging"],
        ),
        (
            "prices move",
            lambda: day.change("UPDATE facts.prop_lines SET over_price = over_price - 1 WHERE game_date < $day"),
            {},
            [],
        ),
    ]  # fmt: skip
    for revision, (name, change, expected, jobs) in enumerate(changes[chosen], start=2):
        before, outcomes = day.rows(), day.stores.batch_state.progress(SIMULATED).outcomes
        day.now += timedelta(minutes=50)
        change()
        ran = day.until_it_rests()
        after, now = day.rows(), day.stores.batch_state.progress(SIMULATED).outcomes
        touched = {slug for slug in {*before, *after} if before.get(slug) != after.get(slug)}
        assert touched == set(expected), name
        assert {slug for slug in now if now[slug] != outcomes[slug]} == set(expected), name
        if expected:
            assert ran == [*jobs, "consolidation"], name
            message = day.message()
            assert message["revision"] == revision, name
            said = day.changes()
            assert {slug: causes[0][: len(expected[slug])] for slug, causes in said.items()} == expected, name
        else:
            assert ran == [], name


def players_lost(day: Day, pinned: str) -> None:
    (day.run._settings.home / "features" / SIMULATED / pinned / "players.arrow").unlink()


def history_lost(day: Day, pinned: str) -> None:
    (day.run._settings.home / "features" / SIMULATED / pinned / "history.arrow").write_bytes(b"")


def id_of_an_earlier_version(day: Day, pinned: str) -> None:
    state = day.stores.batch_state
    version = state.progress(SIMULATED).features_version
    fence = state.claim_fence(SIMULATED)
    assert state.pin_features(SIMULATED, pinned[:20], fence=fence, facts_version=version)


@pytest.mark.parametrize("lose", [players_lost, history_lost, id_of_an_earlier_version])
def test_features_that_cant_be_read_are_pinned_again_when_a_players_line_moves(day, lose):
    pinned, before, moved = (
        day.stores.batch_state.progress(SIMULATED).feature_snapshot,
        day.rows(),
        day.slugs[2],
    )
    lose(day, pinned)
    day.now += timedelta(minutes=50)
    assert day.until_it_rests() == []
    day.move_line(moved)
    assert day.until_it_rests() == ["features", "staging", "consolidation"]
    assert day.stores.batch_state.progress(SIMULATED).feature_snapshot == pinned
    after = day.rows()
    assert {slug for slug in after if after[slug] != before[slug]} == {moved}
    assert [*day.changes()] == [moved]


def test_a_corrected_log_stages_all_whose_features_it_changes(day):
    """Also those of everybody who played against him."""

    def digests() -> dict[str, object]:
        progress = day.stores.batch_state.progress(SIMULATED)
        found = feature_digests(day.stores.warehouse.snapshots.players(SIMULATED, progress.feature_snapshot))
        return {player.slug: found[player.player_id] for player in progress.batch.expected}

    before, features, corrected = day.rows(), digests(), day.slugs[4]
    day.now += timedelta(minutes=50)
    day.change(
        "UPDATE facts.game_logs SET points = points + 9 WHERE player_id = $who AND game_date = ("
        "SELECT MAX(game_date) FROM facts.game_logs WHERE player_id = $who AND game_date < $day)",
        who=day.player_id(corrected),
    )  # fmt: skip
    assert day.until_it_rests() == ["features", "staging", "consolidation"]
    after, now = day.rows(), digests()
    theirs = {slug for slug in now if now[slug] != features[slug]}
    assert corrected in theirs
    assert {slug for slug in after if after[slug] != before[slug]} == theirs
    assert day.changes() == {slug: ["game log corrected"] for slug in theirs}


def test_a_tick_without_a_change_of_the_slate_s_facts_reads_no_outcome(day):
    day.reads = 0
    for _ in range(3):
        assert day.tick() == []
    day.report(5)  # somebody is questionable: no row depends on it
    day.reads = 0
    assert [day.tick(), day.tick()] == [[], []]
    assert "follows the facts" in day.said
    assert day.reads == 0
    day.tick(LOOK_AGAIN)
    assert day.reads == 1


def test_after_his_own_tip_off_a_player_keeps_his_rows_and_the_late_fact_is_reported(day):
    first, *_ = day.slugs
    (tip_off,) = day.stores.warehouse.query(
        "SELECT MIN(commence_time) AS t FROM facts.prop_lines WHERE game_date = $day AND player_id = $who",
        {"day": DAY, "who": day.player_id(first)},
    )["t"].to_pylist()  # fmt: skip
    before = day.rows()
    day.now = tip_off - timedelta(seconds=90)
    day.move_line(first)
    day.tick(timedelta(0))
    (request,) = day.tick(timedelta(seconds=20))  # still 70 seconds
    day.now = tip_off
    day.carry_out(request)  # the run was queued until the game began
    assert requested(tick(day.run, "consolidation_sensor")) == []
    day.tick(timedelta(minutes=5))
    assert f"too late for {first} (line moved" in day.said
    assert day.rows() == before


def test_a_postponed_game_costs_one_staging_run_and_takes_its_players_rows_back(day):
    games = {player.game_id for player in day.stores.batch_state.progress(SIMULATED).batch.expected}
    gone = min(games)
    theirs = {p.slug for p in day.stores.batch_state.progress(SIMULATED).batch.expected if p.game_id == gone}
    before = day.rows()
    day.change(
        "UPDATE facts.schedule SET game_date = $day + INTERVAL 90 DAY WHERE game_id = $gone", gone=gone
    )
    assert day.until_it_rests() == ["staging", "consolidation"]
    assert day.rows() == {slug: rows for slug, rows in before.items() if slug not in theirs}
    assert day.changes() == {slug: ["game moved"] for slug in theirs}


def test_another_opponent_reopens_the_roster_and_stages_the_players_of_that_game(day):
    player = day.stores.batch_state.progress(SIMULATED).batch.expected[0]
    day.change(
        "UPDATE facts.schedule SET team_a = CASE team_a WHEN $old THEN 'XXX' ELSE team_a END, "
        "team_b = CASE team_b WHEN $old THEN 'XXX' ELSE team_b END, "
        "home_team = CASE home_team WHEN $old THEN 'XXX' ELSE home_team END, "
        "away_team = CASE away_team WHEN $old THEN 'XXX' ELSE away_team END WHERE game_date = $day AND game_id = $game",
        old=player.opponent, game=player.game_id,
    )  # fmt: skip
    assert day.until_it_rests() == ["roster", "staging", "consolidation"]
    said = day.changes()
    assert said[player.slug][0] == f"opponent changed {player.opponent} -> XXX"
    assert "no longer expected" in {cause for causes in said.values() for cause in causes}


def test_players_who_came_and_went_are_one_staging_run_without_reopen(day):
    gone = [day.slugs[2], day.slugs[5]]
    ids = [day.player_id(slug) for slug in gone]
    logs = day.stores.warehouse.query(
        "SELECT * FROM facts.game_logs WHERE player_id IN ($a, $b)", {"a": ids[0], "b": ids[1]}
    )
    for player_id in ids:
        day.change("DELETE FROM facts.game_logs WHERE player_id = $who", who=player_id)
    day.run.roster(SIMULATED)
    assert len(day.slugs) == PLAYERS - 2
    day.run.announce(day.run.consolidate(SIMULATED))
    assert day.changes() == {slug: ["no longer expected"] for slug in gone}
    runs = day.run._instance.get_runs_count(dg.RunsFilter(job_name=staging_job.name))
    assert day.run.stage(SIMULATED)  # their keys stay registered between those of the others
    assert day.run._instance.get_runs_count(dg.RunsFilter(job_name=staging_job.name)) == runs + 1
    day.stores.warehouse.upsert(GAME_LOGS, logs.cast(GAME_LOGS.arrow_schema))
    day.run.roster(SIMULATED)
    ran = day.until_it_rests()
    assert (ran.count("staging"), ran.count("features")) == (1, 0)  # the roster pinned them
    assert len(day.rows()) == PLAYERS


def test_a_staging_that_keeps_failing_is_requested_a_few_times_only(day):
    day.move_line(day.slugs[0])
    day.tick(timedelta(0))
    asked = 0
    for _ in range(6):
        for request in day.tick(timedelta(minutes=8)):
            asked += 1
            job = day.run._defs.resolve_job_def(request.job_name)
            left = day.run._instance.create_run_for_job(job_def=job, tags=dict(request.tags))
            day.run._instance.report_run_failed(left)
    assert asked == 3
    assert "runs didn't settle it" in day.said


def test_switched_off_it_requests_nothing(ingested_home, open_home, monkeypatch):
    run = open_home(ingested_home, refresh_quiet_seconds=0)
    assert "refresh_quiet_seconds is 0" in tick(run, "refresh_sensor").skip_reason.skip_message


@pytest.mark.parametrize(
    ("seen", "waits"),
    [
        ([(1, 0)], "more changes"),
        ([(1, 0), (1, 9)], "more changes"),
        ([(1, 0), (1, 10)], None),
        ([(1, 0), (2, 9), (2, 18)], "more changes"),
        ([(version, 9 * version) for version in range(8)], None),  # they keep coming for a minute
    ],
)
def test_a_look_waits_for_more_changes_but_not_for_ever(seen, waits):
    watch = Watch()
    for version, moment in seen:
        watch.see(version, 1000.0 + moment)
    said = watch.why_wait(10, 1000.0 + seen[-1][1])
    assert said is None if waits is None else waits in said


# 8 players whose lines all move every minute


def test_lines_that_move_every_minute_for_an_hour_lead_to_few_revisions_and_reads(stores_of_8):
    stores, lines, now = stores_of_8
    watches: dict[str, Watch] = {}
    revisions = reads = 0
    with dg.DagsterInstance.ephemeral() as instance:
        for minute in range(60):
            moment = now + timedelta(minutes=minute)
            lines(minute)
            needs = SlateNeeds(instance, load_settings(), moment, stores.warehouse.snapshots)
            refreshes = Refreshes(needs, stores.warehouse, stores.batch_state, watches)
            asked = [
                each
                for slate in refreshes.open_slates()
                for each in refreshes.requests(slate)
                if isinstance(each, dg.RunRequest)
            ]
            watches = refreshes.watches
            if asked:
                revisions += 1
                stores.stage(moment)
            reads = stores.reads
    assert 6 <= revisions <= 13
    assert reads <= 2 * revisions + 4


@pytest.fixture
def stores_of_8(monkeypatch: pytest.MonkeyPatch) -> object:
    from prediction_assets.slate.batch import Batch, ExpectedPlayer
    from prediction_assets_tests.in_memory import InMemoryStores

    stores = InMemoryStores()
    day = date(2026, 1, 2)
    now = datetime(2026, 1, 2, 18, tzinfo=UTC)
    who = tuple(
        ExpectedPlayer(1000 + n, f"player-{n:03}", f"Player {n}", "S01", "S02", True, "9000000001")
        for n in range(8)
    )
    batch = Batch("2026-01-02", "b1", "simulated-8", 1, now, now + timedelta(minutes=30), who)
    stores.batch_state.open(batch)
    game = {
        "league": "simulated-8", "season_id": 1, "game_id": "9000000001", "game_date": day,
        "home_team": "S01", "away_team": "S02", "team_a": "S01", "team_b": "S02",
    }  # fmt: skip
    stores.warehouse.upsert(SCHEDULE, SCHEDULE.arrow_table([game]))
    monkeypatch.setattr("prediction_assets.steps.refresh.read_roster", lambda *_: batch_roster)
    batch_roster = type("R", (), {"players": batch.expected})
    pinned = {player.player_id: ("f", "m") for player in who}
    monkeypatch.setattr("prediction_assets.steps.refresh._features", lambda *_: (pinned, pinned))
    monkeypatch.setattr(
        "prediction_assets.orchestration.sensors.needs.registered_keys", lambda _, wanted: sorted(wanted)
    )
    monkeypatch.setattr(type(stores.warehouse.snapshots), "is_whole", lambda *_: True)
    stores.batch_state.pin_features("2026-01-02", "snapshot1", fence=1, facts_version=1)

    def lines(minute: int) -> None:
        rows = [
            {
                "league": "simulated-8", "event_id": "e", "capture": "",
                "market": "player_points", "bookmaker": "Book A", "player_name": p.name,
                "line": Decimal(10 + minute % 50), "player_id": p.player_id, "game_date": day,
                "commence_time": now + timedelta(hours=6), "home_team": "S01", "away_team": "S02",
                "over_price": -110, "under_price": -110, "captured_at": None,
            }
            for p in who
        ]  # fmt: skip
        stores.warehouse.upsert(PROP_LINES, PROP_LINES.arrow_table(rows), ("event_id",))

    lines(-1)
    progress = type(stores.batch_state).progress
    stores.reads = 0

    def counted(state, slate, only=None):
        stores.reads += 1
        return progress(state, slate, only)

    monkeypatch.setattr(type(stores.batch_state), "progress", counted)
    fences = iter(range(2, 999))

    def stage(moment: datetime) -> None:
        from prediction_assets.nba.slate_facts import read_slate_facts

        facts = read_slate_facts(stores.warehouse, "2026-01-02", "simulated-8")
        fence, bases = next(fences), facts.bases(who, pinned)
        stores.batch_state.record(
            [
                PlayerOutcome(
                    "2026-01-02", "b1", slug, Outcome.SKIPPED, "r", moment, fence, 1, "made up", None, basis
                )
                for slug, basis in bases.items()
            ]
        )

    stores.stage = stage
    stage(now)
    assert isinstance(next(iter(progress(stores.batch_state, "2026-01-02").outcomes.values())).basis, Basis)
    return stores, lines, now
