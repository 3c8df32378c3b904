"""What ``deploy/terraform`` makes: the names, limits and variables that the code has, each API, no role too many."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest

from prediction_assets.settings import Settings
from prediction_assets.stores.gcp import bigquery_tables, pubsub
from prediction_assets.stores.gcp.stores import GcpStores
from prediction_assets.stores.sql.tables import TABLES
from prediction_assets_tests.deployment import DEPLOY, PARTS, command, compose

FOLDER = DEPLOY / "terraform"
FILES = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.tf"))}
TEXT = "\n".join(FILES.values())

# Which API each kind of resource is made by; google_project_service itself needs none.
APIS = {
    "google_artifact_registry": "artifactregistry",
    "google_bigquery": "bigquery",
    "google_billing": "billingbudgets",
    "google_cloud_run": "run",
    "google_cloud_scheduler": "cloudscheduler",
    "google_compute": "compute",
    "google_firestore": "firestore",
    "google_iap": "iap",
    "google_logging": "logging",
    "google_monitoring": "monitoring",
    "google_project_iam": "iam",
    "google_pubsub": "pubsub",
    "google_secret_manager": "secretmanager",
    "google_service_account": "iam",
    "google_service_networking": "servicenetworking",
    "google_sql": "sqladmin",
    "google_storage": "storage",
}


def plain(value: Any) -> Any:
    """Return what the parser gives, without its quotes and marks."""
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items() if not str(k).startswith("__")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and re.fullmatch(r'".*"', value, re.DOTALL) else value


PARSED = {name: plain(hcl2.loads(text)) for name, text in FILES.items()}


def resources() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each resource: its type, name and body."""
    for file in PARSED.values():
        for resource in file.get("resource", []):
            for kind, named in resource.items():
                for name, body in named.items():
                    yield kind, name, body


def resource(kind: str, name: str) -> dict[str, Any]:
    (found,) = [body for each, called, body in resources() if (each, called) == (kind, name)]
    return found


def local(name: str) -> Any:
    (found,) = [given[name] for file in PARSED.values() for given in file.get("locals", []) if name in given]
    return found


def declared(kind: str) -> set[str]:
    return {name for file in PARSED.values() for each in file.get(kind, []) for name in each}


def test_the_api_of_each_resource_is_enabled_and_no_other_one() -> None:
    needed = set()
    for kind, name, _ in resources():
        if kind != "google_project_service":
            found = [api for prefix, api in APIS.items() if kind.startswith(prefix)]
            assert len(found) == 1, (kind, name)
            needed.add(f"{found[0]}.googleapis.com")
    assert set(local("apis")) == needed


def test_every_name_that_is_used_is_declared() -> None:
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == declared("variable")
    locals_ = {name for file in PARSED.values() for given in file.get("locals", []) for name in given}
    assert set(re.findall(r"\blocal\.(\w+)", TEXT)) == locals_
    made = {f"{kind}.{name}" for kind, name, _ in resources()}
    code = re.sub(r"#.*", "", TEXT)
    used = set(re.findall(r"(?<![\w.\"])(google_\w+\.\w+)", code))
    assert {each for each in used if not each.startswith("google_project.")} <= made
    assert len(made) > 30


def test_the_datasets_are_the_code_s_with_their_expirations() -> None:
    datasets = local("datasets")
    assert set(datasets) == {
        *(table.dataset for table in TABLES),
        bigquery_tables.STAGING_DATASET,
        bigquery_tables.SNAPSHOTS_DATASET,
    }
    assert datasets["staging"] == bigquery_tables.STAGING_DAYS
    assert f"min({Settings(keep_days=30_000).snapshot_days}, var.keep_days)" in datasets["features"]
    assert [name for name, days in datasets.items() if days is None or days == "null"] == [
        "facts",
        "predictions",
    ]
    made = resource("google_bigquery_dataset", "dataset")
    assert (made["dataset_id"], made["location"]) == ("${var.prefix}${each.key}", "${var.location}")


