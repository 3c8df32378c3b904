variable "project" {
  type        = string
  description = "The project's id: PREDICTION_ASSETS_GCP_PROJECT."
}

variable "region" {
  type        = string
  description = "Where everything runs, such as europe-west4."
}

variable "location" {
  type        = string
  description = "Where the datasets and BigQuery's jobs are: PREDICTION_ASSETS_GCP_LOCATION. It cannot be changed later."
}

variable "prefix" {
  type        = string
  default     = ""
  description = "Begins the name of each dataset, topic and subscription: PREDICTION_ASSETS_GCP_PREFIX."
  validation {
    condition     = can(regex("^([A-Za-z][A-Za-z0-9_]*)?$", var.prefix))
    error_message = "Letters, digits and _, and a letter first."
  }
}

variable "firestore_database" {
  type        = string
  default     = "(default)"
  description = "PREDICTION_ASSETS_FIRESTORE_DATABASE."
}

variable "keep_days" {
  type        = number
  default     = 400
  description = "Days that history is kept, 0 for ever: PREDICTION_ASSETS_KEEP_DAYS."
}

variable "image" {
  type        = string
  description = "The image with its digest: REGION-docker.pkg.dev/PROJECT/prediction-assets/prediction-assets@sha256:..."
}

variable "ui_address" {
  type        = string
  description = "The service's own address, to which alone the UI answers: https://prediction-assets-NUMBER.REGION.run.app."
}

variable "ui_members" {
  type        = set(string)
  description = "Who may open the UI and is an operator with it: user:alice@example.com, group:ops@example.com."
}

variable "phase6_account" {
  type        = string
  default     = null
  description = "The service account of the consumer that pulls the completion messages, null if there is none yet."
}

variable "alert_email" {
  type        = string
  description = "Where Google's own alerts and the budget's go."
}

variable "billing_account" {
  type        = string
  description = "The account that the budget watches, such as 012345-6789AB-CDEF01."
}

variable "monthly_budget" {
  type        = number
  default     = 200
  description = "Money a month, in the billing account's currency, at half and all of which an email is sent."
}

variable "network_cidr" {
  type        = string
  default     = "10.20.0.0/24"
  description = "The addresses of the containers."
}
