"""The warehouse's tables and statements, written once for both profiles.

:mod:`.tables` declares every table; the other modules are SQL in DuckDB's dialect with named parameters, and
:mod:`.dialects` renders it for BigQuery. Clients, connections and rows don't belong here: nothing here runs.
"""
