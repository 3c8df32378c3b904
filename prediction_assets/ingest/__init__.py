"""Ingestion: facts from outside become validated Arrow tables of the warehouse's declared schemas.

What belongs here: readers of files and of stats.nba.com, as pure functions from a path or an injected
client to a table and a small report of what was dropped, counted or left unresolved. What doesn't: the
warehouse that stores the tables, Dagster, settings and logging. Every refusal is a one-line
:class:`~prediction_assets.errors.BadInput` that names the source, the row, the column and the value.
"""
