# Two accounts on Cloud Run: the service's containers and the job's are workers, and Cloud Scheduler may start the job.
# All workers are one account: a retry looks up the job that an earlier process started, and jobUser shows only its own.
resource "google_service_account" "worker" {
  account_id   = "prediction-assets-worker"
  display_name = "prediction_assets: run workers, and the service with the UI"
  depends_on   = [google_project_service.api]
}

resource "google_service_account" "scheduler" {
  account_id   = "prediction-assets-scheduler"
  display_name = "prediction_assets: starts the job of the day"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_member" "worker" {
  for_each = toset(["roles/bigquery.jobUser", "roles/datastore.user"])
  project  = var.project
  role     = each.value
  member   = google_service_account.worker.member
}

resource "google_bigquery_dataset_iam_member" "worker" {
  for_each   = google_bigquery_dataset.dataset
  dataset_id = each.value.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.worker.member
}

resource "google_pubsub_topic_iam_member" "worker" {
  topic  = google_pubsub_topic.topic[local.completion].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.worker.member
}

resource "google_pubsub_subscription_iam_member" "worker" {
  subscription = google_pubsub_subscription.subscription[local.acknowledgement].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.worker.member
}

resource "google_storage_bucket_iam_member" "worker" {
  bucket = google_storage_bucket.facts.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

resource "google_secret_manager_secret_iam_member" "worker" {
  secret_id = google_secret_manager_secret.postgres_password.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.worker.member
}

resource "google_pubsub_subscription_iam_member" "phase6" {
  count        = var.phase6_account == null ? 0 : 1
  subscription = google_pubsub_subscription.subscription["${local.completion}-phase6"].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.phase6_account}"
}

resource "google_pubsub_topic_iam_member" "phase6" {
  count  = var.phase6_account == null ? 0 : 1
  topic  = google_pubsub_topic.topic[local.acknowledgement].name
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${var.phase6_account}"
}

# Without both roles of Pub/Sub's own account nothing reaches the dead-letter topic.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.topic[local.dead_letter].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_pubsub_subscription.subscription["${local.completion}-phase6"].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