def test_topics_and_subscriptions_are_those_that_set_up_would_create() -> None:
    stores = GcpStores(Settings(profile="gcp", gcp_project="p", gcp_prefix="x_"))
    values = {"var.prefix": "x_", "local.completion": stores._topic}

    def named(name: str) -> str:
        return re.sub(r"\$\{([\w.]+)\}", lambda found: values[found[1]], local(name))

    assert named("completion") == stores._topic
    assert named("acknowledgement") == stores._acknowledgements
    assert named("dead_letter") == f"{stores._topic}-dead-letter"
    assert len(local("subscriptions")) == 3
    made = resource("google_pubsub_subscription", "subscription")
    assert made["ack_deadline_seconds"] == pubsub._ACK_SECONDS
    assert made["enable_message_ordering"] is True
    assert made["expiration_policy"] == [{"ttl": ""}]
    assert f"max_delivery_attempts = {pubsub.DELIVERY_ATTEMPTS}" in FILES["stores.tf"]


def test_every_workload_gets_settings_that_exist_and_the_location() -> None:
    known = {f"PREDICTION_ASSETS_{name.upper()}" for name in Settings.model_fields}
    given = set(local("settings"))
    assert given <= known
    assert {f"PREDICTION_ASSETS_GCP_{name}" for name in ("PROJECT", "LOCATION", "PREFIX")} <= given
    assert "local.settings" in FILES["cloud_run.tf"].split('"google_cloud_run_v2_job" "slate"')[1]
    instance = set(compose()["services"]["daemon"]["environment"])
    assert {*local("instance"), "DAGSTER_POSTGRES_PASSWORD"} == {*instance, "PREDICTION_ASSETS_UI_URL"}


def test_the_service_runs_compose_s_parts_once_each_behind_a_login() -> None:
    parts = {part["name"]: part for part in local("parts")}
    assert set(parts) == set(PARTS)
    for name, part in parts.items():
        expected = [
            word.replace("0.0.0.0", "127.0.0.1") if name == "code" else word for word in command(name)
        ]
        assert part["args"] == expected
        assert ("local.settings" in part["env"]) == (name == "code")
    service = resource("google_cloud_run_v2_service", "ui")
    assert service["iap_enabled"] is True
    (template,) = service["template"]
    assert template["scaling"] == [{"min_instance_count": 1, "max_instance_count": 1}]
    assert template["vpc_access"][0]["network_interfaces"]


def test_roles_are_the_few_that_each_account_needs_and_nobody_is_the_public() -> None:
    roles = set(re.findall(r'"(roles/[\w.]+)"', TEXT))
    assert roles == {
        "roles/bigquery.dataEditor",
        "roles/bigquery.jobUser",
        "roles/datastore.user",
        "roles/iap.httpsResourceAccessor",
        "roles/pubsub.publisher",
        "roles/pubsub.subscriber",
        "roles/run.invoker",
        "roles/secretmanager.secretAccessor",
        "roles/storage.objectViewer",
    }
    on_the_project = [body for kind, _, body in resources() if kind.startswith("google_project_iam")]
    (worker,) = on_the_project
    assert set(re.findall(r"roles/[\w.]+", worker["for_each"])) == {
        "roles/bigquery.jobUser",
        "roles/datastore.user",
    }
    assert (
        re.findall(
            r"allUsers|allAuthenticatedUsers|google_service_account_key|roles/(?:owner|editor)\b", TEXT
        )
        == []
    )


def test_data_survive_a_destroy_and_no_secret_is_in_the_state() -> None:
    firestore = resource("google_firestore_database", "documents")
    assert firestore["point_in_time_recovery_enablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert firestore["delete_protection_state"] == "DELETE_PROTECTION_ENABLED"
    assert resource("google_bigquery_dataset", "dataset")["lifecycle"] == [{"prevent_destroy": True}]
    database = resource("google_sql_database_instance", "dagster")
    assert database["deletion_protection"] is True
    (address,) = database["settings"][0]["ip_configuration"]
    assert address["ipv4_enabled"] is False
    kinds = {kind for kind, _, _ in resources()}
    assert kinds.isdisjoint({"google_sql_user", "google_secret_manager_secret_version", "random_password"})


def test_terraform_reads_the_files_as_it_would_write_them() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("terraform isn't installed")
    ran = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(FOLDER)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"},
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr
