"""One diagnosis of a slate: facts are read once, pure functions turn them into findings, report and alerts show those.

Here belong the facts (``health_facts``, ``reader``), the findings by topic, the thresholds, the health report, and
alerts with their delivery. Not here: what Dagster knows (``orchestration/instance_reader.py``), and the audits that
guard a MERGE (``slate/audits.py``).
"""
