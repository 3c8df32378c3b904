# The service with the UI, the sensors and the alerts, and the job that carries one slate a day. Use either or both: every
# step is safe to repeat. Each part's command and variables are those of deploy/compose.yaml.
locals {
  settings = {
    PREDICTION_ASSETS_PROFILE            = "gcp"
    PREDICTION_ASSETS_GCP_PROJECT        = var.project
    PREDICTION_ASSETS_GCP_LOCATION       = var.location
    PREDICTION_ASSETS_GCP_PREFIX         = var.prefix
    PREDICTION_ASSETS_FIRESTORE_DATABASE = var.firestore_database
    PREDICTION_ASSETS_KEEP_DAYS          = tostring(var.keep_days)
  }
  instance = {
    DAGSTER_POSTGRES_HOST    = google_sql_database_instance.dagster.private_ip_address
    DAGSTER_POSTGRES_PORT    = "5432"
    DAGSTER_POSTGRES_USER    = "dagster"
    DAGSTER_POSTGRES_DB      = google_sql_database.dagster.name
    CODE_SERVER_HOST         = "127.0.0.1"
    CODE_SERVER_PORT         = "4000"
    PREDICTION_ASSETS_UI_URL = var.ui_address
  }
  # In the order in which they start.
  parts = [
    {
      name   = "code"
      args   = ["dagster", "api", "grpc", "--host", "127.0.0.1", "--port", "4000", "--module-name", "prediction_assets.definitions", "--location-name", "prediction_assets"]
      env    = merge(local.instance, local.settings)
      after  = []
      cpu    = "2"
      memory = "4Gi"
    },
    {
      name   = "webserver"
      args   = ["dagster-webserver", "--host", "0.0.0.0", "--port", "3000", "--workspace", "workspace.yaml"]
      env    = local.instance
      after  = ["code"]
      cpu    = "1"
      memory = "1Gi"
    },
    {
      name   = "daemon"
      args   = ["dagster-daemon", "run", "--workspace", "workspace.yaml"]
      env    = local.instance
      after  = ["webserver"]
      cpu    = "1"
      memory = "1Gi"
    },
  ]
}

# Google's login protects the UI; this provider's stable half doesn't know `iap_enabled`.
resource "google_cloud_run_v2_service" "ui" {
  provider     = google-beta
  name         = "prediction-assets"
  location     = var.region
  launch_stage = "BETA"
  ingress      = "INGRESS_TRAFFIC_ALL"
  iap_enabled  = true
  template {
    service_account = google_service_account.worker.email
    timeout         = "3600s"
    # One daemon, and always one: Dagster allows no second.
    scaling {
      min_instance_count = 1
      max_instance_count = 1
    }
    # The way to the database's private address; everything else goes out as usual.
    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.network.id
        subnetwork = google_compute_subnetwork.containers.id
      }
    }
    dynamic "containers" {
      for_each = local.parts
      content {
        name       = containers.value.name
        image      = var.image
        args       = containers.value.args
        depends_on = containers.value.after
        resources {
          # The daemon works between requests, and runs are processes of the code server.
          cpu_idle = false
          limits   = { cpu = containers.value.cpu, memory = containers.value.memory }
        }
        dynamic "ports" {
          for_each = containers.value.name == "webserver" ? [3000] : []
          content {
            container_port = ports.value
          }
        }
        dynamic "startup_probe" {
          for_each = containers.value.name == "webserver" ? ["/server_info"] : []
          content {
            period_seconds    = 10
            failure_threshold = 12
            http_get {
              path = startup_probe.value
              port = 3000
            }
          }
        }
        dynamic "startup_probe" {
          for_each = containers.value.name == "code" ? [4000] : []
          content {
            period_seconds    = 10
            failure_threshold = 12
            tcp_socket {
              port = startup_probe.value
            }
          }
        }
        dynamic "env" {
          for_each = containers.value.env
          content {
            name  = env.key
            value = env.value
          }
        }
        env {
          name = "DAGSTER_POSTGRES_PASSWORD"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.postgres_password.secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }
  depends_on = [google_secret_manager_secret_iam_member.worker]
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  name     = google_cloud_run_v2_service.ui.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"
}

resource "google_iap_web_cloud_run_service_iam_member" "operator" {
  for_each               = var.ui_members
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.ui.name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value
}

resource "google_cloud_run_v2_job" "slate" {
  name     = "prediction-assets"
  location = var.region
  template {
    template {
      service_account = google_service_account.worker.email
      timeout         = "3600s"
      max_retries     = 1
      containers {
        image   = var.image
        command = ["prediction-assets"]
        args    = ["run", "--game-logs", "/facts/game_logs.parquet", "--schedule", "/facts/schedule.csv", "--prop-lines", "/facts/prop_lines.csv.gz"]
        resources {
          limits = { cpu = "2", memory = "2Gi" }
        }
        dynamic "env" {
          for_each = local.settings
          content {
            name  = env.key
            value = env.value
          }
        }
        volume_mounts {
          name       = "facts"
          mount_path = "/facts"
        }
      }
      volumes {
        name = "facts"
        gcs {
          bucket    = google_storage_bucket.facts.name
          read_only = true
        }
      }
    }
  }
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  name     = google_cloud_run_v2_job.slate.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_cloud_scheduler_job" "morning" {
  name             = "prediction-assets"
  region           = var.region
  schedule         = "0 7 * * *"
  time_zone        = "America/Los_Angeles"
  paused           = true # the service's sensors carry the slates; resume it where only the job is used
  attempt_deadline = "180s"
  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.slate.id}:run"
    oauth_token {
      service_account_email = google_service_account.scheduler.email
    }
  }
  depends_on = [google_project_service.api]
}
