"""Resources: what an asset gets under which key."""

from __future__ import annotations

import dagster as dg
import pytest

from prediction_assets.orchestration.build import build_defs
from prediction_assets.orchestration.resources import build_resources
from prediction_assets.settings import load_settings
from prediction_assets.stores.profiles import STORES


def test_every_port_the_sources_the_settings_and_the_clock_are_resources_and_no_file_is_made(tmp_path):
    resources = build_resources(load_settings(home=tmp_path / "home"))
    assert set(resources) == {*STORES, "sources", "settings", "clock"}
    assert not (tmp_path / "home").exists()


def test_the_gcp_profile_offers_dagster_gcps_bigquery_for_the_same_project(tmp_path):
    settings = load_settings(home=tmp_path, profile="gcp", gcp_project="shop", gcp_location="EU")
    bigquery = build_resources(settings)["bigquery"]
    assert (bigquery.project, bigquery.location) == ("shop", "EU")


@pytest.mark.parametrize("store", STORES)
def test_no_run_can_set_where_a_resource_reads_or_writes(tmp_path, store):
    job = build_defs(load_settings(home=tmp_path / "home")).resolve_job_def("ingest")
    elsewhere = {"config": {"path": str(tmp_path / "elsewhere")}}
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"resources": {store: elsewhere}})
    # The settings are an object of the code location's; what a run says about them is not read.
    settings = build_resources(load_settings(home=tmp_path / "home"))["settings"]
    assert settings == load_settings(home=tmp_path / "home")
