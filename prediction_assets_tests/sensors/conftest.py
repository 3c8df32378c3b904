"""Homes for the tests of this folder."""

from prediction_assets_tests.homes import finished, finished_home, ingested, ingested_home, open_home

__all__ = ["finished", "finished_home", "ingested", "ingested_home", "open_home"]
