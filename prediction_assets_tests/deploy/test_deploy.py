"""What ``deploy/`` ships: instances that load, an image whose files and programs exist, values that the chart knows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget

from prediction_assets.orchestration.slate_run import SlateRun
from prediction_assets.settings import Settings, load_settings
from prediction_assets_tests.deployment import (
    DEPLOY,
    DOCKERFILE,
    PARTS,
    REPOSITORY,
    command,
    compose,
    health_command,
    image_command,
)
from prediction_assets_tests.homes import FACTS, SIMULATED
from prediction_assets_tests.postgres import postgres_server, reason_to_skip

INSTANCES = [REPOSITORY / "prediction_assets" / "orchestration" / "dagster.yaml", DEPLOY / "dagster.yaml"]
LOCKED = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+?) ?(?:;[^\\]*)?\\$", re.MULTILINE)

# The keys of the chart's values. Where its schema has a fixed set Helm refuses another one, elsewhere a typing error in
# deploy/helm/values.yaml would be ignored. https://artifacthub.io/packages/helm/dagster/dagster
CHART = {
    "": "dagsterWebserver dagster-user-deployments postgresql generatePostgresqlPasswordSecret rabbitmq redis flower "
    "generateCeleryConfigSecret ingress imagePullSecrets computeLogManager scheduler runLauncher pythonLogs "
    "dagsterDaemon busybox migrate telemetry serviceAccount global retention additionalInstanceConfig "
    "rbacEnabled nameOverride fullnameOverride concurrency extraManifests",
    "dagsterWebserver": "replicaCount image nameOverride pathPrefix service workspace env envConfigMaps envSecrets "
    "deploymentLabels labels nodeSelector affinity tolerations podSecurityContext securityContext resources "
    "readinessProbe livenessProbe startupProbe annotations enableReadOnly dbStatementTimeout dbPoolRecycle "
    "logLevel schedulerName volumeMounts volumes checkDbReadyInitContainer dbPoolMaxOverflow "
    "initContainerResources extraContainers extraPrependedInitContainers",
    "dagsterDaemon": "enabled image runCoordinator heartbeatTolerance env envConfigMaps envSecrets deploymentLabels "
    "labels nodeSelector affinity tolerations podSecurityContext securityContext resources livenessProbe "
    "readinessProbe startupProbe annotations runMonitoring runRetries sensors schedules schedulerName volumeMounts "
    "volumes backfills checkDbReadyInitContainer initContainerResources extraContainers extraPrependedInitContainers",
    "dagsterDaemon.runCoordinator": "enabled type config",
    "dagster-user-deployments": "enabled enableSubchart imagePullSecrets deployments serviceAccount rbacEnabled "
    "dagsterHome postgresqlSecretName celeryConfigSecretName extraManifests nameOverride fullnameOverride",
    "dagster-user-deployments.serviceAccount": "create name annotations",
    "computeLogManager.config.gcsComputeLogManager": "bucket localDir prefix jsonCredentialsEnvvar uploadInterval "
    "showUrlOnly",
    "dagsterDaemon.runCoordinator.config.customRunCoordinator": "module class config",
    "retention": "enabled sensor schedule autoMaterialize",
    "runLauncher": "type config",
    "runLauncher.config.k8sRunLauncher": "image imagePullPolicy jobNamespace loadInclusterConfig kubeconfigFile "
    "envConfigMaps envSecrets envVars volumeMounts volumes labels failPodOnRunFailure resources schedulerName "
    "securityContext runK8sConfig",
    "runLauncher.config.k8sRunLauncher.runK8sConfig": "containerConfig podSpecConfig podTemplateSpecMetadata "
    "jobSpecConfig jobMetadata",
    "computeLogManager": "type config",
    "postgresql": "image enabled postgresqlHost postgresqlUsername postgresqlPassword postgresqlDatabase "
    "postgresqlParams postgresqlScheme service authProvider",
    "serviceAccount": "create name annotations",
    "global": "postgresqlSecretName dagsterHome serviceAccountName celeryConfigSecretName "
    "dagsterInstanceConfigMap postgresqlAuthWifEnabled nameOverride fullnameOverride",
    "pythonLogs": "pythonLogLevel managedPythonLoggers dagsterHandlerConfig",
    "telemetry": "enabled",
}
CODE_DEPLOYMENT = (
    "name image dagsterApiGrpcArgs codeServerArgs includeConfigInLaunchedRuns port env envConfigMaps envSecrets "
    "annotations nodeSelector affinity tolerations podSecurityContext securityContext resources livenessProbe "
    "readinessProbe startupProbe labels volumeMounts volumes schedulerName deploymentNamespace deploymentStrategy "
    "initContainers sidecarContainers service"
)


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and their arguments, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def helm_values() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text("utf-8"))  # type: ignore[no-any-return]


def at(values: dict[str, Any], path: str) -> dict[str, Any]:
    for key in filter(None, path.split(".")):
        values = values[key]
    return values


def locked(path: Path) -> set[tuple[str, str]]:
    """Return the packages and versions that a lock file pins; some have one for each version of Python."""
    return set(LOCKED.findall(path.read_text("utf-8")))


@pytest.mark.parametrize("path", INSTANCES, ids=["local", "deployed"])
def test_a_shipped_instance_gives_a_killed_run_s_slot_back(path):
    config = yaml.safe_load(path.read_text("utf-8"))
    monitoring = config["run_monitoring"]
    assert monitoring["enabled"] is True
    assert monitoring["free_slots_after_run_end_seconds"] > 0
    assert monitoring["max_runtime_seconds"] > 0
    assert config["concurrency"]["pools"]["granularity"] == "run"
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert config["telemetry"]["enabled"] is False


@pytest.mark.parametrize("path", INSTANCES, ids=["local", "deployed"])
def test_a_shipped_instance_says_nothing_twice(path):
    """Of two equal keys YAML takes the last one, without a word."""
    keys = re.findall(r"^(\w+):", path.read_text("utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys))


def test_the_checkout_s_dagster_yaml_is_the_packaged_one():
    assert (REPOSITORY / "dagster.yaml").read_text("utf-8") == INSTANCES[0].read_text("utf-8")


def test_the_workspace_is_the_code_server_at_the_address_of_the_environment(monkeypatch):
    monkeypatch.setenv("CODE_SERVER_HOST", "code")
    monkeypatch.setenv("CODE_SERVER_PORT", "4000")
    (origin,) = WorkspaceFileTarget([str(DEPLOY / "workspace.yaml")]).create_origins()
    assert (origin.location_name, origin.host, origin.port) == ("prediction_assets", "code", 4000)


class TestDockerfile:
    def test_its_base_image_is_pinned_by_tag_and_its_last_user_is_not_root(self):
        bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
        assert bases == {"${PYTHON_IMAGE}"}
        (image,) = [rest for word, rest in instructions() if word == "ARG"]
        assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+", image)
        *_, user = [rest for word, rest in instructions() if word == "USER"]
        assert int(user.split(":")[0]) > 0

    def test_everything_that_it_copies_exists_and_is_in_the_build_s_context(self):
        copied = [
            source
            for word, rest in instructions()
            if word == "COPY" and not rest.startswith("--from")
            for source in rest.split()[:-1]
        ]
        ignored = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
        assert [source for source in copied if not (REPOSITORY / source).exists()] == []
        assert {f"!{source}" for source in copied} == {line for line in ignored if line.startswith("!")}

    def test_what_it_installs_is_pinned_with_hashes(self):
        installs = [
            part
            for word, rest in instructions()
            if word == "RUN"
            for part in rest.split("&&")
            if " pip install " in part
        ]
        assert len(installs) == 3
        assert all("--require-hashes" in each or "--no-index" in each for each in installs)
        assert all("--no-deps" in each for each in installs)

    def test_its_own_command_and_health_check_are_the_code_server_s_of_compose(self):
        (health,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
        assert json.loads(health[health.index("[") :]) == health_command("code")
        assert image_command() == command("code")


@pytest.mark.parametrize("lock", ["requirements.txt", "build-requirements.txt"])
def test_every_line_of_a_deployment_s_lock_has_a_hash(lock):
    text = (DEPLOY / lock).read_text("utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(LOCKED.findall(text)) == len(entries)


def test_the_image_has_the_tested_versions_and_what_a_deployment_needs_beyond_them():
    image, tested = locked(DEPLOY / "requirements.txt"), locked(REPOSITORY / "requirements.txt")
    assert tested <= image
    assert {"dagster-postgres", "psycopg2-binary", "dagster-k8s"} <= {name for name, _ in image - tested}
    development = locked(REPOSITORY / "requirements-dev.txt")
    shared = {name for name, _ in image} & {name for name, _ in development}
    assert {(n, v) for n, v in image if n in shared} <= development


class TestCompose:
    def test_its_keys_are_those_of_the_compose_specification(self):
        known = {
            "image", "build", "restart", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "command",
            "environment", "env_file", "stop_grace_period", "volumes", "networks", "depends_on", "healthcheck",
            "ports", "profiles",
        }  # fmt: skip
        file = compose()
        assert {key for key in file if not key.startswith("x-")} == {
            "name",
            "services",
            "networks",
            "volumes",
        }
        for name, service in file["services"].items():
            assert service.keys() <= known, name
            assert service["networks"], name
            assert set(service["networks"]) <= file["networks"].keys(), name
            used = {volume.split(":")[0] for volume in service.get("volumes", [])}
            assert used <= file["volumes"].keys(), name

    def test_it_waits_for_what_is_healthy_and_only_for_what_has_a_health_check(self):
        services = compose()["services"]
        assert set(services["daemon"]["depends_on"]) == {"webserver", "code"}
        for name in ("postgres", *PARTS):
            assert services[name]["healthcheck"]["test"][0] == "CMD"
            for other, condition in services[name].get("depends_on", {}).items():
                assert condition == {"condition": "service_healthy"}
                assert "healthcheck" in services[other]

    def test_nothing_but_the_ui_is_published_and_that_on_this_machine_only(self):
        ports = {name: each["ports"] for name, each in compose()["services"].items() if "ports" in each}
        assert ports == {"webserver": ["127.0.0.1:3000:3000"]}

    def test_its_parts_have_no_capabilities_no_writable_root_and_no_secret(self):
        services = compose()["services"]
        for part in PARTS:
            assert services[part]["read_only"] is True
            assert services[part]["cap_drop"] == ["ALL"]
            assert services[part]["security_opt"] == ["no-new-privileges:true"]
        passwords = [
            str(value)
            for service in services.values()
            for key, value in (service.get("environment") or {}).items()
            if "PASSWORD" in key
        ]
        assert len(passwords) == 4
        assert all(re.fullmatch(r"\$\{DAGSTER_POSTGRES_PASSWORD:\?.+\}", each) for each in passwords)

    def test_the_instance_s_variables_are_those_that_its_files_read(self):
        files = "".join((DEPLOY / name).read_text("utf-8") for name in ("dagster.yaml", "workspace.yaml"))
        read = set(re.findall(r"env: (\w+)", files))
        for part in PARTS:
            assert set(compose()["services"][part]["environment"]) == read

    def test_the_emulators_are_there_on_request_only_and_the_trial_s_settings_name_them(self):
        services = compose()["services"]
        optional = {name for name, each in services.items() if each.get("profiles") == ["emulators"]}
        lines = (DEPLOY / "emulators.env").read_text("utf-8").splitlines()
        values = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        hosts = {
            re.sub(r"^https?://", "", value).split(":")[0]
            for name, value in values.items()
            if name.endswith(("_HOST", "_ENDPOINT"))
        }
        assert hosts == optional == {"firestore", "pubsub", "bigquery"}
        ours = {name.removeprefix("PREDICTION_ASSETS_").lower() for name in values if name.startswith("PRED")}
        assert ours <= Settings.model_fields.keys()


class TestHelmValues:
    @pytest.mark.parametrize("path", CHART)
    def test_its_keys_are_the_chart_s(self, path):
        assert at(helm_values(), path).keys() <= set(CHART[path].split())

    def test_a_run_is_a_pod_of_its_own_with_resources_and_an_identity(self):
        values = helm_values()
        assert values["runLauncher"]["type"] == "K8sRunLauncher"
        launcher = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
        assert launcher["containerConfig"]["resources"]["requests"]
        accounts = [each["serviceAccount"] for each in (values, values["dagster-user-deployments"])]
        names = {account["name"] for account in accounts} | {launcher["podSpecConfig"]["serviceAccountName"]}
        assert len(names) == 3
        for account in accounts:
            (identity,) = account["annotations"].items()
            assert identity == (
                "iam.gke.io/gcp-service-account",
                f"{account['name']}@PROJECT.iam.gserviceaccount.com",
            )

    def test_a_run_gets_the_code_server_s_settings_and_nothing_else_of_it(self):
        """What a code server includes in its runs wins over the launcher: its account, resources and token, too."""
        (code,) = helm_values()["dagster-user-deployments"]["deployments"]
        launcher = helm_values()["runLauncher"]["config"]["k8sRunLauncher"]
        assert code["includeConfigInLaunchedRuns"] == {"enabled": False}
        assert launcher["runK8sConfig"]["containerConfig"]["env"] == code["env"]
        assert launcher["envSecrets"] == code["envSecrets"]
        ours = {each["name"].removeprefix("PREDICTION_ASSETS_").lower() for each in code["env"]}
        assert ours <= Settings.model_fields.keys()

    def test_the_ui_s_probe_asks_the_port_that_it_is_served_on(self):
        webserver = helm_values()["dagsterWebserver"]
        assert webserver["readinessProbe"]["httpGet"]["port"] == webserver["service"]["port"] > 1024

    def test_every_pod_runs_the_same_pinned_image_as_a_user_who_is_not_root(self):
        values = helm_values()
        (code,) = values["dagster-user-deployments"]["deployments"]
        pods = [values["dagsterWebserver"], values["dagsterDaemon"], code]
        assert code.keys() <= set(CODE_DEPLOYMENT.split())
        (image,) = {json.dumps(pod["image"]) for pod in pods}
        assert json.loads(image)["tag"] != "latest"
        assert all(pod["podSecurityContext"]["runAsNonRoot"] for pod in pods)
        pod_of_runs = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
        assert pod_of_runs["securityContext"]["runAsNonRoot"]

    def test_the_code_server_s_arguments_are_the_image_s(self):
        (code,) = helm_values()["dagster-user-deployments"]["deployments"]
        _, _, _, *options = image_command()
        given = ["--host", "0.0.0.0", "--port", str(code["port"]), *code["dagsterApiGrpcArgs"]]
        assert given == options

    def test_it_has_no_secret_and_takes_the_password_from_one_that_exists(self):
        values = helm_values()
        assert values["generatePostgresqlPasswordSecret"] is False
        assert values["global"]["postgresqlSecretName"]
        assert "postgresqlPassword" not in values["postgresql"]

    def test_its_instance_is_the_shipped_one_but_for_where_runs_go(self, tmp_path):
        """What the chart makes of the values, as far as two of its blocks could contradict each other."""
        shipped = yaml.safe_load((DEPLOY / "dagster.yaml").read_text("utf-8"))
        values = helm_values()
        extra, daemon = values["additionalInstanceConfig"], values["dagsterDaemon"]
        for key in ("instance_class", "concurrency", "run_monitoring", "run_retries"):
            assert extra[key] == shipped[key], key
        assert daemon["runMonitoring"]["enabled"] is False
        assert daemon["runRetries"]["enabled"] is False
        assert daemon["runCoordinator"]["type"] == "CustomRunCoordinator"
        coordinator = daemon["runCoordinator"]["config"]["customRunCoordinator"]
        assert shipped["run_coordinator"]["config"].items() <= coordinator["config"].items()
        ticks = {
            kind: {"purge_after_days": values["retention"][kind]["purgeAfterDays"]}
            for kind in ("schedule", "sensor")
        }
        assert ticks == shipped["retention"]
        rendered = {**extra, "run_coordinator": coordinator, "retention": ticks}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(rendered), "utf-8")
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            assert instance.run_monitoring_enabled
            assert instance.run_retries_enabled
            assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("words", [command, health_command], ids=["command", "health check"])
def test_every_option_of_a_deployed_command_is_one_that_its_program_knows(part, words):
    program, *rest = words(part)
    if program == "python":
        compile(rest[-1], "health check", "exec")
        return
    subcommands = [word for word in rest if re.fullmatch(r"[a-z-]+", word) and word[0] != "-"]
    subcommands = subcommands[: 2 if program == "dagster" else 1 if program == "dagster-daemon" else 0]
    found = subprocess.run(
        [Path(sys.executable).with_name(program), *subcommands, "--help"],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert {word for word in rest if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", found.stdout))


@pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))
def test_an_event_on_postgresql_does_not_open_a_connection_of_its_own(tmp_path, monkeypatch):
    with postgres_server() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "dagster.yaml").write_bytes(INSTANCES[1].read_bytes())
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            before = _sessions(variables)
            for number in range(40):
                instance.report_runless_asset_event(dg.AssetMaterialization("staged", partition=str(number)))
            opened = _sessions(variables) - before
            assert len(instance.get_materialized_partitions(dg.AssetKey("staged"))) == 40
    assert opened < 10  # a connection for each of the three storages, and the two counts' own


def _sessions(variables: dict[str, str]) -> int:
    """Return how many connections the server has seen so far."""
    connection = psycopg2.connect(
        host=variables["DAGSTER_POSTGRES_HOST"],
        port=variables["DAGSTER_POSTGRES_PORT"],
        user=variables["DAGSTER_POSTGRES_USER"],
        password=variables["DAGSTER_POSTGRES_PASSWORD"],
        dbname=variables["DAGSTER_POSTGRES_DB"],
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT sum(sessions) FROM pg_stat_database")
        return int(cursor.fetchone()[0])


@pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))
def test_a_slate_runs_on_the_postgresql_instance_in_several_staging_runs(tmp_path, monkeypatch):
    settings = load_settings(home=tmp_path / "home", players_per_run=3)
    with postgres_server() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "dagster").mkdir()
        (tmp_path / "dagster" / "dagster.yaml").write_bytes(INSTANCES[1].read_bytes())
        with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
            run = SlateRun(settings, instance)
            run.ingest(FACTS)
            result = run.whole(SIMULATED)
            staging = [r for r in instance.get_runs() if r.job_name == "staging"]
            assert "Postgres" in type(instance.event_log_storage).__name__
            assert type(instance.run_launcher).__name__ == "WatchedRunLauncher"
    assert (result.receipt.status, result.receipt.rows) == ("success", 200)
    assert len(staging) == 3
