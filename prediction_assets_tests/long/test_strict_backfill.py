"""Ten slates at once, from the roster to the message, on a BigQuery that has Google's rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.simulation.league import simulated_facts, simulated_slate
from prediction_assets.stores.gcp.stores import GcpStores
from prediction_assets_tests.acceptance.test_gcp_profile import gcp_settings
from prediction_assets_tests.contract.warehouse.conftest import bigquery_endpoint
from prediction_assets_tests.emulator_fixtures import firestore_emulator, pubsub_emulator
from prediction_assets_tests.strict_bigquery import strict

__all__ = ["bigquery_endpoint", "firestore_emulator", "gcp_settings", "pubsub_emulator"]  # fixtures

PLAYERS = 8


def test_ten_slates_that_are_backfilled_at_once_all_complete(gcp_settings, bigquery_endpoint):
    slates = [(simulated_slate(PLAYERS) - timedelta(days=n)).isoformat() for n in range(10)]
    with strict(bigquery_endpoint, transaction_seconds=1.0) as (endpoint, rules):
        settings = gcp_settings.model_copy(update={"bigquery_endpoint": endpoint})
        GcpStores(settings).set_up_messaging()
        with open_instance(settings) as instance:
            run = SlateRun(settings, instance)
            run.ingest(simulated_facts(PLAYERS))
            rules.lose.update({"load_part": 5, "merge": 2, "load_snapshot": 2})
            with ThreadPoolExecutor(len(slates)) as pool:
                ended = list(pool.map(run.whole, slates))
        assert any("concurrent update" in message for message in rules.refused)
    assert {each.receipt.status for each in ended} == {"success"}
    assert all(each.published for each in ended)
