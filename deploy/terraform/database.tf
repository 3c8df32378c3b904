# PostgreSQL for the Dagster instance, on a private network that the containers have an address in.
resource "google_compute_network" "network" {
  name                    = "prediction-assets"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

resource "google_compute_subnetwork" "containers" {
  name                     = "prediction-assets"
  region                   = var.region
  network                  = google_compute_network.network.id
  ip_cidr_range            = var.network_cidr
  private_ip_google_access = true
}

resource "google_compute_global_address" "services" {
  name          = "prediction-assets-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.network.id
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.network.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

resource "google_sql_database_instance" "dagster" {
  name                = "prediction-assets"
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = true
  settings {
    edition         = "ENTERPRISE"
    tier            = "db-custom-1-3840"
    disk_autoresize = true
    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.network.id
      ssl_mode        = "ALLOW_UNENCRYPTED_AND_ENCRYPTED" # psycopg2 asks for TLS first
    }
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
  }
  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "dagster" {
  name     = "dagster"
  instance = google_sql_database_instance.dagster.name
}

# The password is in no variable, file or state: a person gives it to the secret and to the database's user (see the page).
resource "google_secret_manager_secret" "postgres_password" {
  secret_id = "dagster-postgres-password"
  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
  depends_on = [google_project_service.api]
}
