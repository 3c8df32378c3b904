"""Sensors: each reads what a slate has, decides what it needs, and requests a run; the run has the effects.

:mod:`.needs` says what a batch needs, :mod:`.requests` whether its run may be requested now; the other modules hold the
sensors themselves. What doesn't belong here: effects. The alert and telemetry sensors are the exception: they store
and send by themselves, so that alerting works when no run can start.
https://docs.dagster.io/guides/automate/sensors
"""
