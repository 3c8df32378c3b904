# The datasets, Firestore, topics and subscriptions, named and set as `prediction-assets gcp set-up` would.
locals {
  datasets = {
    facts       = null
    predictions = null
    staging     = 7
    features    = var.keep_days == 0 ? null : min(60, var.keep_days)
  }
  completion      = "${var.prefix}phase5-completion"
  acknowledgement = "${var.prefix}phase5-acknowledgement"
  dead_letter     = "${local.completion}-dead-letter"
  # Each topic by its subscription: without one, Pub/Sub drops a topic's messages.
  subscriptions = {
    "${local.completion}-phase6" = local.completion
    "${local.dead_letter}"       = local.dead_letter
    "${local.acknowledgement}"   = local.acknowledgement
  }
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_bigquery_dataset" "dataset" {
  for_each                    = local.datasets
  dataset_id                  = "${var.prefix}${each.key}"
  location                    = var.location
  default_table_expiration_ms = each.value == null ? null : each.value * 86400000
  delete_contents_on_destroy  = false
  labels                      = { application = "prediction_assets" }
  depends_on                  = [google_project_service.api]
  lifecycle {
    prevent_destroy = true
  }
}

# No TTL policy: history is pruned by rules (a slate's newest outcomes stay) that a document's age doesn't know.
resource "google_firestore_database" "documents" {
  name                              = var.firestore_database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"
  depends_on                        = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.documents.name
  retention = "8467200s" # 14 weeks, the longest
  weekly_recurrence {
    day = "MONDAY"
  }
}

resource "google_pubsub_topic" "topic" {
  for_each   = toset(values(local.subscriptions))
  name       = each.value
  depends_on = [google_project_service.api]
}

resource "google_pubsub_subscription" "subscription" {
  for_each                = local.subscriptions
  name                    = each.key
  topic                   = google_pubsub_topic.topic[each.value].id
  ack_deadline_seconds    = 60
  enable_message_ordering = true
  expiration_policy {
    ttl = "" # never: an off-season has no message for months
  }
  dynamic "dead_letter_policy" {
    for_each = each.value == local.completion ? [google_pubsub_topic.topic[local.dead_letter].id] : []
    content {
      dead_letter_topic     = dead_letter_policy.value
      max_delivery_attempts = 5
    }
  }
}

# The files that `prediction-assets run` reads.
resource "google_storage_bucket" "facts" {
  name                        = "${var.project}-facts"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_project_service.api]
}
