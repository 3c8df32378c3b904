"""Sensors: they decide and ask for a run; every effect lives in an asset."""
