"""The embedded profile: everything durable in one folder, without a server or an account.

A DuckDB file is the warehouse, Arrow files are parts and snapshots, one SQLite file holds batch state,
outbox, dead letters and alerts, and messages are delivered as files. Google's clients and Dagster don't belong here.
"""
