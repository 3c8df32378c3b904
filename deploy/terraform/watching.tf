# What Google watches from outside; the application's own alerts go to PREDICTION_ASSETS_ALERT_URLS.
resource "google_monitoring_notification_channel" "email" {
  display_name = "prediction_assets"
  type         = "email"
  labels       = { email_address = var.alert_email }
  depends_on   = [google_project_service.api]
}

resource "google_logging_metric" "errors" {
  name   = "prediction_assets/errors"
  filter = <<-EOT
    severity >= ERROR
    (resource.type = "cloud_run_revision" AND resource.labels.service_name = "${google_cloud_run_v2_service.ui.name}")
    OR (resource.type = "cloud_run_job" AND resource.labels.job_name = "${google_cloud_run_v2_job.slate.name}")
  EOT
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

locals {
  conditions = {
    "errors in the log" = {
      filter    = "metric.type = \"logging.googleapis.com/user/${google_logging_metric.errors.name}\" AND resource.type = one_of(\"cloud_run_revision\", \"cloud_run_job\")"
      aligner   = "ALIGN_DELTA"
      threshold = 0
      duration  = "0s"
    }
    "a job failed" = {
      filter    = "metric.type = \"run.googleapis.com/job/completed_execution_count\" AND resource.type = \"cloud_run_job\" AND metric.labels.result = \"failed\""
      aligner   = "ALIGN_DELTA"
      threshold = 0
      duration  = "0s"
    }
    "dead letters wait" = {
      filter    = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${local.dead_letter}\""
      aligner   = "ALIGN_MAX"
      threshold = 0
      duration  = "0s"
    }
    "phase 6 doesn't take messages" = {
      filter    = "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${local.completion}-phase6\""
      aligner   = "ALIGN_MAX"
      threshold = 1800
      duration  = "0s"
    }
    "PostgreSQL's disk is nearly full" = {
      filter    = "metric.type = \"cloudsql.googleapis.com/database/disk/utilization\" AND resource.type = \"cloudsql_database\""
      aligner   = "ALIGN_MAX"
      threshold = 0.9
      duration  = "600s"
    }
  }
}

resource "google_monitoring_alert_policy" "policy" {
  for_each              = local.conditions
  display_name          = "prediction_assets: ${each.key}"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  conditions {
    display_name = each.key
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = each.value.aligner
      }
    }
  }
}

resource "google_billing_budget" "month" {
  billing_account = var.billing_account
  display_name    = "prediction_assets"
  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }
  threshold_rules {
    threshold_percent = 0.5
  }
  threshold_rules {
    threshold_percent = 1.0
  }
  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.email.id]
  }
  depends_on = [google_project_service.api]
}
