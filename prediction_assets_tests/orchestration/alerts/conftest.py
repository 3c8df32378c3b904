"""Alerting in Dagster under test: a local webhook."""

from prediction_assets_tests.webhooks import webhook

__all__ = ["webhook"]
