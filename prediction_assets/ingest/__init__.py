"""Ingestion: files and live sources become validated Arrow tables of the warehouse's declared schemas.

What belongs here: functions from a path, or from a client, to a table and a small report of what was dropped, counted
or not resolved. What doesn't: the warehouse that stores the tables, Dagster, settings and logging. A refusal is a
one-line :class:`~prediction_assets.errors.BadInput` that names the source, the row, the column and the value.
"""
