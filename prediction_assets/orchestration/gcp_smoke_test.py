"""A smoke test of a real Google Cloud project: a simulated slate, and what no emulator can show about it.

Every name gets the prefix ``smoke_``: the installation's own datasets, collections and topics aren't touched, and the
test's can be deleted afterwards.
"""

from collections.abc import Iterator

from prediction_assets.orchestration.instance import open_instance
from prediction_assets.orchestration.slate_run import SlateResult, SlateRun
from prediction_assets.settings import Settings
from prediction_assets.simulation.slates import simulated_facts, simulated_slate
from prediction_assets.stores.gcp import probes
from prediction_assets.stores.gcp.stores import GcpStores

PREFIX = "smoke_"
PLAYERS = 8


def smoke_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"gcp_prefix": f"{PREFIX}{settings.gcp_prefix}", "home": settings.home / "smoke"}
    )


def smoke_test(installation: Settings) -> Iterator[tuple[str, str]]:
    """Carry a simulated slate through a project, and yield each expectation with its problem, '' if it is met."""
    settings = smoke_settings(installation)
    stores = GcpStores(settings)
    stores.warehouse.set_up()
    stores.set_up_messaging()
    with open_instance(settings) as instance:
        run = SlateRun(settings, instance)
        run.ingest(simulated_facts(PLAYERS))
        first = run.whole(simulated_slate(PLAYERS).isoformat())
        again = run.whole(first.progress.batch.slate)
        billed = run.stores.warehouse.cost()["bytes_billed"]
    jobs = stores.warehouse.jobs
    receipt_id = first.receipt.receipt_id if first.receipt else ""
    messages = len(stores.outbox.entries(first.progress.batch.slate))
    yield "a second run changes nothing and announces nothing", _second_run(again, messages)
    yield (
        "a job id that exists is refused",
        probes.known_job_id_is_refused(jobs, f"prediction_assets_smoke_{receipt_id}"),
    )
    yield "the predictions can't be read without a date", probes.query_without_a_date_is_refused(jobs)
    yield "parts that nobody drops expire", probes.staging_expires(jobs)
    yield "the predictions are partitioned and clustered as declared", probes.layout_is_as_declared(jobs)
    yield "jobs report the bytes they are billed for", "" if billed > 0 else "no bytes billed were reported"


def _second_run(again: SlateResult, messages: int) -> str:
    receipt = again.receipt
    changed = receipt.rows_inserted + receipt.rows_updated if receipt else -1
    if changed == 0 and messages == 1:
        return ""
    return f"a second run changed {changed} rows, and the outbox has {messages} completion messages"
