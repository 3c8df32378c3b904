"""The code location: what a reader of the UI sees, and that it loads."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from prediction_assets.definitions import defs
from prediction_assets.orchestration.asset_checks import CHECK_KEYS
from prediction_assets.orchestration.assets.describing import DOCS
from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.jobs import FOLLOWS, JOB_OF_ASSET, JOBS, SLATE_JOBS
from prediction_assets.orchestration.slate_defs import build_slate_defs
from prediction_assets.settings import load_settings

SNAPSHOT = Path(__file__).with_name("asset_specs.json")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(load_settings(home=tmp_path_factory.mktemp("definitions") / "home"))


def specs(definitions: dg.Definitions) -> dict[str, dict[str, object]]:
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "group": (node := graph.get(key)).group_name,
            "owners": sorted(node.owners),
            "kinds": sorted(
                k.removeprefix("dagster/kind/") for k in node.tags if k.startswith("dagster/kind/")
            ),
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": getattr(node.partitions_def, "name", None),
            "description": (node.description or "").split("\n\n")[0],
            "checks": sorted(check.name for check in node.check_keys),
        }
        for key in graph.get_all_asset_keys()
    }


def test_the_assets_are_the_ones_that_were_reviewed(definitions, request):
    """A changed key, group, owner, dependency or description shows up in review, as a diff of the snapshot.

    To renew it: delete the file and run this test.
    """
    found = dict(sorted(specs(definitions).items()))
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        pytest.fail(f"{SNAPSHOT.name} was written anew: review and commit it")
    assert found == json.loads(SNAPSHOT.read_text("utf-8"))


def test_a_slate_s_jobs_are_the_same_in_a_command_as_in_the_code_location(definitions):
    """The UI looks for a run's job by the id of its snapshot."""
    of_a_command = build_slate_defs(load_settings())
    for job in SLATE_JOBS:
        ids = {each.resolve_job_def(job.name).get_job_snapshot_id() for each in (definitions, of_a_command)}
        assert len(ids) == 1, job.name


def test_every_asset_has_a_description_an_owner_a_group_and_kinds(definitions):
    for key, spec in specs(definitions).items():
        assert all(spec[field] for field in ("description", "owners", "group", "kinds")), key


def test_every_check_job_sensor_and_schedule_has_a_description(definitions):
    repository = definitions.get_repository_def()
    named = [*repository.sensor_defs, *repository.schedule_defs]
    named += [j for j in repository.get_all_jobs() if not j.name.startswith("__")]
    assert [thing.name for thing in named if not thing.description] == []
    graph = definitions.resolve_asset_graph()
    assert [key.name for key in graph.asset_check_keys if not graph.get(key).description] == []


def test_the_automation_runs_by_default(definitions):
    repository = definitions.get_repository_def()
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    stopped = {
        s.name for s in repository.schedule_defs if s.default_status is dg.DefaultScheduleStatus.STOPPED
    }
    # No source of facts is set here.
    assert stopped == {"daily_facts", "tonights_facts"}
    assert len(repository.schedule_defs) == 6
    assert len(repository.sensor_defs) == 9


def test_a_killed_run_of_any_job_is_retried_from_its_first_step(definitions):
    jobs = [job for job in definitions.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    strategies = {job.name: job.run_tags.get("dagster/retry_strategy") for job in jobs}
    assert strategies == dict.fromkeys(strategies, "ALL_STEPS")


def test_only_the_warning_checks_and_the_morning_check_do_not_block(definitions):
    graph = definitions.resolve_asset_graph()
    open_checks = {key.name for key in graph.asset_check_keys if not graph.get(key).blocking}
    assert open_checks == {
        "every_expected_player_settled",
        "systems_are_steady",
        "morning_check",
        "nothing_in_quarantine",
        "is_fresh",
        "follows_its_facts",
        "challenger_is_promoted",
    }


def test_a_completion_waits_for_no_check_of_the_morning_after():
    assert "systems_are_steady" not in {key.name for key in CHECK_KEYS}


def test_every_field_of_every_launchpad_config_is_described(definitions):
    from dagster._config import Shape

    undescribed = [
        f"{node.name}.{name}"
        for asset in definitions.resolve_all_job_defs()
        for node in asset.nodes
        for name, field in getattr(node.definition.config_field.config_type, "fields", {}).items()
        if isinstance(node.definition.config_field.config_type, Shape) and not field.description
    ]
    assert undescribed == []


def test_the_morning_check_is_not_waited_for_by_a_completion(definitions):
    assert "morning_check" not in {key.name for key in CHECK_KEYS}
    for job, checks in (("completion", set()), ("consolidation", CHECK_KEYS)):
        graph = definitions.resolve_job_def(job).asset_layer.asset_graph
        assert graph.asset_check_keys == set(checks), job
    assert FOLLOWS not in CHECK_KEYS
    morning = definitions.resolve_job_def("morning_check")
    assert {key.name for key in morning.asset_layer.asset_graph.asset_check_keys} == {"morning_check"}


def test_only_what_is_materialized_every_day_must_be_fresh_every_day(definitions):
    graph = definitions.resolve_asset_graph()
    fresh = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    assert fresh == {"slate_roster"}
    assert graph.get(dg.AssetKey("slate_roster")).partitions_def is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "More: `docs/runbook.md#the-slate-is-late`"),
        ("https://example.org/files/", "(https://example.org/files/docs/runbook.md#the-slate-is-late)"),
    ],
)
def test_a_description_ends_with_the_page_to_read(settings, address, said):
    graph = build_defs(settings.model_copy(update={"docs_url": address})).resolve_asset_graph()
    assert said in (graph.get(dg.AssetKey("slate_roster")).description or "")


def test_every_asset_has_a_page_and_every_page_has_its_heading(definitions):
    from prediction_assets_tests.acceptance.test_docs import ROOT, anchors

    assert set(DOCS) == set(specs(definitions))
    for page in DOCS.values():
        path, _, anchor = page.partition("#")
        assert anchor in anchors(ROOT / path), page


def test_groups_are_listed_in_flow_order(definitions):
    """The UI sorts groups by name; each must come no earlier than what it depends on."""
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        for parent in node.parent_keys:
            assert graph.get(parent).group_name <= node.group_name, (parent, key)


def test_every_job_s_assets_are_of_its_stage_so_that_a_click_counts_as_an_attempt(definitions):
    for job in JOBS:
        assets = definitions.resolve_job_def(job.name).asset_layer.executable_asset_keys
        stages = {JOB_OF_ASSET[key.to_user_string()] for key in assets}
        assert stages - {job.name} == ({"completion"} if job.name == "consolidation" else set()), job.name


def test_a_resource_can_be_swapped_without_touching_anything_else(settings):
    swapped = build_defs(settings, {"batch_state": dg.ResourceDefinition.hardcoded_resource("other")})
    assert swapped.resources is not None
    assert set(swapped.resources) == set(build_defs(settings).resources or {})


def test_the_location_that_dagster_loads_takes_its_settings_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PREDICTION_ASSETS_HOME", str(tmp_path / "elsewhere"))
    loaded = defs()
    assert loaded.resources is not None
    assert loaded.resources["settings"].home == tmp_path / "elsewhere"
    assert not (tmp_path / "elsewhere").exists()
    dg.Definitions.validate_loadable(loaded)
