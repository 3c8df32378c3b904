"""What is durable: :mod:`.protocols` shows all of it on one page, and each profile has one folder that implements it.

``sql/`` declares the tables and the statements once, ``local/`` is DuckDB, Arrow, SQLite and files, ``gcp/`` is
BigQuery, Firestore and Pub/Sub. What to store and when is decided in ``slate`` and ``steps``; Dagster's own storage
is in ``orchestration``.
"""
