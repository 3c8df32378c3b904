"""Everything that knows Dagster: assets and their checks, jobs, schedules, sensors, resources, instance, event log.

Modules here translate: they read what the floors below decide and do, and say it in Dagster's events. What doesn't
belong here: a rule of a slate (:mod:`prediction_assets.slate`), a step's effects (:mod:`prediction_assets.steps`), a
statement (:mod:`prediction_assets.stores`). Only here may ``dagster._*`` be imported, each with its reason beside it.
"""
